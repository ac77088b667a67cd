//! A subscription to the whole log: what is there, then what comes, with checkpoints for what its filter hides.

use std::sync::Arc;

use futures_util::{Stream, stream};
use tokio::sync::{mpsc, watch};
use tonic::Status;

use crate::answer;
use crate::cluster::Cluster;
use crate::filter::Filter;
use crate::log::Record;
use crate::read::place;
use crate::wire::event_store::client::streams::ReadResp;
use crate::wire::event_store::client::streams::read_req::options::all_options::AllOption;
use crate::wire::event_store::client::streams::read_resp::{
    CaughtUp, Checkpoint, Content, Position, SubscriptionConfirmation,
};

type Answer = Result<ReadResp, Status>;

struct Subscription {
    cluster: Arc<Cluster>,
    filter: Filter,
    /// The last record that was looked at.
    at: Option<u64>,
    looked_at: u64,
    answers: mpsc::Sender<Answer>,
}

/// Begins after the position, in a task that ends when the client goes away.
pub fn open(
    cluster: &Arc<Cluster>,
    filter: Filter,
    from: AllOption,
) -> Result<impl Stream<Item = Answer> + use<>, Status> {
    let (answers, mut receiver) = mpsc::channel(16);
    let (end, dropped) = (cluster.end.subscribe(), cluster.dropped.subscribe());
    let at = {
        let log = cluster.log();
        match from {
            AllOption::Position(position) => Some(place(&log, position.commit_position)?),
            AllOption::Start(_) => None,
            AllOption::End(_) => log.all().last().map(|last| last.position),
        }
    };
    let subscription = Subscription {
        cluster: Arc::clone(cluster),
        filter,
        at,
        looked_at: 0,
        answers,
    };
    cluster.subscriptions.send_modify(|open| *open += 1);
    tokio::spawn(subscription.run(end, dropped));
    Ok(stream::poll_fn(move |context| receiver.poll_recv(context)))
}

impl Subscription {
    async fn run(mut self, end: watch::Receiver<u64>, dropped: watch::Receiver<u64>) {
        // The client went away: there is nobody to tell.
        let _ = self.tell(end, dropped).await;
        self.cluster.subscriptions.send_modify(|open| *open -= 1);
    }

    async fn tell(
        &mut self,
        mut end: watch::Receiver<u64>,
        mut dropped: watch::Receiver<u64>,
    ) -> Result<(), mpsc::error::SendError<Answer>> {
        let confirmation = SubscriptionConfirmation {
            subscription_id: "subscription".to_owned(),
        };
        self.say(Content::Confirmation(confirmation)).await?;
        self.look_further().await?;
        self.checkpoint().await?;
        self.say(Content::CaughtUp(CaughtUp {
            timestamp: Some(prost_types::Timestamp::default()),
            position: self.at.map(|at| Position {
                commit_position: at,
                prepare_position: at,
            }),
            ..CaughtUp::default()
        }))
        .await?;
        loop {
            tokio::select! {
                () = self.answers.closed() => return Ok(()),
                _ = dropped.changed() => return self.answers.send(Err(Status::aborted("Subscription dropped"))).await,
                _ = end.changed() => self.look_further().await?,
            }
        }
    }

    async fn look_further(&mut self) -> Result<(), mpsc::error::SendError<Answer>> {
        let records: Vec<Arc<Record>> = self.cluster.log().after(self.at).to_vec();
        for record in records {
            self.at = Some(record.position);
            self.looked_at += 1;
            if self.filter.allows(&record) {
                self.answers.send(Ok(answer::event(&record))).await?;
            }
            if self.looked_at.is_multiple_of(self.filter.interval) {
                self.checkpoint().await?;
            }
        }
        Ok(())
    }

    async fn checkpoint(&self) -> Result<(), mpsc::error::SendError<Answer>> {
        let at = self.at.unwrap_or_default();
        self.say(Content::Checkpoint(Checkpoint {
            commit_position: at,
            prepare_position: at,
            timestamp: Some(prost_types::Timestamp::default()),
        }))
        .await
    }

    async fn say(&self, content: Content) -> Result<(), mpsc::error::SendError<Answer>> {
        self.answers.send(Ok(answer::read(content))).await
    }
}
