//! What a worker makes of outcomes: what is settled, what is tried again and when, and what is written down of it.

use std::collections::BTreeSet;
use std::time::Duration;

use ::metrics::{counter, histogram};
use database::{Statement, Value};
use domain::{DisabledReason, StreamId};
use event_log::Position;
use tokio::time::Instant;

use super::mark::Mark;
use super::{Flush, Worker};
use crate::deliver::attempt::{Over, Turn};
use crate::deliver::breaker::Change;
use crate::deliver::clerk::Entry;
use crate::deliver::cursor::{self, Cursor, Made};
use crate::deliver::lane::{Item, Track};
use crate::deliver::request::{Failure, Outcome};
use crate::deliver::schedule;
use crate::metrics;

/// How much time goes by from one write of outcomes to the next, so that several go with one.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// What is to be written with the next flush.
#[derive(Default)]
pub(super) struct Pending {
    attempts: Vec<Vec<Value>>,
    statements: Vec<Statement>,
    /// Whether replays are among the statements, or among what is being written.
    replays: bool,
    replays_under_way: bool,
}

impl Pending {
    pub(super) fn push(&mut self, statement: Statement) {
        self.statements.push(statement);
    }

    pub(super) fn replay(&mut self, statement: Statement) {
        self.statements.push(statement);
        self.replays = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.statements.is_empty()
    }

    /// All of it, and the cursor behind it, under the fence.
    fn take(&mut self, fence: Option<Statement>, cursor: Vec<Value>) -> Entry {
        self.replays_under_way |= std::mem::take(&mut self.replays);
        Entry {
            fence,
            statements: std::mem::take(&mut self.statements),
            attempts: std::mem::take(&mut self.attempts),
            cursor,
        }
    }

    /// What was taken last is written. Whether replays were among it.
    pub(super) fn take_written(&mut self) -> bool {
        std::mem::take(&mut self.replays_under_way)
    }
}

impl Worker {
    /// Notes what came of a request, and of each event that it was to tell.
    pub(super) fn note_all(&mut self, turns: Vec<Over>) {
        self.moved = true;
        let made = turns.iter().find_map(|over| match &over.turn {
            Turn::Made(made) => Some(made),
            _ => None,
        });
        match made {
            Some(made) => self.note_request(made),
            None => self.health.unsent(),
        }
        for Over { item, turn, next } in turns {
            let (stream, track) = (item.stream.clone(), item.track);
            if self.note(item, turn) {
                for position in next {
                    self.tell_too(&stream, position, track);
                }
            }
        }
    }

    /// Puts an event beside those that the cursor brings into its lane, to be written with what brought it.
    fn tell_too(&mut self, stream: &StreamId, position: Position, track: Track) {
        let item = Item {
            position,
            stream: stream.clone(),
            attempts: 0,
            due_at: self.now(),
            stored: true,
            track,
            recorded: None,
        };
        if self.lanes.push(item.clone(), Position::START) {
            self.put(&item, None);
        }
    }

    /// Notes what a request says of the endpoint.
    fn note_request(&mut self, made: &Made) {
        count(&made.outcome);
        let (now, entropy) = (self.now(), self.entropy());
        match self.health.note(&made.outcome, now, entropy) {
            Some(Change::Opened) if self.broken.is_none() => {
                counter!(metrics::WEBHOOK_OPENINGS).increment(1);
                self.broken = Some(Mark::new());
                tracing::info!(endpoint = %self.endpoint.endpoint_id, "a webhook endpoint fails; it is left alone for a while");
            }
            Some(Change::Closed) => {
                self.broken = None;
                tracing::info!(endpoint = %self.endpoint.endpoint_id, "a webhook endpoint is well again");
            }
            Some(Change::Opened) | None => {}
        }
        let Some(failure) = made.outcome.failure else {
            self.cursor.failing_since = None;
            self.cursor.failures = 0;
            self.cursor.last_status = None;
            return;
        };
        let since = *self.cursor.failing_since.get_or_insert(made.of.at);
        self.cursor.failures = self.cursor.failures.saturating_add(1);
        self.cursor.last_status = made.outcome.status;
        if is_gone(&made.outcome) {
            self.verdict = Some((DisabledReason::Gone, failure));
        } else if schedule::is_given_up(since, self.cursor.failures, now) {
            self.verdict = self.verdict.or(Some((DisabledReason::Failing, failure)));
        }
    }

