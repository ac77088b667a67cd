//! The shapes of a lead in the API, and how they are opened: the one place of `http` where personal data is in clear.

use std::collections::BTreeMap;

use domain::{
    Attribution, Collector, EventId, LeadId, PersonRef, Profile, ProfileField, Provenance, RepoName, Sealed,
    SignalKind, SignalPerson, Timestamp,
};
use projections::leads::{ErasedRow, LeadDetail, LeadRow, SignalRow};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vault::{Keyring, OpenError};

use super::openapi::words;
use crate::commands::EditedLead;

/// The status of a lead whose person was erased.
const ERASED: &str = "erased";

/// A lead as the list shows it: by the first signal that matches the query. What is unknown is null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lead)]
pub(super) struct Summary {
    #[schema(value_type = words::LeadId)]
    id: LeadId,
    #[schema(value_type = words::SignalType)]
    signal_type: SignalKind,
    /// Where the signal was given.
    #[schema(value_type = Option<words::RepoName>, required)]
    signal_source: Option<RepoName>,
    #[schema(required, example = "ada-example")]
    github_username: Option<String>,
    #[schema(required, example = "Ada Example")]
    name: Option<String>,
    #[schema(required, example = "ada@example.com")]
    email: Option<String>,
    #[schema(required, example = "Staff engineer")]
    bio: Option<String>,
    #[schema(required, example = "Example Ltd")]
    company: Option<String>,
    #[schema(required, example = "Turin, Italy")]
    location: Option<String>,
    #[schema(required, example = 1842)]
    followers: Option<u64>,
    /// By bytes over the person's own repositories, most first.
    #[schema(example = json!(["Rust", "Go"]))]
    top_languages: Vec<String>,
    /// When that signal was recorded, or the lead released.
    #[schema(value_type = words::Time)]
    captured_at: Timestamp,
}

/// A lead by itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LeadDetail)]
pub(super) struct Detail {
    #[serde(flatten)]
    summary: Summary,
    /// What the capturing signal said: `Starred on 2026-04-24`, or the words around the keyword.
    #[schema(required, example = "Starred on 2026-04-24")]
    signal_context: Option<String>,
    #[schema(required, example = "https://github.com/ada-example")]
    github_profile_url: Option<String>,
    #[schema(required)]
    public_repos: Option<u64>,
    #[schema(value_type = Option<words::Date>, required)]
    account_created_at: Option<String>,
    #[schema(value_type = words::LeadStatus)]
    status: &'static str,
    #[schema(required)]
    notes: Option<String>,
    /// The whole timeline, oldest first.
    signals: Vec<TimelineEntry>,
    /// Where each profile field's value comes from.
    #[schema(value_type = BTreeMap<String, Source>)]
    provenance: BTreeMap<ProfileField, Source>,
    #[schema(value_type = words::Time)]
    updated_at: Timestamp,
}

/// A signal of the timeline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signal)]
struct TimelineEntry {
    #[schema(value_type = words::SignalType)]
    r#type: SignalKind,
    #[schema(value_type = Option<words::RepoName>, required)]
    source: Option<RepoName>,
    /// The item that matched a keyword.
    #[schema(required)]
    url: Option<String>,
    #[schema(required)]
    keyword: Option<String>,
    #[schema(required)]
    snippet: Option<String>,
    /// When it happened on GitHub.
    #[schema(value_type = words::Time)]
    occurred_at: Timestamp,
    /// When it was recorded here.
    #[schema(value_type = words::Time)]
    recorded_at: Timestamp,
    #[schema(value_type = words::SignalCollector)]
    collector: Collector,
    /// Of a star that is not there any more, when we were told; null: nobody told us of it.
    #[schema(value_type = Option<words::Time>, required)]
    taken_back_at: Option<Timestamp>,
    /// Why a file that a search for code found is taken to be the person's; null for every other signal.
    #[schema(value_type = Option<words::SignalAttribution>, required)]
    attribution: Option<Attribution>,
}

/// Where a profile field's value comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provenance)]
struct Source {
    #[schema(example = "github_api")]
    source: String,
    url: String,
    #[schema(value_type = words::Time)]
    observed_at: Timestamp,
}

/// Opens what is sealed of one person; what is erased is null.
struct Opener<'a> {
    keys: &'a Keyring,
    lead: LeadId,
    person: PersonRef,
}

