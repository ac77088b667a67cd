//! How fast webhooks go out, next to the ceiling: `cargo bench --bench deliver`, and on PostgreSQL
//! `scripts/postgres cargo bench --bench deliver -- postgres`.
//!
//! The ceiling is the same HTTP client posting signed bodies of the same size to the same receiver: no log, no queue. A further
//! argument is a number of deliveries for the first part (20000); fewer make all parts shorter.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "figures for a person to read"
)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault ends it")]

mod house;
mod sink;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::{AccountId, EventId, StartFrom, WebhookEventType};
use event_log::Position;
use gitleads::clock::{Clock as _, SystemClock};
use gitleads::deliver::request::{Attempt, Sender};
use gitleads::deliver::sign::{Secret, Secrets};
use house::{House, sender};
use sink::{Heard, Sink};

const ROUNDS: usize = 2;
/// Requests under way in the ceiling: as many as one endpoint has, and as one account has.
const WAYS: [usize; 2] = [8, 64];
/// Events a second where latency is measured.
const PER_SECOND: u32 = 500;
/// Events a second where a crowd listens.
const CROWD_PER_SECOND: u32 = 20;

/// Who listens.
struct Crowd {
    accounts: usize,
    /// Endpoints of each account.
    of_each: usize,
    /// Those of them that hang.
    hanging: usize,
}

/// Many customers, and an installation that has one.
const CROWDS: [Crowd; 2] = [
    Crowd {
        accounts: 50,
        of_each: 20,
        hanging: 2,
    },
    Crowd {
        accounts: 1,
        of_each: 120,
        hanging: 100,
    },
];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments
        .iter()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(20_000_usize);
    let on_postgres = arguments.iter().any(|argument| argument == "postgres");
    println!("{}", if on_postgres { "PostgreSQL" } else { "SQLite" });
    throughput(on_postgres, count).await;
    let seconds = u32::try_from((count / 2_000).clamp(2, 10)).unwrap();
    latency(on_postgres, seconds).await;
    for people in CROWDS {
        crowd(on_postgres, seconds * 2, &people).await;
    }
}

/// Deliveries a second to one endpoint and to a hundred, beside the ceiling of the same minute.
async fn throughput(on_postgres: bool, count: usize) {
    let sink = Sink::start().await;
    let house = House::open(on_postgres).await;
    let account = house.account().await;
    // Who is told of: once for one endpoint, a part of them for a hundred.
    house.leads(account, 0, count).await;
    let few = (count / 50).max(20);
    let other = house.account().await;
    house.leads(other, count, few).await;
    let mut rates: HashMap<&str, f64> = HashMap::new();
    let mut best = |what, rate: f64| {
        let known = rates.entry(what).or_default();
        *known = known.max(rate);
    };
    for _ in 0..ROUNDS {
        best("to one", delivered(&house, &sink, account, 1, count).await);
        let body = sink.last_body();
        for ways in WAYS {
            let rate = ceiling(&sink, &body, ways, count).await;
            best(
                if ways == WAYS[0] {
                    "ceiling of 8"
                } else {
                    "ceiling of 64"
                },
                rate,
            );
        }
        best("to 100", delivered(&house, &sink, other, 100, few * 100).await);
    }
    let ceiling = rates["ceiling of 8"].max(rates["ceiling of 64"]);
    println!(
        "body of {} bytes, {count} deliveries, best of {ROUNDS}",
        sink.last_body().len()
    );
    for what in ["ceiling of 8", "ceiling of 64", "to one", "to 100"] {
        println!(
            "{what:<14} {:>8.0}/s   {:.2} of the ceiling",
            rates[what],
            rates[what] / ceiling
        );
    }
}

/// Deliveries a second of an account's whole log to so many new endpoints, which are removed again.
async fn delivered(house: &House, sink: &Arc<Sink>, account: AccountId, endpoints: usize, expected: usize) -> f64 {
    let mut added = Vec::new();
    for number in 0..endpoints {
        added.push(house.endpoint(account, &sink.url(number), StartFrom::Beginning).await);
    }
    sink.forget();
    let running = house.deliver().await;
    let took = sink.hears(expected).await;
    running.stop().await;
    for endpoint in added {
        house.remove(account, endpoint).await;
    }
    expected as f64 / took.as_secs_f64()
}

