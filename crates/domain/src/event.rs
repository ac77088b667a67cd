//! The one list of all events: every fact the log can hold, each with the version of its shape.
//!
//! To change a shape: raise the version here, add a step to [`crate::upcast`], add a fixture, keep the old ones.

use serde::{Deserialize, Serialize};

use crate::{
    ApiKeyId, Collector, DisabledReason, Keyword, KeywordId, LeadId, LeadStatus, LoginKey, PlanName, ProfileField,
    RepoId, RepoName, RepoRelation, ScanTargets, Sealed, Signal, SourceReason, SourceState, SourceSubject, StartFrom,
    Timestamp, WebhookEndpointId, WebhookEventType, WebhookFilters, WebhookKind, WebhookReplayId, upcast,
};

/// Why stored bytes are no event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No event of that name was ever written by this version or an older one.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// A newer GitLeads wrote it.
    #[error("{name} has version {stored}, this program knows versions up to {known}")]
    NewerVersion {
        /// The event's type.
        name: String,
        /// The version found.
        stored: u32,
        /// The newest version known.
        known: u32,
    },
    /// The data does not have the shape of its type and version.
    #[error("{name} does not decode")]
    Malformed {
        /// The event's type.
        name: String,
        /// What was wrong.
        #[source]
        source: serde_json::Error,
    },
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident v $version:literal { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            pub struct $name { $($(#[$field_meta])* pub $field: $type),* }

            impl From<$name> for Event {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }
        )+

        /// A fact. The variant is its type; [`Event::version`] the version of its shape.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type", content = "data")]
        pub enum Event { $($(#[$doc])* $name($name)),+ }

        impl Event {
            /// Every type and the version that is written today.
            pub const TYPES: &[(&str, u32)] = &[$((stringify!($name), $version)),+];

            /// The type, as the log stores it.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),+ }
            }

            /// The version of the shape that is written today.
            pub const fn version(&self) -> u32 {
                match self { $(Self::$name(_) => $version),+ }
            }

            /// The data as JSON, as the log stores it beside type and version.
            pub fn encode(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$name(event) => serde_json::to_string(event)),+ }
            }

            fn from_current(name: &str, data: &str) -> Option<Result<Self, serde_json::Error>> {
                match name { $(stringify!($name) => Some(serde_json::from_str::<$name>(data).map(Self::$name)),)+ _ => None }
            }
        }
    };
}

events! {
    /// An account was opened.
    AccountOpened v 1 {
        /// What the host calls it.
        name: String,
        /// The plan it starts on.
        plan: PlanName,
    }
    /// The account moved to another plan.
    PlanChanged v 1 {
        /// The plan from now on.
        plan: PlanName,
    }
    /// An API key was issued. Only its hash is kept.
    ApiKeyIssued v 1 {
        /// The key.
        key_id: ApiKeyId,
        /// What the host calls it.
        label: String,
        /// SHA-256 of the secret, lower-case hexadecimal.
        hash: String,
        /// The last four characters of the secret, to tell keys apart.
        hint: String,
    }
    /// An API key was revoked and answers 401 from now on.
    ApiKeyRevoked v 1 {
        /// The key.
        key_id: ApiKeyId,
    }
    /// A repository is tracked from now on.
    RepoTracked v 1 {
        /// The tracked repository.
        repo_id: RepoId,
        /// Its name, as the customer spelt it.
        full_name: RepoName,
        /// What it is to the account.
        relation: RepoRelation,
    }
    /// A tracked repository is something else to the account than was said.
    RepoReclassified v 1 {
        /// The tracked repository.
        repo_id: RepoId,
        /// What it is from now on.
        relation: RepoRelation,
    }
    /// A repository is no longer tracked.
    RepoUntracked v 1 {
        /// The repository that was tracked.
        repo_id: RepoId,
    }
    /// A keyword is tracked from now on.
    KeywordTracked v 1 {
        /// The tracked keyword.
        keyword_id: KeywordId,
        /// The phrase, as the customer spelt it.
        keyword: Keyword,
        /// Where it is looked for.
        scan_targets: ScanTargets,
    }
    /// A tracked keyword is looked for elsewhere.
    KeywordRetargeted v 1 {
        /// The tracked keyword.
        keyword_id: KeywordId,
        /// Where it is looked for from now on.
        scan_targets: ScanTargets,
    }
    /// A keyword is no longer tracked.
    KeywordUntracked v 1 {
        /// The keyword that was tracked.
        keyword_id: KeywordId,
    }
    /// A tracked repository has another name on GitHub; it stays tracked under the one that the customer gave.
    RepoRenamed v 1 {
        /// The tracked repository.
        repo_id: RepoId,
        /// Its name on GitHub from now on.
        full_name: RepoName,
    }
    /// A source of a tracked repository or keyword works otherwise than before; see [`crate::source`] for what is told.
    SourceStateChanged v 1 {
        /// What it feeds.
        subject: SourceSubject,
        /// The source.
        collector: Collector,
        /// How it works from now on.
        state: SourceState,
        /// Why.
        reason: SourceReason,
        /// When it was first seen to be so.
        since: Timestamp,
    }
    /// The public number of stars that a repository's coverage is measured from.
    StarsCounted v 1 {
        /// The tracked repository.
        repo_id: RepoId,
        /// Stars, as GitHub counts them.
        stars: u64,
        /// When they were counted.
        counted_at: Timestamp,
    }
    /// The public number of stars grew by more than was captured, or by less of that than was said before: whose the others
    /// are nobody told us. All numbers are of the whole time since [`StarsCounted`].
    StarsUnattributed v 1 {
        /// The tracked repository.
        repo_id: RepoId,
        /// Stars, as GitHub counts them.
        stars: u64,
        /// When they were counted.
        counted_at: Timestamp,
        /// By how much the number grew.
        growth: u64,
        /// Stars captured that were given in that time.
        captured: u64,
        /// Stars that nobody told us of.
        unattributed: u64,
    }
    /// A person became a lead by a first signal.
    LeadCaptured v 2 {
        /// The lead.
        lead_id: LeadId,
        /// What the person was called. Version 1 did not say it.
        login: Option<LoginKey>,
        /// The signal that captured it.
        signal: Signal,
    }
    /// A person gave a first signal, but the month's quota was used up: kept, and not shown before it is released.
    LeadWithheld v 2 {
        /// The lead.
        lead_id: LeadId,
        /// What the person was called. Version 1 did not say it.
        login: Option<LoginKey>,
        /// The signal that would have captured it.
        signal: Signal,
        /// The quota that was used up, in leads a month.
        cap: u32,
    }
    /// A withheld lead is captured after all, since the month turned or the plan was raised.
    LeadReleased v 1 {
        /// The lead.
        lead_id: LeadId,
    }
    /// A lead gave a further signal.
    SignalRecorded v 2 {
        /// The lead.
        lead_id: LeadId,
        /// What the person was called. Version 1 did not say it.
        login: Option<LoginKey>,
        /// The further signal.
        signal: Signal,
        /// Whether the lead was withheld at the time.
        withheld: bool,
    }
    /// More is known of a lead, or something else than before.
    LeadEnriched v 2 {
        /// The lead.
        lead_id: LeadId,
        /// What the person is called. Version 1 did not say it.
        login: Option<LoginKey>,
        /// A sealed [`crate::Profile`], whole.
        profile: Sealed,
        /// The fields whose values changed.
        changed: Vec<ProfileField>,
        /// Whether the lead was withheld at the time.
        withheld: bool,
    }
    /// The customer noted how far they got with a lead.
    LeadUpdated v 1 {
        /// The lead.
        lead_id: LeadId,
        /// The status from now on.
        status: LeadStatus,
        /// The notes from now on, whole: a sealed text. Sealed for the person, since they may name people.
        notes: Option<Sealed>,
        /// Whether the lead was withheld at the time.
        withheld: bool,
    }
    /// The person was erased: the key is destroyed, what was sealed of them can be read no more, and nothing more of them
    /// is recorded.
    LeadErased v 1 {
        /// The lead.
        lead_id: LeadId,
        /// Whether the lead was withheld at the time.
        withheld: bool,
    }
    /// A webhook endpoint was added.
    WebhookEndpointAdded v 2 {
        /// The endpoint.
        endpoint_id: WebhookEndpointId,
        /// What reads it. In version 1, every endpoint was a program.
        kind: WebhookKind,
        /// Where deliveries go.
        url: String,
        /// Which events it hears of.
        events: Vec<WebhookEventType>,
        /// Which leads it hears of. Version 1 knew no filters.
        filters: WebhookFilters,
        /// Where in the log it begins. In version 1, every endpoint heard of what follows this event.
        start_from: StartFrom,
        /// What the customer says of it.
        description: Option<String>,
        /// The signing secret, sealed for the account.
        secret: Sealed,
    }
    /// A webhook endpoint goes elsewhere, hears of other things or is described otherwise: all of it as it is from now on.
    WebhookEndpointChanged v 1 {
        /// The endpoint.
        endpoint_id: WebhookEndpointId,
        /// Where deliveries go.
        url: String,
        /// Which events it hears of.
        events: Vec<WebhookEventType>,
        /// Which leads it hears of.
        filters: WebhookFilters,
        /// What the customer says of it.
        description: Option<String>,
    }
    /// The customer wants no more deliveries to a webhook endpoint for the time being.
    WebhookEndpointPaused v 1 {
        /// The endpoint.
        endpoint_id: WebhookEndpointId,
    }
    /// A webhook endpoint that was paused or disabled gets deliveries again, from where it stopped.
    WebhookEndpointResumed v 1 {
        /// The endpoint.
        endpoint_id: WebhookEndpointId,
    }
    /// A webhook endpoint has another secret; the one before stays valid for a while.
    WebhookSecretRotated v 1 {
        /// The endpoint.
        endpoint_id: WebhookEndpointId,
        /// The new signing secret, sealed for the account.
        secret: Sealed,
        /// Until when the secret before is valid too.
        previous_valid_until: Timestamp,
    }
    /// The customer wants to be sent again what happened in a span of time.
    WebhookReplayRequested v 1 {
        /// The endpoint.
        endpoint_id: WebhookEndpointId,
        /// The replay.
        replay_id: WebhookReplayId,
        /// Events recorded at this time or later …
        since: Timestamp,
        /// … and before this one.
        until: Timestamp,
    }
    /// A webhook endpoint gets no more deliveries until somebody enables it.
    WebhookEndpointDisabled v 2 {
        /// The endpoint.
        endpoint_id: WebhookEndpointId,
        /// Why.
        reason: DisabledReason,
        /// The word for what the last attempt failed with. Version 1 did not say it.
        last_failure: Option<String>,
    }
    /// A webhook endpoint was removed.
    WebhookEndpointRemoved v 1 {
        /// The endpoint that was removed.
        endpoint_id: WebhookEndpointId,
    }
}

impl Event {
    /// Reads what the log stored: data of the current version at once, of an older one through [`crate::upcast`].
    pub fn decode(name: &str, version: u32, data: &str) -> Result<Self, DecodeError> {
        let known = Self::TYPES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, version)| *version);
        let known = known.ok_or_else(|| DecodeError::UnknownType(name.to_owned()))?;
        let malformed = |source| DecodeError::Malformed {
            name: name.to_owned(),
            source,
        };
        let decoded = match version {
            stored if stored > known => {
                return Err(DecodeError::NewerVersion {
                    name: name.to_owned(),
                    stored,
                    known,
                });
            }
            stored if stored < known => {
                let old = serde_json::from_str(data).map_err(malformed)?;
                let raised = upcast::raise(upcast::STEPS, name, stored, old);
                Self::from_current(name, &raised.to_string())
            }
            _ => Self::from_current(name, data),
        };
        decoded
            .ok_or_else(|| DecodeError::UnknownType(name.to_owned()))?
            .map_err(malformed)
    }
}

impl cqrs_es::DomainEvent for Event {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        self.version().to_string()
    }
}

#[cfg(test)]
mod tests;
