//! Listens to the log in the background, so that a wait ends as soon as anybody appends.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use kurrentdb::{Error, StreamPosition, SubscribeToAllOptions, Subscription, SubscriptionEvent};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::connection::is_of_the_connection;
use super::encoding::position;
use super::{Server, raise};
use crate::{Position, ReadError, Scope};

/// Looks without being told, in case nothing is told.
const LOOK: Duration = Duration::from_secs(5);
/// How long a subscription may take to begin.
const BEGIN: Duration = Duration::from_secs(10);
/// Before the first attempt after a failure; the pause doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Keeps `head` at what the log holds. It is a hint for those who wait, never what a reader goes by.
pub(super) async fn run(server: Arc<Server>, head: watch::Sender<Position>) {
    tokio::join!(keep_listening(&server, &head), keep_looking(&server, &head));
}

async fn keep_looking(server: &Server, head: &watch::Sender<Position>) {
    loop {
        sleep(LOOK).await;
        // A failure shows in the reads of those who follow; here the next look is the remedy.
        if let Ok(last) = server.head().await {
            raise(head, last);
        }
    }
}

async fn keep_listening(server: &Server, head: &watch::Sender<Position>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut began = false;
        let error = match listen(server, head, &mut began).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if began {
            pause = FIRST_PAUSE;
        }
        let cause = error.source().map(ToString::to_string);
        tracing::warn!(%error, cause, "the subscription to the event log ended; it is opened again");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Passes on what the log tells, until it fails.
async fn listen(
    server: &Server,
    head: &watch::Sender<Position>,
    began: &mut bool,
) -> Result<std::convert::Infallible, ReadError> {
    let (client, number) = server.connection.client()?;
    let options = SubscribeToAllOptions::default()
        .filter(server.names.filter(Scope::All))
        .position(StreamPosition::End);
    let mut subscription = client.subscribe_to_all(&options).await;
    let told = timeout(BEGIN, next(&mut subscription)).await;
    let mut told = told.unwrap_or(Err(Error::DeadlineExceeded));
    loop {
        let event = told.inspect_err(|error| {
            if is_of_the_connection(error) {
                server.connection.give_up(number);
            }
        })?;
        match event {
            SubscriptionEvent::EventAppeared(event) => raise(head, position(event.get_original_event())?),
            SubscriptionEvent::Confirmed(_) => {
                *began = true;
                // What was appended since the last subscription ended.
                raise(head, server.head().await?);
            }
            _ => {}
        }
        told = next(&mut subscription).await;
    }
}

async fn next(subscription: &mut Subscription) -> kurrentdb::Result<SubscriptionEvent> {
    subscription.next_subscription_event().await
}
