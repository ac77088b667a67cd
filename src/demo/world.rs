//! The invented people of the demonstration, and what they do on the GitHub that is made for them.

use fake_github::{Post, Repo, User, World};

/// The repository of a competitor, which is polled.
pub const RIVAL: &str = "acme-corp/rival-sdk";
/// The account's own, whose webhooks arrive at once.
pub const OWN: &str = "acme-corp/our-sdk";
/// What is looked for in issues.
pub const KEYWORD: &str = "event sourcing";

const OWN_ID: u64 = 700_001;
const RIVAL_ID: u64 = 700_002;

/// Login, name, company, location, bio, language, followers. None of them exists.
type Told = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u64,
);

const PEOPLE: [Told; 14] = [
    (
        "ada-example",
        "Ada Example",
        "Example Analytics",
        "London",
        "Numbers, mostly",
        "Rust",
        812,
    ),
    (
        "bob-example",
        "Bob Example",
        "Sample Systems",
        "Lisbon",
        "Builds back ends",
        "Go",
        64,
    ),
    (
        "carla-example",
        "Carla Example",
        "Acme Labs",
        "Turin",
        "Queues and logs",
        "Kotlin",
        231,
    ),
    (
        "dmitri-example",
        "Dmitri Example",
        "Demo Data",
        "Tallinn",
        "Databases at night",
        "C++",
        97,
    ),
    (
        "emeka-example",
        "Emeka Example",
        "Placeholder Pay",
        "Lagos",
        "Payments that add up",
        "Java",
        1_204,
    ),
    (
        "fatima-example",
        "Fatima Example",
        "Sample Systems",
        "Rabat",
        "Platform team of one",
        "Python",
        45,
    ),
    (
        "goran-example",
        "Goran Example",
        "Example Energy",
        "Zagreb",
        "Grids and graphs",
        "Rust",
        18,
    ),
    (
        "hana-example",
        "Hana Example",
        "Acme Labs",
        "Osaka",
        "Front to back",
        "TypeScript",
        376,
    ),
    (
        "ines-example",
        "Inés Example",
        "Demo Data",
        "Sevilla",
        "Streams",
        "Scala",
        150,
    ),
    (
        "jonas-example",
        "Jonas Example",
        "Example Analytics",
        "Bergen",
        "Keeps it running",
        "Elixir",
        88,
    ),
    (
        "kavya-example",
        "Kavya Example",
        "Placeholder Pay",
        "Pune",
        "Ledgers",
        "Go",
        507,
    ),
    (
        "liam-example",
        "Liam Example",
        "Example Energy",
        "Cork",
        "Writes the docs",
        "Ruby",
        29,
    ),
    (
        "mei-example",
        "Mei Example",
        "Sample Systems",
        "Taipei",
        "Compilers",
        "OCaml",
        640,
    ),
    (
        "noah-example",
        "Noah Example",
        "Demo Data",
        "Haifa",
        "Search",
        "Rust",
        73,
    ),
];

/// What somebody does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Stars the own repository.
    Star(usize),
    /// Opens an issue there that holds the keyword.
    Issue(usize),
}

/// The person of that number, from 0; the numbers begin anew behind the last.
pub fn person(number: usize) -> User {
    let place = number % PEOPLE.len();
    let id = 800_000 + u64::try_from(place).unwrap_or_default();
    let Some((login, name, company, location, bio, _, followers)) = PEOPLE.get(place).copied() else {
        return User::new(id, "nobody-example");
    };
    User {
        name: Some(name.to_owned()),
        company: Some(company.to_owned()),
        location: Some(location.to_owned()),
        bio: Some(bio.to_owned()),
        followers,
        public_repos: 1,
        ..User::new(id, login)
    }
}

/// Fills the world with everybody and with what has happened by `at` (RFC 3339, in UTC): a few stars and a question.
pub fn fill(world: &mut World, at: &str) {
    world.put_repo(Repo::new(OWN_ID, OWN).with_language("Rust", 120_000));
    world.put_repo(Repo::new(RIVAL_ID, RIVAL).with_language("Go", 90_000));
    for (number, (login, _, _, _, _, language, _)) in (0_u64..).zip(PEOPLE) {
        let place = usize::try_from(number).unwrap_or_default();
        world.put_user(person(place));
        let tool = Repo::new(710_000 + number, &format!("{login}/tool"));
        world.put_repo(tool.with_language(language, 40_000));
    }
    for number in 0..4 {
        world.star(RIVAL, &person(number), at);
    }
    world.open_issue(RIVAL, &question(4, 1), at);
}

/// Everything that happens while somebody looks, in its order.
pub fn turns() -> Vec<Turn> {
    let stars = (5..PEOPLE.len()).map(Turn::Star);
    let issues = [1, 6, 9, 12].map(Turn::Issue);
    let mut turns: Vec<Turn> = stars.collect();
    for (place, issue) in [2, 5, 8, 11].into_iter().zip(issues) {
        turns.insert(place, issue);
    }
    turns
}

/// A question with the keyword in it.
pub fn question(number: usize, issue: u64) -> Post {
    Post {
        number: issue,
        author: person(number),
        title: "Is there an example?".to_owned(),
        body: format!("We are moving our orders to {KEYWORD}. How would one start with this?"),
    }
}
