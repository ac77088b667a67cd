//! GitHub's words and manners: what it sends, what that means to us, and how to ask it for more. Used by `ingest`.

pub mod activity;
pub mod client;
pub mod events_feed;
pub mod rate_budget;
pub mod signature;
pub mod users;
pub mod wire;

pub use activity::{Seen, SeenAct, Skip};
pub use client::{Answer, Client, Fresh};
pub use rate_budget::Budget;
