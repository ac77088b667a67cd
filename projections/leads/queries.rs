//! How leads are read: pages of any combination of filters, one lead whole, and who is withheld.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{AccountId, Collector, EventId, LeadId, LeadStatus, PersonRef, RepoKey, Sealed, SignalKind, Timestamp};
use event_log::Position;

use super::facet;
use crate::columns;

/// Which leads are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadQuery {
    /// Whose leads.
    pub account: AccountId,
    /// Those with a signal of this kind.
    pub signal_type: Option<SignalKind>,
    /// Those with a signal in this repository.
    pub repo: Option<RepoKey>,
    /// Those captured strictly after this time.
    pub since: Option<Timestamp>,
    /// Those that stand after this row, `(captured_at, position)`: where the former page ended.
    pub before: Option<(Timestamp, Position)>,
    /// At most so many.
    pub limit: u32,
}

/// A signal of a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRow {
    /// Its place in the timeline: grows, and has gaps.
    pub number: u32,
    /// What kind of act it was.
    pub kind: SignalKind,
    /// The customer's keyword that matched, for keyword kinds.
    pub keyword: Option<String>,
    /// When it happened on GitHub.
    pub occurred_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Which source brought it.
    pub collector: Collector,
    /// The event that `person` was sealed for; needed to open it.
    pub event_id: EventId,
    /// A sealed [`domain::SignalPerson`].
    pub person: Sealed,
}

/// A lead by one of its signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadRow {
    /// Its id.
    pub lead_id: LeadId,
    /// Who it is; needed to open what is sealed.
    pub person: PersonRef,
    /// When it was captured, as far as the filters go: when the first matching signal was recorded, or the lead released.
    pub captured_at: Timestamp,
    /// The event of that moment; with `captured_at` the row's place in the list.
    pub position: Position,
    /// The first signal that matches the filters.
    pub signal: SignalRow,
    /// The latest profile, a sealed [`domain::Profile`], and the event it was sealed for.
    pub profile: Option<(EventId, Sealed)>,
}

/// A lead whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadDetail {
    /// The lead, by the signal that captured it.
    pub lead: LeadRow,
    /// The timeline, oldest first.
    pub signals: Vec<SignalRow>,
    /// When those of its stars were taken back that are not there any more, by the event that recorded the signal.
    pub stars_gone: BTreeMap<EventId, Timestamp>,
    /// How far the customer got with it.
    pub status: LeadStatus,
    /// What the customer noted, a sealed text, and the event it was sealed for.
    pub notes: Option<(EventId, Sealed)>,
    /// Whether it is withheld.
    pub withheld: bool,
    /// When something about it was last recorded.
    pub updated_at: Timestamp,
}

/// What is left of an erased lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedRow {
    /// Its id.
    pub lead_id: LeadId,
    /// By what kind of signal it was captured.
    pub signal_type: SignalKind,
    /// When it was captured.
    pub captured_at: Timestamp,
    /// When it was erased.
    pub erased_at: Timestamp,
}

/// The columns of the leads that these facets belong to, in no order. `CROSS JOIN` keeps SQLite from beginning at another
/// table than the facets.
macro_rules! leads_by_facet {
    ($facets:literal) => {
        concat!(
            "SELECT f.lead_id, l.person, f.captured_at, f.position, p.event_id, p.profile, p.recorded_at, l.status, ",
            "s.number, s.kind, s.keyword, s.occurred_at, s.recorded_at, s.collector, s.event_id, s.person, l.withheld ",
            "FROM (SELECT lead_id, captured_at, position, number FROM lead_facets WHERE ",
            $facets,
            ") AS f CROSS JOIN leads AS l CROSS JOIN lead_signals AS s LEFT JOIN lead_profiles AS p ",
            "ON p.lead_id = f.lead_id ",
            "WHERE l.lead_id = f.lead_id AND s.lead_id = f.lead_id AND s.number = f.number"
        )
    };
}

/// The one text behind every listing: kind and repository choose the facet, `since` and the former page the ends of
/// the range. So the plan is the same for all: a range of `lead_facets_newest`, the rest by primary key. The limit
/// stands inside, so that no guess about the joins sways a planner.
const PAGE: &str = leads_by_facet!(
    "account = $1 AND facet = $2 AND visible = 1 AND captured_at > $3 \
     AND (captured_at, position) < ($4, $5) ORDER BY captured_at DESC, position DESC LIMIT $6"
);

const FIND: &str = leads_by_facet!("lead_id = $2 AND facet = '' AND account = $1");

const FIND_ERASED: &str = "SELECT first_kind, first_seen_at, erased_at FROM leads \
                           WHERE lead_id = $1 AND account = $2 AND first_seen_at IS NOT NULL";

const NOTES: &str = "SELECT event_id, notes, recorded_at FROM lead_notes WHERE lead_id = $1";