impl Opener<'_> {
    fn open<T: DeserializeOwned>(&self, event: EventId, sealed: &Sealed) -> Option<T> {
        match self.keys.open(self.person, event, sealed) {
            Ok(value) => Some(value),
            Err(OpenError::Erased) => None,
            // One damaged blob must not take the whole page with it; the log says which.
            Err(error) => {
                tracing::error!(lead = %self.lead, %event, %error, "a sealed value of a lead does not open");
                None
            }
        }
    }

    fn signal(&self, signal: &SignalRow) -> Option<SignalPerson> {
        self.open(signal.event_id, &signal.person)
    }

    /// The profile; of a person who is not enriched yet, the login alone.
    fn profile(&self, row: &LeadRow, seen: Option<&SignalPerson>) -> Option<Profile> {
        let enriched = row
            .profile
            .as_ref()
            .and_then(|(event, sealed)| self.open(*event, sealed));
        enriched.or_else(|| Some(of_signal(seen?, &row.signal)))
    }
}

/// What a signal alone tells of a person: the login.
fn of_signal(person: &SignalPerson, signal: &SignalRow) -> Profile {
    let seen = Provenance {
        source: signal.collector.to_string(),
        url: person
            .url
            .clone()
            .unwrap_or_else(|| format!("https://github.com/{}", person.login)),
        observed_at: signal.recorded_at,
    };
    Profile {
        login: person.login.clone(),
        provenance: [(ProfileField::Login, seen)].into(),
        ..Profile::default()
    }
}

/// What a row of the list shows of a [`Profile`]: most of one is where its values come from, which is not read for it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    login: String,
    name: Option<String>,
    email: Option<String>,
    bio: Option<String>,
    company: Option<String>,
    location: Option<String>,
    followers: Option<u64>,
    top_languages: Vec<String>,
}

impl From<Profile> for Shown {
    fn from(profile: Profile) -> Self {
        Self {
            login: profile.login,
            name: profile.name,
            email: profile.email,
            bio: profile.bio,
            company: profile.company,
            location: profile.location,
            followers: profile.followers,
            top_languages: profile.top_languages,
        }
    }
}

const fn opener<'a>(keys: &'a Keyring, row: &LeadRow) -> Opener<'a> {
    Opener {
        keys,
        lead: row.lead_id,
        person: row.person,
    }
}

impl Summary {
    /// A row of the list, opened with the keys of its page.
    pub(super) fn open(keys: &Keyring, row: &LeadRow) -> Self {
        let opener = opener(keys, row);
        let seen = opener.signal(&row.signal);
        let enriched = row.profile.as_ref();
        let enriched = enriched.and_then(|(event, sealed)| opener.open(*event, sealed));
        let (signal_source, login) = seen.map(|person| (person.repo, person.login)).unzip();
        let shown = enriched.or_else(|| {
            Some(Shown {
                login: login?,
                ..Shown::default()
            })
        });
        Self::new(row, signal_source, shown)
    }

    fn new(row: &LeadRow, signal_source: Option<RepoName>, profile: Option<Shown>) -> Self {
        let is_known = profile.is_some();
        let profile = profile.unwrap_or_default();
        Self {
            id: row.lead_id,
            signal_type: row.signal.kind,
            signal_source,
            github_username: is_known.then_some(profile.login),
            name: profile.name,
            email: profile.email,
            bio: profile.bio,
            company: profile.company,
            location: profile.location,
            followers: profile.followers,
            top_languages: profile.top_languages,
            captured_at: row.captured_at,
        }
    }
}

impl Summary {
    /// The names of [`Summary::cells`].
    pub(super) const COLUMNS: [&str; 12] = [
        "id",
        "signal_type",
        "signal_source",
        "github_username",
        "name",
        "email",
        "bio",
        "company",
        "location",
        "followers",
        "top_languages",
        "captured_at",
    ];

    /// The row as texts; what is unknown is empty.
    pub(super) fn cells(&self) -> [String; 12] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        [
            self.id.to_string(),
            self.signal_type.to_string(),
            self.signal_source.as_ref().map(RepoName::to_string).unwrap_or_default(),
            text(&self.github_username),
            text(&self.name),
            text(&self.email),
            text(&self.bio),
            text(&self.company),
            text(&self.location),
            self.followers.map(|count| count.to_string()).unwrap_or_default(),
            self.top_languages.join("; "),
            self.captured_at.to_string(),
        ]
    }
}

