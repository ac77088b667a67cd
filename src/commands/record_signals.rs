//! Records what people did: the busiest command, a batch of one account's signals at a time.

use std::collections::HashMap;

use cqrs_es::Aggregate as _;
use domain::lead::{Lead, LeadCommand, LeadRefusal, Quota};
use domain::{
    AccountId, Collector, Decide, Event, EventId, Keyword, LeadId, PersonRef, Signal, SignalKey, SignalKind,
    SignalPerson, StreamId, Timestamp,
};
use event_log::{AppendError, NewEvent, Position, StreamAppend};
use vault::Keyring;

use super::execute::{ROUNDS, append_surely, fold, refused_append};
use super::{CommandError, Writer};

/// A signal in the clear, matched to an account and not yet recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What kind of act it was.
    pub kind: SignalKind,
    /// The keyword that matched, for keyword kinds.
    pub keyword: Option<Keyword>,
    /// When it happened on GitHub.
    pub occurred_at: Timestamp,
    /// Which source brought it.
    pub collector: Collector,
    /// Who it was, and where.
    pub person: SignalPerson,
}

/// How many new people the month still has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// As many as come.
    Unlimited,
    /// So many more of a plan's cap.
    Room {
        /// How many more.
        left: u32,
        /// The plan's cap, in leads a month.
        cap: u32,
    },
}

impl Allowance {
    fn quota(self) -> Quota {
        match self {
            Self::Room { left: 0, cap } => Quota::Exhausted { cap },
            _ => Quota::Within,
        }
    }

    fn add(&mut self, captured: i64) {
        if let Self::Room { left, .. } = self {
            *left = u32::try_from(i64::from(*left) - captured).unwrap_or(0);
        }
    }
}

/// What a batch came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedSignals {
    /// New people, captured as leads.
    pub captured: u64,
    /// New people, withheld since the month's quota is used up.
    pub withheld: u64,
    /// Further signals of known people.
    pub joined: u64,
    /// Signals that were recorded before.
    pub known: u64,
    /// Signals of people who were erased; nothing of them is kept.
    pub erased: u64,
    /// Known signals that another source had brought, each with the one that brings it now.
    pub again: Vec<(SignalKey, Collector)>,
    /// Known stars that were given later than is known, each with that time.
    pub given_again: Vec<(SignalKey, Timestamp)>,
    /// The last position written, if anything was.
    pub position: Position,
}

/// One person's part of the batch.
struct Share {
    person: PersonRef,
    sightings: Vec<(SignalKey, Sighting)>,
}

/// What one person's part comes to in the log.
struct Plan {
    append: Option<StreamAppend>,
    counts: RecordedSignals,
}

/// Records the sightings, each signal once however often it is brought.
pub async fn record_signals(
    writer: &Writer,
    account: AccountId,
    sightings: Vec<Sighting>,
    mut allowance: Allowance,
) -> Result<RecordedSignals, CommandError<LeadRefusal>> {
    let mut shares = by_person(writer, account, sightings);
    let people: Vec<PersonRef> = shares.iter().map(|share| share.person).collect();
    let keys = writer.vault.ensure_keys(account, &people).await?;
    let mut total = RecordedSignals::default();
    for _ in 0..ROUNDS {
        let streams: Vec<_> = shares
            .iter()
            .map(|share| StreamId::lead(account, share.person))
            .collect();
        let histories = writer.log.read_streams(&streams).await?;
        let mut appends = Vec::new();
        let mut waiting = Vec::new();
        for ((share, stream), history) in shares.into_iter().zip(streams).zip(histories) {
            let version = history.last().map_or(0, |event| event.version);
            let plan = plan(writer, &keys, &share, (stream, version), fold(&history), &mut allowance)?;
            match plan.append {
                Some(append) => {
                    appends.push(append);
                    waiting.push((share, plan.counts));
                }
                None => total.add(plan.counts),
            }
        }
        if appends.is_empty() {
            return Ok(total);
        }
        shares = Vec::new();
        for ((share, counts), answer) in waiting.into_iter().zip(append_surely(writer, appends).await) {
            match answer {
                Ok(appended) => total.add(RecordedSignals {
                    position: appended.position(),
                    ..counts
                }),
                Err(AppendError::Conflict { .. }) => {
                    allowance.add(-i64::try_from(counts.captured).unwrap_or(0));
                    shares.push(share);
                }
                Err(error) => return Err(refused_append(error)),
            }
        }
        if shares.is_empty() {
            return Ok(total);
        }
    }
    Err(CommandError::Contended)
}

