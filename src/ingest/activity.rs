//! Public activity as every source tells it, before anybody asked whether an account cares.

use domain::{Attribution, Collector, ScanTarget, Timestamp};

/// One public act on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// What was done.
    pub act: Act,
    /// Where: `owner/name`, as the source spelt it.
    pub repo: String,
    /// Who did it; of a text, who wrote it.
    pub actor: Actor,
    /// When it happened on GitHub.
    pub occurred_at: Timestamp,
    /// Which source brought it.
    pub collector: Collector,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The repository was starred.
    Starred,
    /// The star was taken back.
    Unstarred,
    /// Something was written.
    Wrote {
        /// What kind of place it was written in.
        target: ScanTarget,
        /// The title if there is one, a line break, and the body.
        text: String,
        /// The item's page on GitHub: the identity of the item.
        url: String,
    },
    /// Something stands in a file.
    Holds {
        /// The part of it that is known.
        text: String,
        /// The file's page on GitHub: the identity of the file.
        url: String,
        /// Why it is taken to be the actor's.
        attribution: Attribution,
    },
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The numeric GitHub user id.
    pub id: u64,
    /// The login at the time.
    pub login: String,
    /// What kind of account it is.
    pub kind: ActorKind,
}

/// What kind of GitHub account; only people become leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// A person, as far as the source tells.
    User,
    /// A bot or an app.
    Bot,
    /// An organisation.
    Organization,
}
