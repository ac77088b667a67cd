//! What a subscriber is told: the body of each webhook, rendered from the log alone, so that every attempt and every
//! replay sends the same bytes. These types are the "sent" set; the API has its own.

mod chat;
mod source;

use bytes::Bytes;
use domain::event::LeadUpdated;
use domain::{
    Event, EventId, Keyword, LeadId, LeadStatus, PersonRef, Profile, RepoName, Sealed, Signal, SignalKind,
    SignalPerson, SourceState, Timestamp, WebhookEndpointId, WebhookEventType, WebhookFilters,
};
use event_log::{Position, Recorded};
use serde::Serialize;
use vault::{Keyring, OpenError};

pub use chat::{MOST, shaped};
pub use source::{render_source, source_fits};

/// Why a stored event cannot be told; a fault of the program or of the store, and no reason to try again.
#[derive(Debug, thiserror::Error)]
pub enum Unrenderable {
    /// The lead's stream does not hold the event, or not what must stand before it.
    #[error("the lead's stream does not hold what the body needs")]
    Incomplete,
    /// What the person's key sealed does not open.
    #[error("the person's part does not open")]
    Sealed(#[source] OpenError),
    /// The body has no JSON form.
    #[error("the body cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

#[derive(Serialize)]
struct Body<D> {
    event: WebhookEventType,
    // Standard Webhooks asks for a type; it says what `event` says.
    r#type: WebhookEventType,
    id: EventId,
    timestamp: Timestamp,
    data: D,
}

#[derive(Serialize)]
struct Data<'a> {
    id: LeadId,
    signal_type: SignalKind,
    signal_source: &'a RepoName,
    signal_context: Option<String>,
    github_username: &'a str,
    github_profile_url: String,
    name: Option<&'a str>,
    email: Option<&'a str>,
    bio: Option<&'a str>,
    company: Option<&'a str>,
    location: Option<&'a str>,
    followers: Option<u64>,
    public_repos: Option<u64>,
    account_created_at: Option<String>,
    top_languages: &'a [String],
    captured_at: Timestamp,
    #[serde(flatten)]
    found: Option<Found<'a>>,
    #[serde(flatten)]
    edited: Option<Edited>,
}

/// What only keyword leads have.
#[derive(Serialize)]
struct Found<'a> {
    keyword: Option<&'a Keyword>,
    url: Option<&'a str>,
    snippet: Option<&'a str>,
}

/// What only an edit tells.
#[derive(Serialize)]
struct Edited {
    status: LeadStatus,
    notes: Option<String>,
}

/// All that is told of an erased person.
#[derive(Serialize)]
struct Erased {
    id: LeadId,
    erased_at: Timestamp,
}

/// All that is told by a test.
#[derive(Serialize)]
struct Test {
    endpoint_id: WebhookEndpointId,
}

