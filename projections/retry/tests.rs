//! An event that cannot be applied parks its stream and stops nothing else, until the stream is retried or skipped.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::event::DecodeError;
use domain::{Event, LeadId};
use event_log::memory::MemoryLog;
use event_log::{AppendError, Appended, Page, StreamAppend};

use super::*;
use crate::generations::{parked as what_is_parked, standings};
use crate::leads::Leads;
use crate::rebuild::{Rebuild, RebuildError};
use crate::runner::{Runner, RunnerError};
use crate::tests::{Dump, History, dump, lead_id, on_each_engine, sqlite, write};
use crate::{Fence, Skipped};

type Shared = Arc<dyn Database>;

on_each_engine!(
    a_value_that_the_database_refuses_parks_its_stream_alone,
    a_fold_that_panics_parks_the_stream_of_its_event,
    an_event_that_does_not_decode_parks_its_stream_everywhere,
    a_retry_applies_what_the_runner_passed_in_order,
    a_retry_that_fails_again_stays_parked_at_what_it_fails_at,
    a_skip_leaves_out_one_event_and_writes_it_down,
    a_retry_meets_a_runner_that_goes_on,
    a_rebuild_parks_anew_and_a_good_one_lets_go,
    a_newer_programs_event_is_no_fault_of_its_own,
    so_many_parked_streams_are_no_fault_of_single_events,
);

/// `Leads`, but it cannot take some leads' signals.
struct Picky {
    refused: Vec<LeadId>,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    Panics,
    /// Writes a row that the database does not take.
    WritesNonsense,
}

impl Projection for Picky {
    fn name(&self) -> &'static str {
        "leads"
    }

    fn schema(&self) -> &'static str {
        Leads.schema()
    }

    fn indexes(&self) -> &'static str {
        Leads.indexes()
    }

    fn apply(&self, recorded: &Recorded) -> Vec<database::Statement> {
        match &recorded.event {
            Event::SignalRecorded(event) if self.refused.contains(&event.lead_id) => match self.how {
                How::Panics => panic!("no such lead"),
                How::WritesNonsense => vec![database::Statement::insert(
                    "leads (lead_id, account, person, status, withheld, position)",
                    "",
                    vec![database::Value::Null; 6],
                )],
            },
            _ => Leads.apply(recorded),
        }
    }
}

fn picky(refused: &[LeadId], how: How) -> Vec<Box<dyn Projection>> {
    let mut all = crate::all();
    let refused = refused.to_vec();
    all[2] = Box::new(Picky { refused, how });
    all
}

/// A log of which one event does not decode, as long as it says so.
struct Damaged {
    log: Arc<MemoryLog>,
    at: Position,
    newer: bool,
}

impl Damaged {
    fn look(&self, recorded: &[Recorded]) -> Result<(), ReadError> {
        let Some(one) = recorded.iter().find(|one| one.position == self.at) else {
            return Ok(());
        };
        let decoded = if self.newer {
            Event::decode("LeadPetted", 1, "{}")
        } else {
            Event::decode("PlanChanged", 1, "{}")
        };
        let source: DecodeError = decoded.unwrap_err();
        Err(ReadError::Decode {
            position: one.position,
            stream: one.stream.as_str().to_owned(),
            source: source.into(),
        })
    }
}

#[async_trait]
impl EventLog for Damaged {
    async fn append(&self, batch: Vec<StreamAppend>) -> Vec<Result<Appended, AppendError>> {
        self.log.append(batch).await
    }

    async fn read_streams(&self, streams: &[StreamId]) -> Result<Vec<Vec<Recorded>>, ReadError> {
        let read = self.log.read_streams(streams).await?;
        read.iter().try_for_each(|stream| self.look(stream))?;
        Ok(read)
    }

    async fn read(&self, scope: Scope, after: Position, limit: usize) -> Result<Page, ReadError> {
        let page = self.log.read(scope, after, limit).await?;
        self.look(&page.events)?;
        Ok(page)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.log.head().await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        self.log.wait(after, at_most).await;
    }
}