/// Requests a second of the client alone.
async fn ceiling(sink: &Arc<Sink>, body: &Bytes, ways: usize, count: usize) -> f64 {
    sink.forget();
    let client: Sender = sender();
    let secrets = Arc::new(Secrets::from(Secret::generate([9; 32])));
    let began = Instant::now();
    let each = count / ways;
    let tasks: Vec<_> = (0..ways)
        .map(|_| {
            let (client, secrets, body, uri) = (client.clone(), secrets.clone(), body.clone(), sink.url(0));
            tokio::spawn(async move {
                for _ in 0..each {
                    let attempt = Attempt {
                        uri: uri.parse().unwrap(),
                        event_type: WebhookEventType::LeadCreated,
                        event_id: EventId::new(SystemClock.ulid()),
                        sequence: Some(Position::new(1)),
                        delivery: SystemClock.ulid(),
                        number: 1,
                        at: SystemClock.now(),
                        body: body.clone(),
                    };
                    assert_eq!(client.send(attempt, &secrets).await.failure, None);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (each * ways) as f64 / began.elapsed().as_secs_f64()
}

/// From the append of an event, called and acknowledged, to the receiver having its first attempt.
async fn latency(on_postgres: bool, seconds: u32) {
    let sink = Sink::start().await;
    let house = House::open(on_postgres).await;
    let account = house.account().await;
    house.endpoint(account, &sink.url(0), StartFrom::Now).await;
    let running = house.deliver().await;
    let appended = appends(&house, &[account], PER_SECOND, seconds).await;
    sink.hears(appended.len()).await;
    let (called, acknowledged) = waits(&appended, &sink.heard());
    running.stop().await;
    println!(
        "{PER_SECOND} events/s for {seconds} s, {} deliveries",
        acknowledged.len()
    );
    println!("  from the acknowledgement {}", quantiles(&acknowledged));
    println!("  from the call            {}", quantiles(&called));
}

/// The healthy endpoints of a crowd, first without those that hang, then among them.
async fn crowd(on_postgres: bool, seconds: u32, people: &Crowd) {
    let mut ends = Vec::new();
    let healthy = people.of_each - people.hanging;
    for hanging in [0, people.hanging] {
        let sink = Sink::start().await;
        let house = House::open(on_postgres).await;
        let mut accounts = Vec::new();
        for number in 0..people.accounts {
            let account = house.account().await;
            for place in 0..healthy + hanging {
                let url = if place < hanging {
                    sink.hanging_url(place)
                } else {
                    sink.url(number * people.of_each + place)
                };
                house.endpoint(account, &url, StartFrom::Now).await;
            }
            accounts.push(account);
        }
        let running = house.deliver().await;
        let appended = appends(&house, &accounts, CROWD_PER_SECOND, seconds).await;
        sink.hears(appended.len() * healthy).await;
        let (_, acknowledged) = waits(&appended, &sink.heard());
        println!(
            "{} accounts, {} endpoints of which {} hang, {CROWD_PER_SECOND} events/s for {seconds} s: {} deliveries to \
             healthy ones",
            people.accounts,
            people.accounts * (healthy + hanging),
            people.accounts * hanging,
            acknowledged.len()
        );
        ends.push(quantile(&acknowledged, 0.99));
        println!("  from the acknowledgement {}", quantiles(&acknowledged));
        running.abandon();
    }
    println!(
        "  p99 with hanging ones: {:.2} times that without",
        ends[1].as_secs_f64() / ends[0].as_secs_f64()
    );
}

/// When each lead's append was called and acknowledged.
type Appends = HashMap<String, (Instant, Instant)>;

/// Records so many leads a second, each with an append of its own, for the accounts in turn.
async fn appends(house: &House, accounts: &[AccountId], per_second: u32, seconds: u32) -> Appends {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut tasks = Vec::new();
    for number in 0..usize::try_from(per_second * seconds).unwrap() {
        ticks.tick().await;
        let (writer, account) = (house.writer.clone(), accounts[number % accounts.len()]);
        tasks.push(tokio::spawn(async move {
            let called = Instant::now();
            house::record(&writer, account, number..number + 1).await;
            (house::login(number), (called, Instant::now()))
        }));
    }
    let mut appended = HashMap::new();
    for task in tasks {
        let (login, times) = task.await.unwrap();
        appended.insert(login, times);
    }
    appended
}

/// How long each delivery took from the call of its append, and from the acknowledgement, sorted.
fn waits(appended: &Appends, heard: &[Heard]) -> (Vec<Duration>, Vec<Duration>) {
    let (mut called, mut acknowledged) = (Vec::new(), Vec::new());
    for one in heard {
        let (call, acknowledgement) = appended[&one.login];
        called.push(one.at.saturating_duration_since(call));
        acknowledged.push(one.at.saturating_duration_since(acknowledgement));
    }
    called.sort_unstable();
    acknowledged.sort_unstable();
    (called, acknowledged)
}

fn quantile(sorted: &[Duration], part: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the list"
    )]
    let place = ((sorted.len() - 1) as f64 * part) as usize;
    sorted[place]
}

fn quantiles(sorted: &[Duration]) -> String {
    let millis = |part| quantile(sorted, part).as_secs_f64() * 1e3;
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        millis(0.5),
        millis(0.99),
        millis(1.0)
    )
}
