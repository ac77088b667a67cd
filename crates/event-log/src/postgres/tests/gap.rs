//! Two sessions at the head row: no position is ever seen before its predecessors, and none is left out.

use super::*;

/// What another program would do to append an event, but for the commit.
const BEGUN: &str = "BEGIN; UPDATE log_head SET position = position + 1, recorded_at = 500;
    INSERT INTO events SELECT position, decode(repeat('ff', 16), 'hex'), 'account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1', 1,
        decode(repeat('00', 16), 'hex'), 'PlanChanged', 1, recorded_at, '{\"plan\":\"pro\"}' FROM log_head";

async fn begun_at(url: &str) -> Client {
    let session = connect(url).await;
    session.batch_execute(BEGUN).await.unwrap();
    session
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_follows_what_two_others_append_at_once() {
    const EACH: u128 = 60;
    let fresh = Server::fresh_database().await;
    let follower = process(fresh.url()).await;
    let logs = [process(fresh.url()).await, process(fresh.url()).await];
    let mut writers = Vec::new();
    for (writer, log) in (0..).zip(&logs) {
        for number in 0..EACH {
            let id = writer * EACH + number + 1;
            writers.push(appending(log, append(lead(id), 0, &[id], 0)));
        }
    }

    let mut seen = Vec::new();
    let mut after = Position::START;
    while seen.len() < writers.len() {
        follower.wait(after, Duration::from_hours(1)).await;
        let page = follower.read(Scope::All, after, 7).await.unwrap();
        after = page.looked_to;
        seen.extend(page.events);
    }

    assert_eq!(seen, all(&follower).await);
    for writer in writers {
        let appended = writer.await.unwrap().unwrap();
        assert!(appended.events.iter().all(|event| seen.contains(event)));
    }
}

#[tokio::test]
async fn a_position_is_seen_only_after_its_predecessors() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let other = begun_at(fresh.url()).await;

    let mine = appending(&log, append(lead(1), 0, &[1], 70));
    wait_for_locks(&fresh, 1).await;
    assert_eq!(
        log.read(Scope::All, Position::START, 10).await.unwrap(),
        Page::default()
    );
    other.batch_execute("COMMIT").await.unwrap();

    let mine = mine.await.unwrap().unwrap();
    assert_eq!((mine.position().get(), mine.events[0].recorded_at.micros()), (2, 501));
    assert_eq!(all(&log).await[1..], mine.events);
}

#[tokio::test]
async fn a_session_that_dies_in_the_middle_leaves_no_gap() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let other = begun_at(fresh.url()).await;

    let mine = appending(&log, append(lead(1), 0, &[1], 70));
    wait_for_locks(&fresh, 1).await;
    drop(other);

    let mine = mine.await.unwrap().unwrap();
    assert_eq!((mine.position().get(), mine.events[0].recorded_at.micros()), (1, 70));
}

#[tokio::test]
async fn a_session_that_holds_the_head_row_and_is_stopped_holds_up_nobody_for_ever() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let stopped = connect(fresh.url()).await;
    let begin = session::BEGIN.replace("10s", "10ms");
    stopped
        .batch_execute(&format!("{begin}; SELECT position FROM log_head FOR UPDATE"))
        .await
        .unwrap();
    appending(&log, append(lead(1), 0, &[1], 0)).await.unwrap().unwrap();
}

/// Both look at the stream before either of them has it.
async fn both_at_once(one: StreamAppend, other: StreamAppend) -> (Vec<Answer>, Vec<Recorded>) {
    let fresh = Server::fresh_database().await;
    let (first, second) = (process(fresh.url()).await, process(fresh.url()).await);
    // Connected, so that both take the short way.
    for (log, number) in [(&first, 98), (&second, 99)] {
        appending(log, append(lead(number), 0, &[number], 0))
            .await
            .unwrap()
            .unwrap();
    }
    let holder = at_the_head_row(fresh.url()).await;
    let one = appending(&first, one);
    wait_for_locks(&fresh, 1).await;
    let other = appending(&second, other);
    wait_for_locks(&fresh, 2).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    let answers = vec![one.await.unwrap(), other.await.unwrap()];
    (answers, all(&first).await.split_off(2))
}

