//! The task that writes: one group after the other, until each of its appends has an answer that is certain.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use database::{DatabaseError, Postgres};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::group::{self, Answer, Columns, Group, Job};
use super::session::Session;
use super::settle::{self, Unsettled};
use super::tell;
use crate::codec::EncodedAppend;
use crate::{AppendError, Position, retry};

/// The pause before a server that was away is tried again doubles from this …
const PAUSE: Duration = Duration::from_millis(20);
/// … to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Writes what comes until nobody can send anything any more.
pub(super) async fn run(
    database: Postgres,
    mut jobs: mpsc::Receiver<Job>,
    head: watch::Sender<Position>,
    patience: Duration,
) {
    let mut writer = Writer {
        database,
        session: None,
        patience,
    };
    while let Some(first) = jobs.recv().await {
        let mut group = Group::gather(first, &mut jobs);
        let answers = writer.write(std::mem::take(&mut group.appends)).await;
        if let Some(last) = retry::last_position(&answers) {
            tell(&head, last);
        }
        group.answer(answers);
        if writer.session.is_none() {
            // The server has been away for as long as anybody should wait.
            while let Ok(job) = jobs.try_recv() {
                job.refuse();
            }
        }
    }
}

struct Writer {
    database: Postgres,
    /// None while the server is away.
    session: Option<Session>,
    patience: Duration,
}

impl Writer {
    async fn write(&mut self, appends: Vec<EncodedAppend>) -> Vec<Answer> {
        let mut hope = Hope::new(self.patience);
        let mut in_doubt = false;
        if let Some(columns) = Columns::new(&appends) {
            let session = match self.connect(&mut hope).await {
                Ok(session) => session,
                Err(error) => return Failure::away(error, false).told_to(appends.len()),
            };
            match session.append(&columns).await {
                Ok(Some(end)) => {
                    self.session = Some(session);
                    return group::written(appends, end);
                }
                Err(fault) if fault.is_lost => in_doubt = true,
                // What refuses all of them together may take each of them.
                Ok(None) | Err(_) => self.session = Some(session),
            }
        }
        self.settle(&appends, in_doubt, hope).await
    }

    async fn settle(&mut self, appends: &[EncodedAppend], in_doubt: bool, mut hope: Hope) -> Vec<Answer> {
        let failure = match self.settle_together(appends, in_doubt, &mut hope).await {
            Ok(answers) => return answers,
            Err(failure) => failure,
        };
        if failure.is_away || appends.len() == 1 {
            tracing::error!(error = %failure.cause, in_doubt = failure.in_doubt, "appends failed");
            return failure.told_to(appends.len());
        }
        // One of them may be what the server refuses, so that each gets a transaction of its own.
        let mut answers = Vec::with_capacity(appends.len());
        for append in appends.chunks(1) {
            match self.settle_together(append, in_doubt, &mut hope).await {
                Ok(answer) => answers.extend(answer),
                Err(failure) => {
                    tracing::error!(error = %failure.cause, in_doubt = failure.in_doubt, "an append failed");
                    answers.extend(failure.told_to(1));
                }
            }
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
    async fn connect(&mut self, hope: &mut Hope) -> Result<Session, DatabaseError> {
        if let Some(session) = self.session.take()
            && !session.is_closed()
        {
            return Ok(session);
        }
        loop {
            match Session::open(&self.database).await {
                Ok(session) => return Ok(session),
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

    /// Waits a little; false if it was enough.
    async fn wait(&mut self) -> bool {
        let ends = *self.ends.get_or_insert_with(|| Instant::now() + self.patience);
        if Instant::now() >= ends {
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
        let told = || {
            let cause = Box::new(Arc::clone(&self.cause));
            if self.in_doubt {
                AppendError::Unknown(cause)
            } else {
                AppendError::Storage(cause)
            }
        };
        (0..count).map(|_| Err(told())).collect()
    }
}