impl Detail {
    /// A lead, opened with its person's key.
    pub(super) fn open(keys: &Keyring, detail: LeadDetail) -> Self {
        let row = detail.lead;
        let opener = opener(keys, &row);
        let seen = opener.signal(&row.signal);
        let profile = opener.profile(&row, seen.as_ref());
        let (signal_source, snippet) = seen.map(|person| (person.repo, person.snippet)).unzip();
        let signals = detail
            .signals
            .into_iter()
            .map(|signal| {
                let taken_back_at = detail.stars_gone.get(&signal.event_id).copied();
                entry(&opener, signal, taken_back_at)
            })
            .collect();
        let known = profile.clone().unwrap_or_default();
        Self {
            signal_context: context(&row.signal, snippet.flatten()),
            github_profile_url: profile
                .as_ref()
                .map(|profile| format!("https://github.com/{}", profile.login)),
            public_repos: known.public_repos,
            account_created_at: known.account_created_at.map(Timestamp::date),
            status: detail.status.as_str(),
            notes: detail.notes.and_then(|(event, sealed)| opener.open(event, &sealed)),
            signals,
            provenance: provenance(known),
            updated_at: detail.updated_at,
            summary: Summary::new(&row, signal_source, profile.map(Shown::from)),
        }
    }
}

impl Detail {
    /// The lead as its customer has just left it.
    pub(super) fn edited(self, edited: EditedLead) -> Self {
        Self {
            status: edited.status.as_str(),
            notes: edited.notes,
            updated_at: edited.edited_at.map_or(self.updated_at, |at| at.max(self.updated_at)),
            ..self
        }
    }

    /// What is left of a lead whose person was erased.
    pub(super) fn erased(row: &ErasedRow) -> Self {
        Self {
            summary: Summary {
                id: row.lead_id,
                signal_type: row.signal_type,
                signal_source: None,
                github_username: None,
                name: None,
                email: None,
                bio: None,
                company: None,
                location: None,
                followers: None,
                top_languages: Vec::new(),
                captured_at: row.captured_at,
            },
            signal_context: None,
            github_profile_url: None,
            public_repos: None,
            account_created_at: None,
            status: ERASED,
            notes: None,
            signals: Vec::new(),
            provenance: BTreeMap::new(),
            updated_at: row.erased_at,
        }
    }
}

/// Who the person of a lead is on GitHub, as its capturing signal says.
pub(super) fn user_id(keys: &Keyring, row: &LeadRow) -> Option<u64> {
    opener(keys, row).signal(&row.signal).map(|person| person.user_id)
}

fn entry(opener: &Opener<'_>, signal: SignalRow, taken_back_at: Option<Timestamp>) -> TimelineEntry {
    let mut person = opener.signal(&signal);
    let said = person.as_mut();
    let (url, snippet, attribution) = said
        .map(|said| (said.url.take(), said.snippet.take(), said.attribution))
        .unwrap_or_default();
    TimelineEntry {
        r#type: signal.kind,
        source: person.map(|said| said.repo),
        url,
        keyword: signal.keyword,
        snippet,
        occurred_at: signal.occurred_at,
        recorded_at: signal.recorded_at,
        collector: signal.collector,
        taken_back_at,
        attribution,
    }
}

/// "Starred on 2026-04-24", or the words around the keyword.
fn context(signal: &SignalRow, snippet: Option<String>) -> Option<String> {
    match signal.kind {
        SignalKind::Stargazer => Some(format!("Starred on {}", signal.occurred_at.date())),
        SignalKind::KeywordIssue | SignalKind::KeywordPr | SignalKind::KeywordCode | SignalKind::KeywordDiscussion => {
            snippet
        }
    }
}

fn provenance(profile: Profile) -> BTreeMap<ProfileField, Source> {
    let sources = profile.provenance.into_iter();
    sources
        .map(|(field, from)| {
            let source = Source {
                source: from.source,
                url: from.url,
                observed_at: from.observed_at,
            };
            (field, source)
        })
        .collect()
}
