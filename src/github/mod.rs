//! GitHub's words and manners: what it sends, what that means to us, and how to ask it for more. Used by `ingest`.

pub mod activity;
mod actor;
pub mod app;
pub mod client;
pub mod code;
pub mod counts;
pub mod events_feed;
pub mod graphql;
pub mod hooks;
pub mod ledger;
mod moves;
pub mod profiles;
pub mod pulls;
pub mod rate_budget;
pub mod repository;
pub mod search;
pub mod signature;
pub mod stargazers;
pub mod users;
pub mod wire;

pub use activity::{Seen, SeenAct, Skip};
pub use app::Installation;
pub use client::{Answer, Authorization, Client, Fresh};
pub use graphql::Told;
pub use ledger::{Ledger, Resource};
pub use rate_budget::Budget;
