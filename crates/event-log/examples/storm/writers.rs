//! A process that appends until it is killed, and says on its output what it was told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use domain::{AccountId, EventId, LeadId, PersonRef, StreamId, Timestamp, event};
use event_log::{AppendError, EventLog as _, NewEvent, PostgresLog, StreamAppend};
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::{Outcome, WRITERS, open};

/// Streams that all writers share.
const SHARED: usize = 3;

/// An acknowledged event: its id and its position.
pub type Told = (u128, u64);

/// The parent's side of a process.
pub struct Process {
    child: Child,
    told: JoinHandle<Vec<Told>>,
}

impl Process {
    /// Starts it.
    pub fn start(url: &str, number: usize, generation: u64) -> Outcome<Self> {
        let arguments = ["write", url, &number.to_string(), &generation.to_string()];
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("the process has no output")?;
        let told = std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.filter_map(|line| parse(&line)).collect()
        });
        Ok(Self { child, told })
    }

    /// Kills it, wherever it is; what it was told until then.
    pub fn kill(mut self) -> Outcome<Vec<Told>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.told.join().map_err(|_| "the thread that reads along panicked")?)
    }
}

/// A line that was written whole; the last one may not be.
fn parse(line: &str) -> Option<Told> {
    let (id, position) = line.strip_suffix('.')?.split_once(' ')?;
    Some((id.parse().ok()?, position.parse().ok()?))
}

/// The process itself.
pub async fn write(url: &str, number: u64, generation: u64) -> Outcome<()> {
    // Connections are cut while it starts, too.
    let log = loop {
        if let Ok(log) = open(url).await {
            break Arc::new(log);
        }
    };
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let name = (generation * 64 + number) * WRITERS + writer;
        writers.spawn(go_on(Arc::clone(&log), name));
    }
    writers.join_all().await.into_iter().collect()
}

/// Appends for ever: now to a stream of its own, now to one that all share, now to several at once.
async fn go_on(log: Arc<PostgresLog>, name: u64) -> Outcome<()> {
    let mut chance = Chance::new(name);
    let mut own = 0;
    let mut shared = [0; SHARED];
    for number in 0.. {
        let time = i64::try_from(number * 1_000 + chance.below(5_000))?;
        let first = u128::from(name) << 64 | u128::from(number) << 8;
        if chance.below(4) == 0 {
            let which = chance.below(SHARED as u64);
            let expected = shared.get_mut(usize::try_from(which)?).ok_or("no such stream")?;
            let mut wanted = new(stream(u128::from(which)), *expected, time, &[first]);
            loop {
                match settled(&log, vec![wanted.clone()]).await?.remove(0) {
                    Ok(version) => break *expected = version,
                    Err(actual) => wanted.expected = actual,
                }
            }
        } else {
            let batch = vec![
                new(stream(u128::from(name) << 8 | 1 << 100), own, time, &[first]),
                new(
                    stream(u128::from(name) << 8 | 2 << 100),
                    own * 2,
                    time,
                    &[first + 1, first + 2],
                ),
            ];
            for version in settled(&log, batch).await? {
                version.map_err(|actual| format!("nobody else writes there, and yet it has version {actual}"))?;
            }
            own += 1;
        }
    }
    Ok(())
}

/// Appends the same until every answer is certain, and says what was acknowledged: versions, or those that were found.
async fn settled(log: &PostgresLog, batch: Vec<StreamAppend>) -> Outcome<Vec<Result<u64, u64>>> {
    loop {
        let mut versions = Vec::new();
        for answer in log.append(batch.clone()).await {
            match answer {
                Ok(appended) => {
                    for event in &appended.events {
                        let line = format!("{} {}.\n", u128::from(event.id.ulid()), event.position);
                        std::io::stdout().write_all(line.as_bytes())?;
                    }
                    versions.push(Ok(appended.events.last().map_or(0, |last| last.version)));
                }
                Err(AppendError::Conflict { actual, .. }) => versions.push(Err(actual)),
                Err(AppendError::Unknown(_) | AppendError::Storage(_) | AppendError::Busy) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if versions.len() == batch.len() {
            return Ok(versions);
        }
    }
}

fn stream(number: u128) -> StreamId {
    StreamId::lead(AccountId::new(1_u128.into()), PersonRef::new(number.to_be_bytes()))
}

fn new(stream: StreamId, expected: u64, time: i64, ids: &[u128]) -> StreamAppend {
    let event = |&id: &u128| NewEvent {
        id: EventId::new(id.into()),
        event: event::LeadReleased {
            lead_id: LeadId::new(id.into()),
        }
        .into(),
    };
    StreamAppend {
        stream,
        expected,
        recorded_at: Timestamp::from_micros(time),
        events: ids.iter().map(event).collect(),
    }
}
