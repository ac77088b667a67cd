//! A KurrentDB that behaves like the real one, and misbehaves when told to: for the tests of what stands on its client.
//!
//! [`Node::start`] listens on a free loopback port and speaks the gRPC services that a client needs to append, read and
//! subscribe; [`Node::join`] adds a node to its cluster. The log is in memory. As in a real one, the server's own events
//! and those of other applications stand between the ones that a test writes, so that positions are far apart.

#![expect(clippy::result_large_err, reason = "the services answer with tonic's Status")]

mod answer;
mod cluster;
mod discovery;
mod filter;
mod log;
mod misbehaviour;
mod node;
mod read;
mod socket;
mod streams;
mod subscription;
#[cfg(test)]
mod tests;
mod tls;

pub use misbehaviour::Misbehaviour;
pub use node::{Node, cluster_url};

/// What the client's `.proto` files say; see `build.rs`.
#[allow(warnings, clippy::all, clippy::pedantic, reason = "made by the build script")]
mod wire {
    include!(concat!(env!("OUT_DIR"), "/wire.rs"));
}
