//! What a worker sends: whatever is due, as far as the endpoint's health and the node's slots let it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::{Timestamp, WebhookKind};
use tokio::time::{Instant, sleep};

use super::{Sending, Taking, Worker};
use crate::deliver::attempt::{Over, Way, take_turns};
use crate::deliver::body;
use crate::deliver::health::Gate;
use crate::deliver::lane::Item;
use crate::deliver::slots::{PATIENCE, Slot};

/// The longest sleep: the machine's clock may have been set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

impl Worker {
    /// Begins what is due, as far as there are slots; stands in line for one if there are not.
    pub(super) fn start_due(&mut self, sending: &mut Sending, taking: &mut Option<Taking>, mut spare: Option<Slot>) {
        let now = self.now();
        loop {
            let gate = self.gate(now);
            let is_due = || {
                self.lanes
                    .next_due(self.share(gate))
                    .is_some_and(|due_at| due_at <= now)
            };
            if sending.len() >= gate.slots || gate.not_before.is_some() || !is_due() {
                return;
            }
            let Some(slot) = spare.take().or_else(|| self.slots.try_take()) else {
                taking.get_or_insert_with(|| Box::pin(self.slots.clone().take()));
                return;
            };
            let items = self.take_due(now, self.share(gate));
            self.health.sent(now);
            sending.push(Box::pin(under_way(self.way.clone(), slot, items)));
        }
    }

    /// What may be sent; a channel gets one message after the other.
    fn gate(&self, now: Timestamp) -> Gate {
        let gate = self.health.gate(now);
        let most = if self.is_channel() { 1 } else { usize::MAX };
        Gate {
            slots: gate.slots.min(most),
            ..gate
        }
    }

    fn is_channel(&self) -> bool {
        match self.endpoint.kind {
            WebhookKind::Webhook => false,
            WebhookKind::Slack | WebhookKind::Discord => true,
        }
    }

    /// How many slots retries may have, and replays: half of them each. Of a channel's message they may be all of it.
    fn share(&self, gate: Gate) -> usize {
        if self.is_channel() {
            body::MOST
        } else {
            (gate.slots / 2).max(1)
        }
    }

    /// What goes with one request: an event, or for a channel as many as wait and as a message takes.
    fn take_due(&mut self, now: Timestamp, share: usize) -> Vec<Item> {
        let most = if self.is_channel() { body::MOST } else { 1 };
        std::iter::from_fn(|| self.lanes.take_due(now, share))
            .take(most)
            .collect()
    }

    /// After how long there is something to do if nothing else happens.
    pub(super) fn wake(&self, in_flight: usize, is_in_line: bool, is_flushing: bool) -> Option<Duration> {
        let now = self.now();
        let gate = self.gate(now);
        let may_send = in_flight < gate.slots && !is_in_line;
        let due = self.lanes.next_due(self.share(gate)).filter(|_| may_send);
        let due = due.map(|due_at| due_at.max(gate.not_before.unwrap_or(due_at)).since(now));
        let due = due.map(|wait| wait.clamp(Duration::from_millis(1), LONGEST_SLEEP));
        let has_to_write = !is_flushing && (self.moved || !self.pending.is_empty());
        let write = has_to_write.then(|| self.next_flush.saturating_duration_since(Instant::now()));
        due.into_iter().chain(write).min()
    }
}

/// Makes the request in its slot, which it leaves to others once it takes long.
async fn under_way(way: Arc<Way>, mut slot: Slot, items: Vec<Item>) -> anyhow::Result<Vec<Over>> {
    let mut turns = pin!(take_turns(way, items));
    tokio::select! {
        turns = &mut turns => return turns,
        () = sleep(PATIENCE) => slot.linger(),
    }
    turns.await
}
