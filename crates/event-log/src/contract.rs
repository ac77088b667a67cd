//! The contract suite: the promise of [`crate::port`] as tests, run by every adapter over a fresh log each.

use std::sync::Arc;
use std::time::Duration;

use domain::{AccountId, Event, EventId, LeadId, PersonRef, StreamId, Timestamp, event};

use crate::{AppendError, Appended, EventLog, NewEvent, Page, Position, Recorded, Scope, StreamAppend, Version};

/// A test for each part of the promise. `$fresh` is an async function that gives an empty log, and what must live as
/// long as it.
macro_rules! keeps_the_promise {
    ($fresh:ident) => {
        $crate::contract::keeps_the_promise!($fresh:
            an_event_reads_back_as_it_was_recorded,
            positions_and_versions_have_no_gaps,
            an_append_that_expects_another_version_is_refused,
            a_refused_append_does_not_hurt_its_neighbours,
            an_append_sees_those_before_it_in_its_batch,
            the_same_append_again_gets_the_first_answer,
            an_id_in_use_is_refused_under_anything_else,
            recorded_at_never_goes_back,
            any_page_size_reads_the_same_events,
            an_account_sees_its_own_events_and_passes_the_others,
            a_stream_that_does_not_exist_is_empty,
            a_wait_ends_with_the_append_or_the_time,
            a_follower_misses_nothing_while_many_append,
        );
    };
    ($fresh:ident: $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let (log, _keep) = $fresh().await;
                $crate::contract::$promise(log).await;
            }
        )+
    };
}
pub(crate) use keeps_the_promise;

type Log = Arc<dyn EventLog>;

/// The account of [`lead`].
pub fn account() -> AccountId {
    AccountId::new(1_u128.into())
}

/// The stream of the nth lead of the first account.
pub fn lead(number: u128) -> StreamId {
    StreamId::lead(account(), PersonRef::new(number.to_be_bytes()))
}

fn foreign() -> StreamId {
    StreamId::account_stream(AccountId::new(2_u128.into()))
}

/// An append of one event for each id, at so many microseconds.
pub fn append(stream: StreamId, expected: Version, ids: &[u128], micros: i64) -> StreamAppend {
    StreamAppend {
        stream,
        expected,
        recorded_at: Timestamp::from_micros(micros),
        events: ids.iter().map(|&id| new(id)).collect(),
    }
}

fn new(id: u128) -> NewEvent {
    let lead_id = LeadId::new(id.into());
    NewEvent {
        id: EventId::new(id.into()),
        event: event::LeadReleased { lead_id }.into(),
    }
}

