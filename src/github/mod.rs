//! GitHub's words and manners: what it sends, what that means to us, and how to ask it for more. Used by `ingest`.

pub mod activity;
pub mod client;
pub mod counts;
pub mod events_feed;
pub mod graphql;
pub mod ledger;
pub mod pulls;
pub mod rate_budget;
pub mod search;
pub mod signature;
pub mod stargazers;
pub mod users;
pub mod wire;

pub use activity::{Seen, SeenAct, Skip};
pub use client::{Answer, Client, Fresh};
pub use graphql::Told;
pub use ledger::{Ledger, Resource};
pub use rate_budget::Budget;
