//! Given lead events, then these leads: against an oracle that holds everything in memory and scans it.

mod edits;

use std::collections::BTreeSet;
use std::sync::Arc;

use database::{Database, Row};
use domain::event::{LeadCaptured, LeadWithheld, SignalRecorded};
use domain::{AccountId, EventId, LeadStatus, Sealed, Timestamp};
use event_log::Position;

use super::*;
use crate::tests::{History, account, each_engine, lead_id, open_views, person, project, repo_key, runner_of, signal};

/// A lead as the events tell it: its signals, and when it was released if it had been withheld.
struct Told {
    account: AccountId,
    lead_id: LeadId,
    withheld: bool,
    released: Option<(Timestamp, Position)>,
    signals: Vec<(Signal, Timestamp, Position, bool)>,
}

fn tell(events: &[Recorded]) -> Vec<Told> {
    let mut leads: Vec<Told> = Vec::new();
    for recorded in events {
        let (account, at) = (recorded.account(), (recorded.recorded_at, recorded.position));
        let mut add = |lead_id, signal: &Signal, withheld, new| {
            if new {
                leads.push(Told {
                    account,
                    lead_id,
                    withheld,
                    released: None,
                    signals: Vec::new(),
                });
            }
            let lead = leads.iter_mut().find(|lead| lead.lead_id == lead_id).unwrap();
            lead.signals.push((signal.clone(), at.0, at.1, withheld));
        };
        match &recorded.event {
            Event::LeadCaptured(event) => add(event.lead_id, &event.signal, false, true),
            Event::LeadWithheld(event) => add(event.lead_id, &event.signal, true, true),
            Event::SignalRecorded(event) => add(event.lead_id, &event.signal, event.withheld, false),
            Event::LeadReleased(event) => {
                let lead = leads.iter_mut().find(|lead| lead.lead_id == event.lead_id).unwrap();
                (lead.withheld, lead.released) = (false, Some(at));
            }
            Event::LeadErased(event) => leads.retain(|lead| lead.lead_id != event.lead_id),
            _ => {}
        }
    }
    leads
}

/// What the contract says of a listing, by scanning everything.
fn listing(leads: &[Told], query: &LeadQuery) -> Vec<(LeadId, Timestamp, Position, EventlessSignal)> {
    let matches = |signal: &Signal| {
        query.signal_type.is_none_or(|kind| kind == signal.kind)
            && query.repo.as_ref().is_none_or(|repo| *repo == signal.repo)
    };
    let mut rows: Vec<_> = leads
        .iter()
        .filter(|lead| lead.account == query.account && !lead.withheld)
        .filter_map(|lead| {
            let (signal, at, position, withheld) = lead.signals.iter().find(|(signal, ..)| matches(signal))?;
            let (at, position) = lead.released.filter(|_| *withheld).unwrap_or((*at, *position));
            Some((lead.lead_id, at, position, (signal.kind, signal.person.clone())))
        })
        .filter(|(_, at, position, _)| {
            query.since.is_none_or(|since| *at > since) && query.before.is_none_or(|before| (*at, *position) < before)
        })
        .collect();
    rows.sort_by_key(|(_, at, position, _)| std::cmp::Reverse((*at, *position)));
    rows.truncate(usize::try_from(query.limit).unwrap());
    rows
}

type EventlessSignal = (SignalKind, Sealed);

fn shown(row: &LeadRow) -> (LeadId, Timestamp, Position, EventlessSignal) {
    let signal = (row.signal.kind, row.signal.person.clone());
    (row.lead_id, row.captured_at, row.position, signal)
}

fn query(signal_type: Option<SignalKind>, repo: Option<RepoKey>) -> LeadQuery {
    LeadQuery {
        account: account(1),
        signal_type,
        repo,
        since: None,
        before: None,
        limit: 20,
    }
}

