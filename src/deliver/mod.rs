//! Outgoing webhooks: an endpoint is a cursor over the log, and a worker of its own posts what follows the cursor.

pub mod connector;
pub mod guard;
pub mod request;
pub mod schedule;
pub mod sign;

#[cfg(test)]
mod receiver;
