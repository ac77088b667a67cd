//! What tests on PostgreSQL share: a fresh database for each of them, and servers of their own for those that stop them.
//!
//! For tests only: what it needs and does not find is a panic. `scripts/postgres` says where PostgreSQL is; see there.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use it, and a test that lacks something fails"
)]

mod client;
mod cluster;
mod fresh_database;
#[cfg(test)]
mod tests;

pub use cluster::{Cluster, Replication};
pub use fresh_database::{FreshDatabase, Postgres};

/// What `scripts/postgres` says under this name.
#[allow(
    clippy::disallowed_methods,
    reason = "it hands the tests what they need, and no program reads it"
)]
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with `scripts/test` or `scripts/postgres cargo test …`")
    })
}