/// Every combination of kind and repository, `since` aside.
pub fn filters() -> Vec<LeadQuery> {
    let kinds = [None, Some(SignalKind::Stargazer), Some(SignalKind::KeywordPr)];
    let repos = [None, Some("ACME/sdk"), Some("rival/docs"), Some("nobody/nothing")];
    let pairs = kinds
        .iter()
        .flat_map(|kind| repos.map(|name| (*kind, name.map(repo_key))));
    pairs.map(|(kind, repo)| query(kind, repo)).collect()
}

#[tokio::test]
async fn every_filter_shows_what_a_scan_of_everything_shows() {
    let history = History::with_leads(1_500, 120).await;
    let recorded = history.recorded().await;
    for (views, _keep) in project(&Leads, &recorded).await {
        let leads = tell(&recorded);
        let middle = recorded[recorded.len() / 2].recorded_at;
        for filter in filters() {
            for since in [None, Some(middle)] {
                let mut query = LeadQuery {
                    since,
                    ..filter.clone()
                };
                loop {
                    let rows = page(&*views, &query).await.unwrap();
                    assert_eq!(
                        rows.iter().map(shown).collect::<Vec<_>>(),
                        listing(&leads, &query),
                        "{query:?}"
                    );
                    let Some(last) = rows.last() else { break };
                    query.before = Some((last.captured_at, last.position));
                }
            }
        }
    }
}