const STARS_GONE: &str = "SELECT event_id, taken_back_at, recorded_at FROM lead_stars_gone WHERE lead_id = $1";

const TIMELINE: &str = "SELECT number, kind, keyword, occurred_at, recorded_at, collector, event_id, person \
                        FROM lead_signals WHERE lead_id = $1 ORDER BY number";

pub(super) fn page_statement(query: &LeadQuery) -> Statement {
    let since = query.since.map_or(i64::MIN, Timestamp::micros);
    let (time, position) = query
        .before
        .map_or((Value::Int(i64::MAX), Value::Int(i64::MAX)), |(time, position)| {
            (columns::time(time), columns::place(position))
        });
    let params = vec![
        columns::id(query.account.ulid()),
        facet(query.signal_type, query.repo).into(),
        since.into(),
        time,
        position,
        query.limit.into(),
    ];
    Statement::sql(PAGE, params)
}

/// A page of leads, newest first. Withheld leads are not among them.
pub async fn page(views: &dyn Database, query: &LeadQuery) -> Result<Vec<LeadRow>, DatabaseError> {
    let rows = views.read(page_statement(query)).await?;
    let mut leads: Vec<_> = rows.iter().map(lead_row).collect::<Result<_, _>>()?;
    // A join promises no order. In practice they are sorted already.
    leads.sort_by_key(|lead| Reverse((lead.captured_at, lead.position)));
    Ok(leads)
}

/// The account's lead of that id. A withheld one is not found, nor one that is erased.
pub async fn find(
    views: &dyn Database,
    account: AccountId,
    lead_id: LeadId,
) -> Result<Option<LeadDetail>, DatabaseError> {
    let found = find_withheld_too(views, account, lead_id).await?;
    Ok(found.filter(|lead| !lead.withheld))
}

/// The same, and a withheld one is found as well.
pub async fn find_withheld_too(
    views: &dyn Database,
    account: AccountId,
    lead_id: LeadId,
) -> Result<Option<LeadDetail>, DatabaseError> {
    let lead = columns::id(lead_id.ulid());
    let params = vec![columns::id(account.ulid()), lead.clone()];
    let found = views.read(Statement::sql(FIND, params)).await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let timeline = views.read(Statement::sql(TIMELINE, vec![lead.clone()])).await?;
    let signals: Vec<_> = timeline
        .iter()
        .map(|row| signal_row(row, 0))
        .collect::<Result<_, _>>()?;
    let stars = views.read(Statement::sql(STARS_GONE, vec![lead.clone()])).await?;
    let mut stars_gone = BTreeMap::new();
    let mut changed_at = Vec::with_capacity(stars.len());
    for row in &stars {
        let signal = EventId::new(columns::ulid(row, 0)?);
        stars_gone.extend(columns::find_timestamp(row, 1)?.map(|at| (signal, at)));
        changed_at.push(columns::timestamp(row, 2)?);
    }
    let edited = views.read(Statement::sql(NOTES, vec![lead])).await?;
    let edited = edited.first();
    let lead = lead_row(row)?;
    let recorded = signals.iter().map(|signal| signal.recorded_at);
    let updated_at = recorded
        .chain(changed_at)
        .chain(columns::find_timestamp(row, 6)?)
        .chain(edited.map(|row| columns::timestamp(row, 2)).transpose()?)
        .fold(lead.captured_at, Ord::max);
    Ok(Some(LeadDetail {
        lead,
        signals,
        stars_gone,
        status: columns::parsed(row, 7, "status of a lead")?,
        notes: edited.map(notes).transpose()?.flatten(),
        withheld: row.int(16)? != 0,
        updated_at,
    }))
}

/// What is left of the account's lead of that id, if it is erased and was not withheld at the time.
pub async fn find_erased(
    views: &dyn Database,
    account: AccountId,
    lead_id: LeadId,
) -> Result<Option<ErasedRow>, DatabaseError> {
    let params = vec![columns::id(lead_id.ulid()), columns::id(account.ulid())];
    let found = views.read(Statement::sql(FIND_ERASED, params)).await?;
    let erased = found.first().map(|row| {
        Ok::<_, ColumnError>(ErasedRow {
            lead_id,
            signal_type: columns::parsed(row, 0, "kind of signal")?,
            captured_at: columns::timestamp(row, 1)?,
            erased_at: columns::timestamp(row, 2)?,
        })
    });
    Ok(erased.transpose()?)
}

fn notes(row: &Row) -> Result<Option<(EventId, Sealed)>, ColumnError> {
    let event_id = EventId::new(columns::ulid(row, 0)?);
    let sealed = row.find_blob(1)?.map(|sealed| Sealed::new(sealed.to_vec()));
    Ok(sealed.map(|sealed| (event_id, sealed)))
}

const WITHHELD: &str = "SELECT person FROM leads WHERE account = $1 AND withheld = 1 ORDER BY position LIMIT $2";

