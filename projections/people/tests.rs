//! Given lead events, then these people by these names.

use domain::event::{LeadCaptured, LeadEnriched, LeadErased, SignalRecorded};
use domain::{Sealed, SignalKind};

use super::*;
use crate::tests::{History, account, lead_id, login_key, project, signal};

fn captured(number: u64, login: Option<&str>) -> LeadCaptured {
    LeadCaptured {
        lead_id: lead_id(number),
        login: login.map(login_key),
        signal: signal(number, SignalKind::Stargazer, "acme/sdk"),
    }
}

fn enriched(number: u64, login: &str) -> LeadEnriched {
    LeadEnriched {
        lead_id: lead_id(number),
        login: Some(login_key(login)),
        profile: Sealed::new(vec![7]),
        changed: Vec::new(),
        withheld: false,
    }
}

fn erased(number: u64) -> LeadErased {
    LeadErased {
        lead_id: lead_id(number),
        withheld: false,
    }
}

/// Who of account 1 is found by each of these names after the events: on each engine, and as one stretch and one by one.
async fn found(history: &History, logins: &[&str]) -> Vec<Option<u64>> {
    let recorded = history.recorded().await;
    let mut answers = Vec::new();
    for (views, _keep) in project(&People, &recorded).await {
        answers.push(look(&*views, logins).await);
    }
    for (views, _keep) in project(&People, &[]).await {
        views.write(People.apply_all(&recorded)).await.unwrap();
        answers.push(look(&*views, logins).await);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

async fn look(views: &dyn Database, logins: &[&str]) -> Vec<Option<u64>> {
    let mut people = Vec::new();
    for login in logins {
        let row = find(views, account(1), login_key(login)).await.unwrap();
        people.push(row.map(|row| {
            let number = u128::from_be_bytes(*row.person.bytes());
            assert_eq!(row.lead_id, lead_id(u64::try_from(number).unwrap()));
            u64::try_from(number).unwrap()
        }));
    }
    people
}

#[tokio::test]
async fn a_person_is_found_by_name_in_their_own_account_only() {
    let mut history = History::new();
    history.lead(1, 1, captured(1, Some("ada"))).await;
    history.lead(2, 2, captured(2, Some("ben"))).await;
    assert_eq!(found(&history, &["ada", "ben"]).await, [Some(1), None]);
}

/// A signal of the time that `number` says; `captured` has its own.
fn seen(number: u64, login: &str, at: u64) -> SignalRecorded {
    SignalRecorded {
        lead_id: lead_id(number),
        login: Some(login_key(login)),
        signal: signal(at, SignalKind::Stargazer, "rival/kit"),
        withheld: false,
    }
}

#[tokio::test]
async fn a_renamed_person_is_found_by_the_newest_name_and_a_name_means_who_had_it_last() {
    let mut history = History::new();
    history.lead(1, 1, captured(1, Some("ada"))).await;
    history.lead(1, 1, enriched(1, "lovelace")).await;
    assert_eq!(found(&history, &["ada", "lovelace"]).await, [None, Some(1)]);
    history.lead(1, 2, captured(2, Some("ada"))).await;
    history.lead(1, 2, enriched(2, "lovelace")).await;
    assert_eq!(found(&history, &["ada", "lovelace"]).await, [None, Some(2)]);
    history.lead(1, 1, enriched(1, "lovelace")).await;
    assert_eq!(found(&history, &["lovelace"]).await, [Some(1)]);
}

#[tokio::test]
async fn what_an_archive_tells_of_former_names_gives_them_to_nobody() {
    let mut history = History::new();
    history.lead(1, 5, captured(5, Some("ada"))).await;
    history.lead(1, 6, captured(6, Some("ben"))).await;
    history.lead(1, 6, seen(6, "ada", 2)).await;
    assert_eq!(found(&history, &["ada", "ben"]).await, [Some(5), Some(6)]);
    history.lead(1, 5, enriched(5, "ada")).await;
    history.lead(1, 5, seen(5, "augusta", 3)).await;
    assert_eq!(found(&history, &["ada", "augusta"]).await, [Some(5), None]);
}

#[tokio::test]
async fn before_a_profile_is_known_a_person_is_found_by_the_newest_name_and_by_the_one_that_lists_show() {
    let mut history = History::new();
    history.lead(1, 1, captured(1, Some("ada"))).await;
    history.lead(1, 1, seen(1, "lovelace", 7)).await;
    assert_eq!(found(&history, &["ada", "lovelace"]).await, [Some(1), Some(1)]);
    // Whoever is called so takes precedence over whoever is shown so.
    history.lead(1, 2, captured(2, Some("ada"))).await;
    assert_eq!(found(&history, &["ada", "lovelace"]).await, [Some(2), Some(1)]);
    history.lead(1, 1, enriched(1, "lovelace")).await;
    history.lead(1, 2, erased(2)).await;
    assert_eq!(found(&history, &["ada", "lovelace"]).await, [None, Some(1)]);
}

/// A history of signals in the order of the log: who, called what, when. The first of each is what the lists show.
async fn of_signals(signals: &[(u64, &str, u64)]) -> History {
    let mut history = History::new();
    let mut known = Vec::new();
    for (number, login, at) in signals {
        if known.contains(number) {
            history.lead(1, *number, seen(*number, login, *at)).await;
        } else {
            known.push(*number);
            let first = LeadCaptured {
                signal: signal(*at, SignalKind::Stargazer, "acme/sdk"),
                ..captured(*number, Some(login))
            };
            history.lead(1, *number, first).await;
        }
    }
    history
}

#[tokio::test]
async fn a_name_never_means_somebody_who_left_it_before_another_bore_it() {
    let history = of_signals(&[(1, "ada", 15), (1, "countess", 20), (2, "ben", 9), (2, "ada", 10)]).await;
    assert_eq!(
        found(&history, &["ada", "countess", "ben"]).await,
        [Some(1), Some(1), Some(2)]
    );
    let history = of_signals(&[(1, "ada", 15), (1, "countess", 20), (3, "ada", 18), (3, "augusta", 19)]).await;
    assert_eq!(found(&history, &["ada"]).await, [Some(3)]);
    // Whoever bore it last is called otherwise by now, in lists too.
    let history = of_signals(&[(5, "ada", 15), (5, "augusta", 16), (5, "countess", 17)]).await;
    assert_eq!(
        found(&history, &["ada", "augusta", "countess"]).await,
        [Some(5), None, Some(5)]
    );
}

#[tokio::test]
async fn a_name_that_an_erased_person_bore_last_means_nobody_whatever_is_told_later_of_former_bearers() {
    let mut history = of_signals(&[(11, "ada", 15), (11, "countess", 20)]).await;
    history.lead(1, 11, erased(11)).await;
    for (number, at) in [(12, 12), (13, 15)] {
        let first = LeadCaptured {
            signal: signal(at, SignalKind::Stargazer, "acme/sdk"),
            ..captured(number, Some("ada"))
        };
        history.lead(1, number, first).await;
        assert_eq!(found(&history, &["ada", "countess"]).await, [None, None]);
    }
    history.lead(1, 12, seen(12, "ada", 16)).await;
    assert_eq!(found(&history, &["ada"]).await, [Some(12)]);
}

#[tokio::test]
async fn an_event_that_says_no_name_changes_none() {
    let mut history = History::new();
    history.lead(1, 1, captured(1, Some("ada"))).await;
    let nameless = SignalRecorded {
        lead_id: lead_id(1),
        login: None,
        signal: signal(9, SignalKind::Stargazer, "rival/kit"),
        withheld: false,
    };
    history.lead(1, 1, nameless).await;
    history.lead(1, 2, captured(2, None)).await;
    assert_eq!(found(&history, &["ada"]).await, [Some(1)]);
}

#[tokio::test]
async fn an_erased_person_is_found_by_no_name_and_the_name_falls_to_nobody_who_had_it_before() {
    let mut history = History::new();
    history.lead(1, 1, captured(1, Some("ada"))).await;
    history.lead(1, 2, captured(2, Some("ada"))).await;
    history.lead(1, 2, erased(2)).await;
    assert_eq!(found(&history, &["ada"]).await, [None]);
    history.lead(1, 3, captured(3, Some("ada"))).await;
    assert_eq!(found(&history, &["ada"]).await, [Some(3)]);
    history.lead(1, 3, erased(3)).await;
    assert_eq!(found(&history, &["ada"]).await, [None]);
}
