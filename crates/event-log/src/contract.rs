//! The contract suite: the promise of [`crate::port`] as tests in named groups; an adapter runs those that it keeps.

use std::sync::Arc;
use std::time::Duration;

use domain::{AccountId, Event, EventId, LeadId, PersonRef, StreamId, Timestamp, event};

use crate::{AppendError, Appended, EventLog, NewEvent, Page, Position, Recorded, Scope, StreamAppend, Version};

/// A test for each promise of a group. `$fresh` is an async function that gives the logs to hold to it, each empty and
/// with what must live as long as it.
macro_rules! promises {
    ($fresh:ident: $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                for (log, _keep) in $fresh().await {
                    $crate::contract::$promise(log).await;
                }
            }
        )+
    };
}
pub(crate) use promises;

/// What every log keeps, and all that may be built on.
macro_rules! common {
    ($fresh:ident) => {
        $crate::contract::promises!($fresh:
            an_event_reads_back_as_it_was_recorded,
            positions_grow_and_versions_have_no_gaps,
            an_append_that_expects_another_version_is_refused,
            a_refused_append_does_not_hurt_its_neighbours,
            an_append_sees_those_before_it_in_its_batch,
            the_same_append_again_gets_the_first_answer,
            an_id_that_stands_in_the_way_of_another_event_is_refused,
            recorded_at_never_goes_back,
            any_page_size_reads_the_same_events,
            an_account_sees_its_own_events_and_passes_the_others,
            a_moment_parts_the_events_before_it_from_those_after_it,
            a_stream_that_does_not_exist_is_empty,
            a_wait_ends_with_the_append_or_the_time,
            a_follower_misses_nothing_while_many_append,
        );
    };
}
pub(crate) use common;

/// What a log with a single place to write keeps besides: position n is the nth event, a batch stands in its order.
macro_rules! gapless {
    ($fresh:ident) => {
        $crate::contract::promises!($fresh:
            positions_have_no_gaps,
            a_batch_stands_in_the_order_it_was_given,
        );
    };
}
pub(crate) use gapless;

/// What a log with an index over all ids keeps besides.
macro_rules! unique_ids {
    ($fresh:ident) => {
        $crate::contract::promises!($fresh: an_id_that_stands_anywhere_is_refused);
    };
}
pub(crate) use unique_ids;

/// What a log keeps besides that puts the writer's time on the events.
macro_rules! writers_time {
    ($fresh:ident) => {
        $crate::contract::promises!($fresh:
            the_time_is_the_writers_unless_it_would_not_go_on,
            appends_that_come_at_once_are_recorded_one_after_the_other,
            nothing_is_recorded_any_more_at_or_before_the_time_that_the_log_was_moved_to,
        );
    };
}
pub(crate) use writers_time;

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

fn versions(events: &[Recorded]) -> impl Iterator<Item = Version> {
    events.iter().map(|recorded| recorded.version)
}

fn ids(events: &[Recorded]) -> Vec<u128> {
    events.iter().map(|recorded| recorded.id.ulid().into()).collect()
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
    let appended = one(&log, wanted).await.unwrap();
    let recorded = Recorded {
        position: appended.position(),
        id,
        stream: foreign(),
        version: 1,
        recorded_at: appended.events[0].recorded_at,
        event: opened,
    };
    assert_eq!(appended.events, std::slice::from_ref(&recorded));
    assert_eq!(log.read_streams(&[foreign()]).await.unwrap(), [appended.events]);
    assert_eq!(all(&log).await, [recorded]);
}

pub async fn positions_grow_and_versions_have_no_gaps(log: Log) {
    let mut put = one(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap().events;
    one(&log, append(lead(1), 7, &[3], 0)).await.unwrap_err();
    put.extend(one(&log, append(lead(1), 2, &[4], 0)).await.unwrap().events);
    assert!(versions(&put).eq(1..=3));
    assert!(positions(&put).is_sorted_by(|one, next| one < next), "{put:?}");
    assert_eq!(log.head().await.unwrap(), put[2].position);
    assert_eq!(log.read_streams(&[lead(1)]).await.unwrap(), [put]);
}

pub async fn positions_have_no_gaps(log: Log) {
    one(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap();
    one(&log, append(lead(1), 7, &[3], 0)).await.unwrap_err();
    one(&log, append(lead(1), 0, &[8, 8], 0)).await.unwrap_err();
    let next = one(&log, append(lead(2), 0, &[4], 0)).await.unwrap();
    assert_eq!(positions(&next.events), [3]);
    assert_eq!(positions(&all(&log).await), [1, 2, 3]);
    assert_eq!(log.head().await.unwrap(), Position::new(3));
}

pub async fn a_batch_stands_in_the_order_it_was_given(log: Log) {
    let nth = |version, number| append(lead(number), version, &[u128::from(version) * 3 + number], 0);
    let batch = (0..3).flat_map(|version| (0..3).map(move |number| nth(version, number)));
    log.append(batch.collect()).await;
    assert!(ids(&all(&log).await).into_iter().eq(0..9));
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
        append(lead(5), 0, &[4, 5, 4], 0),
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
    let mut taken = ids(&all(&log).await);
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 6]);
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
        [Ok(_), Err(AppendError::Conflict { actual: 1, .. }), Ok(_)]
    ));
    assert_eq!(ids(&log.read_streams(&[lead(1)]).await.unwrap()[0]), [1, 3]);
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

