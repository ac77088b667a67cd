//! The texts in which some keyword was found, newest first: what a new keyword can be tried on.

use database::{ColumnError, Database, DatabaseError, Row, Statement, Value};
use domain::{AccountId, LeadId, PersonRef, Timestamp};

use super::SignalRow;
use super::queries::signal_row;
use crate::columns;

/// A signal with a keyword, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordSignal {
    /// The lead.
    pub lead_id: LeadId,
    /// Who it is; needed to open what is sealed.
    pub person: PersonRef,
    /// Whether the lead is withheld: nobody is to know of it yet.
    pub withheld: bool,
    /// The signal.
    pub signal: SignalRow,
}

impl KeywordSignal {
    /// Its place among those of the account.
    pub const fn place(&self) -> (Timestamp, LeadId, u32) {
        (self.signal.recorded_at, self.lead_id, self.signal.number)
    }
}

/// A range of `lead_signals_with_keyword`, read from its newest end.
const NEWEST: &str = "SELECT s.number, s.kind, s.keyword, s.occurred_at, s.recorded_at, s.collector, s.event_id, \
     s.person, s.lead_id, l.person, l.withheld \
     FROM (SELECT number, kind, keyword, occurred_at, recorded_at, collector, event_id, person, lead_id \
     FROM lead_signals WHERE account = $1 AND keyword IS NOT NULL AND (recorded_at, lead_id, number) < ($2, $3, $4) \
     ORDER BY recorded_at DESC, lead_id DESC, number DESC LIMIT $5) AS s CROSS JOIN leads AS l \
     WHERE l.lead_id = s.lead_id";

pub(super) fn statement(account: AccountId, before: Option<(Timestamp, LeadId, u32)>, limit: u32) -> Statement {
    let (time, lead_id, number) = before.map_or(
        (Value::Int(i64::MAX), Value::Blob(Vec::new()), Value::Int(0)),
        |(time, lead_id, number)| (columns::time(time), columns::id(lead_id.ulid()), number.into()),
    );
    let params = vec![columns::id(account.ulid()), time, lead_id, number, limit.into()];
    Statement::sql(NEWEST, params)
}

/// At most `limit` signals of the account that have a keyword, newest first, from a place on.
pub async fn keyword_signals(
    views: &dyn Database,
    account: AccountId,
    before: Option<(Timestamp, LeadId, u32)>,
    limit: u32,
) -> Result<Vec<KeywordSignal>, DatabaseError> {
    let rows = views.read(statement(account, before, limit)).await?;
    let mut signals: Vec<_> = rows.iter().map(keyword_signal).collect::<Result<_, _>>()?;
    // A join promises no order. In practice they are sorted already.
    signals.sort_by_key(|signal| std::cmp::Reverse(signal.place()));
    Ok(signals)
}

fn keyword_signal(row: &Row) -> Result<KeywordSignal, ColumnError> {
    Ok(KeywordSignal {
        signal: signal_row(row, 0)?,
        lead_id: LeadId::new(columns::ulid(row, 8)?),
        person: PersonRef::new(columns::bytes(row, 9)?),
        withheld: row.int(10)? != 0,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use domain::Event;

    use super::*;
    use crate::leads::Leads;
    use crate::tests::{History, account, project};

    #[tokio::test]
    async fn an_account_s_signals_with_a_keyword_are_read_newest_first_and_page_by_page() {
        let history = History::with_leads(800, 60).await;
        let recorded = history.recorded().await;
        let with_keyword = |event: &Event| match event {
            Event::LeadCaptured(event) => event.signal.keyword.is_some(),
            Event::LeadWithheld(event) => event.signal.keyword.is_some(),
            Event::SignalRecorded(event) => event.signal.keyword.is_some(),
            _ => false,
        };
        let erased: HashSet<_> = recorded
            .iter()
            .filter(|recorded| matches!(recorded.event, Event::LeadErased(_)))
            .map(|recorded| &recorded.stream)
            .collect();
        let mut expected: Vec<_> = recorded
            .iter()
            .filter(|recorded| recorded.account() == account(1) && with_keyword(&recorded.event))
            .filter(|recorded| !erased.contains(&recorded.stream))
            .map(|recorded| (recorded.recorded_at, recorded.id))
            .collect();
        expected.sort_unstable();
        for (views, _keep) in project(&Leads, &recorded).await {
            for limit in [7, 1_000] {
                let mut read = Vec::new();
                let mut before = None;
                loop {
                    let signals = keyword_signals(&*views, account(1), before, limit).await.unwrap();
                    let Some(last) = signals.last() else { break };
                    before = Some(last.place());
                    read.extend(signals);
                }
                assert!(read.is_sorted_by_key(|signal| std::cmp::Reverse(signal.signal.recorded_at)));
                assert!(read.iter().any(|signal| signal.withheld) && read.iter().any(|signal| !signal.withheld));
                let mut told: Vec<_> = read
                    .iter()
                    .map(|signal| (signal.signal.recorded_at, signal.signal.event_id))
                    .collect();
                told.sort_unstable();
                assert_eq!(told, expected, "{limit}");
            }
        }
    }
}