async fn run(log: Arc<dyn EventLog>, views: &Shared, of: Vec<Box<dyn Projection>>) -> Runner {
    let mut runner = Runner::open(log, views.clone(), of).await.unwrap();
    runner.catch_up().await.unwrap();
    runner
}

async fn expected(history: &History) -> Dump {
    let (views, _keep) = sqlite();
    run(history.log.clone(), &views, crate::all()).await;
    dump(&*views).await
}

/// A history, and two of its leads with several signals, by their first signals' events.
async fn history() -> (History, [LeadId; 2]) {
    let history = History::with_leads(400, 12).await;
    let mut signals: Vec<LeadId> = Vec::new();
    for recorded in history.recorded().await {
        if let Event::SignalRecorded(event) = recorded.event {
            signals.push(event.lead_id);
        }
    }
    let several = |lead: &LeadId| signals.iter().filter(|other| *other == lead).count() > 3;
    let first = *signals.iter().find(|lead| several(lead)).unwrap();
    let second = *signals.iter().find(|lead| several(lead) && **lead != first).unwrap();
    (history, [first, second])
}

/// The lead's stream, and where its nth signal after the first stands.
async fn signal_of(history: &History, lead: LeadId, nth: usize) -> (String, Position) {
    let recorded = history.recorded().await;
    let mut signals = recorded
        .iter()
        .filter(|one| matches!(&one.event, Event::SignalRecorded(event) if event.lead_id == lead));
    let found = signals.nth(nth).unwrap();
    (found.stream.as_str().to_owned(), found.position)
}

async fn parked(views: &Shared) -> Vec<Parked> {
    what_is_parked(&**views, "leads").await.unwrap().0
}

fn retry<'a>(log: &'a dyn EventLog, views: &'a Shared) -> Retry<'a> {
    Retry {
        log,
        views: &**views,
        projection: &Leads,
    }
}

async fn a_value_that_the_database_refuses_parks_its_stream_alone(views: Shared) {
    parks_alone(views, How::WritesNonsense).await;
}

async fn a_fold_that_panics_parks_the_stream_of_its_event(views: Shared) {
    parks_alone(views, How::Panics).await;
}

async fn parks_alone(views: Shared, how: How) {
    let (history, refused) = history().await;
    let runner = run(history.log.clone(), &views, picky(&refused, how)).await;
    assert_eq!(runner.freshness().applied(), history.log.head().await.unwrap());
    let parked = parked(&views).await;
    let found: Vec<_> = parked.iter().map(|one| (one.stream.clone(), one.position)).collect();
    let mut streams = Vec::new();
    for lead in refused {
        streams.push(signal_of(&history, lead, 0).await);
    }
    streams.sort_by_key(|(_, position)| *position);
    assert_eq!(found, streams);
    let (rows, expected) = (dump(&*views).await, expected(&history).await);
    for (table, expected) in &expected {
        let others = !table.starts_with("lead") && table != "projection_checkpoint";
        assert!(!others || rows[table] == *expected, "{table}");
    }
    assert!(rows["lead_signals"].len() < expected["lead_signals"].len());
    assert_eq!(standings(&*views).await.unwrap()[2].parked, 2);
    // Once the program is right, a retry makes the rows the same as if nothing had happened.
    let retried = retry(&*history.log, &views).run(None).await.unwrap();
    assert!(
        retried.iter().all(|one| one.still.is_none() && one.applied > 2),
        "{retried:?}"
    );
    assert!(dump(&*views).await == expected);
}

