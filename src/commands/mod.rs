//! The only writer: load, decide, append, and on a version conflict again. One file a command.

use std::sync::Arc;

use event_log::EventLog;
use vault::Vault;

use crate::clock::Clock;

/// What every command needs.
pub struct Writer {
    /// The log that facts go to.
    pub log: Arc<dyn EventLog>,
    /// Where personal data is sealed before it goes there.
    pub vault: Arc<Vault>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
}
