//! A week by the clock in seconds: thousands of repositories, hundreds of keywords, one token, and a script that knows
//! the truth. At its whole size, with what was asked for it: `cargo test --release -p gitleads --lib a_week -- --nocapture`.

use std::collections::BTreeMap;

use fake_github::{Bucket, Post, Repo, User};
use projections::star_coverage;

use super::ladder::Story;
use super::*;

/// The whole size is for a build that is optimised; the rules are the same.
const PART: u64 = if cfg!(debug_assertions) { 20 } else { 1 };
const REPOS: u64 = 2_000 / PART;
const KEYWORDS: u64 = 500 / PART;
const DAYS: u64 = 7;
/// Stars that feeds tell of, and stars that none does.
const TOLD: u64 = 3_000 / PART;
const UNTOLD: u64 = 200 / PART;
const POSTS: u64 = 300 / PART;
/// Keywords that are looked for in code, and the files that have one.
const LIBRARIES: u64 = 40 / PART;
const FILES: u64 = 120 / PART;

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

fn repo(number: u64) -> String {
    format!("acme/tool-{number}")
}

/// Tells the fake what will happen in the week; how many stars each repository gets that a feed tells of, and that none does.
fn script(story: &Story) -> BTreeMap<u64, (u64, u64)> {
    let from = u64::try_from(story.room.clock.now().secs()).unwrap();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut truth = BTreeMap::<u64, (u64, u64)>::new();
    story.github.change(|world| {
        world.note_details = false;
        for number in 0..REPOS {
            world.put_repo(Repo::new(1_000 + number, &repo(number)));
        }
        // After everything was counted once. Every six hours a count is taken to be held, and for as long it is held, both until the
        // next count, which may take an hour: what happens in the last fourteen hours may not be told of any more.
        let (first, last) = (6 * 3_600, (DAYS * 24 - 15) * 3_600);
        for star in 0..TOLD + UNTOLD {
            let when = from + first + dice.roll(last - first);
            // A few repositories get most of them.
            let number = if dice.roll(3) == 0 {
                dice.roll(REPOS)
            } else {
                dice.roll(50)
            };
            let is_told = star < TOLD;
            let counts = truth.entry(number).or_default();
            *(if is_told { &mut counts.0 } else { &mut counts.1 }) += 1;
            let fan = User::new(10_000 + star, &format!("fan-{star}"));
            world.at(when, move |world| {
                let at = fake_github::rfc3339(when);
                world.put_user(fan.clone());
                if is_told {
                    world.star(&repo(number), &fan, &at);
                } else {
                    world.star_unseen(&repo(number), &fan, &at);
                }
            });
        }
        for number in 0..POSTS {
            let when = from + first + dice.roll(last - first);
            let keyword = dice.roll(KEYWORDS);
            world.at(when, move |world| {
                let author = User::new(100_000 + number, &format!("writer-{number}"));
                world.put_user(author.clone());
                let post = Post {
                    number: number + 1,
                    author,
                    title: format!("about framework {keyword}"),
                    body: String::new(),
                };
                let at = fake_github::rfc3339(when);
                match number % 3 {
                    0 => world.open_issue("some/where", &post, &at),
                    1 => world.open_pull("some/where", &post, &at),
                    _ => world.open_discussion("some/where", &post, &at),
                };
            });
        }
        for number in 0..FILES {
            let when = from + first + dice.roll(last - first);
            let text = format!("use library{};", dice.roll(LIBRARIES));
            world.at(when, move |world| {
                let author = User::new(200_000 + number, &format!("coder-{number}"));
                world.put_user(author.clone());
                let at = fake_github::rfc3339(when);
                world.put_file("some/where", &format!("src/{number}.rs"), &text, &author, &at);
            });
        }
    });
    truth
}

/// What was asked in the week.
fn tell(story: &Story, took: Duration) {
    let mut asked = BTreeMap::<(&str, Option<u16>), u64>::new();
    story.github.ledger(|all| {
        for request in all {
            *asked.entry((request.bucket.as_str(), request.status)).or_default() += 1;
        }
    });
    println!("a week of {REPOS} repositories and {KEYWORDS} keywords in {took:.1?}");
    for ((bucket, status), count) in asked {
        println!("{count:>8} {bucket} {}", status.unwrap_or_default());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_with_one_token_exceeds_no_limit_and_loses_nothing_that_github_showed() {
    let mut story = Story::new().await;
    let truth = script(&story);
    for number in 0..REPOS {
        let name = repo(number).parse().unwrap();
        commands::track_repo(&story.room.writer, story.room.account, name, None)
            .await
            .unwrap();
    }
    for number in 0..KEYWORDS {
        let keyword = format!("framework {number}").parse().unwrap();
        commands::track_keyword(&story.room.writer, story.room.account, keyword, None)
            .await
            .unwrap();
    }
    for number in 0..LIBRARIES {
        let keyword = format!("library{number}").parse().unwrap();
        let targets = Some("code".parse().unwrap());
        commands::track_keyword(&story.room.writer, story.room.account, keyword, targets)
            .await
            .unwrap();
    }
    story.room.settle().await;
    let began = std::time::Instant::now();
    story.work(Duration::from_hours(DAYS * 24)).await;
    tell(&story, began.elapsed());

    assert_eq!(story.github.exceeded(), [], "no limit was ever exceeded");
    let stars = TOLD;
    assert_eq!(
        story.room.count("LeadCaptured").await,
        usize::try_from(stars + POSTS + FILES).unwrap(),
        "every star, every text and every file that was shown, once"
    );
    assert_eq!(
        story.room.count("LeadEnriched").await,
        usize::try_from(stars + POSTS + FILES).unwrap(),
        "everybody was looked up, and nothing is an event twice"
    );
    let mut told = BTreeMap::new();
    for recorded in story.room.events().await {
        if let Event::StarsUnattributed(event) = recorded.event {
            told.insert(event.repo_id, event.unattributed);
        }
    }
    let (account, views) = (story.room.account, &*story.room.ingest.views);
    let tracked = projections::tracked_repos::list(views, account).await.unwrap();
    let firsts = star_coverage::list(views, account).await.unwrap();
    for row in tracked {
        let number: u64 = row.full_name.as_str().rsplit('-').next().unwrap().parse().unwrap();
        let (shown, hidden) = truth.get(&number).copied().unwrap_or_default();
        let first = firsts.iter().find(|first| first.repo_id == row.repo_id).unwrap();
        let key = story.room.writer.vault.repo_key(account, &row.full_name);
        let captured = star_coverage::captured(views, account, key, first.counted_at, story.room.clock.now());
        assert_eq!(captured.await.unwrap().given, shown, "{}", row.full_name);
        assert_eq!(
            told.get(&row.repo_id).copied().unwrap_or(0),
            hidden,
            "{}",
            row.full_name
        );
    }
    let of = |bucket: Bucket| {
        let asked = |requests: &[fake_github::Request]| requests.iter().filter(|one| one.bucket == bucket).count();
        story.github.ledger(asked)
    };
    for bucket in [Bucket::Core, Bucket::Search, Bucket::CodeSearch, Bucket::Graphql] {
        assert!(of(bucket) > 0, "{bucket:?}");
    }
}
