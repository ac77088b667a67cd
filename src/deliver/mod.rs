//! Outgoing webhooks: an endpoint is a cursor over the log, and a worker of its own posts what follows the cursor.
//!
//! Read [`dispatcher`] (who runs), [`worker`] (one endpoint), [`lane`] (what may go next), then [`attempt`] (one turn).
//! [`guard`] and [`sign`] also serve those who add endpoints. There is no replay here: a rebuild of read models sends nothing.

pub mod attempt;
pub mod body;
pub mod connector;
pub mod cursor;
pub mod dispatcher;
pub mod guard;
pub mod lane;
pub mod request;
pub mod schedule;
pub mod sign;
pub mod worker;

pub use dispatcher::{Deliveries, run};

#[cfg(test)]
mod receiver;
