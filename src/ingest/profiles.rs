//! Looks up the public profiles of captured people, and again after a week: many at once by GraphQL, and one by one over REST
//! where GraphQL refuses, does not find them, or there is no token. What is new becomes an event. Used by the scheduler.
//!
//! What GitHub told over REST has an `ETag`: looked at again, it costs nothing for as long as nothing changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::{ColumnError, Row, Statement};
use domain::{AccountId, EventId, PersonRef, Sealed, SignalPerson, Timestamp};
use ulid::Ulid;
use vault::VaultError;

use super::accept::Ingest;
use super::enrich::{account_value, person_value};
use super::outage::Outage;
use super::shards::Part;
use super::width::Width;
use crate::commands::{CommandError, Observed, enrich_lead};
use crate::github::profiles::{self, Wanted};
use crate::github::users::{Looked, look_up};
use crate::github::{self, Client};

/// All of them are looked up by one node, whoever noted them.
const SUBJECT: &str = "profiles";
/// A profile is looked at again after so long.
const REFRESH: Duration = Duration::from_hours(7 * 24);
const FIRST_BACKOFF: Duration = Duration::from_mins(1);
const LONGEST_BACKOFF: Duration = Duration::from_hours(24);
/// Where GraphQL refuses, all go over REST for so long.
const REFUSED: Duration = Duration::from_hours(1);
/// People in a query at most; GitHub has answered more, at times.
const MOST: usize = 100;
/// How often is looked whom others noted.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// In which way people are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By GraphQL.
    ManyAtOnce,
    /// Over REST.
    OneByOne,
}

/// A person to look up.
struct Due {
    account: AccountId,
    person: PersonRef,
    /// The event that the sealed part belongs to.
    event: EventId,
    sealed: Sealed,
    etag: Option<String>,
    failures: u32,
    way: Way,
}

/// The look-ups.
pub struct Profiles {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    part: Part,
    width: Width,
    /// GraphQL is asked again then: GitHub asked to wait, or refuses.
    limited_until: Option<Timestamp>,
    refused_until: Option<Timestamp>,
    graphql_outage: Outage,
    rest_outage: Outage,
    /// When the first of each way is due, as far as was looked.
    many_at: Option<Timestamp>,
    one_at: Option<Timestamp>,
    /// Why people could not be looked up, and how many, until it is told.
    troubles: BTreeMap<String, usize>,
    looked_at: Option<Timestamp>,
}

impl Profiles {
    /// Nothing is remembered at the start but who was noted.
    pub const fn new(ingest: Arc<Ingest>, client: Arc<Client>, part: Part) -> Self {
        Self {
            ingest,
            client,
            part,
            width: Width::up_to(MOST),
            limited_until: None,
            refused_until: None,
            graphql_outage: Outage::none("look-up of profiles by GraphQL"),
            rest_outage: Outage::none("look-up of profiles"),
            many_at: None,
            one_at: None,
            troubles: BTreeMap::new(),
            looked_at: None,
        }
    }