#[tokio::test]
async fn of_two_processes_that_expect_the_same_version_one_is_refused() {
    let (answers, events) = both_at_once(append(lead(1), 0, &[1, 2], 0), append(lead(1), 0, &[3], 0)).await;
    let conflict = |answer: &Answer| {
        matches!(
            answer,
            Err(AppendError::Conflict {
                expected: 0,
                actual: 1 | 2
            })
        )
    };
    match &answers[..] {
        [Ok(_), other] => assert!(conflict(other) && ids(&events) == [1, 2], "{answers:?}"),
        [other, Ok(_)] => assert!(conflict(other) && ids(&events) == [3], "{answers:?}"),
        _ => panic!("{answers:?}"),
    }
}

#[tokio::test]
async fn the_same_append_from_two_processes_gets_one_answer() {
    let (answers, events) = both_at_once(append(lead(1), 0, &[1, 2], 0), append(lead(1), 0, &[1, 2], 9)).await;
    for answer in answers {
        assert_eq!(answer.unwrap().events, events);
    }
    assert_eq!(ids(&events), [1, 2]);
}

#[tokio::test]
async fn an_id_that_another_process_uses_at_the_same_time_is_refused() {
    let (answers, events) = both_at_once(append(lead(1), 0, &[1], 0), append(lead(2), 0, &[1], 0)).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let refused = answers.iter().find_map(|answer| answer.as_ref().err());
    assert!(matches!(refused, Some(AppendError::IdUsed(_))), "{answers:?}");
    assert_eq!(ids(&events), [1]);
}

#[tokio::test]
async fn time_does_not_go_back_from_one_process_to_the_next() {
    let (answers, events) = both_at_once(append(lead(1), 0, &[1], 200), append(lead(2), 0, &[2], 100)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(events.is_sorted_by_key(|recorded| recorded.recorded_at), "{events:?}");
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_loses_nothing() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let holder = at_the_head_row(fresh.url()).await;
    let mut appends = JoinSet::new();
    for number in 1..=8_000 {
        let log = Arc::clone(&log);
        appends.spawn(async move { log.append(vec![append(lead(number), 0, &[number], 0)]).await.remove(0) });
    }
    // While the head row is held there is no other answer than that.
    let refused = appends.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(AppendError::Busy)), "{refused:?}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    let taken = appends.join_all().await.into_iter().flatten().count();
    assert!(taken > 0);
    assert_eq!(all(&log).await.len(), taken);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_hide_its_events_from_those_who_wait() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let holder = at_the_head_row(fresh.url()).await;
    let caller = appending(&log, append(lead(1), 0, &[1], 0));
    wait_for_locks(&fresh, 1).await;
    caller.abort();
    holder.batch_execute("ROLLBACK").await.unwrap();
    log.wait(Position::START, Duration::from_hours(1)).await;
    assert_eq!(log.head().await.unwrap(), Position::new(1));
}

#[tokio::test]
async fn others_hear_of_an_append_without_looking() {
    let fresh = Server::fresh_database().await;
    let (log, other) = (process(fresh.url()).await, process(fresh.url()).await);
    for number in 1..=5_u64 {
        appending(&log, append(lead(number.into()), 0, &[number.into()], 0))
            .await
            .unwrap()
            .unwrap();
        other.wait(Position::new(number - 1), Duration::from_hours(1)).await;
    }
}

#[tokio::test]
async fn one_that_cannot_hear_looks_by_itself() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let pace = Pace {
        poll: Duration::from_millis(1),
        ..UNHURRIED
    };
    let database = database_at(&format!("{}?pooler=transaction", fresh.url())).await;
    let other = PostgresLog::open_with(database, pace).await.unwrap();
    appending(&log, append(lead(1), 0, &[1], 0)).await.unwrap().unwrap();
    other.wait(Position::START, Duration::from_hours(1)).await;
}
