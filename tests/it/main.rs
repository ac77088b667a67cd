//! Every test that needs more than one crate, in one binary: the stories and the tidiness of the tree.

mod backfill;
mod harness;
mod paging;
mod quota;
mod secrecy;
mod tidy;
mod views;
mod webhooks;
