//! What a webhook endpoint can be asked for: kinds, event types, filters, and where in the log it begins.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::signal::words;
use crate::{Keyword, RepoName, SignalKind, SourceSubject, Timestamp};

words!(
    /// What an endpoint can hear of.
    WebhookEventType {
        /// A person was captured as a lead, or a withheld lead released.
        LeadCreated = "lead.created",
        /// More was found for a lead.
        LeadEnriched = "lead.enriched",
        /// A lead was edited by hand.
        LeadUpdated = "lead.updated",
        /// A lead gave a further signal.
        LeadSignalAdded = "lead.signal_added",
        /// A person was erased.
        LeadErased = "lead.erased",
        /// A source of signals is out of order.
        SourceDegraded = "source.degraded",
        /// Somebody tried the endpoint.
        WebhookTest = "webhook.test",
    }
    all = "lead.created, lead.enriched, lead.updated, lead.signal_added, lead.erased, source.degraded, webhook.test"
);

impl WebhookEventType {
    /// What an endpoint hears of that asks for nothing in particular.
    pub const USUAL: &[Self] = &[Self::LeadCreated, Self::LeadEnriched, Self::LeadUpdated];

    /// Each of them once, in the order of [`WebhookEventType::ALL`].
    pub fn distinct(mut events: Vec<Self>) -> Vec<Self> {
        events.sort_unstable();
        events.dedup();
        events
    }
}

/// Characters of an endpoint's description at most: enough for a sentence that tells endpoints apart.
pub const DESCRIPTION: usize = 512;

/// Why a text is no description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescription {
    /// It is too long.
    #[error("must have {DESCRIPTION} characters at most")]
    TooLong,
    /// It has characters that nobody can read; a database may refuse them.
    #[error("must have no control characters")]
    Control,
}

/// An endpoint's description; one without a word is none.
///
/// # Errors
/// If it is none.
pub fn description(text: Option<String>) -> Result<Option<String>, InvalidDescription> {
    match &text {
        Some(words) if words.chars().any(char::is_control) => Err(InvalidDescription::Control),
        Some(words) if words.chars().count() > DESCRIPTION => Err(InvalidDescription::TooLong),
        _ => Ok(text.filter(|text| !text.trim().is_empty())),
    }
}

words!(
    /// What reads the deliveries of an endpoint, and so what shape they have.
    WebhookKind {
        /// A program: signed JSON, one event each.
        Webhook = "webhook",
        /// A channel of Slack's: messages for people.
        Slack = "slack",
        /// A channel of Discord's: messages for people.
        Discord = "discord",
    }
    all = "webhook, slack, discord"
);

words!(
    /// Whether an endpoint gets deliveries.
    WebhookStatus {
        /// It does.
        Active = "active",
        /// The customer wants none for the time being.
        Paused = "paused",
        /// It could not be reached for too long, or said that it is gone.
        Disabled = "disabled",
    }
    all = "active, paused, disabled"
);

words!(
    /// How a delivery stands.
    DeliveryStatus {
        /// It is tried, or waits for its turn.
        Waiting = "waiting",
        /// The receiver took it.
        Delivered = "delivered",
        /// Its last attempt failed, and no further one is made unless it is asked for.
        Failed = "failed",
        /// Nothing more is sent, since the person was erased.
        Erased = "erased",
    }
    all = "waiting, delivered, failed, erased"
);

words!(
    /// Why an endpoint was disabled.
    DisabledReason {
        /// It answered 410 Gone.
        Gone = "gone",
        /// Every attempt of the last five days failed.
        Failing = "failing",
    }
    all = "gone, failing"
);

/// Which leads an endpoint hears of. An empty list asks for nothing; of one that is not, an entry has to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookFilters {
    /// Kinds of signals.
    pub signal_types: Vec<SignalKind>,
    /// Repositories that signals happen in, whatever the letter case.
    pub repos: Vec<RepoName>,
    /// Keywords that signals were found by, however they are spelt.
    pub keywords: Vec<Keyword>,
}

/// A list of filters that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have {} entries at most", WebhookFilters::ENTRIES)]
pub struct TooManyEntries {
    /// Which list, as the field is called.
    pub list: &'static str,
}

