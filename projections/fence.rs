//! Which projections a runner may move: where several processes share a database, each projection is one process's.

use database::Statement;

/// Says which projections this process may move right now. Asked at every step of the runner.
///
/// Checkpoints alone keep rows right, whoever moves them; a fence keeps two processes from doing the same work, and one
/// that lost its claim from doing any.
pub trait Fence: Send + Sync {
    /// What every write that moves the projection stands on; none: it is not this process's to move.
    fn guards(&self, projection: &str) -> Option<Vec<Statement>>;
}

/// The fence of the only process there is.
pub(crate) struct Alone;

impl Fence for Alone {
    fn guards(&self, _: &str) -> Option<Vec<Statement>> {
        Some(Vec::new())
    }
}
