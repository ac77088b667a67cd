//! The append-only log: its promise ([`port`]), the adapters that keep it and the contract suite that proves them.

pub mod codec;
#[cfg(test)]
mod contract;
pub mod kurrentdb;
pub mod memory;
mod moment;
pub mod port;
pub mod postgres;
mod retry;
pub mod sqlite;

pub use kurrentdb::KurrentLog;
pub use memory::MemoryLog;
pub use port::{
    AppendError, Appended, EventLog, NewEvent, Page, Position, ReadError, Recorded, Scope, StreamAppend, Version,
};
pub use postgres::PostgresLog;
pub use sqlite::SqliteLog;
