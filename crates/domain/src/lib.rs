//! What GitLeads knows and decides: events, aggregates and the words they are made of. No I/O, no clock, no randomness.
//!
//! Read [`event`] first (the one list of facts), then [`lead`] (the busiest rules). Whoever calls in here brings
//! the time, the ids and everything that was looked up elsewhere; the answer is events or a typed refusal.

pub mod account;
pub mod aggregate;
pub mod coverage;
pub mod event;
pub mod ids;
pub mod keyword;
pub mod label;
pub mod lead;
mod parsed;
pub mod personal;
pub mod plan;
pub mod repo_name;
pub mod sealed;
pub mod signal;
pub mod source;
pub mod stream;
pub mod timestamp;
pub mod tracked_keyword;
pub mod tracked_repo;
pub mod upcast;
pub mod webhook;
pub mod webhook_endpoint;

pub use aggregate::Decide;
pub use coverage::StarCount;
pub use event::Event;
pub use ids::{
    AccountId, ApiKeyId, EventId, KeywordId, LeadId, LoginKey, PersonRef, RepoId, RepoKey, SignalKey,
    WebhookEndpointId, WebhookReplayId,
};
pub use keyword::Keyword;
pub use label::Label;
pub use lead::LeadStatus;
pub use personal::{Profile, ProfileField, Provenance, SignalPerson};
pub use plan::{Plan, PlanName, Plans};
pub use repo_name::RepoName;
pub use sealed::Sealed;
pub use signal::{Attribution, Collector, ScanTarget, ScanTargets, Signal, SignalKind};
pub use source::{Observation, SourceReason, SourceState, SourceSubject};
pub use stream::StreamId;
pub use timestamp::{Month, Timestamp};
pub use tracked_repo::RepoRelation;
pub use webhook::{
    DeliveryStatus, DisabledReason, StartFrom, TooManyEntries, WebhookEventType, WebhookFilters, WebhookKind,
    WebhookStatus,
};
