//! What goes over the control socket: a command as the first line, its input behind it; frames back, one JSON a line.

use domain::{
    AccountId, ApiKeyId, DeliveryStatus, Keyword, Label, PlanName, RepoName, RepoRelation, ScanTargets, StartFrom,
    Timestamp, WebhookEndpointId, WebhookEventType, WebhookFilters, WebhookKind,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::gharchive::ArchiveHour;

/// A command, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The account that it is about; none: the one that the installation began with.
    pub account: Option<AccountId>,
    /// The command.
    pub command: Command,
}

impl From<Command> for Order {
    fn from(command: Command) -> Self {
        Self { account: None, command }
    }
}

/// A command of the command line, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Opens a further account.
    OpenAccount {
        /// What the host calls it.
        name: Label,
        /// The plan that it begins on.
        plan: PlanName,
    },
    /// Lists the accounts.
    ListAccounts,
    /// Issues an API key.
    CreateKey {
        /// What the host calls it.
        label: Label,
    },
    /// Lists the API keys.
    ListKeys,
    /// Revokes an API key.
    RevokeKey {
        /// The key.
        key_id: ApiKeyId,
    },
    /// Moves the account to a plan.
    SetPlan {
        /// The plan.
        plan: PlanName,
    },
    /// Tracks a repository.
    TrackRepo {
        /// The repository.
        repo: RepoName,
        /// What it is to the account; none: as it was, or the default.
        relation: Option<RepoRelation>,
    },
    /// Tracks a keyword.
    TrackKeyword {
        /// The phrase.
        keyword: Keyword,
        /// Where it is looked for; none: as it was, or the default.
        scan_targets: Option<ScanTargets>,
    },
    /// Reads an archive file, which is the command's input.
    Backfill {
        /// What to call the input.
        name: String,
        /// Its length in bytes, if it is known.
        bytes: Option<u64>,
    },
    /// Fetches and reads the archive's hours.
    BackfillHours {
        /// The first.
        from: ArchiveHour,
        /// The last.
        to: ArchiveHour,
        /// Where they come from.
        source: Url,
    },
    /// Shows the hours that could not be read as a whole.
    BackfillGaps,
    /// Rebuilds a projection from the log.
    Replay {
        /// The projection; none: all.
        projection: Option<String>,
        /// Compare the new rows with those that are read, and exchange them only if they are the same.
        verify: bool,
    },
    /// Proves that the log is whole.
    VerifyLog,
    /// Shows and changes how the projections are.
    Projections(Projections),
    /// Shows the log.
    Events(Events),
    /// Shows what GitHub grants and which sources do not work.
    Doctor,
    /// Erases a person.
    Forget {
        /// What the person is called.
        username: String,
    },
    /// Shows, tries and changes the webhook endpoints.
    Webhooks(Webhooks),
    /// Tells a developer's own server of what happens from now on.
    Listen {
        /// Its URL.
        forward_to: String,
    },
}

/// What to do with webhook endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Webhooks {
    /// Lists them.
    List,
    /// Adds one.
    Add {
        /// Where deliveries go.
        url: String,
        /// What reads it.
        kind: WebhookKind,
        /// Which events it hears of; empty: the usual ones.
        events: Vec<WebhookEventType>,
        /// Which leads it hears of.
        filters: WebhookFilters,
        /// Where in the log it begins.
        start_from: StartFrom,
        /// What the customer says of it.
        description: Option<String>,
    },
    /// Sends a test.
    Test(WebhookEndpointId),
    /// Sends nothing more for the time being.
    Pause(WebhookEndpointId),
    /// Goes on from where it stopped.
    Resume(WebhookEndpointId),
    /// Gives it another secret.
    RotateSecret(WebhookEndpointId),
    /// Removes it.
    Remove(WebhookEndpointId),
    /// Sends again what happened in a span of time.
    Replay {
        /// The endpoint.
        id: WebhookEndpointId,
        /// Events recorded at this time or later.
        since: Timestamp,
        /// Events recorded before this time; none: now.
        until: Option<Timestamp>,
    },
    /// Shows the replays and how far each is.
    Replays(WebhookEndpointId),
    /// Shows the newest deliveries with their last attempt.
    Deliveries {
        /// The endpoint.
        id: WebhookEndpointId,
        /// Only of this status.
        status: Option<DeliveryStatus>,
        /// Only of events recorded after this time.
        since: Option<Timestamp>,
        /// Only of events recorded at this time or before.
        until: Option<Timestamp>,
        /// Only before this position, where a page goes on.
        before: Option<u64>,
        /// How many.
        limit: u32,
    },
}

/// Which events to show, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Those after this position.
    pub after: u64,
    /// Those of this type only.
    pub kind: Option<String>,
    /// Go on with those that are yet to come.
    pub follow: bool,
    /// As JSON, one object a line.
    pub json: bool,
}

/// What to do with projections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Projections {
    /// Lists them.
    List,
    /// Shows the streams that one does not go on with.
    Parked {
        /// The projection.
        projection: String,
    },
    /// Goes on with parked streams.
    Retry {
        /// The projection.
        projection: String,
        /// The stream; none: all that are parked.
        stream: Option<String>,
    },
    /// Leaves out the event that a stream is parked at, and goes on with the rest.
    Skip {
        /// The projection.
        projection: String,
        /// The stream.
        stream: String,
    },
    /// Puts the generation before in the place of the one that is read.
    Revert {
        /// The projection.
        projection: String,
    },
    /// Removes the generation before.
    DropOld {
        /// The projection; none: all.
        projection: Option<String>,
    },
}

impl Command {
    /// Whether the command reads an input.
    pub const fn has_input(&self) -> bool {
        matches!(self, Self::Backfill { .. })
    }
}

/// What a command tells on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// A line for standard output.
    Line(String),
    /// How far it is.
    Progress {
        /// So much is done.
        done: u64,
        /// Of so much, if that is known.
        total: Option<u64>,
        /// What is counted.
        unit: Unit,
    },
    /// It is done; the last frame.
    Done,
    /// It failed; the last frame.
    Failed(String),
}

/// What a progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes of an input.
    Bytes,
    /// The log, by position: how far, not how many events.
    Log,
    /// Rows of a read model.
    Rows,
}
