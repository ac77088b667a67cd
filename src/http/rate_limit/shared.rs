//! The minutes of accounts that several nodes count together: a row an account, from which each node takes.
//!
//! Nobody grants what was not set aside in the row before, so that all nodes together never grant more than the limit. A
//! node sets aside one request at a time, or a thousandth of a larger limit. What a node has set aside and does not use
//! is lost to the others for that minute. Once the row is full, requests are refused from memory until the minute ends.
//!
//! The row's count moves from a value that the node knows to the next, so that the node knows what is left without
//! asking again; if another node was first, it moves from whatever it is, and the node asks afterwards. If the database does not answer, the node counts alone for some seconds: it would rather grant too much
//! than refuse everybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use database::{Database, DatabaseError, Statement};
use domain::{AccountId, Timestamp};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Standing, WINDOW_SECS, minute};

/// How long a request waits for the database at most: a slow one is no reason to grant too much.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a node counts alone after that.
const ALONE_FOR: Duration = Duration::from_secs(5);
/// A limit is set aside in this many parts.
const PARTS: u32 = 1_000;
/// How often a row is tried that others make, or move into another minute, at the same time.
const TRIES: u32 = 10;

/// What this node knows of every account that asked it.
pub struct Shared {
    store: Arc<dyn Database>,
    accounts: StdMutex<HashMap<AccountId, Arc<Mutex<Counted>>>>,
}

/// What this node knows of an account's minute.
#[derive(Debug, Default)]
struct Counted {
    /// When the minute began, in seconds since the epoch.
    start: i64,
    /// What all nodes have set aside, as far as this one knows; none: it has not asked yet.
    used: Option<u32>,
    /// What this node has set aside of that and not granted yet.
    left: u32,
    /// The database is not asked before.
    alone_until: Timestamp,
}

/// Why the row could not be moved.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("another node counts a minute that begins at {0}: the clocks of the nodes differ")]
    Clocks(i64),
    #[error("other nodes change it all the time")]
    Contended,
}

impl Shared {
    /// Counts in the table of this database. It may lose the newest counts in a crash.
    pub fn new(store: Arc<dyn Database>) -> Self {
        Self {
            store,
            accounts: StdMutex::default(),
        }
    }

    /// Takes one request of the account.
    pub async fn take(&self, account: AccountId, limit: u32, now: Timestamp) -> Standing {
        let counted = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            accounts.entry(account).or_default().clone()
        };
        let mut counted = counted.lock().await;
        counted.begin(minute(now));
        if counted.left == 0 && counted.used.unwrap_or_default() < limit {
            counted.get_more(&*self.store, account, limit, now).await;
        }
        counted.take(limit, now)
    }
}

impl Counted {
    /// Begins with the minute, unless it is counted already. A minute that begins next is as good: another node's clock
    /// came to it first.
    const fn begin(&mut self, start: i64) {
        if self.start != start && self.start != start + WINDOW_SECS {
            self.start = start;
            self.used = None;
            self.left = 0;
        }
    }

    fn take(&mut self, limit: u32, now: Timestamp) -> Standing {
        let used = self.used.unwrap_or_default();
        // A plan may have shrunk within the minute.
        let granted = self.left > 0 && used - self.left < limit;
        self.left -= u32::from(granted);
        Standing::new(limit, used - self.left, granted, self.start, now)
    }

    /// Sets aside some more in the row. If the database cannot be asked, one request is counted by this node alone.
    async fn get_more(&mut self, store: &dyn Database, account: AccountId, limit: u32, now: Timestamp) {
        if now >= self.alone_until {
            let fault = match timeout(PATIENCE, self.set_aside(store, account, limit)).await {
                Ok(Ok(())) => return,
                Ok(Err(fault)) => fault.to_string(),
                Err(_) => "the database does not answer".to_owned(),
            };
            tracing::warn!(fault, "the rate limit is counted by this node alone for {ALONE_FOR:?}");
            self.alone_until = now.plus(ALONE_FOR);
        }
        self.used = Some(self.used.unwrap_or_default() + 1);
        self.left = 1;
    }

    /// Moves the row's count on, as far as it is not full.
    async fn set_aside(&mut self, store: &dyn Database, account: AccountId, limit: u32) -> Result<(), Fault> {
        let mut surprised = false;
        for _ in 0..TRIES {
            let part = limit
                .saturating_sub(self.used.unwrap_or_default())
                .min((limit / PARTS).max(1));
            if part == 0 {
                return Ok(());
            }
            let statement = match self.used {
                Some(_) if surprised => self.moved_below(account, part, limit),
                _ => self.moved(account, part),
            };
            let moved = store.write(vec![statement]).await?.first() == Some(&1);
            if moved && !surprised {
                self.used = Some(self.used.unwrap_or_default() + part);
            } else {
                self.look(store, account).await?;
            }
            if moved {
                self.left = part;
                return Ok(());
            }
            surprised = true;
        }
        Err(Fault::Contended)
    }

