//! Every test that needs more than one crate, in one binary: the stories and the tidiness of the tree.

// Clippy knows test functions, but not the functions that they share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod accounts;
mod backfill;
mod demo;
mod erasure;
mod failover;
mod harness;
mod nodes;
mod paging;
mod quota;
mod secrecy;
mod sources;
mod supervision;
mod tidy;
mod views;
mod webhooks;
mod webhooks_again;
