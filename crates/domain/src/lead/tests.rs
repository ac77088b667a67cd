//! What a lead decides: capture, quota, enrichment, stars that come and go, edits, erasure.

use cqrs_es::test::TestFramework;
use ulid::Ulid;

use super::*;
use crate::SignalKind;

fn id(number: u128) -> LeadId {
    LeadId::new(Ulid::from_parts(1, number))
}

fn signal(number: u8) -> Signal {
    Signal {
        key: SignalKey::new([number; 16]),
        kind: SignalKind::Stargazer,
        repo: RepoKey::new([9; 16]),
        keyword: None,
        occurred_at: Timestamp::from_secs(i64::from(number)),
        collector: Collector::Archive,
        person: Sealed::new(vec![number]),
    }
}

fn login() -> LoginKey {
    LoginKey::new([8; 16])
}

fn record(lead: u128, number: u8, quota: Quota) -> LeadCommand {
    LeadCommand::RecordSignal {
        lead_id: id(lead),
        login: login(),
        signal: signal(number),
        quota,
    }
}

fn captured() -> Event {
    LeadCaptured {
        lead_id: id(1),
        login: Some(login()),
        signal: signal(1),
    }
    .into()
}

fn withheld() -> Event {
    LeadWithheld {
        lead_id: id(1),
        login: Some(login()),
        signal: signal(1),
        cap: 50,
    }
    .into()
}

fn lead() -> TestFramework<Lead> {
    TestFramework::with(())
}

fn recorded_by() -> EventId {
    EventId::new(Ulid::from_parts(1, 77))
}

fn take_back(number: u8, second: i64) -> LeadCommand {
    LeadCommand::TakeStarBack {
        signal: SignalKey::new([number; 16]),
        recorded_by: recorded_by(),
        taken_back_at: Timestamp::from_secs(second),
        collector: Collector::GithubWebhook,
    }
}

fn taken_back(second: i64) -> Event {
    StarTakenBack {
        lead_id: id(1),
        signal: SignalKey::new([1; 16]),
        repo: RepoKey::new([9; 16]),
        recorded_by: recorded_by(),
        taken_back_at: Timestamp::from_secs(second),
        collector: Collector::GithubWebhook,
        withheld: false,
    }
    .into()
}

fn give_again(second: i64) -> LeadCommand {
    LeadCommand::GiveStarAgain {
        signal: SignalKey::new([1; 16]),
        occurred_at: Timestamp::from_secs(second),
        collector: Collector::EventsFeed,
    }
}

fn given_again(second: i64) -> Event {
    StarGivenAgain {
        lead_id: id(1),
        signal: SignalKey::new([1; 16]),
        repo: RepoKey::new([9; 16]),
        recorded_by: recorded_by(),
        occurred_at: Timestamp::from_secs(second),
        collector: Collector::EventsFeed,
        withheld: false,
    }
    .into()
}

#[test]
fn a_star_is_taken_back_once_and_only_after_it_was_given() {
    lead()
        .given(vec![captured()])
        .when(take_back(1, 50))
        .then_expect_events(vec![taken_back(50)]);
    for (given, command) in [
        (vec![], take_back(1, 50)),
        (vec![captured()], take_back(2, 50)),
        (vec![captured()], take_back(1, 0)),
        (vec![captured(), taken_back(50)], take_back(1, 60)),
        (vec![captured(), taken_back(50), given_again(70)], take_back(1, 60)),
    ] {
        lead().given(given).when(command).then_expect_events(vec![]);
    }
    lead()
        .given(vec![captured(), taken_back(50), given_again(70)])
        .when(take_back(1, 80))
        .then_expect_events(vec![taken_back(80)]);
}

#[test]
fn a_star_is_given_again_only_if_it_had_been_taken_back_before() {
    lead()
        .given(vec![captured(), taken_back(50)])
        .when(give_again(70))
        .then_expect_events(vec![given_again(70)]);
    for (given, second) in [
        (vec![], 70),
        (vec![captured()], 70),
        (vec![captured(), taken_back(50)], 1),
        (vec![captured(), taken_back(50), given_again(70)], 90),
    ] {
        lead().given(given).when(give_again(second)).then_expect_events(vec![]);
    }
}

#[test]
fn the_first_signal_captures_the_lead() {
    lead()
        .given_no_previous_events()
        .when(record(1, 1, Quota::Within))
        .then_expect_events(vec![captured()]);
}

#[test]
fn a_further_signal_joins_the_lead_and_keeps_its_id() {
    let joined = SignalRecorded {
        lead_id: id(1),
        login: Some(login()),
        signal: signal(2),
        withheld: false,
    };
    lead()
        .given(vec![captured()])
        .when(record(9, 2, Quota::Within))
        .then_expect_events(vec![joined.into()]);
}

#[test]
fn the_same_signal_is_recorded_once_whichever_source_brings_it() {
    let mut again = signal(1);
    again.collector = Collector::GithubWebhook;
    let command = LeadCommand::RecordSignal {
        lead_id: id(9),
        login: login(),
        signal: again,
        quota: Quota::Within,
    };
    lead()
        .given(vec![captured()])
        .when(command.clone())
        .then_expect_events(vec![]);
    lead().given(vec![withheld()]).when(command).then_expect_events(vec![]);
}

