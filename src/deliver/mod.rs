//! Outgoing webhooks: an endpoint is a cursor over the log, and a worker of its own posts what follows the cursor.
//!
//! Read `dispatcher` (who runs), `worker` (one endpoint), `lane` (what may go next), `health` (what may go at all), then
//! `attempt` (one turn).
//! [`guard`] and [`sign`] also serve those who add endpoints, [`journal`], [`replay`] and [`standing`] those who look at deliveries, [`probe`]
//! those who try an endpoint. A rebuild of read models reaches nothing here.

mod answer;
mod attempt;
mod behind;
mod body;
mod breaker;
mod clerk;
pub mod connector;
mod cursor;
mod dispatcher;
pub mod guard;
mod health;
pub mod journal;
mod lane;
mod pace;
pub mod probe;
pub mod relay;
pub mod replay;
pub mod request;
mod resend;
mod room;
mod schedule;
pub mod secrets;
pub mod sign;
mod slots;
pub mod standing;
mod tail;
mod tls;
mod worker;

pub use dispatcher::{Deliveries, run};

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod node_tests;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;
