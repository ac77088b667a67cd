//! Appends that go out together, as the columns of one statement, and what they come to.

use std::collections::HashMap;

use database::DatabaseError;
use domain::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::types::{ToSql, Type};

use crate::codec::EncodedAppend;
use crate::{AppendError, Appended, Position, StreamAppend, Version};

/// Events in one statement, so that the first caller does not wait for ever. A single call may bring more.
const EVENTS: usize = 1_024;

/// What an append came to.
pub(super) type Answer = Result<Appended, AppendError>;

/// What the writer says of an append.
pub(super) enum Verdict {
    /// It stands where the log ended.
    Written(End),
    /// It was looked at on its own.
    Settled(Answer),
}

/// Appends with their verdicts. They go back whence they came, since the one writer has better to do than to make
/// answers of them, or to free them.
pub(super) type Verdicts = Vec<(EncodedAppend, Verdict)>;

/// One call: appends that are answered together.
pub(super) struct Job {
    /// At least one, each of at least one event.
    pub(super) appends: Vec<EncodedAppend>,
    pub(super) answer: oneshot::Sender<Verdicts>,
}

impl Job {
    /// Answers that nothing was written.
    pub(super) fn refuse(self) {
        let closed = |append| {
            let closed = AppendError::Storage(Box::new(DatabaseError::Closed));
            (append, Verdict::Settled(Err(closed)))
        };
        // One that no longer waits has no use for its answers.
        let _ = self.answer.send(self.appends.into_iter().map(closed).collect());
    }
}

/// The calls that go out together.
pub(super) struct Group {
    pub(super) appends: Vec<EncodedAppend>,
    /// How many of the appends belong to each call.
    callers: Vec<(usize, oneshot::Sender<Verdicts>)>,
}

impl Group {
    /// The first call and whatever waits behind it.
    pub(super) fn gather(first: Job, waiting: &mut mpsc::Receiver<Job>) -> Self {
        let mut group = Self {
            appends: Vec::new(),
            callers: Vec::new(),
        };
        let mut events = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            events += job.appends.iter().map(|append| append.events.len()).sum::<usize>();
            group.callers.push((job.appends.len(), job.answer));
            group.appends.extend(job.appends);
            next = if events < EVENTS { waiting.try_recv().ok() } else { None };
        }
        group
    }

    /// Where the log ends if all of it was written where it ended, and the verdicts that say so.
    pub(super) fn written(&self, mut end: End) -> (Position, Vec<Verdict>) {
        let verdict = |encoded: &EncodedAppend| {
            let verdict = Verdict::Written(end);
            end = end.after(&encoded.append);
            verdict
        };
        let verdicts = self.appends.iter().map(verdict).collect();
        (Position::new(end.position), verdicts)
    }

    /// Gives each caller its verdicts; there is one for each append, in order.
    pub(super) fn answer(self, verdicts: Vec<Verdict>) {
        let mut verdicts = self.appends.into_iter().zip(verdicts);
        for (count, caller) in self.callers {
            // One that no longer waits has no use for them.
            let _ = caller.send(verdicts.by_ref().take(count).collect());
        }
    }
}

/// Where the log ends, or did before something was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) position: u64,
    pub(super) recorded_at: i64,
}

impl End {
    /// Where it ends with this behind it.
    pub(super) fn after(self, append: &StreamAppend) -> Self {
        Self {
            position: self.position + append.events.len() as u64,
            recorded_at: self.recorded_at.saturating_add(1).max(append.recorded_at.micros()),
        }
    }

    /// What an append comes to that stands here.
    pub(super) fn appended(self, append: StreamAppend) -> Appended {
        let recorded_at = Timestamp::from_micros(self.after(&append).recorded_at);
        Appended::gapless(append, Position::new(self.position + 1), recorded_at)
    }
}

/// Appends side by side, as [`super::session`]'s statement takes them: `$1` to `$14` in the order of the fields.
pub(super) struct Columns<'group> {
    ids: Vec<&'group [u8]>,
    streams: Vec<&'group str>,
    versions: Vec<i64>,
    accounts: Vec<&'group [u8]>,
    types: Vec<&'static str>,
    schemas: Vec<i64>,
    times: Vec<i64>,
    data: Vec<&'group str>,
    /// The streams that must have a version (the unique key tells of those that should be empty, and looking them up
    /// would cost a tenth of the insert) …
    known_streams: Vec<&'group str>,
    /// … and which.
    known_versions: Vec<i64>,
    count: i64,
    /// The time of the last append, if the log ended long enough ago.
    newest: i64,
    /// For each event, which of the appends it belongs to, from 1: it is later by so much at least than the end of the log.
    steps: Vec<i64>,
    /// How many appends there are.
    step: i64,
}

impl<'group> Columns<'group> {
    /// None if two of the appends to one stream do not follow each other: not all of them can be taken.
    pub(super) fn new(appends: impl IntoIterator<Item = &'group EncodedAppend>) -> Option<Self> {
        let mut columns = Self {
            ids: Vec::new(),
            streams: Vec::new(),
            versions: Vec::new(),
            accounts: Vec::new(),
            types: Vec::new(),
            schemas: Vec::new(),
            times: Vec::new(),
            data: Vec::new(),
            known_streams: Vec::new(),
            known_versions: Vec::new(),
            count: 0,
            newest: i64::MIN,
            steps: Vec::new(),
            step: 0,
        };
        let mut reached: HashMap<&str, Version> = HashMap::new();
        for append in appends {
            let stream = append.append.stream.as_str();
            let expected = append.append.expected;
            let after = expected.checked_add(append.events.len() as u64)?;
            match reached.insert(stream, after) {
                None if expected > 0 => {
                    columns.known_streams.push(stream);
                    columns.known_versions.push(number(expected));
                }
                Some(before) if before != expected => return None,
                _ => {}
            }
            columns.add(append);
        }
        Some(columns)
    }

    fn add(&mut self, append: &'group EncodedAppend) {
        // Within the group too, each is later than the one before it.
        self.newest = self.newest.saturating_add(1).max(append.append.recorded_at.micros());
        self.step += 1;
        for (version, event) in (append.append.expected + 1..).zip(&append.events) {
            self.ids.push(&event.id);
            self.streams.push(append.append.stream.as_str());
            self.versions.push(number(version));
            self.accounts.push(&append.account);
            self.types.push(event.name);
            self.schemas.push(i64::from(event.schema));
            self.times.push(self.newest);
            self.steps.push(self.step);
            self.data.push(&event.data);
            self.count += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values of the parameters.
    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 14] {
        [
            &self.ids,
            &self.streams,
            &self.versions,
            &self.accounts,
            &self.types,
            &self.schemas,
            &self.times,
            &self.data,
            &self.known_streams,
            &self.known_versions,
            &self.count,
            &self.newest,
            &self.steps,
            &self.step,
        ]
    }

    /// The types of the parameters.
    pub(super) const TYPES: [Type; 14] = [
        Type::BYTEA_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::BYTEA_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8,
        Type::INT8,
        Type::INT8_ARRAY,
        Type::INT8,
    ];
}

/// Positions and versions never reach 2^63; one that does stands for no stream.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