#[tokio::test]
async fn pages_to_the_end_repeat_and_skip_nothing_while_new_leads_arrive() {
    for (views, _keep) in each_engine().await {
        let mut history = History::with_leads(1_500, 400).await;
        let mut runner = runner_of(&history, &views).await;
        runner.catch_up().await.unwrap();
        for filter in filters() {
            let everything = LeadQuery {
                limit: u32::MAX,
                ..filter.clone()
            };
            let at_first: Vec<_> = listing(&tell(&history.recorded().await), &everything);
            let mut seen = Vec::new();
            let mut query = filter;
            loop {
                let rows = page(&*views, &query).await.unwrap();
                seen.extend(rows.iter().map(|row| row.lead_id));
                let Some(last) = rows.last() else { break };
                query.before = Some((last.captured_at, last.position));
                for _ in 0..5 {
                    history.lead_event(10_000).await;
                }
                runner.catch_up().await.unwrap();
            }
            assert_eq!(seen, at_first.iter().map(|row| row.0).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_withheld_lead_enters_every_list_at_the_top_once_it_is_released() {
    let mut history = History::new();
    let star = |number| signal(number, SignalKind::Stargazer, "acme/sdk");
    let withheld_lead = LeadWithheld {
        lead_id: lead_id(1),
        login: None,
        signal: star(1),
        cap: 1,
    };
    history.lead(1, 1, withheld_lead).await;
    let further = SignalRecorded {
        lead_id: lead_id(1),
        login: None,
        signal: signal(2, SignalKind::KeywordPr, "rival/kit"),
        withheld: true,
    };
    history.lead(1, 1, further).await;
    let captured = LeadCaptured {
        lead_id: lead_id(2),
        login: None,
        signal: star(3),
    };
    history.lead(1, 2, captured).await;
    history.lead(1, 1, LeadReleased { lead_id: lead_id(1) }).await;
    let recorded = history.recorded().await;
    for (views, _keep) in project(&Leads, &recorded[..3]).await {
        let listed = async |query: LeadQuery| -> Vec<_> {
            let rows = page(&*views, &query).await.unwrap();
            rows.iter().map(|row| (row.lead_id, row.captured_at)).collect()
        };
        let of_second = recorded[2].recorded_at;
        assert_eq!(listed(query(None, None)).await, [(lead_id(2), of_second)]);
        assert_eq!(find(&*views, account(1), lead_id(1)).await.unwrap(), None);
        assert_eq!(withheld(&*views, account(1), 10).await.unwrap(), [person(1)]);
        assert_eq!(accounts_with_withheld(&*views).await.unwrap(), [account(1)]);

        views.write(Leads.apply(&recorded[3])).await.unwrap();
        let released_at = recorded[3].recorded_at;
        let released = (lead_id(1), released_at);
        assert_eq!(listed(query(None, None)).await, [released, (lead_id(2), of_second)]);
        assert_eq!(listed(query(Some(SignalKind::KeywordPr), None)).await, [released]);
        assert_eq!(listed(query(None, Some(repo_key("RIVAL/kit")))).await, [released]);
        let found = find(&*views, account(1), lead_id(1)).await.unwrap().unwrap();
        assert_eq!((found.lead.captured_at, found.updated_at), (released_at, released_at));
        assert_eq!(found.signals[0].recorded_at, recorded[0].recorded_at);
        assert_eq!(withheld(&*views, account(1), 10).await.unwrap(), []);
        assert_eq!(accounts_with_withheld(&*views).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_lead_is_found_with_its_timeline_and_its_latest_profile_and_by_its_own_account_only() {
    let mut history = History::new();
    let captured = LeadCaptured {
        lead_id: lead_id(1),
        login: None,
        signal: signal(1, SignalKind::KeywordIssue, "Acme/SDK"),
    };
    history.lead(1, 1, captured).await;
    for number in 1..3 {
        let enriched = LeadEnriched {
            lead_id: lead_id(1),
            login: None,
            profile: Sealed::new(vec![number]),
            changed: Vec::new(),
            withheld: false,
        };
        history.lead(1, 1, enriched).await;
    }
    let further = SignalRecorded {
        lead_id: lead_id(1),
        login: None,
        signal: signal(2, SignalKind::Stargazer, "rival/kit"),
        withheld: false,
    };
    history.lead(1, 1, further).await;
    let recorded = history.recorded().await;
    for (views, _keep) in project(&Leads, &recorded).await {
        let found = find(&*views, account(1), lead_id(1)).await.unwrap().unwrap();
        assert_eq!((found.lead.person, found.status), (person(1), LeadStatus::New));
        assert_eq!(found.lead.profile, Some((recorded[2].id, Sealed::new(vec![2]))));
        assert_eq!(found.lead.signal, found.signals[0]);
        assert_eq!(found.lead.signal.keyword.as_deref(), Some("docker"));
        let ids: Vec<EventId> = found.signals.iter().map(|signal| signal.event_id).collect();
        assert_eq!(ids, [recorded[0].id, recorded[3].id]);
        assert_eq!(found.updated_at, recorded[3].recorded_at);
        assert_eq!(find(&*views, account(2), lead_id(1)).await.unwrap(), None);
    }
}

#[test]
fn a_stretch_writes_each_profile_once_and_the_last_of_them() {
    let recorded = |position, number| Recorded {
        position: Position::new(position),
        id: EventId::default(),
        stream: domain::StreamId::lead(account(1), person(1)),
        version: position,
        recorded_at: Timestamp::from_secs(0),
        event: LeadEnriched {
            lead_id: lead_id(1),
            login: None,
            profile: Sealed::new(vec![number]),
            changed: Vec::new(),
            withheld: false,
        }
        .into(),
    };
    let statements = Leads.apply_all(&[recorded(1, 7), recorded(2, 8)]);
    let [Statement::Insert { rows, .. }] = statements.as_slice() else {
        panic!("{statements:?}")
    };
    assert_eq!(
        rows.iter().map(|row| row[1].clone()).collect::<Vec<_>>(),
        [Value::Blob(vec![8])]
    );
}

/// The steps of a plan, as SQLite tells them.
async fn plan(views: &dyn Database, statement: Statement) -> Vec<String> {
    let Statement::Sql { text, params } = statement else {
        panic!("no query")
    };
    let explained = Statement::sql(format!("EXPLAIN QUERY PLAN {text}"), params);
    let rows = views.read(explained).await.unwrap();
    // Whichever generation the index is of.
    let step = |row: &Row| row.text(3).unwrap().replace("_g1", "");
    rows.iter().map(step).collect()
}

async fn assert_plans(views: &dyn Database, since: Timestamp) {
    for filter in filters() {
        for since in [None, Some(since)] {
            for before in [None, Some((since.unwrap_or_default(), Position::new(7)))] {
                let query = LeadQuery {
                    since,
                    before,
                    ..filter.clone()
                };
                assert_eq!(
                    plan(views, queries::page_statement(&query)).await,
                    [
                        "CO-ROUTINE f",
                        "SEARCH lead_facets USING COVERING INDEX lead_facets_newest (account=? AND facet=? AND captured_at>? \
                         AND (captured_at,position)<(?,?))",
                        "SCAN f",
                        "SEARCH l USING INDEX sqlite_autoindex_leads_1 (lead_id=?)",
                        "SEARCH s USING INDEX sqlite_autoindex_lead_signals_1 (lead_id=? AND number=?)",
                        "SEARCH p USING INDEX sqlite_autoindex_lead_profiles_1 (lead_id=?) LEFT-JOIN",
                    ],
                    "{query:?}"
                );
            }
        }
    }
    for (statement, expected) in queries::others(account(1), lead_id(1)) {
        assert_eq!(plan(views, statement).await, expected);
    }
    for before in [None, Some((since, lead_id(1), 1))] {
        assert_eq!(
            plan(views, keyword_signals::statement(account(1), before, 7)).await,
            [
                "CO-ROUTINE s",
                "SEARCH lead_signals USING INDEX lead_signals_with_keyword (account=? AND (recorded_at,lead_id,number)<(?,?,?))",
                "SCAN s",
                "SEARCH l USING INDEX sqlite_autoindex_leads_1 (lead_id=?)",
            ]
        );
    }
}

#[tokio::test]
async fn every_listing_is_one_range_of_one_index_with_and_without_statistics() {
    let history = History::with_leads(6_000, 3_000).await;
    let folder = tempfile::tempdir().unwrap();
    let views = open_views(folder.path());
    let shared: Arc<dyn Database> = views.clone();
    runner_of(&history, &shared).await.catch_up().await.unwrap();
    let since = history.recorded().await[3_000].recorded_at;
    // Opened again each time: to explain a plan SQLite does not look whether the schema or its statistics changed.
    views.close().await;
    let views = open_views(folder.path());
    assert_plans(&*views, since).await;
    views.write(vec![Statement::sql("ANALYZE", Vec::new())]).await.unwrap();
    views.close().await;
    assert_plans(&*open_views(folder.path()), since).await;
}

#[tokio::test]
async fn every_listing_is_one_range_of_one_index_on_postgresql_too_for_any_parameters() {
    let history = History::with_leads(6_000, 3_000).await;
    let fresh = testbed::Postgres::fresh_database().await;
    let database = database::Postgres::open(fresh.url().parse().unwrap(), false).await;
    let views: Arc<dyn Database> = Arc::new(database.unwrap().disposable());
    runner_of(&history, &views).await.catch_up().await.unwrap();
    for known in ["nothing", "how many leads there are"] {
        for filter in filters() {
            let Statement::Sql { text, params } = queries::page_statement(&filter) else {
                panic!("no query")
            };
            let plan = fresh.generic_plan(&text, params.len()).await;
            assert!(plan.contains("using lead_facets_newest"), "knowing {known}: {plan}");
            assert!(
                !plan.contains("Seq Scan") && !plan.contains("Sort"),
                "knowing {known}: {plan}"
            );
        }
        let Statement::Sql { text, params } = keyword_signals::statement(account(1), None, 7) else {
            panic!("no query")
        };
        let plan = fresh.generic_plan(&text, params.len()).await;
        assert!(
            plan.contains("using lead_signals_with_keyword"),
            "knowing {known}: {plan}"
        );
        assert!(!plan.contains("Sort"), "knowing {known}: {plan}");
        fresh.execute("ANALYZE").await;
    }
}

#[test]
fn a_signal_has_a_facet_for_every_combination_of_filters_that_it_matches() {
    let facets: BTreeSet<String> = facets_of(&signal(1, SignalKind::Stargazer, "Acme/SDK")).into();
    let repo = repo_key("acme/sdk");
    let expected = [
        "",
        "t:stargazer",
        &format!("r:{repo}"),
        &format!("t:stargazer r:{repo}"),
    ];
    assert_eq!(facets, expected.map(str::to_owned).into());
}
