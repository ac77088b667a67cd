//! The promise of the log on KurrentDB, on the stand-in and on the server that `GITLEADS_TEST_KURRENTDB` names, if it
//! names one; and what only a log on a server can get wrong, on the stand-in.

use domain::EventId;
use fake_kurrentdb::{Misbehaviour, Node, cluster_url};
use uuid::Uuid;

use super::*;
use crate::contract::{account, append, lead};

crate::contract::common!(empty);

type Log = Arc<dyn EventLog>;

/// One on each server: the named one may hold anything, so that the streams have names of their own there.
async fn empty() -> Vec<(Log, Option<Node>)> {
    let (node, log) = stand_in().await;
    let mut logs: Vec<(Log, Option<Node>)> = vec![(Arc::new(log), Some(node))];
    if let Some(url) = named_server() {
        let names = Names::with_prefix(format!("test-{}-", Uuid::new_v4()));
        logs.push((Arc::new(KurrentLog::open_named(&url, names).unwrap()), None));
    }
    logs
}

#[expect(
    clippy::disallowed_methods,
    reason = "which server to test is said by the environment"
)]
fn named_server() -> Option<String> {
    std::env::var("GITLEADS_TEST_KURRENTDB").ok()
}

async fn stand_in() -> (Node, KurrentLog) {
    let node = Node::start().await.unwrap();
    let log = KurrentLog::open(&node.url()).unwrap();
    (node, log)
}

