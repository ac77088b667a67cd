//! The shape of a recorded event in the API: its data with what is personal opened, and without what is of no use outside.

use std::collections::HashSet;

use domain::event::{LeadCaptured, LeadEnriched, LeadUpdated, LeadWithheld, SignalRecorded};
use domain::{Event, EventId, PersonRef, Profile, Sealed, SignalPerson, StreamId, Timestamp};
use event_log::Recorded;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;
use vault::{Keyring, OpenError};

use super::Room;
use super::error::ApiError;
use super::openapi::words;

/// An event of the account's log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct Entry {
    /// Its place in the log: grows, and has gaps.
    pub(super) position: u64,
    #[schema(value_type = words::EventId)]
    id: EventId,
    #[schema(value_type = words::EventType)]
    pub(super) r#type: &'static str,
    /// The version of the shape of `data`.
    schema: u32,
    /// What it is about.
    #[schema(value_type = words::StreamName)]
    stream: StreamId,
    /// Its place in the stream: 1, 2, 3 and so on.
    version: u64,
    #[schema(value_type = words::Time)]
    recorded_at: Timestamp,
    /// The facts. What is of a person is null once the person is erased, and while the lead is withheld.
    #[schema(value_type = Object)]
    data: Value,
}

/// What an event carries of a person, sealed.
enum Personal<'a> {
    /// A sealed [`SignalPerson`].
    Signal(&'a Sealed),
    /// A sealed [`Profile`].
    Profile(&'a Sealed),
    /// A sealed text of the customer's.
    Notes(&'a Sealed),
}

/// The events of one account as it may read them. What is of a person is null once the person is erased, and for as long
/// as the lead is withheld.
pub(super) async fn entries(room: &Room, events: Vec<Recorded>) -> Result<Vec<Entry>, ApiError> {
    let Some(account) = events.first().map(Recorded::account) else {
        return Ok(Vec::new());
    };
    let hidden = withheld(room, &events).await?;
    let people = events.iter().filter_map(|recorded| recorded.stream.person());
    let shown: Vec<PersonRef> = people.filter(|person| !hidden.contains(person)).collect();
    let keys = room.api.writer.vault.keys(account, &shown).await?;
    events.into_iter().map(|recorded| entry(recorded, &keys)).collect()
}

/// The people of these events who are withheld to this day.
async fn withheld(room: &Room, events: &[Recorded]) -> Result<HashSet<PersonRef>, ApiError> {
    let were: HashSet<&StreamId> = events
        .iter()
        .filter(|recorded| was_withheld(&recorded.event))
        .map(|recorded| &recorded.stream)
        .collect();
    let streams: Vec<StreamId> = were.into_iter().cloned().collect();
    if streams.is_empty() {
        return Ok(HashSet::new());
    }
    let histories = room.api.writer.log.read_streams(&streams).await?;
    let is_released = |history: &[Recorded]| {
        let mut events = history.iter().map(|recorded| &recorded.event);
        events.any(|event| matches!(event, Event::LeadReleased(_)))
    };
    let still = streams
        .iter()
        .zip(&histories)
        .filter(|(_, history)| !is_released(history));
    Ok(still.filter_map(|(stream, _)| stream.person()).collect())
}

const fn was_withheld(event: &Event) -> bool {
    match event {
        Event::LeadWithheld(_) => true,
        Event::SignalRecorded(recorded) => recorded.withheld,
        Event::LeadEnriched(enriched) => enriched.withheld,
        Event::LeadUpdated(updated) => updated.withheld,
        _ => false,
    }
}

fn entry(recorded: Recorded, keys: &Keyring) -> Result<Entry, ApiError> {
    Ok(Entry {
        position: recorded.position.get(),
        id: recorded.id,
        r#type: recorded.event.name(),
        schema: recorded.event.version(),
        version: recorded.version,
        recorded_at: recorded.recorded_at,
        data: data(&recorded, keys)?,
        stream: recorded.stream,
    })
}

fn data(recorded: &Recorded, keys: &Keyring) -> Result<Value, ApiError> {
    let encoded = recorded.event.encode().map_err(ApiError::internal)?;
    let mut data: Value = serde_json::from_str(&encoded).map_err(ApiError::internal)?;
    for (place, field) in left_out(&recorded.event) {
        if let Some(fields) = data.pointer_mut(place).and_then(Value::as_object_mut) {
            fields.remove(*field);
        }
    }
    if let Some((place, personal)) = personal(&recorded.event)
        && let Some(value) = data.pointer_mut(place)
    {
        *value = match personal {
            Personal::Signal(sealed) => open::<SignalPerson>(recorded, keys, sealed),
            Personal::Profile(sealed) => open::<Profile>(recorded, keys, sealed),
            Personal::Notes(sealed) => open::<String>(recorded, keys, sealed),
        };
    }
    Ok(data)
}

/// Secrets, and keyed hashes that mean something in the house alone: each field with the place of the object it stands in.
const fn left_out(event: &Event) -> &'static [(&'static str, &'static str)] {
    match event {
        Event::ApiKeyIssued(_) => &[("", "hash")],
        Event::WebhookEndpointAdded(_) | Event::WebhookSecretRotated(_) => &[("", "secret")],
        Event::LeadCaptured(_) | Event::LeadWithheld(_) | Event::SignalRecorded(_) => {
            &[("", "login"), ("/signal", "key"), ("/signal", "repo")]
        }
        Event::LeadEnriched(_) => &[("", "login")],
        // None is passed over: a new event says here what of it is nobody's to read.
        Event::AccountOpened(_)
        | Event::PlanChanged(_)
        | Event::ApiKeyRevoked(_)
        | Event::RepoTracked(_)
        | Event::RepoReclassified(_)
        | Event::RepoUntracked(_)
        | Event::RepoRenamed(_)
        | Event::SourceStateChanged(_)
        | Event::StarsCounted(_)
        | Event::StarsUnattributed(_)
        | Event::KeywordTracked(_)
        | Event::KeywordRetargeted(_)
        | Event::KeywordUntracked(_)
        | Event::LeadReleased(_)
        | Event::LeadUpdated(_)
        | Event::LeadErased(_)
        | Event::WebhookEndpointChanged(_)
        | Event::WebhookEndpointPaused(_)
        | Event::WebhookEndpointResumed(_)
        | Event::WebhookReplayRequested(_)
        | Event::WebhookEndpointDisabled(_)
        | Event::WebhookEndpointRemoved(_) => &[],
    }
}

/// Where the event's data holds what is of a person.
const fn personal(event: &Event) -> Option<(&'static str, Personal<'_>)> {
    match event {
        Event::LeadCaptured(LeadCaptured { signal, .. })
        | Event::LeadWithheld(LeadWithheld { signal, .. })
        | Event::SignalRecorded(SignalRecorded { signal, .. }) => {
            Some(("/signal/person", Personal::Signal(&signal.person)))
        }
        Event::LeadEnriched(LeadEnriched { profile, .. }) => Some(("/profile", Personal::Profile(profile))),
        Event::LeadUpdated(LeadUpdated { notes: Some(notes), .. }) => Some(("/notes", Personal::Notes(notes))),
        Event::AccountOpened(_)
        | Event::PlanChanged(_)
        | Event::ApiKeyIssued(_)
        | Event::ApiKeyRevoked(_)
        | Event::RepoTracked(_)
        | Event::RepoReclassified(_)
        | Event::RepoUntracked(_)
        | Event::RepoRenamed(_)
        | Event::SourceStateChanged(_)
        | Event::StarsCounted(_)
        | Event::StarsUnattributed(_)
        | Event::KeywordTracked(_)
        | Event::KeywordRetargeted(_)
        | Event::KeywordUntracked(_)
        | Event::LeadReleased(_)
        | Event::LeadUpdated(_)
        | Event::LeadErased(_)
        | Event::WebhookEndpointAdded(_)
        | Event::WebhookEndpointChanged(_)
        | Event::WebhookEndpointPaused(_)
        | Event::WebhookEndpointResumed(_)
        | Event::WebhookSecretRotated(_)
        | Event::WebhookReplayRequested(_)
        | Event::WebhookEndpointDisabled(_)
        | Event::WebhookEndpointRemoved(_) => None,
    }
}

fn open<T: DeserializeOwned + Serialize>(recorded: &Recorded, keys: &Keyring, sealed: &Sealed) -> Value {
    let Some(person) = recorded.stream.person() else {
        return Value::Null;
    };
    match keys.open::<T>(person, recorded.id, sealed) {
        Ok(opened) => serde_json::to_value(opened).unwrap_or_default(),
        Err(OpenError::Erased) => Value::Null,
        // One damaged blob must not take the whole page with it; the log says which.
        Err(error) => {
            tracing::error!(event = %recorded.id, %error, "a sealed value of an event does not open");
            Value::Null
        }
    }
}
