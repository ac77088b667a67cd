//! The transaction log: the events of all streams one behind the other, at positions that are as far apart as the
//! records are long; and what the server checks before it takes an append.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// Between two records, in ticks of 100 ns.
const TICKS_APART: u64 = 1_234_567;
/// What a record needs besides its texts.
const HEADER: usize = 97;

/// The streams of the server and of other applications that write beside the tests; some are named much like those of
/// the program that is tested.
const OTHERS: [(&str, &str); 6] = [
    ("$stats-127.0.0.1:2113", "$statsCollected"),
    ("orders-17", "OrderPlaced"),
    ("lead-17", "LeadCaptured"),
    ("$$orders-17", "$metadata"),
    ("account-acct_1032D82eZvKYlo2C", "PlanChanged"),
    ("webhooks-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1-9", "Called"),
];

/// An event as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    pub id: Uuid,
    pub kind: String,
    pub content_type: String,
    pub data: Bytes,
    pub metadata: Bytes,
}

/// An event in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    pub position: u64,
    pub stream: String,
    pub revision: u64,
    /// Ticks of 100 ns since the epoch; the server's clock.
    pub created: u64,
    pub event: Proposed,
}

/// The last revision that an append says the stream has; none: no event.
pub type Expected = Option<u64>;

/// What became of an append.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its events are in the log, from now on or from an earlier attempt; this is the last of them.
    Taken(Arc<Record>),
    /// The stream's last revision is another one.
    WrongVersion(Expected),
}

pub struct Log {
    records: Vec<Arc<Record>>,
    streams: HashMap<String, Vec<Arc<Record>>>,
    end: u64,
    now: u64,
}

impl Log {
    pub fn new() -> Self {
        let mut log = Self {
            records: Vec::new(),
            streams: HashMap::new(),
            end: 0,
            now: 17_770_266_600_000_000,
        };
        for _ in OTHERS {
            log.let_others_write();
        }
        log
    }

    /// Takes the events if the stream has the revision, or if they are those that stand after it already.
    pub fn append(&mut self, stream: &str, expected: Expected, proposed: Vec<Proposed>) -> Outcome {
        let stored = self.stream(stream);
        let current = stored.last().map(|last| last.revision);
        if expected != current {
            let first = expected.map_or(0, |expected| expected + 1);
            let after = stored.iter().skip_while(|record| record.revision < first);
            let mut same = after
                .zip(&proposed)
                .take_while(|(record, new)| record.event.id == new.id);
            return match same.nth(proposed.len() - 1) {
                Some((last, _)) => Outcome::Taken(Arc::clone(last)),
                None => Outcome::WrongVersion(current),
            };
        }
        for event in proposed {
            self.write(stream, event);
        }
        let last = self.stream(stream).last().cloned();
        self.let_others_write();
        last.map_or(Outcome::WrongVersion(None), Outcome::Taken)
    }

    fn write(&mut self, stream: &str, event: Proposed) {
        let texts = [stream.len(), event.kind.len(), event.data.len(), event.metadata.len()];
        let record = Arc::new(Record {
            position: self.end,
            stream: stream.to_owned(),
            revision: self.stream(stream).last().map_or(0, |last| last.revision + 1),
            created: self.now,
            event,
        });
        self.end += (HEADER + texts.iter().sum::<usize>()) as u64;
        self.now += TICKS_APART;
        self.streams
            .entry(stream.to_owned())
            .or_default()
            .push(Arc::clone(&record));
        self.records.push(record);
    }

    fn let_others_write(&mut self) {
        if let Some((stream, kind)) = OTHERS.get(self.records.len() % OTHERS.len()) {
            self.write_as_other(stream, kind, br#"{"of":"others"}"#);
        }
    }

    /// Writes JSON as another application does, which expects nothing.
    pub fn write_as_other(&mut self, stream: &str, kind: &str, json: &[u8]) {
        let event = Proposed {
            id: Uuid::from_u128(u128::MAX - u128::from(self.end)),
            kind: kind.to_owned(),
            content_type: "application/json".to_owned(),
            data: Bytes::copy_from_slice(json),
            metadata: Bytes::new(),
        };
        self.write(stream, event);
    }

    /// The events of a stream.
    pub fn stream(&self, stream: &str) -> &[Arc<Record>] {
        self.streams.get(stream).map(Vec::as_slice).unwrap_or_default()
    }

    /// All records, those of the server and of others too.
    pub fn all(&self) -> &[Arc<Record>] {
        &self.records
    }

    /// The records after a position.
    pub fn after(&self, position: Option<u64>) -> &[Arc<Record>] {
        let from = self.records.partition_point(|record| Some(record.position) <= position);
        self.records.get(from..).unwrap_or_default()
    }

    /// Where the next record will stand.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Whether reading can begin there: at a record, or beyond the end.
    pub fn is_place(&self, position: u64) -> bool {
        let found = self.records.binary_search_by_key(&position, |record| record.position);
        position >= self.end || found.is_ok()
    }
}
