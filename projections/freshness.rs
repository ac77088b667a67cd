//! How far the read models are: handlers wait here for what they just wrote, readiness and `ETag`s read it.

use std::time::Duration;

use event_log::Position;
use tokio::sync::watch;

/// How far one projection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) name: &'static str,
    pub(crate) applied: Position,
    pub(crate) changed_at: Position,
}

/// A view on how far a [`crate::runner::Runner`] is; cheap to clone.
#[derive(Debug, Clone)]
pub struct Freshness {
    marks: watch::Receiver<Vec<Mark>>,
}

impl Freshness {
    pub(crate) const fn new(marks: watch::Receiver<Vec<Mark>>) -> Self {
        Self { marks }
    }

    /// The position up to which every projection holds what the log says.
    pub fn applied(&self) -> Position {
        applied(&self.marks.borrow())
    }

    /// Waits until every projection holds what the log says up to `position`. False if the time was up before.
    pub async fn reached(&self, position: Position, at_most: Duration) -> bool {
        let mut marks = self.marks.clone();
        let reached = marks.wait_for(|marks| applied(marks) >= position);
        tokio::time::timeout(at_most, reached)
            .await
            .is_ok_and(|end| end.is_ok())
    }

    /// The last event that concerned the projection; the start if none did or there is no such projection.
    pub fn changed_at(&self, projection: &str) -> Position {
        let marks = self.marks.borrow();
        let mark = marks.iter().find(|mark| mark.name == projection);
        mark.map_or(Position::START, |mark| mark.changed_at)
    }

    /// Returns once another event than the one at `from` is the last that concerned the projection.
    pub async fn moves(&self, projection: &str, from: Position) {
        let mut marks = self.marks.clone();
        let moved = |marks: &Vec<Mark>| {
            let mark = marks.iter().find(|mark| mark.name == projection);
            mark.is_some_and(|mark| mark.changed_at != from)
        };
        if marks.wait_for(moved).await.is_err() {
            // The runner is gone, so nothing moves any more.
            std::future::pending::<()>().await;
        }
    }

    /// How far each projection is.
    pub fn state(&self) -> Vec<(&'static str, Position)> {
        let marks = self.marks.borrow();
        marks.iter().map(|mark| (mark.name, mark.applied)).collect()
    }
}

fn applied(marks: &[Mark]) -> Position {
    marks.iter().map(|mark| mark.applied).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &'static str, applied: u64, changed_at: u64) -> Mark {
        Mark {
            name,
            applied: Position::new(applied),
            changed_at: Position::new(changed_at),
        }
    }

    #[tokio::test]
    async fn the_slowest_projection_says_what_is_reached() {
        let (sender, receiver) = watch::channel(vec![mark("a", 5, 2), mark("b", 3, 3)]);
        let freshness = Freshness::new(receiver);
        assert_eq!(freshness.applied(), Position::new(3));
        assert_eq!(freshness.changed_at("a"), Position::new(2));
        assert_eq!(freshness.state(), [("a", Position::new(5)), ("b", Position::new(3))]);
        assert!(freshness.reached(Position::new(3), Duration::ZERO).await);
        assert!(!freshness.reached(Position::new(4), Duration::ZERO).await);

        let waiting = freshness.reached(Position::new(5), Duration::from_mins(1));
        let step = async { sender.send_replace(vec![mark("a", 5, 2), mark("b", 6, 6)]) };
        assert!(tokio::join!(waiting, step).0);
    }

    #[tokio::test]
    async fn a_projection_moves_with_the_events_that_concern_it() {
        let (sender, receiver) = watch::channel(vec![mark("a", 5, 2), mark("b", 5, 3)]);
        let freshness = Freshness::new(receiver);
        freshness.moves("a", Position::START).await;
        let waiting = freshness.moves("a", Position::new(2));
        let mut waiting = std::pin::pin!(waiting);
        sender.send_replace(vec![mark("a", 6, 2), mark("b", 6, 6)]);
        let soon = tokio::time::timeout(Duration::ZERO, waiting.as_mut());
        assert!(soon.await.is_err(), "only the other one moved");
        sender.send_replace(vec![mark("a", 7, 7), mark("b", 7, 6)]);
        waiting.await;
    }

    #[tokio::test]
    async fn nobody_waits_for_a_runner_that_is_gone() {
        let (sender, receiver) = watch::channel(vec![mark("a", 1, 1)]);
        drop(sender);
        let freshness = Freshness::new(receiver);
        assert!(!freshness.reached(Position::new(2), Duration::from_mins(1)).await);
    }
}
