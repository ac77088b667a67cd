//! The REST API.

mod cursor;
mod envelope;
mod error;
mod json_body;
mod patience;
mod query;
mod rate_limit;
pub mod server;