async fn an_event_that_does_not_decode_parks_its_stream_everywhere(views: Shared) {
    let (history, [lead, _]) = history().await;
    let (stream, at) = signal_of(&history, lead, 1).await;
    let damaged = Arc::new(Damaged {
        log: history.log.clone(),
        at,
        newer: false,
    });
    let runner = run(damaged.clone(), &views, crate::all()).await;
    assert_eq!(runner.freshness().applied(), history.log.head().await.unwrap());
    for standing in standings(&*views).await.unwrap() {
        assert_eq!(standing.parked, 1, "{}", standing.name);
    }
    // It is not the event's turn before it decodes.
    let retried = retry(&*damaged, &views).run(Some(&stream)).await.unwrap();
    let still = retried[0].still.as_ref().unwrap();
    assert_eq!((retried[0].applied, still.position), (0, at));
    assert!(
        still.error.starts_with("PlanChanged does not decode: "),
        "{}",
        still.error
    );
    // What stands behind it can be had without it.
    let (skipped, rest) = retry(&*damaged, &views).skip(&stream).await.unwrap();
    assert_eq!((skipped.position, rest.still), (at, None));
    assert!(rest.applied > 0);
    for projection in crate::all() {
        let retry = Retry {
            log: &*history.log,
            views: &*views,
            projection: &*projection,
        };
        retry.run(None).await.unwrap();
    }
    let (mut rows, mut expected) = (dump(&*views).await, expected(&history).await);
    let missing = expected.remove("lead_signals").unwrap().len() - rows.remove("lead_signals").unwrap().len();
    assert_eq!(missing, 1);
    rows.remove("lead_facets");
    expected.remove("lead_facets");
    assert!(rows == expected);
}

async fn a_retry_applies_what_the_runner_passed_in_order(views: Shared) {
    let (mut history, refused) = history().await;
    let mut runner = run(history.log.clone(), &views, picky(&refused, How::Panics)).await;
    for _ in 0..100 {
        history.lead_event(12).await;
    }
    runner.catch_up().await.unwrap();
    retry(&*history.log, &views).run(None).await.unwrap();
    assert_eq!(parked(&views).await, []);
    // The runner remembers them as parked; what it knows is refused, and it reads what is stored.
    for _ in 0..100 {
        history.lead_event(12).await;
    }
    run(history.log.clone(), &views, crate::all()).await;
    assert!(expected(&history).await == dump(&*views).await);
}

async fn a_retry_that_fails_again_stays_parked_at_what_it_fails_at(views: Shared) {
    let (history, refused) = history().await;
    run(history.log.clone(), &views, picky(&refused, How::WritesNonsense)).await;
    let before = parked(&views).await;
    let picky = Picky {
        refused: refused.to_vec(),
        how: How::Panics,
    };
    let retry = Retry {
        projection: &picky,
        ..retry(&*history.log, &views)
    };
    let retried = retry.run(None).await.unwrap();
    let after = parked(&views).await;
    assert_eq!(retried.iter().map(|one| one.applied).sum::<u64>(), 0);
    assert!(
        after.iter().all(|one| one.error == "the fold panicked: no such lead"),
        "{after:?}"
    );
    let places = |parked: &[Parked]| -> Vec<_> { parked.iter().map(|one| (one.done, one.position)).collect() };
    assert_eq!(places(&after), places(&before));
    let unknown = retry.run(Some("lead-nobody")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "the stream lead-nobody is not parked in leads");
}

async fn a_skip_leaves_out_one_event_and_writes_it_down(views: Shared) {
    let (history, refused) = history().await;
    run(history.log.clone(), &views, picky(&refused, How::Panics)).await;
    let first = parked(&views).await.remove(0);
    let (skipped, rest) = retry(&*history.log, &views).skip(&first.stream).await.unwrap();
    assert_eq!((skipped, rest.still), (first.clone(), None));
    let written_down = Skipped {
        stream: first.stream.clone(),
        position: first.position,
        error: first.error,
    };
    let (parked, skipped) = what_is_parked(&*views, "leads").await.unwrap();
    assert_eq!((parked.len(), skipped), (1, vec![written_down]));
    retry(&*history.log, &views).run(None).await.unwrap();
    let missing = expected(&history).await["lead_signals"].len() - dump(&*views).await["lead_signals"].len();
    assert_eq!(missing, 1);
    let again = retry(&*history.log, &views).skip(&first.stream).await.unwrap_err();
    assert!(again.to_string().contains("is not parked in leads"), "{again}");
}

