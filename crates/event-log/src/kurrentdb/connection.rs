//! The client, and when it has to be replaced: it follows a leader that it is told of, and gives up on everything else.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kurrentdb::{Client, ClientSettings, Error, NodePreference};
use tokio::time::timeout;

/// How often a call goes after the leader: leadership moves rarely, and not twice within a call.
const MOVES: usize = 3;
/// gRPC's code for a call that was broken off.
const CANCELLED: i32 = 1;

/// Why a log on KurrentDB cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection string is none. What is said of it does not repeat it, since it holds a password.
    #[error("the log's URL is not one of KurrentDB: {0}")]
    Url(String),
    /// The connection string asks for other nodes than the leader.
    #[error("nodePreference in the log's URL must be leader: only the leader knows where the log ends")]
    NotLeader,
    /// Files that the connection string names, such as certificates, are not as they should be.
    #[error("the log's URL cannot be used")]
    Client(#[source] Error),
}

/// A connection that is made anew when it breaks.
pub(super) struct Connection {
    settings: ClientSettings,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    client: Option<Client>,
    /// How many clients there were before; tells whether a failure speaks of this one.
    number: usize,
}

impl Connection {
    pub(super) fn open(url: &str) -> Result<Self, OpenError> {
        let settings: ClientSettings = url.parse().map_err(|error| OpenError::Url(without_url(&error)))?;
        if settings.node_preference() != NodePreference::Leader {
            return Err(OpenError::NotLeader);
        }
        // The client would make another library the process's choice; with this one TLS is as everywhere else.
        drop(rustls::crypto::ring::default_provider().install_default());
        let connection = Self {
            settings,
            current: Mutex::default(),
        };
        connection.client().map_err(OpenError::Client)?;
        Ok(connection)
    }

    /// Runs `work` with a client, for so long at most, and again if another node leads meanwhile.
    pub(super) async fn call<T, F>(&self, at_most: Duration, work: impl Fn(Client) -> F) -> kurrentdb::Result<T>
    where
        F: Future<Output = kurrentdb::Result<T>>,
    {
        let mut moves = 0;
        loop {
            let (client, number) = self.client()?;
            let done = timeout(at_most, work(client)).await;
            match done.unwrap_or(Err(Error::DeadlineExceeded)) {
                // The client is on its way to the leader that the answer names.
                Err(Error::NotLeaderException(_)) if moves < MOVES => moves += 1,
                Err(error) => {
                    if is_of_the_connection(&error) {
                        self.give_up(number);
                    }
                    return Err(error);
                }
                Ok(done) => return Ok(done),
            }
        }
    }

    /// Runs work that only reads: once more if the connection turns out to be broken, as one does after a pause.
    pub(super) async fn read<T, F>(&self, at_most: Duration, work: impl Fn(Client) -> F) -> kurrentdb::Result<T>
    where
        F: Future<Output = kurrentdb::Result<T>>,
    {
        match self.call(at_most, &work).await {
            Err(Error::ServerError(_) | Error::ConnectionClosed) => self.call(at_most, work).await,
            outcome => outcome,
        }
    }

    /// The current client, and its number.
    pub(super) fn client(&self) -> kurrentdb::Result<(Client, usize)> {
        let mut current = self.current();
        if let Some(client) = &current.client {
            return Ok((client.clone(), current.number));
        }
        let made = Client::new(self.settings.clone());
        let client = made.map_err(|error| Error::InitializationError(format!("{error:#}")))?;
        current.client = Some(client.clone());
        Ok((client, current.number))
    }

    /// The client of that number is no use any more.
    pub(super) fn give_up(&self, number: usize) {
        let mut current = self.current();
        if current.number == number {
            current.client = None;
            current.number += 1;
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the client must be replaced: it stays with a node that is gone, and ends once it found none.
pub(super) fn is_of_the_connection(error: &Error) -> bool {
    match error {
        Error::ServerError(_) | Error::GrpcConnectionError(_) | Error::ConnectionClosed | Error::DeadlineExceeded => {
            true
        }
        Error::Grpc { code, .. } => i32::from(*code) == CANCELLED,
        _ => false,
    }
}

/// What is wrong with a connection string, without repeating it.
fn without_url(error: &kurrentdb::ClientSettingsParseError) -> String {
    match error.error() {
        Some(source) => source.to_string(),
        None => error.message().to_owned(),
    }
}