/// The sightings by person, in the order in which people first appear.
fn by_person(writer: &Writer, account: AccountId, sightings: Vec<Sighting>) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    let mut index: HashMap<u64, usize> = HashMap::new();
    for sighting in sightings {
        let user_id = sighting.person.user_id;
        let url = sighting.person.url.as_deref();
        let key = writer
            .vault
            .signal_key(account, sighting.kind, &sighting.person.repo, user_id, url);
        let at = *index.entry(user_id).or_insert_with(|| {
            shares.push(Share {
                person: writer.vault.person_ref(account, user_id),
                sightings: Vec::new(),
            });
            shares.len() - 1
        });
        if let Some(share) = shares.get_mut(at) {
            share.sightings.push((key, sighting));
        }
    }
    shares
}

/// Decides one person's sightings one after the other, so that the second already knows the first.
fn plan(
    writer: &Writer,
    keys: &Keyring,
    share: &Share,
    (stream, expected): (StreamId, u64),
    mut lead: Lead,
    allowance: &mut Allowance,
) -> Result<Plan, CommandError<LeadRefusal>> {
    let mut counts = RecordedSignals::default();
    if lead.is_erased() || !keys.has(share.person) {
        counts.erased = share.sightings.len() as u64;
        return Ok(Plan { append: None, counts });
    }
    let mut events = Vec::new();
    for (key, sighting) in &share.sightings {
        if let Some(first) = lead.brought_by(key) {
            counts.known += 1;
            if first != sighting.collector {
                counts.again.push((*key, sighting.collector));
            }
            if sighting.kind == SignalKind::Stargazer {
                if lead.occurred_at(key) < Some(sighting.occurred_at) {
                    counts.given_again.push((*key, sighting.occurred_at));
                }
                let again = LeadCommand::GiveStarAgain {
                    signal: *key,
                    occurred_at: sighting.occurred_at,
                    collector: sighting.collector,
                };
                for event in lead.decide(again).map_err(CommandError::Refused)? {
                    lead.apply(event.clone());
                    let id = EventId::new(writer.clock.ulid());
                    events.push(NewEvent { id, event });
                }
            }
            continue;
        }
        let id = EventId::new(writer.clock.ulid());
        let sealed = keys
            .seal(share.person, id, &sighting.person)
            .map_err(|error| CommandError::Sealed(error.into()))?;
        let command = LeadCommand::RecordSignal {
            lead_id: LeadId::new(writer.clock.ulid()),
            login: writer.vault.login_key(stream.account(), &sighting.person.login),
            signal: Signal {
                key: *key,
                kind: sighting.kind,
                repo: writer.vault.repo_key(stream.account(), &sighting.person.repo),
                keyword: sighting.keyword.clone(),
                occurred_at: sighting.occurred_at,
                collector: sighting.collector,
                person: sealed,
            },
            quota: allowance.quota(),
        };
        for event in lead.decide(command).map_err(CommandError::Refused)? {
            match &event {
                Event::LeadCaptured(_) => {
                    counts.captured += 1;
                    allowance.add(1);
                }
                Event::LeadWithheld(_) => counts.withheld += 1,
                _ => counts.joined += 1,
            }
            lead.apply(event.clone());
            events.push(NewEvent { id, event });
        }
    }
    let recorded_at = writer.clock.now();
    let append = (!events.is_empty()).then_some(StreamAppend {
        stream,
        expected,
        recorded_at,
        events,
    });
    Ok(Plan { append, counts })
}

impl RecordedSignals {
    fn add(&mut self, other: Self) {
        self.captured += other.captured;
        self.withheld += other.withheld;
        self.joined += other.joined;
        self.known += other.known;
        self.erased += other.erased;
        self.again.extend(other.again);
        self.given_again.extend(other.given_again);
        self.position = self.position.max(other.position);
    }
}
