//! Connections that end in the middle of an append: whatever the server did, the caller gets the true answer.

use super::*;

#[tokio::test]
async fn an_append_that_is_cut_off_before_its_commit_is_made_all_the_same() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    appending(&log, append(lead(1), 0, &[1], 0)).await.unwrap().unwrap();
    let holder = at_the_head_row(fresh.url()).await;
    let waiting = appending(&log, append(lead(2), 0, &[2], 0));
    wait_for_locks(&fresh, 1).await;

    end_sessions(&fresh, "wait_event_type = 'Lock'").await;
    holder.batch_execute("ROLLBACK").await.unwrap();

    assert_eq!(waiting.await.unwrap().unwrap().position(), Position::new(2));
    assert_eq!(ids(&all(&log).await), [1, 2]);
}

#[tokio::test]
async fn an_append_that_is_cut_off_while_it_is_settled_is_made_all_the_same() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    let holder = at_the_head_row(fresh.url()).await;
    // The first append of a process is settled.
    let waiting = appending(&log, append(lead(1), 0, &[1], 0));
    for _ in 0..3 {
        wait_for_locks(&fresh, 1).await;
        end_sessions(&fresh, "wait_event_type = 'Lock'").await;
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().position(), Position::new(1));
    assert_eq!(ids(&all(&log).await), [1]);
}

#[tokio::test]
async fn two_groups_that_are_cut_off_together_are_both_made() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    appending(&log, append(lead(100), 0, &[100], 0)).await.unwrap().unwrap();
    let holder = at_the_head_row(fresh.url()).await;
    let first = appending(&log, append(lead(1), 0, &[1], 0));
    wait_for_locks(&fresh, 1).await;
    let behind: Vec<_> = (2..=40)
        .map(|id| appending(&log, append(lead(id), 0, &[id], 0)))
        .collect();
    // One thread runs the tasks in turn: once this one is back, the second group is on its way.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    end_sessions(&fresh, "wait_event_type = 'Lock'").await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    first.await.unwrap().unwrap();
    for append in behind {
        append.await.unwrap().unwrap();
    }
    let mut taken = ids(&all(&log).await);
    taken.sort_unstable();
    assert!(taken.into_iter().eq((1..=40).chain([100])));
}

#[tokio::test]
async fn a_connection_that_ended_while_nothing_was_to_be_done_is_replaced() {
    let fresh = Server::fresh_database().await;
    let log = process(fresh.url()).await;
    for number in 1..=5 {
        appending(&log, append(lead(number), 0, &[number], 0))
            .await
            .unwrap()
            .unwrap();
        end_sessions(&fresh, "true").await;
    }
    assert_eq!(ids(&all(&log).await), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn one_that_listens_listens_again_after_it_was_cut_off() {
    let fresh = Server::fresh_database().await;
    let (log, other) = (process(fresh.url()).await, process(fresh.url()).await);
    for number in 1..=3_u64 {
        end_sessions(&fresh, "query LIKE 'LISTEN%'").await;
        appending(&log, append(lead(number.into()), 0, &[number.into()], 0))
            .await
            .unwrap()
            .unwrap();
        other.wait(Position::new(number - 1), Duration::from_hours(1)).await;
    }
}