async fn one(log: &KurrentLog, append: StreamAppend) -> Result<Appended, AppendError> {
    let mut answers = log.append(vec![append]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

async fn ids(log: &KurrentLog) -> Vec<u128> {
    let page = log.read(Scope::All, Position::START, 1_000).await.unwrap();
    page.events.iter().map(|recorded| recorded.id.ulid().into()).collect()
}

/// What a command does: again, as long as the outcome is unknown or the server is not there.
async fn until_taken(log: &KurrentLog, append: StreamAppend) -> Appended {
    loop {
        match one(log, append.clone()).await {
            Ok(appended) => return appended,
            Err(AppendError::Unknown(_) | AppendError::Storage(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_commit_leaves_the_outcome_open_and_a_retry_gets_the_first_answer() {
    let (node, log) = stand_in().await;
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    node.misbehave(Misbehaviour::DropAfterCommit);
    let wanted = append(lead(1), 1, &[2, 3], 0);
    let lost = one(&log, wanted.clone()).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
    let written = ids(&log).await;
    assert_eq!(written, [1, 2, 3]);
    let again = one(&log, wanted.clone()).await.unwrap();
    assert_eq!(log.read_streams(&[lead(1)]).await.unwrap()[0][1..], again.events);
    assert_eq!(one(&log, wanted).await.unwrap(), again);
    assert_eq!(ids(&log).await, written);
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_commit_leaves_nothing_and_a_retry_writes_once() {
    let (node, log) = stand_in().await;
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    node.misbehave(Misbehaviour::DropBeforeCommit);
    let wanted = append(lead(1), 1, &[2], 0);
    let lost = one(&log, wanted.clone()).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
    assert_eq!(ids(&log).await, [1]);
    one(&log, wanted).await.unwrap();
    assert_eq!(ids(&log).await, [1, 2]);
}

#[tokio::test]
async fn an_append_that_one_stream_loses_does_not_hurt_the_others() {
    let (node, log) = stand_in().await;
    node.misbehave(Misbehaviour::NotReady);
    let batch = (1..=40).map(|id| append(lead(id), 0, &[id], 0)).collect();
    let answers = log.append(batch).await;
    let lost: Vec<_> = (1..=40_u128)
        .zip(&answers)
        .filter(|(_, answer)| answer.is_err())
        .collect();
    assert!(matches!(lost[..], [(_, Err(AppendError::Storage(_)))]), "{lost:?}");
    let mut written = ids(&log).await;
    written.sort_unstable();
    assert!(written.into_iter().eq((1..=40).filter(|id| *id != lost[0].0)));
}

#[tokio::test]
async fn a_server_that_refuses_for_now_is_told_from_one_whose_answer_is_lost() {
    let (node, log) = stand_in().await;
    for (misbehaviour, is_right) in [
        (
            Misbehaviour::NotReady,
            (|error| matches!(error, AppendError::Storage(_))) as fn(&AppendError) -> bool,
        ),
        (Misbehaviour::TooBusy, |error| matches!(error, AppendError::Busy)),
    ] {
        node.misbehave(misbehaviour);
        let refused = one(&log, append(lead(1), 0, &[1], 0)).await.unwrap_err();
        assert!(is_right(&refused), "{misbehaviour:?}: {refused:?}");
    }
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_and_is_found_again_when_it_is_back() {
    let (node, log) = stand_in().await;
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    node.go_down();
    log.head().await.unwrap_err();
    log.read_streams(&[lead(1)]).await.unwrap_err();
    one(&log, append(lead(1), 1, &[2], 0)).await.unwrap_err();
    let away = one(&log, append(lead(1), 1, &[2], 0)).await;
    assert!(matches!(away, Err(AppendError::Storage(_))), "{away:?}");
    node.come_back();
    until_taken(&log, append(lead(1), 1, &[2], 0)).await;
    assert_eq!(ids(&log).await, [1, 2]);
}

#[tokio::test]
async fn a_server_that_never_answers_holds_nobody_for_ever() {
    let (node, log) = stand_in().await;
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    node.misbehave(Misbehaviour::Silence);
    // From here on time runs to whatever is waited for.
    tokio::time::pause();
    let unanswered = one(&log, append(lead(1), 1, &[2], 0)).await;
    assert!(matches!(unanswered, Err(AppendError::Unknown(_))), "{unanswered:?}");
}

#[tokio::test]
async fn a_node_that_does_not_lead_sends_us_to_the_one_that_does() {
    let leader = Node::start().await.unwrap();
    let follower = leader.join().await.unwrap();
    let log = KurrentLog::open(&follower.url()).unwrap();
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    assert_eq!(ids(&log).await, [1]);
    follower.take_the_lead();
    one(&log, append(lead(1), 1, &[2], 0)).await.unwrap();
    assert_eq!(ids(&log).await, [1, 2]);
}

#[tokio::test]
async fn a_leader_that_dies_is_replaced_by_the_one_that_the_cluster_chose() {
    let first = Node::start().await.unwrap();
    let second = first.join().await.unwrap();
    let third = first.join().await.unwrap();
    let log = KurrentLog::open(&cluster_url(&[&first, &second, &third])).unwrap();
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    first.go_down();
    third.take_the_lead();
    let appended = until_taken(&log, append(lead(1), 1, &[2], 0)).await;
    assert_eq!(log.head().await.unwrap(), appended.position());
    assert_eq!(ids(&log).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_subscription_is_dropped_misses_nothing() {
    let (node, log) = stand_in().await;
    let others = KurrentLog::open(&node.url()).unwrap();
    node.until_subscriptions(2).await;
    let follower = tokio::spawn(async move {
        let (mut seen, mut after) = (Vec::new(), Position::START);
        while seen.len() < 60 {
            log.wait(after, Duration::from_hours(1)).await;
            let page = log.read(Scope::All, after, 7).await.unwrap();
            after = page.looked_to;
            seen.extend(page.events.into_iter().map(|recorded| u128::from(recorded.id.ulid())));
        }
        seen
    });
    for id in 1..=60 {
        match id {
            20 => node.drop_subscriptions(),
            40 => {
                node.go_down();
                node.come_back();
            }
            _ => {}
        }
        until_taken(&others, append(lead(id), 0, &[id], 0)).await;
    }
    assert!(follower.await.unwrap().into_iter().eq(1..=60));
}

#[tokio::test]
async fn a_log_that_is_dropped_listens_no_longer() {
    let (node, log) = stand_in().await;
    node.until_subscriptions(1).await;
    drop(log);
    node.until_subscriptions(0).await;
}

#[tokio::test]
async fn what_others_write_is_never_seen_however_it_is_named() {
    let (node, log) = stand_in().await;
    let account = account();
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    let alike = [
        format!("lead-{account}"),
        format!("account-{account}-1"),
        format!("account-{account}0"),
        format!("xlead-{account}-1"),
        format!("leads-{account}-1"),
        format!("lead-{}-1", account.to_string().to_uppercase()),
        format!("$$lead-{account}-1"),
        "$et-LeadCaptured".to_owned(),
    ];
    for name in &alike {
        node.write(name, "LeadCaptured", "{}");
    }
    let last = one(&log, append(lead(1), 1, &[2], 0)).await.unwrap().position();
    node.write(&alike[0], "LeadCaptured", "{}");
    for scope in [Scope::All, Scope::Account(account)] {
        let page = log.read(scope, Position::START, 100).await.unwrap();
        assert_eq!((page.events.len(), page.looked_to, page.head), (2, last, last));
    }
    assert_eq!(log.head().await.unwrap(), last);
}

#[tokio::test]
async fn positions_are_far_apart() {
    let (_node, log) = stand_in().await;
    let appended = one(&log, append(lead(1), 0, &[1, 2, 3], 0)).await.unwrap();
    let apart = appended
        .events
        .windows(2)
        .map(|two| two[1].position.get() - two[0].position.get());
    assert!(apart.min().unwrap() > 100, "{appended:?}");
}

#[tokio::test]
async fn a_strange_event_in_a_stream_of_ours_is_told_with_its_place() {
    let (node, log) = stand_in().await;
    node.write(lead(1).as_str(), "NeverHeardOf", "{}");
    let strange = log.read(Scope::All, Position::START, 10).await.unwrap_err();
    let head = log.head().await.unwrap();
    assert!(
        matches!(&strange, ReadError::Decode { position, .. } if *position == head),
        "{strange:?}"
    );
}

#[tokio::test]
async fn another_reader_of_the_stream_finds_the_schema_and_the_writers_time() {
    let (node, log) = stand_in().await;
    let appended = one(&log, append(lead(1), 0, &[1], 1_777_026_660_000_001))
        .await
        .unwrap();
    assert_eq!(appended.events[0].id, EventId::new(1_u128.into()));
    let metadata: serde_json::Value = serde_json::from_slice(&node.metadata(lead(1).as_str())[0]).unwrap();
    let wanted = serde_json::json!({"schema_version": 1, "recorded_at": 1_777_026_660_000_001_i64});
    assert_eq!(metadata, wanted);
}

#[tokio::test]
async fn an_encrypted_connection_is_made_by_the_library_of_the_house_to_a_server_that_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    let node = Node::start_encrypted(&right).await.unwrap();
    let _other = Node::start_encrypted(&wrong).await.unwrap();
    let log = KurrentLog::open(&node.encrypted_url(&right)).unwrap();
    one(&log, append(lead(1), 0, &[1], 0)).await.unwrap();
    assert_eq!(ids(&log).await, [1]);
    let provider = format!("{:?}", rustls::crypto::CryptoProvider::get_default());
    assert!(provider.contains("Ring") && !provider.contains("AwsLc"), "{provider}");
    let doubting = KurrentLog::open(&node.encrypted_url(&wrong)).unwrap();
    doubting.head().await.unwrap_err();
    let plain = KurrentLog::open(&node.url()).unwrap();
    plain.head().await.unwrap_err();
}

#[tokio::test]
async fn a_wrong_url_is_told_without_the_password_in_it() {
    for (wrong, told) in [
        ("kurrentdb://ada:hunter2@", "empty host"),
        ("kurrentdb://ada:hunter2@host:port", "invalid port number"),
        ("postgres://ada:hunter2@host", "Unknown URL scheme: postgres"),
        ("kurrentdb://ada:hunter2@host/log", "Unsupported URL path: /log"),
        ("kurrentdb://ada:hunter2@host?nodePreference=follower", "nodePreference"),
        ("kurrentdb://ada:hunter2@host?tls=perhaps", "tls"),
        (
            "kurrentdb://ada:hunter2@host?tlsCaFile=/nowhere/ca.pem",
            "cannot be used",
        ),
    ] {
        let error = KurrentLog::open(wrong).err().unwrap().to_string();
        assert!(error.contains(told) && !error.contains("hunter2"), "{wrong}: {error}");
    }
    for right in [
        "kurrentdb://host",
        "kurrentdb+discover://host:2113",
        "esdb://a:1,b:2,c:3",
    ] {
        KurrentLog::open(right).unwrap();
    }
}

#[tokio::test]
async fn a_position_at_which_no_event_stands_is_told_as_such() {
    let (_node, log) = stand_in().await;
    let written = one(&log, append(lead(1), 0, &[1, 2], 0)).await.unwrap();
    let between = Position::new(written.position().get() - 1);
    let refused = log.read(Scope::All, between, 10).await;
    assert!(
        matches!(refused, Err(ReadError::NoSuchPosition(position)) if position == between),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_moment_is_found_however_far_back_it_lies() {
    let (_node, log) = stand_in().await;
    let ids: Vec<u128> = (1..=2_500).collect();
    let written = one(&log, append(lead(1), 0, &ids, 0)).await.unwrap().events;
    for index in [0, 1, 499, 500, 1_499, 1_500, 2_499] {
        let at = log.position_at(Scope::All, written[index].recorded_at).await.unwrap();
        assert_eq!(at, written[index].position, "{index}");
    }
}
