//! How a node fails when it is told to.

/// What befalls the next append that reaches the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// The connection breaks before anything is written.
    DropBeforeCommit,
    /// The connection breaks when the events are in the log, before the answer.
    DropAfterCommit,
    /// "Server Is Not Ready": nothing is written.
    NotReady,
    /// "Server Is Too Busy": nothing is written.
    TooBusy,
    /// Nothing is written and no answer ever comes.
    Silence,
}