    /// Looks when the first of those noted are due, once a second at most, if they are this node's to look up.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn look(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let is_known = self.looked_at.is_some_and(|at| now.since(at) < LOOK_EVERY);
        if is_known || !self.part.has(SUBJECT) {
            return Ok(());
        }
        self.look_now().await?;
        self.looked_at = Some(now);
        Ok(())
    }

    /// The same, however short the last look is ago.
    pub(super) async fn look_now(&mut self) -> anyhow::Result<()> {
        self.many_at = self.first(Way::ManyAtOnce).await?;
        self.one_at = self.first(Way::OneByOne).await?;
        Ok(())
    }

    async fn first(&self, way: Way) -> anyhow::Result<Option<Timestamp>> {
        let (own, accounts) = self.part.accounts_in_sql("account", 2);
        let text = format!(
            "SELECT due_at FROM enrichment WHERE by_rest = $1 AND due_at IS NOT NULL{own} ORDER BY due_at LIMIT 1"
        );
        let params = [vec![way.by_rest().into()], accounts].concat();
        let query = Statement::sql(text, params);
        let rows = self.ingest.store.read(query).await.context("reading whom to look up")?;
        let at = rows.first().map(|row| row.int(0)).transpose()?;
        Ok(at.map(Timestamp::from_micros))
    }

    /// When the next people are due by GraphQL.
    pub fn many_due_at(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.many_at.filter(|_| self.has_graphql(now))?;
        Some(
            at.max(self.limited_until.unwrap_or(at))
                .max(self.graphql_outage.pausing(now).unwrap_or(at)),
        )
    }

    /// When the next person is due over REST.
    pub fn one_due_at(&self, now: Timestamp) -> Option<Timestamp> {
        let others = self.many_at.filter(|_| !self.has_graphql(now));
        let at = self.one_at.into_iter().chain(others).min()?;
        Some(at.max(self.rest_outage.pausing(now).unwrap_or(at)))
    }

    /// Whether GraphQL can be asked at all.
    fn has_graphql(&self, now: Timestamp) -> bool {
        self.client.has_token() && self.refused_until.is_none_or(|until| until <= now)
    }

    /// Looks up those who have been due for longest, as many as one query takes.
    ///
    /// # Errors
    /// If storage fails; who was not put down stays due.
    pub async fn many(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let due = self.due(&[Way::ManyAtOnce], self.width.get(), now).await?;
        let opened = self.open(due, now).await?;
        if !opened.is_empty() {
            self.ask(&opened, now).await?;
        }
        self.tell_troubles();
        self.look_now().await
    }

    async fn ask(&mut self, opened: &[(Due, SignalPerson)], now: Timestamp) -> anyhow::Result<()> {
        let wanted = |(_, person): &(Due, SignalPerson)| Wanted {
            user_id: person.user_id,
            login: person.login.clone(),
        };
        let people: Vec<Wanted> = opened.iter().map(wanted).collect();
        let (query, variables) = profiles::query(&people);
        let told = match self.client.graphql(&query, &variables).await {
            github::Told::Data {
                data, absent, is_cut, ..
            } => {
                if is_cut {
                    self.width.too_much();
                } else {
                    self.width.answered(people.len());
                }
                profiles::read(data, &absent, &people, (&self.client.address("/graphql"), now))
            }
            github::Told::Limited(until) => {
                self.limited_until = Some(until);
                return Ok(());
            }
            github::Told::TooMuch => {
                if !self.width.too_much() {
                    self.graphql_outage
                        .failed("too much for GraphQL, even one at a time", now);
                }
                return Ok(());
            }
            github::Told::Denied(status) => {
                tracing::warn!(
                    status = status.as_u16(),
                    "GitHub does not let the token ask GraphQL for profiles; they are looked up one by one"
                );
                self.refused_until = Some(now.plus(REFUSED));
                return Ok(());
            }
            github::Told::Failed(reason) => {
                self.graphql_outage.failed(&reason, now);
                return Ok(());
            }
        };
        // One of whom nothing is told may be a strange one; all of them are not.
        if told.len() > 1 && told.iter().all(|told| *told == profiles::Told::Untold) {
            self.graphql_outage.failed("GraphQL tells nothing of anybody", now);
            for (due, _) in opened {
                self.later(due, now).await?;
            }
            return Ok(());
        }
        self.graphql_outage.over();
        let is_cut = told.contains(&profiles::Told::Untold) && told.iter().any(|told| *told != profiles::Told::Untold);
        for ((due, _), told) in opened.iter().zip(told) {
            match told {
                profiles::Told::Found {
                    profile,
                    languages_known,
                } => {
                    let observed = Observed {
                        profile: *profile,
                        languages_known,
                    };
                    self.found(due, observed, None, now).await?;
                }
                // By the id they are found under whatever name.
                profiles::Told::Elsewhere => self.put(due, Way::OneByOne, None, due.failures, now).await?,
                // It was too much along with the rest.
                profiles::Told::Untold if is_cut => {}
                profiles::Told::Untold => self.put_off(due, "GraphQL tells nothing of the person", now).await?,
            }
        }
        Ok(())
    }

    /// Looks up the person who has been due for longest over REST.
    ///
    /// # Errors
    /// If storage fails; the person stays due.
    pub async fn one(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let ways: &[Way] = if self.has_graphql(now) {
            &[Way::OneByOne]
        } else {
            &[Way::OneByOne, Way::ManyAtOnce]
        };
        let due = self.due(ways, 1, now).await?;
        for (due, person) in self.open(due, now).await? {
            let looked = look_up(&self.client, person.user_id, due.etag.as_deref(), now).await;
            match &looked {
                Looked::Failed(reason) => self.rest_outage.failed(reason, now),
                // That may have been said without asking.
                Looked::Later(_) => {}
                _ => self.rest_outage.over(),
            }
            self.settle(&due, looked, now).await?;
        }
        self.tell_troubles();
        self.look_now().await
    }

    /// Puts down what the look-up came to and when the next one is due.
    async fn settle(&mut self, due: &Due, looked: Looked, now: Timestamp) -> anyhow::Result<()> {
        let again = now.plus(REFRESH);
        match looked {
            Looked::Found {
                profile,
                languages_known,
                etag,
            } => {
                let observed = Observed {
                    profile: *profile,
                    languages_known,
                };
                self.found(due, observed, etag, now).await
            }
            Looked::Same => self.put(due, Way::OneByOne, due.etag.clone(), 0, again).await,
            // Who is hidden may come back, and GitHub's own view of it may be wrong for a while.
            Looked::Gone => self.put(due, Way::OneByOne, None, 0, again).await,
            // The ledger knows until when.
            Looked::Later(_) => Ok(()),
            Looked::Denied(status) => self.put_off(due, &format!("GitHub denied it with {status}"), now).await,
            // The outage was told of already.
            Looked::Failed(_) => self.later(due, now).await,
        }
    }

    /// Records what was found. What stands in the way for this person alone is no error: the others shall not wait for it.
    async fn found(
        &mut self,
        due: &Due,
        observed: Observed,
        etag: Option<String>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        match enrich_lead(&self.ingest.writer, due.account, due.person, observed).await {
            Ok(_) => {
                let way = if etag.is_some() { Way::OneByOne } else { due.way };
                self.put(due, way, etag, 0, now.plus(REFRESH)).await
            }
            Err(CommandError::Refused(_) | CommandError::Sealed(_) | CommandError::Contended) => {
                self.put_off(due, "the profile cannot be recorded", now).await
            }
            Err(error) => Err(error).context("recording a profile"),
        }
    }

    /// Tries the person again later. The reason is told once for all whom it stands in the way of; it names no person.
    async fn put_off(&mut self, due: &Due, reason: &str, now: Timestamp) -> anyhow::Result<()> {
        *self.troubles.entry(reason.to_owned()).or_default() += 1;
        self.later(due, now).await
    }

    fn tell_troubles(&mut self) {
        for (reason, people) in std::mem::take(&mut self.troubles) {
            tracing::warn!(reason, people, "profiles could not be looked up");
        }
    }

    /// A minute's wait that doubles with each failure, a day at most.
    async fn later(&self, due: &Due, now: Timestamp) -> anyhow::Result<()> {
        let backoff = FIRST_BACKOFF
            .saturating_mul(1 << due.failures.min(11))
            .min(LONGEST_BACKOFF);
        let failures = due.failures.saturating_add(1);
        self.put(due, due.way, due.etag.clone(), failures, now.plus(backoff))
            .await
    }

    async fn put(&self, due: &Due, way: Way, etag: Option<String>, failures: u32, at: Timestamp) -> anyhow::Result<()> {
        let update = Statement::sql(
            "UPDATE enrichment SET due_at = $1, etag = $2, failures = $3, by_rest = $4 \
             WHERE account = $5 AND person = $6",
            vec![
                at.micros().into(),
                etag.into(),
                failures.into(),
                way.by_rest().into(),
                account_value(due.account),
                person_value(due.person),
            ],
        );
        self.write(update).await.context("taking note of a look-up")
    }

    async fn forget(&self, due: &Due) -> anyhow::Result<()> {
        let delete = Statement::sql(
            "DELETE FROM enrichment WHERE account = $1 AND person = $2",
            vec![account_value(due.account), person_value(due.person)],
        );
        self.write(delete).await.context("taking a person off the list")
    }

    async fn write(&self, statement: Statement) -> anyhow::Result<()> {
        Ok(self.part.write(&*self.ingest.store, [SUBJECT], vec![statement]).await?)
    }

    /// Who those are; whoever was erased is taken off the list before anybody is asked for.
    async fn open(&mut self, due: Vec<Due>, now: Timestamp) -> anyhow::Result<Vec<(Due, SignalPerson)>> {
        let mut opened = Vec::with_capacity(due.len());
        for due in due {
            let keys = match self.ingest.writer.vault.keys(due.account, &[due.person]).await {
                Err(VaultError::WrongRootKey) => {
                    self.put_off(&due, "the person's key does not open", now).await?;
                    continue;
                }
                keys => keys.context("opening the vault")?,
            };
            if !keys.has(due.person) {
                self.forget(&due).await?;
                continue;
            }
            match keys.open::<SignalPerson>(due.person, due.event, &due.sealed) {
                Ok(person) => opened.push((due, person)),
                Err(_) => {
                    self.put_off(&due, "what the signal says of the person does not open", now)
                        .await?;
                }
            }
        }
        Ok(opened)
    }

    async fn due(&self, ways: &[Way], most: usize, now: Timestamp) -> anyhow::Result<Vec<Due>> {
        let mut due = Vec::new();
        for way in ways {
            let (own, accounts) = self.part.accounts_in_sql("account", 4);
            let text = format!(
                "SELECT account, person, event_id, sealed, etag, failures, by_rest, due_at FROM enrichment \
                 WHERE by_rest = $1 AND due_at <= $2{own} ORDER BY due_at LIMIT $3"
            );
            let limit = u64::try_from(most)?;
            let params = vec![way.by_rest().into(), now.micros().into(), limit.into()];
            let query = Statement::sql(text, [params, accounts].concat());
            let rows = self.ingest.store.read(query).await.context("reading whom to look up")?;
            for row in &rows {
                due.push((row.int(7)?, Due::load(row)?));
            }
        }
        due.sort_by_key(|(at, _)| *at);
        due.truncate(most);
        Ok(due.into_iter().map(|(_, due)| due).collect())
    }
}

impl Way {
    /// The number that the table has for it.
    const fn by_rest(self) -> u32 {
        match self {
            Self::ManyAtOnce => 0,
            Self::OneByOne => 1,
        }
    }
}

impl Due {
    fn load(row: &Row) -> Result<Self, ColumnError> {
        let bytes = |index| -> Result<[u8; 16], ColumnError> {
            row.blob(index)?.try_into().map_err(|_| ColumnError {
                index,
                expected: "BLOB of 16 bytes",
            })
        };
        Ok(Self {
            account: AccountId::new(Ulid::from_bytes(bytes(0)?)),
            person: PersonRef::new(bytes(1)?),
            event: EventId::new(Ulid::from_bytes(bytes(2)?)),
            sealed: Sealed::new(row.blob(3)?.to_vec()),
            etag: row.find_text(4)?.map(str::to_owned),
            failures: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
            way: if row.int(6)? == 0 {
                Way::ManyAtOnce
            } else {
                Way::OneByOne
            },
        })
    }
}
