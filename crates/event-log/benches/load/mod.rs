//! What the benches of the logs share: the events they append, and callers that are timed.

use std::error::Error;
use std::time::{Duration, Instant};

use domain::{AccountId, Collector, EventId, LeadId, PersonRef, Sealed, Signal, SignalKey, StreamId, Timestamp, event};
use event_log::{NewEvent, StreamAppend};
use tokio::task::JoinSet;

/// Sealed bytes of a person; as JSON the event is about 660 bytes then.
const SEALED: usize = 305;

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Events a second, and the times of a call that one in two and one in a hundred exceed.
pub struct Figure {
    pub rate: f64,
    pub usual: Duration,
    pub slow: Duration,
}

/// Runs the calls, of so many events each, from `callers` tasks, each call after the answer to the one before. Each
/// caller is asked whether it goes on, with the number of its calls and the time that has passed.
pub async fn measure<F>(
    callers: u64,
    events: u64,
    goes_on: impl Fn(u64, Duration) -> bool + Copy + Send + 'static,
    call: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Outcome<Figure>
where
    F: Future<Output = Outcome<()>> + Send,
{
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let call = call.clone();
        running.spawn(async move {
            let mut times = Vec::new();
            let mut number = 0;
            while goes_on(number, begun.elapsed()) {
                let begun = Instant::now();
                call(number * callers + caller).await?;
                times.push(begun.elapsed());
                number += 1;
            }
            Outcome::Ok(times)
        });
    }
    drop(call);
    let mut times: Vec<Duration> = Vec::new();
    for caller in running.join_all().await {
        times.extend(caller?);
    }
    let took = begun.elapsed();
    times.sort_unstable();
    let written = u32::try_from(times.len() as u64 * events)?;
    let exceeded_by = |percent: usize| {
        times
            .get(times.len() * (100 - percent) / 100)
            .copied()
            .unwrap_or_default()
    };
    Ok(Figure {
        rate: f64::from(written) / took.as_secs_f64(),
        usual: exceeded_by(50),
        slow: exceeded_by(1),
    })
}

/// The first events of a stream of its own, from number `first` on.
pub fn stream_append(first: u64, events: u64) -> Outcome<StreamAppend> {
    let account = AccountId::new((u128::from(first % 100) + 1).into());
    Ok(StreamAppend {
        stream: StreamId::lead(account, PersonRef::new(scattered(first))),
        expected: 0,
        recorded_at: Timestamp::from_secs(1_777_026_660),
        events: (first..first + events).map(new_event).collect::<Outcome<_>>()?,
    })
}

/// Ids in the order of time, as ULIDs are; persons scattered, as keyed hashes are.
pub fn new_event(number: u64) -> Outcome<NewEvent> {
    let captured = event::LeadCaptured {
        lead_id: LeadId::new(u128::from(number).into()),
        login: Some(domain::LoginKey::new(scattered(number))),
        signal: Signal {
            key: SignalKey::new(scattered(number)),
            kind: "stargazer".parse()?,
            repo: domain::RepoKey::new([7; 16]),
            keyword: None,
            occurred_at: Timestamp::from_secs(1_777_026_600),
            collector: Collector::EventsFeed,
            person: Sealed::new(vec![0xA5; SEALED]),
        },
    };
    Ok(NewEvent {
        id: EventId::new((u128::from(number) + 1).into()),
        event: captured.into(),
    })
}

/// Numbers far apart, as keyed hashes are.
pub fn scattered(number: u64) -> [u8; 16] {
    (u128::from(number) + 1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
        .to_be_bytes()
}
