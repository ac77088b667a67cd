//! The only writer: load, decide, append, and on a version conflict again. One file a command.

pub mod add_webhook_endpoint;
pub mod api_key;
pub mod change_plan;
pub mod change_webhook_endpoint;
pub mod count_stars;
pub mod disable_webhook_endpoint;
pub mod enrich_lead;
pub mod erase_person;
pub mod error;
pub mod execute;
pub mod issue_key;
pub mod observe_source;
pub mod open_account;
pub mod pause_webhook_endpoint;
pub mod record_signals;
pub mod release_leads;
pub mod remove_webhook_endpoint;
pub mod rename_repo;
pub mod request_webhook_replay;
pub mod resume_webhook_endpoint;
pub mod revoke_key;
pub mod rotate_webhook_secret;
pub mod track_keyword;
pub mod track_repo;
pub mod untrack_keyword;
pub mod untrack_repo;
pub mod update_lead;

use std::sync::Arc;

use event_log::{EventLog, Position};
use vault::Vault;

use crate::clock::Clock;

pub use add_webhook_endpoint::{AddedEndpoint, NewEndpoint, add_webhook_endpoint};
pub use change_plan::change_plan;
pub use change_webhook_endpoint::change_webhook_endpoint;
pub use count_stars::count_stars;
pub use disable_webhook_endpoint::disable_webhook_endpoint;
pub use enrich_lead::{Observed, enrich_lead};
pub use erase_person::erase_person;
pub use error::CommandError;
pub use issue_key::{IssuedKey, issue_key};
pub use observe_source::{ObserveRefusal, observe_source};
pub use open_account::{open_account, open_first_account};
pub use pause_webhook_endpoint::pause_webhook_endpoint;
pub use record_signals::{Allowance, RecordedSignals, Sighting, record_signals};
pub use release_leads::release_leads;
pub use remove_webhook_endpoint::remove_webhook_endpoint;
pub use rename_repo::rename_repo;
pub use request_webhook_replay::{RequestedReplay, request_webhook_replay};
pub use resume_webhook_endpoint::resume_webhook_endpoint;
pub use revoke_key::revoke_key;
pub use rotate_webhook_secret::{Rotated, rotate_webhook_secret};
pub use track_keyword::{KeywordRecord, track_keyword};
pub use track_repo::{RepoRecord, track_repo};
pub use untrack_keyword::untrack_keyword;
pub use untrack_repo::untrack_repo;
pub use update_lead::{EditedLead, LeadEdit, NotesEdit, update_lead};

/// What every command needs.
pub struct Writer {
    /// The log that facts go to.
    pub log: Arc<dyn EventLog>,
    /// Where personal data is sealed before it goes there.
    pub vault: Arc<Vault>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
}

/// What a command came to: enough to answer without reading back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed<T> {
    /// The record, made from its events.
    pub value: T,
    /// The position of the last event of its stream: wait for it to read your own write.
    pub position: Position,
    /// Whether the command made the record; if not, it was there.
    pub created: bool,
}

#[cfg(test)]
mod tests;
