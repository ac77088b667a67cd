//! Read models: tables that come from the log alone, the pure folds that fill them and the queries that read them.
//!
//! A folder each: fold, queries, `schema.sql` and tests. Delete their data and the [`runner`] brings it back; nothing
//! here appends to the log or sends anything, so a replay has no side effects. HTTP, dashboard, ingestion and delivery
//! read; how to add a projection stands in `README.md`.

pub mod accounts;
pub mod api_keys;
mod batch;
mod checkpoint;
mod columns;
pub mod fence;
mod follower;
pub mod freshness;
pub mod generations;
pub mod leads;
pub mod monthly_usage;
mod parked;
pub mod people;
pub mod rebuild;
pub mod retry;
pub mod runner;
pub mod sources;
pub mod star_coverage;
mod stretch;
mod tables;
pub mod tracked_keywords;
pub mod tracked_repos;
pub mod webhook_endpoints;

use database::Statement;
use event_log::Recorded;

pub use fence::Fence;
pub use follower::StandsStill;
pub use freshness::Freshness;
pub use parked::{Parked, Skipped};
pub use rebuild::{Progress, Rebuild};
pub use runner::{Runner, RunnerError};

/// A read model: its tables and how events change them. Pure, so that a replay gives the same rows every time.
pub trait Projection: Send + Sync {
    /// The name: the folder's, and the one in checkpoints and on the command line.
    fn name(&self) -> &'static str;

    /// The tables, with the primary keys that the fold's `ON CONFLICT` needs: `CREATE TABLE` statements.
    fn schema(&self) -> &'static str;

    /// The further indexes, made once the tables are filled: `CREATE INDEX` statements, maybe none.
    fn indexes(&self) -> &'static str;

    /// What the event changes in the tables; nothing if it is of no concern.
    fn apply(&self, recorded: &Recorded) -> Vec<Statement>;

    /// What a stretch of the log changes: the same as event after event, in fewer statements where that is possible.
    fn apply_all(&self, stretch: &[Recorded]) -> Vec<Statement> {
        stretch.iter().flat_map(|recorded| self.apply(recorded)).collect()
    }
}

/// Every projection of GitLeads.
pub fn all() -> Vec<Box<dyn Projection>> {
    vec![
        Box::new(accounts::Accounts),
        Box::new(api_keys::ApiKeys),
        Box::new(leads::Leads),
        Box::new(monthly_usage::MonthlyUsage),
        Box::new(people::People),
        Box::new(sources::Sources),
        Box::new(star_coverage::StarCoverage),
        Box::new(tracked_keywords::TrackedKeywords),
        Box::new(tracked_repos::TrackedRepos),
        Box::new(webhook_endpoints::WebhookEndpoints),
    ]
}

#[cfg(test)]
mod tests;