#[test]
fn over_the_cap_a_new_person_is_withheld_and_a_known_one_still_gives_signals() {
    let over = Quota::Exhausted { cap: 50 };
    lead()
        .given_no_previous_events()
        .when(record(1, 1, over))
        .then_expect_events(vec![withheld()]);
    let joined = SignalRecorded {
        lead_id: id(1),
        login: Some(login()),
        signal: signal(2),
        withheld: true,
    };
    lead()
        .given(vec![withheld()])
        .when(record(1, 2, over))
        .then_expect_events(vec![joined.into()]);
    let joined = SignalRecorded {
        lead_id: id(1),
        login: Some(login()),
        signal: signal(2),
        withheld: false,
    };
    lead()
        .given(vec![captured()])
        .when(record(1, 2, over))
        .then_expect_events(vec![joined.into()]);
}

#[test]
fn a_withheld_lead_is_released_once() {
    let released: Event = LeadReleased { lead_id: id(1) }.into();
    lead()
        .given(vec![withheld()])
        .when(LeadCommand::Release)
        .then_expect_events(vec![released.clone()]);
    lead()
        .given(vec![withheld(), released])
        .when(LeadCommand::Release)
        .then_expect_events(vec![]);
    lead()
        .given(vec![captured()])
        .when(LeadCommand::Release)
        .then_expect_events(vec![]);
    lead()
        .given_no_previous_events()
        .when(LeadCommand::Release)
        .then_expect_error(LeadRefusal::Unknown);
}

fn enrich(changed: Vec<ProfileField>) -> LeadCommand {
    LeadCommand::Enrich {
        login: login(),
        profile: Sealed::new(vec![7]),
        changed,
    }
}

fn update(status: Option<LeadStatus>, notes: Option<u8>, notes_changed: bool) -> LeadCommand {
    LeadCommand::Update {
        status,
        notes: notes.map(|byte| Sealed::new(vec![byte])),
        notes_changed,
    }
}

fn updated(status: LeadStatus, notes: Option<u8>, withheld: bool) -> Event {
    LeadUpdated {
        lead_id: id(1),
        status,
        notes: notes.map(|byte| Sealed::new(vec![byte])),
        withheld,
    }
    .into()
}

fn erased(withheld: bool) -> Event {
    LeadErased {
        lead_id: id(1),
        withheld,
    }
    .into()
}

#[test]
fn an_enrichment_that_changes_nothing_is_no_event() {
    let expected = LeadEnriched {
        lead_id: id(1),
        login: Some(login()),
        profile: Sealed::new(vec![7]),
        changed: vec![ProfileField::Bio],
        withheld: false,
    };
    lead()
        .given(vec![captured()])
        .when(enrich(vec![ProfileField::Bio]))
        .then_expect_events(vec![expected.into()]);
    lead()
        .given(vec![captured()])
        .when(enrich(vec![]))
        .then_expect_events(vec![]);
    lead()
        .given_no_previous_events()
        .when(enrich(vec![ProfileField::Bio]))
        .then_expect_error(LeadRefusal::Unknown);
}

#[test]
fn an_update_says_the_whole_state_and_one_that_changes_nothing_is_no_event() {
    let contacted = Some(LeadStatus::Contacted);
    lead()
        .given(vec![captured()])
        .when(update(contacted, None, false))
        .then_expect_events(vec![updated(LeadStatus::Contacted, None, false)]);
    let given = vec![captured(), updated(LeadStatus::Contacted, Some(3), false)];
    lead()
        .given(given.clone())
        .when(update(None, Some(4), true))
        .then_expect_events(vec![updated(LeadStatus::Contacted, Some(4), false)]);
    lead()
        .given(given.clone())
        .when(update(Some(LeadStatus::Replied), Some(4), false))
        .then_expect_events(vec![updated(LeadStatus::Replied, Some(4), false)]);
    for nothing in [update(contacted, Some(4), false), update(None, Some(4), false)] {
        lead().given(given.clone()).when(nothing).then_expect_events(vec![]);
    }
    lead()
        .given(vec![captured()])
        .when(update(Some(LeadStatus::New), None, false))
        .then_expect_events(vec![]);
}

#[test]
fn a_withheld_lead_is_updated_as_one_that_nobody_sees_yet_and_an_unknown_one_is_not() {
    lead()
        .given(vec![withheld()])
        .when(update(Some(LeadStatus::Dismissed), None, false))
        .then_expect_events(vec![updated(LeadStatus::Dismissed, None, true)]);
    lead()
        .given_no_previous_events()
        .when(update(Some(LeadStatus::Dismissed), None, false))
        .then_expect_error(LeadRefusal::Unknown);
}

#[test]
fn a_person_is_erased_once() {
    lead()
        .given(vec![captured()])
        .when(LeadCommand::Erase)
        .then_expect_events(vec![erased(false)]);
    lead()
        .given(vec![withheld()])
        .when(LeadCommand::Erase)
        .then_expect_events(vec![erased(true)]);
    lead()
        .given(vec![captured(), erased(false)])
        .when(LeadCommand::Erase)
        .then_expect_events(vec![]);
    lead()
        .given_no_previous_events()
        .when(LeadCommand::Erase)
        .then_expect_error(LeadRefusal::Unknown);
}

#[test]
fn nothing_more_is_recorded_of_an_erased_person() {
    let given = vec![withheld(), erased(true)];
    for command in [
        record(9, 2, Quota::Within),
        enrich(vec![ProfileField::Bio]),
        LeadCommand::Release,
    ] {
        lead().given(given.clone()).when(command).then_expect_events(vec![]);
    }
    lead()
        .given(given)
        .when(update(Some(LeadStatus::Contacted), None, false))
        .then_expect_error(LeadRefusal::Erased);
}