impl WebhookFilters {
    /// Entries of each list at most.
    pub const ENTRIES: usize = 100;

    /// Filters of these lists, each entry once.
    pub fn try_new(
        signal_types: Vec<SignalKind>,
        repos: Vec<RepoName>,
        keywords: Vec<Keyword>,
    ) -> Result<Self, TooManyEntries> {
        let mut signal_types = signal_types;
        signal_types.sort_unstable();
        signal_types.dedup();
        Ok(Self {
            signal_types,
            repos: distinct("repos", repos)?,
            keywords: distinct("keywords", keywords)?,
        })
    }

    /// Whether there is nothing to look at.
    pub const fn is_empty(&self) -> bool {
        self.signal_types.is_empty() && self.repos.is_empty() && self.keywords.is_empty()
    }

    /// Whether an endpoint with these filters hears of a lead for this signal: its kind, the opened name of the repository it
    /// happened in, and the keyword it was found by.
    pub fn fit(&self, kind: SignalKind, repo: &RepoName, keyword: Option<&Keyword>) -> bool {
        let fits_keyword = || keyword.is_some_and(|keyword| self.keywords.contains(keyword));
        (self.signal_types.is_empty() || self.signal_types.contains(&kind))
            && (self.repos.is_empty() || self.repos.contains(repo))
            && (self.keywords.is_empty() || fits_keyword())
    }

    /// Whether an endpoint with these filters hears of a source of that repository or keyword. The kinds of signals have no
    /// say in it, nor have repositories in what feeds a keyword, or keywords in what feeds a repository.
    pub fn fit_source(&self, subject: &SourceSubject) -> bool {
        match subject {
            SourceSubject::Repo { full_name, .. } => self.repos.is_empty() || self.repos.contains(full_name),
            SourceSubject::Keyword { keyword, .. } => self.keywords.is_empty() || self.keywords.contains(keyword),
        }
    }
}

fn distinct<T: PartialEq>(list: &'static str, entries: Vec<T>) -> Result<Vec<T>, TooManyEntries> {
    if entries.len() > WebhookFilters::ENTRIES {
        return Err(TooManyEntries { list });
    }
    let mut kept: Vec<T> = Vec::new();
    for entry in entries {
        if !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    Ok(kept)
}

/// Where in the account's log an endpoint begins to hear. Written `now`, `beginning` or as a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StartFrom {
    /// After the event that added it.
    #[default]
    Now,
    /// With the account's first event.
    Beginning,
    /// With the first event that was recorded at this time or later.
    Time(Timestamp),
}

/// A text that says no place to begin at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be now, beginning or an ISO 8601 time with an offset, such as 2026-04-24T10:31:00Z")]
pub struct InvalidStartFrom;

impl fmt::Display for StartFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Beginning => f.write_str("beginning"),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl FromStr for StartFrom {
    type Err = InvalidStartFrom;

    fn from_str(text: &str) -> Result<Self, InvalidStartFrom> {
        match text {
            "now" => Ok(Self::Now),
            "beginning" => Ok(Self::Beginning),
            time => match time.parse() {
                Ok(time) => Ok(Self::Time(time)),
                Err(_) => Err(InvalidStartFrom),
            },
        }
    }
}

