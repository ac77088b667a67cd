//! Puts down what the public profile says of a lead, only when a field's value changed.

use domain::lead::{Lead, LeadCommand, LeadRefusal};
use domain::{AccountId, Event, EventId, PersonRef, Profile, ProfileField, SignalPerson, StreamId};
use event_log::{Position, Recorded};
use vault::{Keyring, OpenError};

use super::execute::execute_with;
use super::{CommandError, Writer};

/// What a look-up observed.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The profile.
    pub profile: Profile,
    /// Whether its languages were found out; if not, those known before stay.
    pub languages_known: bool,
}

impl From<Profile> for Observed {
    /// A profile of which everything was found out.
    fn from(profile: Profile) -> Self {
        Self {
            profile,
            languages_known: true,
        }
    }
}

/// Records `observed` if a value differs from what is known. The position of the event, if there was one; none too for
/// a person who was erased.
pub async fn enrich_lead(
    writer: &Writer,
    account: AccountId,
    person: PersonRef,
    observed: impl Into<Observed>,
) -> Result<Option<Position>, CommandError<LeadRefusal>> {
    let keys = writer.vault.keys(account, &[person]).await?;
    if !keys.has(person) {
        return Ok(None);
    }
    let (stream, event_id) = (StreamId::lead(account, person), EventId::new(writer.clock.ulid()));
    let observed: Observed = observed.into();
    let login = writer.vault.login_key(account, &observed.profile.login);
    let executed = execute_with::<Lead>(writer, stream, event_id, |history| {
        let sealed = |error: OpenError| CommandError::Sealed(error.into());
        let known = known_profile(&keys, person, history).map_err(sealed)?;
        let mut observed = observed.clone();
        if !observed.languages_known {
            keep_languages(&known, &mut observed.profile);
        }
        let changed = known.changed_fields(&observed.profile);
        let profile = keys
            .seal(person, event_id, &keep_first_seen(&known, observed.profile))
            .map_err(|error| CommandError::Sealed(error.into()))?;
        Ok(LeadCommand::Enrich {
            login,
            profile,
            changed,
        })
    })
    .await?;
    Ok((executed.new > 0).then(|| executed.position()))
}

/// The profile of the last enrichment; before the first one, the login that came with the signal.
fn known_profile(keys: &Keyring, person: PersonRef, history: &[Recorded]) -> Result<Profile, OpenError> {
    for recorded in history.iter().rev() {
        match &recorded.event {
            Event::LeadEnriched(enriched) => return keys.open(person, recorded.id, &enriched.profile),
            Event::LeadCaptured(domain::event::LeadCaptured { signal, .. })
            | Event::LeadWithheld(domain::event::LeadWithheld { signal, .. }) => {
                let signal: SignalPerson = keys.open(person, recorded.id, &signal.person)?;
                return Ok(Profile {
                    login: signal.login,
                    ..Profile::default()
                });
            }
            _ => {}
        }
    }
    Ok(Profile::default())
}

fn keep_languages(known: &Profile, observed: &mut Profile) {
    let field = ProfileField::TopLanguages;
    observed.top_languages.clone_from(&known.top_languages);
    if let Some(provenance) = known.provenance.get(&field) {
        observed.provenance.insert(field, provenance.clone());
    }
}

/// A value that did not change keeps the time at which it was first seen.
fn keep_first_seen(known: &Profile, mut observed: Profile) -> Profile {
    let changed = known.changed_fields(&observed);
    for (field, provenance) in &mut observed.provenance {
        if let Some(first) = known.provenance.get(field).filter(|_| !changed.contains(field)) {
            *provenance = first.clone();
        }
    }
    observed
}