const NEXT_WITHHELD: &str = "SELECT account FROM leads WHERE withheld = 1 AND account > $1 ORDER BY account LIMIT 1";

/// People of the account whose leads are withheld, oldest first, at most `limit`.
pub async fn withheld(views: &dyn Database, account: AccountId, limit: u32) -> Result<Vec<PersonRef>, DatabaseError> {
    let params = vec![columns::id(account.ulid()), limit.into()];
    let rows = views.read(Statement::sql(WITHHELD, params)).await?;
    let people = rows.iter().map(|row| columns::bytes(row, 0).map(PersonRef::new));
    Ok(people.collect::<Result<_, _>>()?)
}

/// Accounts with at least one withheld lead. One step down the index an account, however many are withheld.
pub async fn accounts_with_withheld(views: &dyn Database) -> Result<Vec<AccountId>, DatabaseError> {
    let mut accounts = Vec::new();
    // Shorter than any account, so before all of them.
    let mut after = Value::Blob(Vec::new());
    loop {
        let rows = views.read(Statement::sql(NEXT_WITHHELD, vec![after])).await?;
        let Some(row) = rows.first() else {
            return Ok(accounts);
        };
        let account = AccountId::new(columns::ulid(row, 0)?);
        after = columns::id(account.ulid());
        accounts.push(account);
    }
}

fn lead_row(row: &Row) -> Result<LeadRow, ColumnError> {
    let profile_event = columns::find_ulid(row, 4)?.map(EventId::new);
    let profile = row.find_blob(5)?.map(|sealed| Sealed::new(sealed.to_vec()));
    Ok(LeadRow {
        lead_id: LeadId::new(columns::ulid(row, 0)?),
        person: PersonRef::new(columns::bytes(row, 1)?),
        captured_at: columns::timestamp(row, 2)?,
        position: columns::position(row, 3)?,
        signal: signal_row(row, 8)?,
        profile: profile_event.zip(profile),
    })
}

/// The signal whose columns begin at `first`.
pub(super) fn signal_row(row: &Row, first: usize) -> Result<SignalRow, ColumnError> {
    Ok(SignalRow {
        number: u32::try_from(row.int(first)?).map_err(|_| ColumnError {
            index: first,
            expected: "number of a signal",
        })?,
        kind: columns::parsed(row, first + 1, "kind of signal")?,
        keyword: row.find_text(first + 2)?.map(str::to_owned),
        occurred_at: columns::timestamp(row, first + 3)?,
        recorded_at: columns::timestamp(row, first + 4)?,
        collector: columns::parsed(row, first + 5, "collector")?,
        event_id: EventId::new(columns::ulid(row, first + 6)?),
        person: Sealed::new(row.blob(first + 7)?.to_vec()),
    })
}

/// The queries beside the listing, each with the plan that it has to have in SQLite.
#[cfg(test)]
pub(super) fn others(account: AccountId, lead_id: LeadId) -> Vec<(Statement, Vec<&'static str>)> {
    let (account, lead) = (columns::id(account.ulid()), columns::id(lead_id.ulid()));
    vec![
        (
            Statement::sql(FIND, vec![account.clone(), lead.clone()]),
            vec![
                "SEARCH lead_facets USING INDEX sqlite_autoindex_lead_facets_1 (lead_id=? AND facet=?)",
                "SEARCH l USING INDEX sqlite_autoindex_leads_1 (lead_id=?)",
                "SEARCH s USING INDEX sqlite_autoindex_lead_signals_1 (lead_id=? AND number=?)",
                "SEARCH p USING INDEX sqlite_autoindex_lead_profiles_1 (lead_id=?) LEFT-JOIN",
            ],
        ),
        (
            Statement::sql(TIMELINE, vec![lead.clone()]),
            vec!["SEARCH lead_signals USING INDEX sqlite_autoindex_lead_signals_1 (lead_id=?)"],
        ),
        (
            Statement::sql(STARS_GONE, vec![lead.clone()]),
            vec!["SEARCH lead_stars_gone USING INDEX sqlite_autoindex_lead_stars_gone_1 (lead_id=?)"],
        ),
        (
            Statement::sql(NOTES, vec![lead.clone()]),
            vec!["SEARCH lead_notes USING INDEX sqlite_autoindex_lead_notes_1 (lead_id=?)"],
        ),
        (
            Statement::sql(FIND_ERASED, vec![lead, account.clone()]),
            vec!["SEARCH leads USING INDEX sqlite_autoindex_leads_1 (lead_id=?)"],
        ),
        (
            Statement::sql(WITHHELD, vec![account.clone(), Value::Int(1)]),
            vec!["SEARCH leads USING COVERING INDEX leads_withheld (account=?)"],
        ),
        (
            Statement::sql(NEXT_WITHHELD, vec![account]),
            vec!["SEARCH leads USING COVERING INDEX leads_withheld (account>?)"],
        ),
    ]
}
