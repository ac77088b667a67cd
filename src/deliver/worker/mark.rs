//! Counts the endpoints whose breaker is open, for as long as each of them is.

use ::metrics::gauge;

use crate::metrics;

/// One endpoint whose breaker is open.
pub(super) struct Mark;

impl Mark {
    pub(super) fn new() -> Self {
        gauge!(metrics::WEBHOOK_BREAKERS).increment(1.0);
        Self
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        gauge!(metrics::WEBHOOK_BREAKERS).decrement(1.0);
    }
}
