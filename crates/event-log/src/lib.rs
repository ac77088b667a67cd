//! The append-only log: its promise ([`port`]), the adapters that keep it and the contract suite that proves them.

pub mod port;

pub use port::{
    AppendError, Appended, EventLog, NewEvent, Page, Position, ReadError, Recorded, Scope, StreamAppend, Version,
};
