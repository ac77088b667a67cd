//! `POST /v1/tracked-keywords/dry-run`: what a keyword would have found in the texts that were recorded. Changes nothing.
//!
//! The texts are the words around the keywords that were tracked at the time, so this tells how often a new one stands near
//! those, not how often it was written on GitHub.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use domain::{
    AccountId, Keyword, LeadId, PersonRef, RepoName, ScanTarget, ScanTargets, SignalKind, SignalPerson, Timestamp,
};
use projections::leads::{self, KeywordSignal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vault::Keyring;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::openapi::words;
use super::query::NoQuery;
use crate::ingest::matcher::{Scratch, Watchlist};

/// Signals that are looked through, the newest ones, and how many of them at once.
const MOST: usize = 20_000;
const AT_ONCE: u32 = 1_000;
/// Matches that are shown.
const SAMPLES: usize = 10;

/// A keyword to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeywordToTry)]
pub(super) struct Asked {
    #[schema(value_type = words::Keyword)]
    keyword: Keyword,
    /// `issues`, `prs` and `discussions` if not given.
    #[schema(value_type = Option<Vec<words::KeywordScanTarget>>, min_items = 1)]
    scan_targets: Option<ScanTargets>,
}

/// What a keyword would have found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeywordTrial)]
pub(super) struct Outcome {
    #[schema(value_type = words::Keyword)]
    keyword: Keyword,
    #[schema(value_type = Vec<words::KeywordScanTarget>)]
    scan_targets: ScanTargets,
    matches: u64,
    by_day: Vec<Day>,
    /// The newest matches, at most ten.
    samples: Vec<Sample>,
    /// Texts that were looked through: the newest, at most 20,000.
    searched: u64,
    /// When the oldest of them was recorded; null: there was none.
    #[schema(value_type = Option<words::Time>, required)]
    searched_since: Option<Timestamp>,
}

/// The matches of a UTC day, by when they happened on GitHub.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeywordTrialDay)]
struct Day {
    #[schema(value_type = words::Date)]
    date: String,
    count: u64,
}

/// A text that would have been found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeywordTrialSample)]
struct Sample {
    #[schema(value_type = words::LeadId)]
    lead_id: LeadId,
    #[schema(value_type = words::SignalType)]
    signal_type: SignalKind,
    #[schema(value_type = words::RepoName)]
    source: RepoName,
    #[schema(required)]
    url: Option<String>,
    snippet: String,
    #[schema(value_type = words::Time)]
    occurred_at: Timestamp,
}

/// A keyword that could not be made into an automaton.
#[derive(Debug, thiserror::Error)]
#[error("the keyword cannot be looked for: {0:#}")]
struct Unsearchable(anyhow::Error);

/// `POST /v1/tracked-keywords/dry-run`
#[utoipa::path(
    post,
    path = "/tracked-keywords/dry-run",
    tag = "tracking",
    operation_id = "tryKeyword",
    summary = "Try a keyword on what was recorded",
    description = "Looks through the words around the keywords that were tracked so far, by the rules that hold live. Changes \
        nothing.",
    request_body = Asked,
    responses((status = 200, description = "What it would have found", body = Outcome)),
)]
pub(super) async fn dry_run(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<Json<Outcome>, ApiError> {
    let mut search = Search::new(account, asked.keyword, asked.scan_targets.unwrap_or_default())?;
    let (mut looked_at, mut before) = (0, None);
    while looked_at < MOST {
        let signals = leads::keyword_signals(room.api.views.as_ref(), account, before, AT_ONCE).await?;
        let Some(last) = signals.last() else { break };
        before = Some(last.place());
        looked_at += signals.len();
        let people: Vec<PersonRef> = signals.iter().map(|signal| signal.person).collect();
        let keys = room.api.writer.vault.keys(account, &people).await?;
        for signal in signals {
            search.look_at(&signal, &keys);
        }
    }
    Ok(Json(search.outcome()))
}

/// A search on its way.
struct Search {
    list: Watchlist,
    scratch: Scratch,
    keyword: Keyword,
    targets: ScanTargets,
    by_day: BTreeMap<String, u64>,
    samples: Vec<Sample>,
    searched: u64,
    searched_since: Option<Timestamp>,
}

impl Search {
    fn new(account: AccountId, keyword: Keyword, targets: ScanTargets) -> Result<Self, ApiError> {
        let list = Watchlist::build([], [(account, keyword.clone(), targets.clone())]);
        Ok(Self {
            list: list.map_err(|error| ApiError::internal(Unsearchable(error)))?,
            scratch: Scratch::default(),
            keyword,
            targets,
            by_day: BTreeMap::new(),
            samples: Vec::new(),
            searched: 0,
            searched_since: None,
        })
    }

    /// Looks at a signal; the newest come first. Of a withheld or an erased person nothing is told.
    fn look_at(&mut self, found: &KeywordSignal, keys: &Keyring) {
        let signal = &found.signal;
        let target = ScanTarget::ALL
            .iter()
            .find(|target| target.signal_kind() == signal.kind);
        let Some(target) = target.copied().filter(|target| self.targets.contains(*target)) else {
            return;
        };
        if found.withheld {
            return;
        }
        let Ok(person) = keys.open::<SignalPerson>(found.person, signal.event_id, &signal.person) else {
            return;
        };
        let Some(snippet) = person.snippet else { return };
        self.searched += 1;
        self.searched_since = Some(signal.recorded_at);
        if !self.list.finds(&snippet, target, &mut self.scratch) {
            return;
        }
        *self.by_day.entry(signal.occurred_at.date()).or_default() += 1;
        if self.samples.len() < SAMPLES {
            self.samples.push(Sample {
                lead_id: found.lead_id,
                signal_type: signal.kind,
                source: person.repo,
                url: person.url,
                snippet,
                occurred_at: signal.occurred_at,
            });
        }
    }

    fn outcome(self) -> Outcome {
        let by_day = self.by_day.into_iter();
        let by_day: Vec<Day> = by_day.map(|(date, count)| Day { date, count }).collect();
        Outcome {
            keyword: self.keyword,
            scan_targets: self.targets,
            matches: by_day.iter().map(|day| day.count).sum(),
            by_day,
            samples: self.samples,
            searched: self.searched,
            searched_since: self.searched_since,
        }
    }
}