async fn one(log: &Log, append: StreamAppend) -> Result<Appended, AppendError> {
    let mut answers = log.append(vec![append]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

async fn all(log: &Log) -> Vec<Recorded> {
    log.read(Scope::All, Position::START, 10_000).await.unwrap().events
}

fn positions(events: &[Recorded]) -> Vec<u64> {
    events.iter().map(|recorded| recorded.position.get()).collect()
}

pub async fn an_event_reads_back_as_it_was_recorded(log: Log) {
    let opened: Event = event::AccountOpened {
        name: "Ada's \"house\" \u{1f98a}".to_owned(),
        plan: "pro".parse().unwrap(),
    }
    .into();
    let id = EventId::new(u128::MAX.into());
    let mut wanted = append(foreign(), 0, &[], 1_777_026_660_000_001);
    wanted.events.push(NewEvent {
        id,
        event: opened.clone(),
    });
    let appended = one(&log, wanted.clone()).await.unwrap();
    let recorded = Recorded {
        position: appended.first,
        id,
        stream: foreign(),
        version: 1,
        recorded_at: wanted.recorded_at,
        event: opened,
    };
    assert_eq!(appended.recorded_at, wanted.recorded_at);
    assert_eq!(log.read_streams(&[foreign()]).await.unwrap(), [vec![recorded.clone()]]);
    assert_eq!(all(&log).await, [recorded]);
}

pub async fn positions_and_versions_have_no_gaps(log: Log) {
    let first = one(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap();
    one(&log, append(lead(1), 7, &[3], 0)).await.unwrap_err();
    let second = one(&log, append(lead(1), 2, &[4], 0)).await.unwrap();
    assert_eq!((first.last, first.version), (Position::new(2), 2));
    assert_eq!(
        (second.first, second.last, second.version),
        (Position::new(3), Position::new(3), 3)
    );
    let stream = log.read_streams(&[lead(1)]).await.unwrap().remove(0);
    assert_eq!(positions(&stream), [1, 2, 3]);
    assert!(stream.iter().map(|recorded| recorded.version).eq(1..=3));
    assert_eq!(log.head().await.unwrap(), Position::new(3));
}

pub async fn an_append_that_expects_another_version_is_refused(log: Log) {
    one(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap();
    for wrong in [0, 1, 3] {
        let refused = one(&log, append(lead(1), wrong, &[9], 0)).await;
        assert!(
            matches!(refused, Err(AppendError::Conflict { expected, actual: 2 }) if expected == wrong),
            "{refused:?}"
        );
    }
    assert_eq!(all(&log).await.len(), 2);
}

pub async fn a_refused_append_does_not_hurt_its_neighbours(log: Log) {
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    let batch = vec![
        append(lead(2), 0, &[2], 0),
        append(lead(3), 5, &[3], 0),
        append(lead(4), 0, &[], 0),
        append(lead(5), 0, &[4, 1, 5], 0),
        append(lead(6), 0, &[6], 0),
    ];
    let answers = log.append(batch).await;
    assert!(matches!(
        &answers[..],
        [
            Ok(_),
            Err(AppendError::Conflict { .. }),
            Err(AppendError::Empty),
            Err(AppendError::IdUsed(_)),
            Ok(_)
        ]
    ));
    let events = all(&log).await;
    assert_eq!(positions(&events), [1, 2, 3]);
    assert_eq!(events[2].stream, lead(6));
    assert!(log.append(vec![]).await.is_empty());
}

pub async fn an_append_sees_those_before_it_in_its_batch(log: Log) {
    let batch = vec![
        append(lead(1), 0, &[1], 0),
        append(lead(1), 0, &[2], 0),
        append(lead(1), 1, &[3], 0),
    ];
    let answers = log.append(batch).await;
    assert!(matches!(
        &answers[..],
        [
            Ok(_),
            Err(AppendError::Conflict { actual: 1, .. }),
            Ok(Appended { version: 2, .. })
        ]
    ));
}

pub async fn the_same_append_again_gets_the_first_answer(log: Log) {
    let wanted = append(lead(1), 0, &[1, 2], 50);
    let first = one(&log, wanted.clone()).await.unwrap();
    assert_eq!(one(&log, wanted.clone()).await.unwrap(), first);
    one(&log, append(lead(1), 2, &[3], 60)).await.unwrap();
    let later = StreamAppend {
        recorded_at: Timestamp::from_micros(70),
        ..wanted
    };
    assert_eq!(one(&log, later).await.unwrap(), first);
    assert_eq!(all(&log).await.len(), 3);
}

pub async fn an_id_in_use_is_refused_under_anything_else(log: Log) {
    one(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap();
    let mut other_fact = append(lead(1), 0, &[1, 2], 0);
    other_fact.events[1].event = new(77).event;
    let wrong = [
        append(lead(2), 0, &[1], 0),
        append(lead(2), 0, &[8, 8], 0),
        append(lead(1), 2, &[9, 2], 0),
        append(lead(1), 0, &[1, 9], 0),
        append(lead(1), 0, &[1, 2, 9], 0),
        other_fact,
    ];
    for wrong in wrong {
        let refused = one(&log, wrong.clone()).await;
        assert!(matches!(refused, Err(AppendError::IdUsed(_))), "{wrong:?}: {refused:?}");
    }
    assert_eq!(positions(&all(&log).await), [1, 2]);
    assert_eq!(
        one(&log, append(lead(2), 0, &[8], 0)).await.unwrap().first,
        Position::new(3)
    );
}

pub async fn recorded_at_never_goes_back(log: Log) {
    let mut put = Vec::new();
    for (id, micros) in [(1, -5), (2, 100), (3, 40), (4, 101)] {
        put.push(
            one(&log, append(lead(id), 0, &[id], micros))
                .await
                .unwrap()
                .recorded_at
                .micros(),
        );
    }
    assert_eq!(put, [-5, 100, 100, 101]);
    let stored = all(&log).await;
    assert!(stored.iter().map(|recorded| recorded.recorded_at.micros()).eq(put));
}

pub async fn any_page_size_reads_the_same_events(log: Log) {
    let batch = (1..=23).map(|id| append(lead(id), 0, &[id], 0)).collect();
    log.append(batch).await;
    for limit in [1, 7, 22, 23, 24] {
        let mut seen = Vec::new();
        let mut after = Position::START;
        loop {
            let page = log.read(Scope::All, after, limit).await.unwrap();
            assert_eq!(page.head, Position::new(23));
            if page.events.is_empty() {
                break;
            }
            after = page.looked_to;
            seen.extend(page.events);
        }
        assert!(positions(&seen).into_iter().eq(1..=23), "pages of {limit}");
    }
}

pub async fn an_account_sees_its_own_events_and_passes_the_others(log: Log) {
    let mine = || Scope::Account(account());
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    one(&log, append(foreign(), 0, &[2, 3], 0)).await.unwrap();
    one(&log, append(lead(2), 0, &[4], 0)).await.unwrap();
    one(&log, append(foreign(), 2, &[5], 0)).await.unwrap();
    let page = log.read(mine(), Position::START, 1).await.unwrap();
    assert_eq!((positions(&page.events), page.looked_to), (vec![1], Position::new(1)));
    let page = log.read(mine(), page.looked_to, 10).await.unwrap();
    assert_eq!((positions(&page.events), page.looked_to), (vec![4], Position::new(5)));
    let page = log.read(mine(), page.looked_to, 10).await.unwrap();
    let nothing_new = Page {
        events: vec![],
        looked_to: Position::new(5),
        head: Position::new(5),
    };
    assert_eq!(page, nothing_new);
}

pub async fn a_stream_that_does_not_exist_is_empty(log: Log) {
    assert_eq!(log.head().await.unwrap(), Position::START);
    assert_eq!(log.read(Scope::All, Position::START, 1).await.unwrap(), Page::default());
    one(&log, append(lead(2), 0, &[1], 0)).await.unwrap();
    let streams = log.read_streams(&[lead(1), lead(2), lead(1)]).await.unwrap();
    assert!(streams.iter().map(Vec::len).eq([0, 1, 0]));
}

pub async fn a_wait_ends_with_the_append_or_the_time(log: Log) {
    let hour = Duration::from_hours(1);
    log.wait(Position::START, Duration::from_millis(1)).await;
    let waiting = tokio::spawn({
        let log = Arc::clone(&log);
        async move { log.wait(Position::START, hour).await }
    });
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    waiting.await.unwrap();
    log.wait(Position::START, hour).await;
    log.wait(Position::new(1), Duration::from_millis(1)).await;
}

/// 64 writers meet in four streams; a follower reads along.
pub async fn a_follower_misses_nothing_while_many_append(log: Log) {
    const WRITERS: u128 = 64;
    const EACH: u128 = 3;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let log = Arc::clone(&log);
        writers.spawn(async move {
            for number in 0..EACH {
                append_until_taken(&log, lead(writer % 4), writer * EACH + number).await;
            }
        });
    }
    let followed = follow(&log, usize::try_from(WRITERS * EACH).unwrap()).await;
    writers.join_all().await;
    assert_eq!(followed, all(&log).await);
    assert!(
        positions(&followed)
            .into_iter()
            .eq(1..=u64::try_from(WRITERS * EACH).unwrap())
    );
    for stream in 0..4 {
        let versions = followed.iter().filter(|recorded| recorded.stream == lead(stream));
        assert!(
            versions
                .map(|recorded| recorded.version)
                .eq(1..=u64::try_from(WRITERS * EACH / 4).unwrap())
        );
    }
}

async fn append_until_taken(log: &Log, stream: StreamId, id: u128) {
    let mut expected = 0;
    loop {
        match one(log, append(stream.clone(), expected, &[id], 0)).await {
            Ok(_) => return,
            Err(AppendError::Conflict { actual, .. }) => expected = actual,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn follow(log: &Log, count: usize) -> Vec<Recorded> {
    let mut seen = Vec::new();
    let mut after = Position::START;
    while seen.len() < count {
        log.wait(after, Duration::from_hours(1)).await;
        let page = log.read(Scope::All, after, 5).await.unwrap();
        after = page.looked_to;
        seen.extend(page.events);
    }
    seen
}
