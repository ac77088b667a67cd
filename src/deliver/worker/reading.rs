//! What a worker takes in: the account's newest events, what a replay brings once more, and what is to be sent again.

use std::sync::Arc;

use anyhow::Context as _;
use domain::{Event, StartFrom, Timestamp};
use event_log::{Page, Position, ReadError, Recorded};
use futures_util::future::BoxFuture;

use super::Worker;
use crate::deliver::lane::{Item, Track};
use crate::deliver::replay::{self, Replay};
use crate::deliver::tail::Stretch;
use crate::deliver::{body, resend};

/// Events read at a time.
const PAGE: usize = 128;

/// Events read ahead that only memory knows of: what a crash can repeat.
const AHEAD: usize = 256;

/// The same of a replay.
const REPLAY_AHEAD: usize = 128;

/// Events waiting for a retry or behind one, beyond which the worker reads no further: the log keeps the backlog.
const WAITING: usize = 1_000;

pub(super) type Reading = BoxFuture<'static, Result<Stretch, ReadError>>;
pub(super) type Looking = BoxFuture<'static, anyhow::Result<Found>>;

/// What the store may hold that nobody has looked for yet.
pub(super) struct Unlooked {
    /// Deliveries that are to be sent again.
    pub(super) resends: bool,
    /// Replays.
    pub(super) replays: bool,
}

/// What was found beside the newest events.
pub(super) enum Found {
    /// Deliveries that are to be sent again.
    Resends(Vec<Item>),
    /// The replay that comes next.
    Replay(Option<Replay>),
    /// What follows of the replay that is under way.
    Page(Page),
}

impl Worker {
    /// Takes in what the tail of the log holds, or begins to read the account's part of the log if that is behind it.
    pub(super) fn read_more(&mut self) -> Option<Reading> {
        while self.more && self.lanes.unstored(Track::Live) < AHEAD && self.has_room() {
            let Some(stretch) = self.tail.after(self.endpoint.account, self.read_to, PAGE) else {
                // Before the reading: news that come meanwhile may be missing in it.
                self.more = false;
                let (log, scope, from) = (self.writer.log.clone(), self.scope(), self.read_to);
                return Some(Box::pin(
                    async move { log.read(scope, from, PAGE).await.map(Stretch::from) },
                ));
            };
            self.more = false;
            self.take_in(stretch);
        }
        None
    }

    fn has_room(&self) -> bool {
        self.lanes.unsettled() < WAITING
    }

    /// Takes a part of the account's log into the lanes.
    pub(super) fn take_in(&mut self, stretch: Stretch) {
        let now = self.now();
        let mut before = self.read_to;
        for recorded in stretch.events {
            let position = recorded.position;
            let is_new = position > self.cursor.seen || self.left_over.remove(&position);
            if let Event::WebhookReplayRequested(asked) = &recorded.event
                && is_new
                && asked.endpoint_id == self.endpoint.endpoint_id
            {
                self.pending.replay(replay::keep(asked, position));
            }
            let erased = matches!(recorded.event, Event::LeadErased(_)).then(|| recorded.stream.clone());
            if is_new && self.wants(&recorded) {
                self.enqueue(recorded, Track::Live, before, now);
            }
            if let Some(stream) = erased {
                // What waits for a retry is not sent any more, so that there is nothing to wait for.
                self.lanes.hasten(&stream, now);
            }
            before = position;
        }
        self.read_to = stretch.looked_to.max(self.read_to);
        self.more |= stretch.more;
    }

    /// Whether the endpoint hears of such events at all.
    fn wants(&self, recorded: &Recorded) -> bool {
        let begins = match self.endpoint.start_from {
            StartFrom::Time(time) => time,
            StartFrom::Now | StartFrom::Beginning => Timestamp::from_micros(i64::MIN),
        };
        body::is_heard(&self.endpoint.events, &recorded.event) && recorded.recorded_at >= begins
    }

    fn enqueue(&mut self, recorded: Arc<Recorded>, track: Track, before: Position, now: Timestamp) {
        let stream = recorded.stream.clone();
        let item = Item {
            position: recorded.position,
            stream: stream.clone(),
            attempts: 0,
            due_at: now,
            stored: false,
            track,
            recorded: body::stands_alone(&recorded).then_some(recorded),
        };
        if self.lanes.push(item, before) {
            self.store_lane(&stream, None);
        }
    }

    /// Begins to look for what else there is to send.
    pub(super) fn look(&mut self) -> Option<Looking> {
        let endpoint = self.endpoint.endpoint_id;
        if self.unlooked.resends && self.has_room() {
            self.unlooked.resends = false;
            let (store, now) = (self.store.clone(), self.now());
            return Some(Box::pin(async move {
                let resends = resend::of(&*store, endpoint, now).await;
                resends.map(Found::Resends).context("look for what is to be sent again")
            }));
        }
        let (log, scope) = (self.writer.log.clone(), self.scope());
        match &self.replay {
            None if self.unlooked.replays => {
                self.unlooked.replays = false;
                let store = self.store.clone();
                Some(Box::pin(async move {
                    let asked = replay::unfinished(&*store, endpoint)
                        .await
                        .context("look for replays")?;
                    let Some(asked) = asked.into_iter().next() else {
                        return Ok(Found::Replay(None));
                    };
                    let begun = asked.begin(&*log, scope).await.context("begin a replay")?;
                    Ok(Found::Replay(Some(begun)))
                }))
            }
            Some(replay)
                if !replay.is_read() && self.lanes.unstored(Track::Replay) < REPLAY_AHEAD && self.has_room() =>
            {
                let from = replay.read_to;
                Some(Box::pin(async move {
                    let page = log.read(scope, from, PAGE).await;
                    page.map(Found::Page).context("read the log for a replay")
                }))
            }
            _ => None,
        }
    }

    /// Takes in what was looked for.
    pub(super) fn take_found(&mut self, found: Found) {
        match found {
            Found::Resends(items) => items.into_iter().for_each(|item| self.send_again(item)),
            Found::Replay(replay) => {
                self.replay = replay;
                // One that has nothing in it is at its end.
                self.moved |= self.replay.is_some();
            }
            Found::Page(page) => self.take_again(page),
        }
    }

    /// Takes a part of a replay into the lanes.
    fn take_again(&mut self, page: Page) {
        let Some(mut replay) = self.replay.take() else { return };
        let now = self.now();
        let mut before = replay.read_to;
        for recorded in page
            .events
            .into_iter()
            .filter(|recorded| recorded.position <= replay.up_to)
        {
            let position = recorded.position;
            if body::is_heard(&self.endpoint.events, &recorded.event) {
                self.enqueue(Arc::new(recorded), Track::Replay, before, now);
            }
            before = position;
        }
        replay.read_to = page.looked_to.min(replay.up_to).max(replay.read_to);
        self.moved = true;
        self.replay = Some(replay);
    }

    /// Puts a delivery that is to be sent again into its lane, or, if it waits there, does not let it wait any longer.
    fn send_again(&mut self, item: Item) {
        let endpoint = self.endpoint.endpoint_id;
        let kept = item.clone();
        if self.lanes.push(item, Position::START) {
            self.put(&kept, None);
        } else {
            self.lanes.hasten(&kept.stream, kept.due_at);
        }
        self.pending.push(resend::take(endpoint, kept.position));
    }
}