/// What was known of a lead when an event was told.
struct Known<'a> {
    lead_id: LeadId,
    captured_at: Timestamp,
    /// The one that made the lead.
    first: (EventId, &'a Signal),
    /// The one that the body shows.
    signal: (EventId, &'a Signal),
    /// Those that it gave while it was withheld: filters look at them as well.
    beside: Vec<(EventId, &'a Signal)>,
    profile: Option<(EventId, &'a Sealed)>,
}

/// Which webhook an event is told as when it was recorded, if it is one. Events of withheld leads are none: nobody is to know
/// of those yet.
pub const fn told_as(event: &Event) -> Option<WebhookEventType> {
    match event {
        Event::SignalRecorded(recorded) if recorded.withheld => None,
        other => event_type(other),
    }
}

/// Whether an endpoint that hears of these events hears of this one, or of what it brings with it.
pub fn is_heard(events: &[WebhookEventType], event: &Event) -> bool {
    let is_asked_for = |kind| events.contains(&kind);
    told_as(event).is_some_and(is_asked_for)
        || (matches!(event, Event::LeadReleased(_)) && is_asked_for(WebhookEventType::LeadSignalAdded))
}

/// Which webhook an event is, if it is one or becomes one: a further signal of a withheld lead is told with its release.
pub const fn event_type(event: &Event) -> Option<WebhookEventType> {
    match event {
        Event::LeadCaptured(_) | Event::LeadReleased(_) => Some(WebhookEventType::LeadCreated),
        Event::LeadEnriched(enriched) if !enriched.withheld => Some(WebhookEventType::LeadEnriched),
        Event::SignalRecorded(_) => Some(WebhookEventType::LeadSignalAdded),
        Event::LeadUpdated(updated) if !updated.withheld => Some(WebhookEventType::LeadUpdated),
        Event::LeadErased(erased) if !erased.withheld => Some(WebhookEventType::LeadErased),
        Event::SourceStateChanged(changed) if !matches!(changed.state, SourceState::Active) => {
            Some(WebhookEventType::SourceDegraded)
        }
        _ => None,
    }
}

/// The event with which the one at `position` is told: that one itself, or the release of the lead that was withheld then.
pub fn told_with(history: &[Recorded], position: Position) -> Option<&Recorded> {
    let mut rest = history.iter().skip_while(|recorded| recorded.position < position);
    let event = rest.next().filter(|recorded| recorded.position == position)?;
    match &event.event {
        Event::SignalRecorded(further) if further.withheld => {
            rest.find(|recorded| matches!(recorded.event, Event::LeadReleased(_)))
        }
        _ => Some(event),
    }
}

/// The further signals that a lead gave while it was withheld, if the event at `position` releases it and the person is not
/// erased: they are told after it.
pub fn released(history: &[Recorded], position: Position) -> Vec<Position> {
    let is_release =
        |recorded: &Recorded| recorded.position == position && matches!(recorded.event, Event::LeadReleased(_));
    if !history.iter().any(is_release) || history.iter().any(is_erasure) {
        return Vec::new();
    }
    let is_withheld =
        |recorded: &&Recorded| matches!(&recorded.event, Event::SignalRecorded(further) if further.withheld);
    history
        .iter()
        .filter(is_withheld)
        .map(|recorded| recorded.position)
        .collect()
}

fn is_erasure(recorded: &Recorded) -> bool {
    matches!(recorded.event, Event::LeadErased(_))
}

/// Whether the event alone is all that its body needs, so that its stream need not be read.
pub const fn stands_alone(recorded: &Recorded) -> bool {
    match &recorded.event {
        Event::LeadCaptured(_) => recorded.version == 1,
        Event::LeadErased(_) | Event::SourceStateChanged(_) => true,
        _ => false,
    }
}

/// The body of the event at `position` of a lead's `history`; none if the person was erased and may not be told of. The
/// erasure itself is told, and counts however many keys are still at hand.
pub fn render(
    history: &[Recorded],
    position: Position,
    person: PersonRef,
    keys: &Keyring,
) -> Result<Option<Bytes>, Unrenderable> {
    let found = history.iter().find(|recorded| recorded.position == position);
    let event = found.ok_or(Unrenderable::Incomplete)?;
    if let Event::LeadErased(erased) = &event.event {
        let (id, erased_at) = (erased.lead_id, event.recorded_at);
        return body(event, erased_at, Erased { id, erased_at }).map(Some);
    }
    if history.iter().any(is_erasure) {
        return Ok(None);
    }
    let told_at = told_with(history, position).map(|recorded| recorded.recorded_at);
    let known = known_at(history, position).ok_or(Unrenderable::Incomplete)?;
    let (signal_event, signal) = known.signal;
    let opened = keys.open::<SignalPerson>(person, signal_event, &signal.person);
    let Some(signal_person) = unless_erased(opened)? else {
        return Ok(None);
    };
    let profile = match known.profile {
        None => Profile::default(),
        Some((sealed_for, profile)) => match unless_erased(keys.open(person, sealed_for, profile))? {
            Some(profile) => profile,
            None => return Ok(None),
        },
    };
    let first = match known.first {
        (first, _) if first == signal_event => None,
        (first, signal) => unless_erased(keys.open::<SignalPerson>(person, first, &signal.person))?,
    };
    let login = login(&profile, first.as_ref().unwrap_or(&signal_person));
    let edited = match &event.event {
        Event::LeadUpdated(updated) => Some(edited(event.id, updated, person, keys)?),
        _ => None,
    };
    let data = Data {
        edited,
        ..data(&known, signal, &signal_person, (login, &profile))
    };
    body(event, told_at.unwrap_or(event.recorded_at), data).map(Some)
}

/// The body of a test of the endpoint, which no event of the log stands behind: of an event of an invented person's lead, or of
/// nothing but the test.
pub fn test(
    event: WebhookEventType,
    endpoint_id: WebhookEndpointId,
    id: EventId,
    at: Timestamp,
) -> Result<Bytes, Unrenderable> {
    let lead_id = LeadId::new(id.ulid());
    match event {
        WebhookEventType::WebhookTest => written(event, id, at, Test { endpoint_id }),
        WebhookEventType::SourceDegraded => source::sample(id, at),
        WebhookEventType::LeadErased => {
            let erased = Erased {
                id: lead_id,
                erased_at: at,
            };
            written(event, id, at, erased)
        }
        WebhookEventType::LeadCreated
        | WebhookEventType::LeadEnriched
        | WebhookEventType::LeadUpdated
        | WebhookEventType::LeadSignalAdded => sample(event, lead_id, id, at),
    }
}

/// A lead of an invented person, who starred a repository.
fn sample(event: WebhookEventType, lead_id: LeadId, id: EventId, at: Timestamp) -> Result<Bytes, Unrenderable> {
    let repo = "acme-corp/rival-sdk".parse().map_err(|_| Unrenderable::Incomplete)?;
    let login = "ada-example";
    let data = Data {
        id: lead_id,
        signal_type: SignalKind::Stargazer,
        signal_source: &repo,
        signal_context: Some(format!("Starred on {}", at.date())),
        github_username: login,
        github_profile_url: format!("https://github.com/{login}"),
        name: Some("Ada Example"),
        email: Some("ada@example.com"),
        bio: Some("Staff engineer"),
        company: Some("Example"),
        location: Some("London"),
        followers: Some(1_842),
        public_repos: Some(64),
        account_created_at: Some("2015-06-01".to_owned()),
        top_languages: &["Rust".to_owned(), "Go".to_owned()],
        captured_at: at,
        found: None,
        edited: (event == WebhookEventType::LeadUpdated).then_some(Edited {
            status: LeadStatus::Contacted,
            notes: Some("a test".to_owned()),
        }),
    };
    written(event, id, at, data)
}

/// Whether an endpoint with these filters hears of the event at `position`: if the signal fits that captured the lead, or one
/// that the lead gave before it was released; of a further signal, if that one fits. Of an erased person nothing is known that a filter
/// could look at: their erasure passes all, and whatever else there was is for [`render`] to leave out.
pub fn fits(
    filters: &WebhookFilters,
    history: &[Recorded],
    position: Position,
    person: PersonRef,
    keys: &Keyring,
) -> Result<bool, Unrenderable> {
    if filters.is_empty() || history.iter().any(is_erasure) {
        return Ok(true);
    }
    let known = known_at(history, position).ok_or(Unrenderable::Incomplete)?;
    for (signal_event, signal) in std::iter::once(known.signal).chain(known.beside) {
        let opened = unless_erased(keys.open::<SignalPerson>(person, signal_event, &signal.person))?;
        if opened.is_none_or(|told| filters.fit(signal.kind, &told.repo, signal.keyword.as_ref())) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn body(event: &Recorded, told_at: Timestamp, data: impl Serialize) -> Result<Bytes, Unrenderable> {
    let event_type = event_type(&event.event).ok_or(Unrenderable::Incomplete)?;
    written(event_type, event.id, told_at, data)
}

fn written(event: WebhookEventType, id: EventId, at: Timestamp, data: impl Serialize) -> Result<Bytes, Unrenderable> {
    let body = Body {
        event,
        r#type: event,
        id,
        timestamp: at,
        data,
    };
    serde_json::to_vec(&body).map(Into::into).map_err(Unrenderable::Json)
}

fn edited(event: EventId, updated: &LeadUpdated, person: PersonRef, keys: &Keyring) -> Result<Edited, Unrenderable> {
    let notes = updated.notes.as_ref().map(|notes| keys.open(person, event, notes));
    Ok(Edited {
        status: updated.status,
        notes: notes.transpose().map_err(Unrenderable::Sealed)?,
    })
}

/// What was known of the lead when the event at `position` was told.
fn known_at(history: &[Recorded], position: Position) -> Option<Known<'_>> {
    let told = told_with(history, position)?.position;
    let (mut lead_id, mut captured_at, mut signal, mut profile) = (None, None, None, None);
    let (mut own, mut beside) = (None, Vec::new());
    for recorded in history.iter().take_while(|recorded| recorded.position <= told) {
        match &recorded.event {
            Event::LeadCaptured(captured) => {
                lead_id = Some(captured.lead_id);
                captured_at = Some(recorded.recorded_at);
                signal = Some((recorded.id, &captured.signal));
            }
            Event::LeadWithheld(withheld) => {
                lead_id = Some(withheld.lead_id);
                signal = Some((recorded.id, &withheld.signal));
            }
            // A released lead enters the lists at the moment of its release.
            Event::LeadReleased(_) => captured_at = Some(recorded.recorded_at),
            // A further signal is what its own webhook is about, and no other's.
            Event::SignalRecorded(further) if recorded.position == position => {
                own = Some((recorded.id, &further.signal));
            }
            Event::SignalRecorded(further) if further.withheld => beside.push((recorded.id, &further.signal)),
            Event::LeadEnriched(enriched) => profile = Some((recorded.id, &enriched.profile)),
            _ => {}
        }
    }
    Some(Known {
        lead_id: lead_id?,
        captured_at: captured_at?,
        first: signal?,
        signal: own.or(signal)?,
        beside: if own.is_some() { Vec::new() } else { beside },
        profile,
    })
}

fn unless_erased<T>(opened: Result<T, OpenError>) -> Result<Option<T>, Unrenderable> {
    match opened {
        Ok(value) => Ok(Some(value)),
        Err(OpenError::Erased) => Ok(None),
        Err(other) => Err(Unrenderable::Sealed(other)),
    }
}

/// What a lead is called, here and in lists: as in its profile, or before there is one, as in its first signal. An archive may
/// tell of further ones under a login that was left long ago.
fn login<'a>(profile: &'a Profile, first: &'a SignalPerson) -> &'a str {
    if profile.login.is_empty() {
        &first.login
    } else {
        &profile.login
    }
}

fn data<'a>(
    known: &Known<'_>,
    signal: &'a Signal,
    person: &'a SignalPerson,
    (login, profile): (&'a str, &'a Profile),
) -> Data<'a> {
    let starred = signal.kind == SignalKind::Stargazer;
    Data {
        id: known.lead_id,
        signal_type: signal.kind,
        signal_source: &person.repo,
        signal_context: if starred {
            Some(format!("Starred on {}", signal.occurred_at.date()))
        } else {
            person.snippet.clone()
        },
        github_username: login,
        github_profile_url: format!("https://github.com/{login}"),
        name: profile.name.as_deref(),
        email: profile.email.as_deref(),
        bio: profile.bio.as_deref(),
        company: profile.company.as_deref(),
        location: profile.location.as_deref(),
        followers: profile.followers,
        public_repos: profile.public_repos,
        account_created_at: profile.account_created_at.map(Timestamp::date),
        top_languages: &profile.top_languages,
        captured_at: known.captured_at,
        found: (!starred).then_some(Found {
            keyword: signal.keyword.as_ref(),
            url: person.url.as_deref(),
            snippet: person.snippet.as_deref(),
        }),
        edited: None,
    }
}

#[cfg(test)]
mod tests;