pub async fn an_id_that_stands_in_the_way_of_another_event_is_refused(log: Log) {
    one(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap();
    let mut other_fact = append(lead(1), 0, &[1, 2], 0);
    other_fact.events[1].event = new(77).event;
    let wrong = [
        append(lead(2), 0, &[8, 8], 0),
        append(lead(1), 0, &[1, 9], 0),
        append(lead(1), 0, &[9, 2], 0),
        append(lead(1), 0, &[1, 2, 9], 0),
        other_fact,
    ];
    refused_for_their_ids(&log, wrong.to_vec()).await;
    assert_eq!(ids(&all(&log).await), [1, 2]);
    one(&log, append(lead(2), 0, &[8], 0)).await.unwrap();
}

pub async fn an_id_that_stands_anywhere_is_refused(log: Log) {
    one(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap();
    let wrong = vec![append(lead(2), 0, &[1], 0), append(lead(1), 2, &[9, 2], 0)];
    refused_for_their_ids(&log, wrong).await;
    assert_eq!(ids(&all(&log).await), [1, 2]);
}

async fn refused_for_their_ids(log: &Log, appends: Vec<StreamAppend>) {
    for wrong in appends {
        let refused = one(log, wrong.clone()).await;
        assert!(matches!(refused, Err(AppendError::IdUsed(_))), "{wrong:?}: {refused:?}");
    }
}

/// Appends at times that go back and forth; the times that were put on the events.
async fn put_times(log: &Log) -> Vec<i64> {
    let mut put = Vec::new();
    for (id, micros) in [(1, -5), (2, 100), (3, 40), (4, 101)] {
        let appended = one(log, append(lead(id), 0, &[id], micros)).await.unwrap();
        put.push(appended.events[0].recorded_at.micros());
    }
    put
}

pub async fn recorded_at_never_goes_back(log: Log) {
    let put = put_times(&log).await;
    assert!(put.is_sorted(), "{put:?}");
    let stored = all(&log).await;
    assert!(stored.iter().map(|recorded| recorded.recorded_at.micros()).eq(put));
}

pub async fn the_time_is_the_writers_unless_it_would_not_go_on(log: Log) {
    assert_eq!(put_times(&log).await, [-5, 100, 101, 102]);
}

pub async fn appends_that_come_at_once_are_recorded_one_after_the_other(log: Log) {
    one(&log, append(lead(1), 0, &[1], 50)).await.unwrap();
    // Two events of one append are of one time; one append comes long after the others.
    let batch = vec![
        append(lead(2), 0, &[2, 3], 40),
        append(lead(3), 0, &[4], 40),
        append(lead(2), 2, &[5], 900),
        append(lead(4), 0, &[6], 0),
    ];
    let mut told = Vec::new();
    for appended in log.append(batch).await {
        let events = appended.unwrap().events;
        told.extend(events.iter().map(|recorded| recorded.recorded_at.micros()));
    }
    assert_eq!(told, [51, 51, 52, 900, 901]);
    let stored = all(&log).await;
    let stored: Vec<i64> = stored.iter().map(|recorded| recorded.recorded_at.micros()).collect();
    assert_eq!(stored, [50, 51, 51, 52, 900, 901]);
}

pub async fn nothing_is_recorded_any_more_at_or_before_the_time_that_the_log_was_moved_to(log: Log) {
    log.advance_time(Timestamp::from_micros(70)).await.unwrap();
    let appended = one(&log, append(lead(1), 0, &[1], 60)).await.unwrap();
    assert_eq!(appended.events[0].recorded_at.micros(), 71);
    log.advance_time(Timestamp::from_micros(30)).await.unwrap();
    let appended = one(&log, append(lead(2), 0, &[2], 80)).await.unwrap();
    assert_eq!(appended.events[0].recorded_at.micros(), 80);
}

pub async fn any_page_size_reads_the_same_events(log: Log) {
    let batch = (1..=23).map(|id| append(lead(id), 0, &[id], 0)).collect();
    log.append(batch).await;
    let all = all(&log).await;
    let head = all[22].position;
    for limit in [1, 7, 22, 23, 24] {
        let mut seen = Vec::new();
        let mut after = Position::START;
        loop {
            let page = log.read(Scope::All, after, limit).await.unwrap();
            assert_eq!(page.head, head);
            assert!(page.events.len() <= limit);
            if page.events.is_empty() {
                break;
            }
            after = page.looked_to;
            seen.extend(page.events);
        }
        assert_eq!((seen, after), (all.clone(), head), "pages of {limit}");
    }
}

pub async fn an_account_sees_its_own_events_and_passes_the_others(log: Log) {
    let mine = || Scope::Account(account());
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    one(&log, append(foreign(), 0, &[2, 3], 0)).await.unwrap();
    one(&log, append(lead(2), 0, &[4], 0)).await.unwrap();
    let head = one(&log, append(foreign(), 2, &[5], 0)).await.unwrap().position();
    let page = log.read(mine(), Position::START, 1).await.unwrap();
    assert_eq!((ids(&page.events), page.looked_to), (vec![1], page.events[0].position));
    let page = log.read(mine(), page.looked_to, 10).await.unwrap();
    assert_eq!((ids(&page.events), page.looked_to), (vec![4], head));
    let page = log.read(mine(), page.looked_to, 10).await.unwrap();
    let nothing_new = Page {
        events: vec![],
        looked_to: head,
        head,
    };
    assert_eq!(page, nothing_new);
}

pub async fn a_moment_parts_the_events_before_it_from_those_after_it(log: Log) {
    let scopes = [Scope::All, Scope::Account(account())];
    let nothing = Timestamp::from_micros(0);
    for scope in scopes {
        assert_eq!(log.position_at(scope, nothing).await.unwrap(), Position::START);
    }
    // Several at one time, two accounts in turn, and single ones.
    for number in 1..=12 {
        let (micros, id) = (i64::try_from(number / 3).unwrap() * 10, number * 10);
        one(&log, append(lead(number), 0, &[id, id + 1], micros)).await.unwrap();
        let foreign = StreamId::lead(AccountId::new(2_u128.into()), PersonRef::new(number.to_be_bytes()));
        one(&log, append(foreign, 0, &[id + 2], micros)).await.unwrap();
    }
    let stored = all(&log).await;
    let times = stored.iter().map(|recorded| recorded.recorded_at.micros());
    let moments: Vec<i64> = times.flat_map(|micros| [micros - 1, micros, micros + 1]).collect();
    for scope in scopes {
        let of_scope = log.read(scope, Position::START, 100).await.unwrap().events;
        for time in moments.iter().copied().map(Timestamp::from_micros) {
            let at = log.position_at(scope, time).await.unwrap();
            for recorded in &of_scope {
                assert_eq!(
                    recorded.position <= at,
                    recorded.recorded_at <= time,
                    "{scope:?} {time}"
                );
            }
            // Reading can go on from there.
            log.read(scope, at, 1).await.unwrap();
        }
    }
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
    let appended = one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    waiting.await.unwrap();
    log.wait(Position::START, hour).await;
    log.wait(appended.position(), Duration::from_millis(1)).await;
}

/// 64 writers meet in 16 streams; a follower reads along.
pub async fn a_follower_misses_nothing_while_many_append(log: Log) {
    const WRITERS: u128 = 64;
    const STREAMS: u128 = 16;
    const EACH: u128 = 3;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let log = Arc::clone(&log);
        writers.spawn(async move {
            for number in 0..EACH {
                append_until_taken(&log, lead(writer % STREAMS), writer * EACH + number).await;
            }
        });
    }
    let followed = follow(&log, usize::try_from(WRITERS * EACH).unwrap()).await;
    writers.join_all().await;
    assert_eq!(followed, all(&log).await);
    let mut each_once = ids(&followed);
    each_once.sort_unstable();
    assert!(each_once.into_iter().eq(0..WRITERS * EACH));
    for stream in 0..STREAMS {
        let of_stream = followed.iter().filter(|recorded| recorded.stream == lead(stream));
        assert!(
            of_stream
                .map(|recorded| recorded.version)
                .eq(1..=u64::try_from(WRITERS * EACH / STREAMS).unwrap())
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