impl Serialize for StartFrom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StartFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::parsed::parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::{KeywordId, RepoId};

    fn repo(name: &str) -> RepoName {
        name.parse().unwrap()
    }

    #[test]
    fn a_list_of_a_filter_is_an_or_and_several_lists_are_an_and() {
        let filters = WebhookFilters {
            signal_types: vec![SignalKind::KeywordIssue, SignalKind::KeywordPr],
            repos: vec![repo("Acme/SDK")],
            keywords: vec!["Rival SDK".parse().unwrap()],
        };
        let (rival, other) = ("rival  sdk".parse().unwrap(), "acme".parse().unwrap());
        assert!(filters.fit(SignalKind::KeywordPr, &repo("acme/sdk"), Some(&rival)));
        assert!(!filters.fit(SignalKind::KeywordCode, &repo("acme/sdk"), Some(&rival)));
        assert!(!filters.fit(SignalKind::KeywordPr, &repo("acme/kit"), Some(&rival)));
        assert!(!filters.fit(SignalKind::KeywordPr, &repo("acme/sdk"), Some(&other)));
        assert!(!filters.fit(SignalKind::KeywordPr, &repo("acme/sdk"), None));
        assert!(!filters.is_empty());
    }

    #[test]
    fn events_are_kept_once_and_a_description_has_words_and_an_end() {
        let twice = vec![
            WebhookEventType::LeadErased,
            WebhookEventType::LeadCreated,
            WebhookEventType::LeadErased,
        ];
        let once = [WebhookEventType::LeadCreated, WebhookEventType::LeadErased];
        assert_eq!(WebhookEventType::distinct(twice), once);
        assert_eq!(description(Some(" \u{a0}".into())), Ok(None));
        assert_eq!(description(Some("é".repeat(512))), Ok(Some("é".repeat(512))));
        assert_eq!(description(Some("é".repeat(513))), Err(InvalidDescription::TooLong));
        for control in ['\0', '\t', '\n', '\u{7f}', '\u{85}'] {
            assert_eq!(
                description(Some(format!("a{control}b"))),
                Err(InvalidDescription::Control)
            );
        }
    }

    #[test]
    fn an_entry_is_kept_once_and_a_list_has_an_end() {
        let twice = |text: &str| vec![repo(text), repo("other/sdk"), repo(&text.to_uppercase())];
        let signal_types = vec![SignalKind::KeywordPr, SignalKind::Stargazer, SignalKind::KeywordPr];
        let filters = WebhookFilters::try_new(signal_types, twice("acme/sdk"), Vec::new()).unwrap();
        assert_eq!(filters.signal_types, [SignalKind::Stargazer, SignalKind::KeywordPr]);
        assert_eq!(filters.repos, [repo("acme/sdk"), repo("other/sdk")]);
        let many = |count| vec!["event sourcing".parse().unwrap(); count];
        assert!(WebhookFilters::try_new(Vec::new(), Vec::new(), many(100)).is_ok());
        let refused = WebhookFilters::try_new(Vec::new(), Vec::new(), many(101)).unwrap_err();
        assert_eq!(
            (refused.list, refused.to_string().as_str()),
            ("keywords", "must have 100 entries at most")
        );
    }

    #[test]
    fn a_source_is_heard_of_by_what_it_feeds() {
        let filters = WebhookFilters {
            signal_types: vec![SignalKind::KeywordCode],
            repos: vec![repo("acme/sdk")],
            keywords: Vec::new(),
        };
        let of_repo = |name: &str| SourceSubject::Repo {
            id: RepoId::new(Ulid::from_parts(1, 1)),
            full_name: repo(name),
        };
        let of_keyword = |keyword: &str| SourceSubject::Keyword {
            id: KeywordId::new(Ulid::from_parts(1, 2)),
            keyword: keyword.parse().unwrap(),
        };
        assert!(filters.fit_source(&of_repo("Acme/SDK")) && !filters.fit_source(&of_repo("acme/kit")));
        assert!(filters.fit_source(&of_keyword("docker")));
        let filters = WebhookFilters {
            keywords: vec!["rival".parse().unwrap()],
            ..WebhookFilters::default()
        };
        assert!(filters.fit_source(&of_keyword("Rival")) && !filters.fit_source(&of_keyword("docker")));
        assert!(filters.fit_source(&of_repo("acme/kit")));
    }

    #[test]
    fn filters_that_ask_for_nothing_let_everything_through() {
        let none = WebhookFilters::default();
        assert!(none.is_empty());
        assert!(none.fit(SignalKind::Stargazer, &repo("acme/sdk"), None));
    }

    #[test]
    fn where_to_begin_is_read_as_it_is_written() {
        for text in ["now", "beginning", "2026-04-24T10:31:00Z"] {
            let start: StartFrom = text.parse().unwrap();
            assert_eq!(start.to_string(), text);
            let json = serde_json::to_string(&start).unwrap();
            assert_eq!(serde_json::from_str::<StartFrom>(&json).unwrap(), start);
        }
        for wrong in ["", "Now", "yesterday", "2026-04-24"] {
            assert_eq!(wrong.parse::<StartFrom>(), Err(InvalidStartFrom), "{wrong}");
        }
    }
}