async fn a_retry_meets_a_runner_that_goes_on(views: Shared) {
    let (mut history, refused) = history().await;
    run(history.log.clone(), &views, picky(&refused, How::Panics)).await;
    let log = history.log.clone();
    let mut runner = Runner::open(log.clone(), views.clone(), crate::all()).await.unwrap();
    let going_on = async {
        for _ in 0..200 {
            history.lead_event(12).await;
            runner.catch_up().await.unwrap();
        }
    };
    let retrying = retry(&*log, &views);
    let (retried, ()) = tokio::join!(retrying.run(None), going_on);
    assert!(retried.unwrap().iter().all(|one| one.still.is_none()));
    assert!(expected(&history).await == dump(&*views).await);
}

async fn a_rebuild_parks_anew_and_a_good_one_lets_go(views: Shared) {
    let (history, refused) = history().await;
    run(history.log.clone(), &views, picky(&refused, How::Panics)).await;
    retry(&*history.log, &views).run(None).await.unwrap();
    for (how, token) in [(How::Panics, 1), (How::WritesNonsense, 2)] {
        let of = vec![picky(&refused, how).remove(2)];
        let mut rebuild = Rebuild::begin(history.log.clone(), views.clone(), of, token)
            .await
            .unwrap();
        rebuild.fill(|_| ()).await.unwrap();
        rebuild.exchange().await.unwrap();
        assert_eq!(parked(&views).await.len(), 2);
    }
    let of = vec![crate::all().remove(2)];
    let mut rebuild = Rebuild::begin(history.log.clone(), views.clone(), of, 3).await.unwrap();
    rebuild.fill(|_| ()).await.unwrap();
    rebuild.exchange().await.unwrap();
    assert_eq!(parked(&views).await, []);
    assert!(expected(&history).await == dump(&*views).await);
}

async fn a_newer_programs_event_is_no_fault_of_its_own(views: Shared) {
    let (history, [lead, _]) = history().await;
    let (_, at) = signal_of(&history, lead, 0).await;
    let newer = Arc::new(Damaged {
        log: history.log.clone(),
        at,
        newer: true,
    });
    let mut runner = Runner::open(newer.clone(), views.clone(), crate::all()).await.unwrap();
    assert!(matches!(
        runner.catch_up().await,
        Err(RunnerError::Log(ReadError::Decode { .. }))
    ));
    let mut rebuild = Rebuild::begin(newer, views.clone(), crate::all(), 1).await.unwrap();
    assert!(matches!(rebuild.fill(|_| ()).await, Err(RebuildError::Log(_))));
    assert_eq!(parked(&views).await, []);
}

/// Holds `leads` alone.
struct OnlyLeads;

impl Fence for OnlyLeads {
    fn guards(&self, projection: &str) -> Option<Vec<database::Statement>> {
        (projection == "leads").then(Vec::new)
    }
}

async fn so_many_parked_streams_are_no_fault_of_single_events(views: Shared) {
    let mut history = History::new();
    let everybody: Vec<LeadId> = (0..40_000).map(lead_id).collect();
    history.accounts().await;
    let mut runner = Runner::open(history.log.clone(), views.clone(), picky(&everybody, How::Panics))
        .await
        .unwrap()
        .fenced(Arc::new(OnlyLeads));
    write(
        &*views,
        &["INSERT INTO projection_parked (name, stream, done, position, error) VALUES ('leads', 'a', 0, 1, '')"],
    )
    .await;
    for number in 2..parked::MOST {
        let parked = Parked {
            stream: number.to_string(),
            done: Position::START,
            position: Position::new(1),
            error: String::new(),
        };
        views.write(vec![parked::put("leads", &parked)]).await.unwrap();
    }
    for _ in 0..60 {
        history.lead_event(3).await;
    }
    let mut told = None;
    while told.is_none() {
        told = runner.catch_up().await.err();
    }
    let told = told.unwrap().to_string();
    assert_eq!(told, "the projection leads cannot go on: 1000 streams are parked");
    assert_eq!(parked(&views).await.len(), parked::MOST);
}
