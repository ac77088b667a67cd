//! From public activity to recorded signals: one door for polls, GitHub's webhooks and archives, and what follows a
//! capture: the release of withheld leads, and the look-up of profiles.

pub mod accept;
pub mod activity;
pub mod backfill;
pub mod backfill_hours;
pub mod budgets;
pub mod code_hits;
mod collectors;
pub mod counts;
pub mod coverage;
pub mod enrich;
mod feed_walk;
pub mod folding;
pub mod github_webhook;
mod late_events;
pub mod lists;
pub mod matcher;
pub mod missed;
mod missed_payloads;
mod missed_place;
mod outage;
mod own_source;
pub mod packs;
pub mod plan;
pub mod poll_cursor;
pub mod poll_repos;
pub mod profiles;
pub mod pulls;
pub mod release;
pub mod schedule;
pub mod scheduler;
mod search_reach;
mod search_wanted;
pub mod searches;
pub mod shards;
pub mod sighting;
pub mod source_cursor;
pub mod standing;
pub mod star_count;
mod suspects;
pub mod token_turn;
mod unanswered;
pub mod width;

pub use accept::{Accepted, Ingest};
pub use activity::{Act, Activity, Actor, ActorKind};
pub use backfill::{Progress, Summary, backfill};
pub use backfill_hours::{BackfillHours, HourOutcome};
pub use github_webhook::{Receipt, receive};
pub use matcher::{Match, Scratch, Watchlist};
pub use poll_cursor::{PollOutcome, PollState, poll_states};

#[cfg(test)]
mod tests;
