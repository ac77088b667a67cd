//! The task that writes: one group after the other, until each of its appends has an answer that is certain.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use database::{DatabaseError, Postgres};
use futures_util::stream::{FuturesOrdered, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::follow::Reached;
use super::group::{Answer, Columns, End, Group, Job, Verdict};
use super::session::Session;
use super::settle::{self, Unsettled};
use crate::codec::EncodedAppend;
use crate::{AppendError, retry};

/// The pause before a server that was away is tried again doubles from this …
const PAUSE: Duration = Duration::from_millis(20);
/// … to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// If so many callers are left over when a group goes out, they go out right behind it, and the server has them at hand
/// as soon as it is done. With fewer it is better to make the next group larger.
const WORTH_A_SECOND: usize = 8;

/// The task's state.
pub(super) struct Writer {
    database: Postgres,
    /// None while the server is away.
    session: Option<Arc<Session>>,
    reached: Arc<Reached>,
    patience: Duration,
}

impl Writer {
    pub(super) const fn new(database: Postgres, reached: Arc<Reached>, patience: Duration) -> Self {
        Self {
            database,
            session: None,
            reached,
            patience,
        }
    }

    /// Writes what comes, until nobody can send anything any more.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut flights = FuturesOrdered::new();
        loop {
            let is_free = match flights.len() {
                0 => true,
                1 => jobs.len() >= WORTH_A_SECOND && self.session.is_some(),
                _ => false,
            };
            tokio::select! {
                biased;
                Some(landed) = flights.next() => {
                    self.land(landed, &mut flights).await;
                    if self.session.is_none() {
                        // The server has been away for as long as anybody should wait.
                        while let Ok(job) = jobs.try_recv() {
                            job.refuse();
                        }
                    }
                }
                first = jobs.recv(), if is_free => {
                    let Some(first) = first else { break };
                    // Those who were answered just now may have something for this group too.
                    yield_now().await;
                    flights.push_back(fly(self.session.clone(), Group::gather(first, &mut jobs)));
                }
            }
        }
        while let Some(landed) = flights.next().await {
            self.land(landed, &mut flights).await;
        }
    }

    /// Answers a group. One that was not written is settled, once nothing else is on its way.
    async fn land(&mut self, landed: Landed, others: &mut (impl Stream<Item = Landed> + Unpin)) {
        let mut unsettled = Vec::new();
        let mut next = Some(landed);
        while let Some((group, outcome)) = next {
            match outcome {
                Outcome::Written(end) => {
                    let (last, verdicts) = group.written(end);
                    self.reached.appended(last);
                    group.answer(verdicts);
                }
                Outcome::NotWritten => unsettled.push((group, false)),
                Outcome::Unknown => {
                    self.session = None;
                    unsettled.push((group, true));
                }
            }
            next = if unsettled.is_empty() {
                None
            } else {
                others.next().await
            };
        }
        for (group, in_doubt) in unsettled {
            let answers = self.settle(&group.appends, in_doubt).await;
            if let Some(last) = retry::last_position(&answers) {
                self.reached.appended(last);
            }
            group.answer(answers.into_iter().map(Verdict::Settled).collect());
        }
    }

    async fn settle(&mut self, appends: &[EncodedAppend], in_doubt: bool) -> Vec<Answer> {
        let mut hope = Hope::new(self.patience);
        let failure = match self.settle_together(appends, in_doubt, &mut hope).await {
            Ok(answers) => return answers,
            Err(failure) => failure,
        };
        if failure.is_away || appends.len() == 1 {
            return failure.told_to(appends.len());
        }
        // One of them may be what the server refuses, so that each gets a transaction of its own.
        let mut answers = Vec::with_capacity(appends.len());
        for append in appends.chunks(1) {
            let answer = self.settle_together(append, in_doubt, &mut hope).await;
            answers.extend(answer.unwrap_or_else(|failure| failure.told_to(1)));
        }
        answers
    }

    /// Settles them in one transaction, as often as it takes while there is hope.
    async fn settle_together(
        &mut self,
        appends: &[EncodedAppend],
        mut in_doubt: bool,
        hope: &mut Hope,
    ) -> Result<Vec<Answer>, Failure> {
        loop {
            let session = self
                .connect(hope)
                .await
                .map_err(|error| Failure::away(error, in_doubt))?;
            match settle::run(&session, appends).await {
                Ok(answers) => {
                    self.session = Some(session);
                    return Ok(answers);
                }
                Err(Unsettled::Lost { error, at_commit }) => {
                    in_doubt |= at_commit;
                    if !hope.wait().await {
                        return Err(Failure::away(error, in_doubt));
                    }
                }
                Err(refused) => {
                    self.session = Some(session);
                    return Err(Failure::refused(refused, in_doubt));
                }
            }
        }
    }

    /// The connection, or a new one as soon as there is a server to take it.
    async fn connect(&mut self, hope: &mut Hope) -> Result<Arc<Session>, DatabaseError> {
        if let Some(session) = self.session.take()
            && !session.is_closed()
        {
            return Ok(session);
        }
        if hope.is_gone() {
            return Err(DatabaseError::Closed);
        }
        loop {
            match Session::open(&self.database).await {
                Ok(session) => return Ok(Arc::new(session)),
                Err(error) => {
                    tracing::debug!(%error, "the log cannot be written for the moment");
                    if !hope.wait().await {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// What became of a group that was sent.
enum Outcome {
    /// All of it stands where the log ended.
    Written(End),
    /// Nothing of it was written.
    NotWritten,
    /// The connection was lost, and all or nothing of it was or will be written.
    Unknown,
}

type Landed = (Group, Outcome);

/// Sends a group as one statement, if there is a connection.
async fn fly(session: Option<Arc<Session>>, group: Group) -> Landed {
    let session = session.filter(|session| !session.is_closed());
    let outcome = match (session, Columns::new(&group.appends)) {
        (Some(session), Some(columns)) => match session.append(&columns).await {
            Ok(Some(end)) => Outcome::Written(end),
            Err(fault) if fault.is_lost => Outcome::Unknown,
            // What refuses all of them together may take each of them.
            Ok(None) | Err(_) => Outcome::NotWritten,
        },
        _ => Outcome::NotWritten,
    };
    (group, outcome)
}

/// How long a server that is away is waited for.
struct Hope {
    patience: Duration,
    /// Set when it is first found to be away.
    ends: Option<Instant>,
    pause: Duration,
}

impl Hope {
    const fn new(patience: Duration) -> Self {
        Self {
            patience,
            ends: None,
            pause: PAUSE,
        }
    }

    fn is_gone(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() >= ends)
    }

    /// Waits a little; false if it was enough.
    async fn wait(&mut self) -> bool {
        self.ends.get_or_insert_with(|| Instant::now() + self.patience);
        if self.is_gone() {
            return false;
        }
        sleep(self.pause).await;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
        true
    }
}

/// Why there is no answer to some appends.
struct Failure {
    cause: Arc<dyn Error + Send + Sync>,
    /// They may have been written.
    in_doubt: bool,
    /// The server is away, rather than of another opinion.
    is_away: bool,
}

impl Failure {
    fn away(cause: impl Error + Send + Sync + 'static, in_doubt: bool) -> Self {
        Self {
            cause: Arc::new(cause),
            in_doubt,
            is_away: true,
        }
    }

    fn refused(cause: Unsettled, in_doubt: bool) -> Self {
        Self {
            cause: Arc::new(cause),
            in_doubt,
            is_away: false,
        }
    }

    fn told_to(&self, count: usize) -> Vec<Answer> {
        tracing::error!(error = %self.cause, count, in_doubt = self.in_doubt, "appends failed");
        let told = || {
            let cause = Box::new(Arc::clone(&self.cause));
            if self.in_doubt {
                AppendError::Unknown(cause)
            } else if self.is_away {
                AppendError::Busy
            } else {
                AppendError::Storage(cause)
            }
        };
        (0..count).map(|_| Err(told())).collect()
    }
}