    /// Notes what came of an event's turn; whether it is done with.
    fn note(&mut self, item: Item, turn: Turn) -> bool {
        match turn {
            Turn::NotOurs => return false,
            Turn::Filtered => self.settle(&item.stream),
            Turn::Erased(skipped) => {
                self.pending.attempts.push(skipped.erased(self.endpoint.endpoint_id));
                self.settle(&item.stream);
            }
            Turn::Unrenderable(reason) => {
                tracing::error!(
                    endpoint = %self.endpoint.endpoint_id,
                    position = %item.position,
                    reason = &reason as &dyn std::error::Error,
                    "an event cannot be told to a webhook endpoint"
                );
                self.park(&item.stream, Failure::Unrenderable);
            }
            Turn::Made(made) => {
                self.pending.attempts.push(made.row(self.endpoint.endpoint_id));
                match made.outcome.failure {
                    None => self.settle(&item.stream),
                    Some(failure) => return self.note_failure(item, &made, failure),
                }
            }
        }
        true
    }

    fn note_failure(&mut self, mut item: Item, made: &Made, failure: Failure) -> bool {
        let now = self.now();
        match schedule::next_attempt(made.of.number, now, made.outcome.asked_to_wait, self.entropy()) {
            // An endpoint that is gone is disabled, and its events stay: they are its to take once it is enabled again.
            None if !is_gone(&made.outcome) => {
                self.park(&item.stream, failure);
                true
            }
            next => {
                let due_at = next.unwrap_or(now);
                self.lanes.put_off(&item.stream, due_at);
                item.attempts = made.of.number;
                item.due_at = due_at;
                self.put(&item, Some(failure));
                self.store_lane(&item.stream, Some(item.position));
                false
            }
        }
    }

    /// Jitter's share of the clock's randomness.
    fn entropy(&self) -> u64 {
        u64::try_from(self.writer.clock.entropy() & u128::from(u64::MAX)).unwrap_or(0)
    }

    /// The first event of the lane is done with.
    fn settle(&mut self, stream: &StreamId) {
        if let Some(item) = self.lanes.settle(stream)
            // What is told once more may have failed for good before.
            && (item.stored || item.track == Track::Replay)
        {
            self.pending
                .push(cursor::take(self.endpoint.endpoint_id, item.position));
        }
    }

    /// The first event of the lane has failed for good. Its row stays, to be sent again by hand.
    fn park(&mut self, stream: &StreamId, failure: Failure) {
        if let Some(mut item) = self.lanes.settle(stream) {
            item.attempts += 1;
            self.pending
                .push(cursor::put(self.endpoint.endpoint_id, &item, Some(failure), true));
        }
    }

    pub(super) fn put(&mut self, item: &Item, failure: Option<Failure>) {
        self.pending
            .push(cursor::put(self.endpoint.endpoint_id, item, failure, false));
    }

    /// Hands the lane to `webhook_retry` if its first event is being retried. `written`: has its row already.
    pub(super) fn store_lane(&mut self, stream: &StreamId, written: Option<Position>) {
        for item in self.lanes.store(stream) {
            if Some(item.position) != written {
                self.put(&item, None);
            }
        }
    }

    /// Everything that is to be written, as one transaction under the fence; none if nothing is.
    pub(super) fn flush(&mut self) -> Option<Flush> {
        if !self.moved && self.pending.is_empty() {
            return None;
        }
        self.moved = false;
        self.next_flush = Instant::now() + FLUSH_EVERY;
        self.move_replay();
        let seen = self.read_to.max(self.cursor.seen);
        self.cursor.position = self.lanes.settled_up_to(Track::Live, self.read_to);
        self.cursor.health = self.health.to_keep();
        let unread = self.left_over.iter().copied();
        let unsettled: BTreeSet<Position> = self.lanes.unstored_positions().chain(unread).collect();
        self.cursor.unsettled = unsettled.into_iter().collect();
        let row = Cursor {
            seen,
            ..self.cursor.clone()
        };
        let row = row.row(self.endpoint.account, self.endpoint.endpoint_id);
        let (clerk, entry) = (self.clerk.clone(), self.pending.take(self.lease.fence(), row));
        Some(Box::pin(async move { clerk.write(entry).await }))
    }

    /// Has the second cursor written with the first.
    fn move_replay(&mut self) {
        let Some(replay) = &self.replay else { return };
        let endpoint = self.endpoint.endpoint_id;
        if replay.is_read() && self.lanes.unstored(Track::Replay) == 0 {
            self.pending.push(replay.ended(endpoint));
            self.replay = None;
            // Once this is written.
            self.pending.replays = true;
        } else {
            let position = self.lanes.settled_up_to(Track::Replay, replay.read_to);
            self.pending.push(replay.moved(endpoint, position));
        }
    }
}

const fn is_gone(outcome: &Outcome) -> bool {
    matches!(outcome.status, Some(410))
}

fn count(outcome: &Outcome) {
    let word = outcome.failure.map_or("delivered", Failure::as_str);
    counter!(metrics::WEBHOOK_ATTEMPTS, "outcome" => word).increment(1);
    histogram!(metrics::WEBHOOK_SECONDS).record(outcome.took);
}