    fn moved(&self, account: AccountId, part: u32) -> Statement {
        let account = account.to_string().into();
        match self.used {
            None => Statement::insert(
                "rate_window (account, start, used)",
                "ON CONFLICT (account) DO UPDATE SET start = excluded.start, used = excluded.used \
                 WHERE rate_window.start < excluded.start",
                vec![account, self.start.into(), part.into()],
            ),
            Some(used) => Statement::sql(
                "UPDATE rate_window SET used = used + $4 WHERE account = $1 AND start = $2 AND used = $3",
                vec![account, self.start.into(), used.into(), part.into()],
            ),
        }
    }

    /// Moves the count on from whatever it is, up to the limit: whoever else moves it is waited for.
    fn moved_below(&self, account: AccountId, part: u32, limit: u32) -> Statement {
        Statement::sql(
            "UPDATE rate_window SET used = used + $3 WHERE account = $1 AND start = $2 AND used + $3 <= $4",
            vec![account.to_string().into(), self.start.into(), part.into(), limit.into()],
        )
    }

    /// Reads what the row says.
    async fn look(&mut self, store: &dyn Database, account: AccountId) -> Result<(), Fault> {
        let text = "SELECT start, used FROM rate_window WHERE account = $1";
        let query = Statement::sql(text, vec![account.to_string().into()]);
        let rows = store.read(query).await?;
        let Some(row) = rows.first() else {
            self.used = None;
            return Ok(());
        };
        let start = row.int(0).map_err(DatabaseError::from)?;
        let used = row.int(1).map_err(DatabaseError::from)?;
        if start > self.start + WINDOW_SECS {
            return Err(Fault::Clocks(start));
        }
        self.used = (start >= self.start).then(|| u32::try_from(used).unwrap_or(u32::MAX));
        self.start = start.max(self.start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use database::{Row, Snapshot};

    use super::*;
    use crate::engines::{Store, on_both_engines};

    on_both_engines!(
        a_node_alone_grants_exactly_the_limit_and_counts_it_down,
        nodes_together_grant_exactly_the_limit_and_again_in_the_next_minute,
        requests_at_the_same_time_are_granted_up_to_the_limit,
        what_is_refused_asks_nobody,
        a_large_limit_is_set_aside_in_parts,
        a_limit_that_shrinks_or_grows_within_the_minute_counts_at_once,
        a_node_whose_clock_is_behind_counts_the_minute_that_has_begun_for_others,
    );

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn noon() -> Timestamp {
        at("2026-04-24T12:00:20Z")
    }

    /// How many of so many requests, one after the other, are granted.
    async fn granted(nodes: &[&Shared], requests: usize, limit: u32, now: Timestamp) -> usize {
        let mut granted = 0;
        for node in nodes.iter().cycle().take(requests) {
            granted += usize::from(node.take(AccountId::default(), limit, now).await.granted);
        }
        granted
    }

    /// Counts how often it is asked.
    struct Asked {
        store: Store,
        times: AtomicUsize,
    }

    impl Asked {
        fn new(store: Store) -> Arc<Self> {
            let times = AtomicUsize::new(0);
            Arc::new(Self { store, times })
        }

        fn times(&self) -> usize {
            self.times.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl Database for Asked {
        async fn write(&self, statements: Vec<Statement>) -> Result<Vec<u64>, DatabaseError> {
            self.times.fetch_add(1, Ordering::SeqCst);
            self.store.write(statements).await
        }

        async fn read(&self, query: Statement) -> Result<Vec<Row>, DatabaseError> {
            self.times.fetch_add(1, Ordering::SeqCst);
            self.store.read(query).await
        }

        async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError> {
            self.store.snapshot().await
        }
    }

    /// Answers nothing but that it is closed.
    struct Closed;

    #[async_trait]
    impl Database for Closed {
        async fn write(&self, _: Vec<Statement>) -> Result<Vec<u64>, DatabaseError> {
            Err(DatabaseError::Closed)
        }

        async fn read(&self, _: Statement) -> Result<Vec<Row>, DatabaseError> {
            Err(DatabaseError::Closed)
        }

        async fn snapshot(&self) -> Result<Box<dyn Snapshot>, DatabaseError> {
            Err(DatabaseError::Closed)
        }
    }

    async fn a_node_alone_grants_exactly_the_limit_and_counts_it_down(store: Store) {
        let node = Shared::new(store);
        for left in (0..60).rev() {
            let standing = node.take(AccountId::default(), 60, noon()).await;
            assert_eq!((standing.granted, standing.remaining), (true, left));
            assert_eq!((standing.reset, standing.retry_after), (noon().secs() + 40, 40));
        }
        let refused = node.take(AccountId::default(), 60, noon()).await;
        assert_eq!((refused.granted, refused.remaining), (false, 0));
        let other = AccountId::new(ulid::Ulid::from_parts(1, 1));
        assert!(node.take(other, 60, noon()).await.granted);
    }

    async fn nodes_together_grant_exactly_the_limit_and_again_in_the_next_minute(store: Store) {
        let (a, b) = (Shared::new(store.clone()), Shared::new(store));
        assert_eq!(granted(&[&a, &b, &b], 200, 60, noon()).await, 60);
        let later = at("2026-04-24T12:01:00Z");
        assert_eq!(granted(&[&a], 40, 60, later).await, 40);
        let standing = b.take(AccountId::default(), 60, later).await;
        assert_eq!((standing.granted, standing.remaining), (true, 19));
        assert_eq!(granted(&[&b, &a], 200, 60, later).await, 19);
    }

    async fn requests_at_the_same_time_are_granted_up_to_the_limit(store: Store) {
        let nodes = [Shared::new(store.clone()), Shared::new(store)].map(Arc::new);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..240 {
            let node = nodes[number % 2].clone();
            tasks.spawn(async move { node.take(AccountId::default(), 100, noon()).await.granted });
        }
        let granted = tasks.join_all().await;
        assert_eq!(granted.iter().filter(|granted| **granted).count(), 100);
    }

    async fn what_is_refused_asks_nobody(store: Store) {
        let asked = Asked::new(store);
        let node = Shared::new(asked.clone());
        assert_eq!(granted(&[&node], 70, 60, noon()).await, 60);
        assert_eq!(asked.times(), 60, "one write for each request that was granted");
        assert_eq!(granted(&[&node], 10_000, 60, noon()).await, 0);
        assert_eq!(asked.times(), 60);
    }

    async fn a_large_limit_is_set_aside_in_parts(store: Store) {
        let asked = Asked::new(store.clone());
        let (node, other) = (Shared::new(asked.clone()), Shared::new(store));
        assert_eq!(granted(&[&node], 4_999, 1_000_000, noon()).await, 4_999);
        assert_eq!(asked.times(), 5);
        let standing = other.take(AccountId::default(), 1_000_000, noon()).await;
        assert_eq!(standing.remaining, 994_999, "less what the first has set aside");
    }

    async fn a_limit_that_shrinks_or_grows_within_the_minute_counts_at_once(store: Store) {
        let node = Shared::new(store);
        assert_eq!(granted(&[&node], 100, 5_000, noon()).await, 100);
        assert_eq!(granted(&[&node], 100, 60, noon()).await, 0);
        assert_eq!(granted(&[&node], 100, 0, noon()).await, 0);
        assert_eq!(granted(&[&node], 100, 150, noon()).await, 50);
    }

    async fn a_node_whose_clock_is_behind_counts_the_minute_that_has_begun_for_others(store: Store) {
        let (ahead, behind) = (Shared::new(store.clone()), Shared::new(store));
        let (early, late) = (at("2026-04-24T12:00:59.9Z"), at("2026-04-24T12:01:00.1Z"));
        assert_eq!(granted(&[&behind], 10, 60, early).await, 10);
        assert_eq!(granted(&[&ahead], 40, 60, late).await, 40);
        let standing = behind.take(AccountId::default(), 60, early).await;
        assert_eq!((standing.granted, standing.remaining), (true, 19));
        assert_eq!(standing.reset, at("2026-04-24T12:02:00Z").secs());
        assert_eq!(granted(&[&behind], 100, 60, late).await, 19);
    }

    #[tokio::test]
    async fn without_a_database_a_node_counts_alone_and_does_not_ask_at_every_request() {
        let asked = Asked::new(Arc::new(Closed));
        let node = Shared::new(asked.clone());
        assert_eq!(granted(&[&node], 100, 60, noon()).await, 60);
        assert_eq!(asked.times(), 1);
        let later = at("2026-04-24T12:01:00Z");
        assert_eq!(granted(&[&node], 100, 60, later).await, 60);
        assert_eq!(asked.times(), 2);
    }

    #[tokio::test]
    async fn a_database_that_comes_back_counts_again_what_it_knows() {
        let (store, _keep) = crate::engines::sqlite().await;
        let (away, back) = (Shared::new(Arc::new(Closed)), Shared::new(store));
        assert_eq!(granted(&[&away], 30, 60, noon()).await, 30);
        let known = std::mem::take(&mut *away.accounts.lock().unwrap());
        *back.accounts.lock().unwrap() = known;
        let later = noon().plus(ALONE_FOR);
        assert_eq!(granted(&[&back], 100, 60, later).await, 60);
    }

    #[tokio::test]
    async fn a_clock_that_is_minutes_off_stops_nobody() {
        let (store, _keep) = crate::engines::sqlite().await;
        let (ahead, right) = (Shared::new(store.clone()), Shared::new(store));
        assert_eq!(
            granted(&[&ahead], 60, 60, noon().plus(Duration::from_hours(1))).await,
            60
        );
        assert_eq!(granted(&[&right], 100, 60, noon()).await, 60);
    }
}
