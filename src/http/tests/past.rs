//! Leads as they were at a moment: the same answers that were given then.

use std::time::Duration;

use database::Postgres;
use domain::{LeadId, LeadStatus, Profile, SignalKind};
use event_log::PostgresLog;
use serde_json::{Value, json};

use super::*;
use crate::commands::{LeadEdit, NotesEdit, enrich_lead, release_leads, update_lead};

const MOMENTS: usize = 200;
const PEOPLE: u64 = 40;
const REPOS: [&str; 3] = ["acme/sdk", "Acme/docs", "rival/kit"];
const FILTERS: [&str; 8] = [
    "",
    "&signal_type=stargazer",
    "&signal_type=keyword_issue",
    "&repo=acme/sdk",
    "&repo=ACME/docs",
    "&signal_type=keyword_pr&repo=rival/kit",
    "&since=2026-04-24T11:00:00Z",
    "&since=2026-04-24T10:40:00Z&signal_type=stargazer",
];

/// A server's database, with everything in it.
pub(super) async fn server() -> (Ground, testbed::FreshDatabase) {
    let fresh = testbed::Postgres::fresh_database().await;
    let database = Postgres::open(fresh.url().parse().unwrap(), false).await.unwrap();
    migrate(&database, MIGRATIONS).await.unwrap();
    let ground = Ground {
        log: Arc::new(PostgresLog::open(database.clone()).await.unwrap()),
        views: Arc::new(database.disposable()),
        store: Arc::new(database),
        views_file: None,
        folder: tempfile::tempdir().unwrap(),
    };
    (ground, fresh)
}

/// xorshift64: the same history every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[usize::try_from(self.roll(among.len() as u64)).unwrap()]
    }
}

/// An answer that was given at a moment.
struct Given {
    moment: Timestamp,
    question: Question,
    answer: Value,
}

#[derive(Clone)]
enum Question {
    /// The whole list, in pages of so many.
    List { filters: &'static str, limit: u64 },
    /// One lead.
    Lead(LeadId),
}

impl House {
    /// Something happens to somebody.
    async fn happen(&self, dice: &mut Dice) {
        let user = dice.roll(PEOPLE);
        let person = self.writer.vault.person_ref(self.account, user);
        let allowance = match dice.roll(3) {
            0 => Allowance::Room { left: 0, cap: 50 },
            _ => Allowance::Unlimited,
        };
        match dice.roll(10) {
            0..=3 => {
                let sighting = sighting(user, dice.pick(SignalKind::ALL), dice.pick(&REPOS));
                record_signals(&self.writer, self.account, vec![sighting], allowance)
                    .await
                    .unwrap();
            }
            4..=5 => {
                let profile = Profile {
                    login: format!("ada-example-{user}"),
                    name: Some(format!("Ada {}", dice.roll(5))),
                    followers: Some(dice.roll(50)),
                    ..Profile::default()
                };
                // Of somebody who was never seen there is nothing to enrich.
                let _ = enrich_lead(&self.writer, self.account, person, profile).await;
            }
            6..=7 => {
                let edit = LeadEdit {
                    status: Some(dice.pick(LeadStatus::ALL)),
                    notes: match dice.roll(3) {
                        0 => NotesEdit::Keep,
                        1 => NotesEdit::Clear,
                        _ => NotesEdit::Write(format!("note {}", dice.roll(100))),
                    },
                };
                let _ = update_lead(&self.writer, self.account, person, &edit).await;
            }
            _ => {
                let _ = release_leads(&self.writer, self.account, &[person]).await;
            }
        }
        self.pass(Duration::from_millis(1 + dice.roll(5_000)));
    }

    async fn ask(&self, question: &Question, as_of: &str) -> Value {
        match question {
            Question::List { filters, limit } => {
                let (mut rows, mut cursor) = (Vec::new(), String::new());
                loop {
                    self.pass(Duration::from_secs(1));
                    let path = format!("/v1/leads?limit={limit}{filters}{as_of}{cursor}");
                    let page = self.get(&path).await.json();
                    rows.extend(page["data"].as_array().unwrap().iter().cloned());
                    let Some(next) = page["next_cursor"].as_str() else {
                        return rows.into();
                    };
                    cursor = format!("&cursor={next}");
                }
            }
            Question::Lead(id) => {
                self.pass(Duration::from_secs(1));
                self.get(&format!("/v1/leads/{id}?{as_of}")).await.json()
            }
        }
    }

    /// Everyone who was ever captured, whether or not shown.
    async fn captured(&self) -> Vec<LeadId> {
        let people: Vec<_> = (0..PEOPLE)
            .map(|user| self.writer.vault.person_ref(self.account, user))
            .map(|person| domain::StreamId::lead(self.account, person))
            .collect();
        let histories = self.writer.log.read_streams(&people).await.unwrap();
        let first = histories.iter().filter_map(|history| history.first());
        first
            .map(|first| match &first.event {
                domain::Event::LeadCaptured(captured) => captured.lead_id,
                domain::Event::LeadWithheld(withheld) => withheld.lead_id,
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

async fn the_answers_of_then_are_given_again(house: House) {
    let mut dice = Dice(0x5EED_1234_5678_9ABC);
    let mut given = Vec::new();
    for _ in 0..MOMENTS {
        for _ in 0..=dice.roll(4) {
            house.happen(&mut dice).await;
        }
        house.shown(house.writer.log.head().await.unwrap()).await;
        let moment = house.clock.now();
        let mut questions = Vec::new();
        for _ in 0..2 {
            questions.push(Question::List {
                filters: dice.pick(&FILTERS),
                limit: 1 + dice.roll(30),
            });
        }
        let captured = house.captured().await;
        for _ in 0..captured.len().min(3) {
            questions.push(Question::Lead(dice.pick(&captured)));
        }
        for question in questions {
            let answer = house.ask(&question, "").await;
            given.push(Given {
                moment,
                question,
                answer,
            });
        }
    }
    let mut told = 0;
    for Given {
        moment,
        question,
        answer,
    } in &given
    {
        let again = house.ask(question, &format!("&as_of={moment}")).await;
        assert_eq!(&again, answer, "{moment}");
        told += usize::from(answer.as_array().is_none_or(|rows| !rows.is_empty()) && answer["error"].is_null());
    }
    assert!(
        told > given.len() / 2,
        "{told} of {} answers tell something",
        given.len()
    );
}

#[tokio::test]
async fn the_answers_of_then_are_given_again_on_files() {
    let house = house_above(files().await, "agency").await;
    the_answers_of_then_are_given_again(house).await;
}

#[tokio::test]
async fn the_answers_of_then_are_given_again_on_a_server() {
    let (ground, _keep) = server().await;
    the_answers_of_then_are_given_again(house_above(ground, "agency").await).await;
}

#[tokio::test]
async fn a_lead_that_was_captured_later_was_not_there() {
    let house = house().await;
    house.record([sighting(1, SignalKind::Stargazer, "acme/sdk")]).await;
    let id = house.get("/v1/leads").await.json()["data"][0]["id"].clone();
    let path = format!("/v1/leads/{}", id.as_str().unwrap());
    let before = "as_of=2026-04-24T10:31:00.999999Z";
    house
        .get(&format!("{path}?{before}"))
        .await
        .is(404, "not_found", "There is no such lead");
    assert_eq!(
        house.get(&format!("/v1/leads?{before}")).await.json()["data"],
        json!([])
    );
    let then = "as_of=2026-04-24T12:31:01%2B02:00";
    assert_eq!(house.get(&format!("{path}?{then}")).await.status, 200);
    assert_eq!(
        house.get(&format!("/v1/leads?{then}")).await.json()["data"][0]["id"],
        id
    );
}

#[tokio::test]
async fn a_moment_to_come_or_malformed_is_refused_and_a_cursor_is_good_for_its_own_moment() {
    let house = house().await;
    house
        .record((1..=3).map(|user| sighting(user, SignalKind::Stargazer, "acme/sdk")))
        .await;
    for path in ["/v1/leads", "/v1/leads/lead_01J8ZQ4N3M8YV7T6S5R4Q3P2N1"] {
        house
            .get(&format!("{path}?as_of=2026-04-24T10:31:03.000001Z"))
            .await
            .is(400, "bad_request", "as_of: lies in the future");
        house.get(&format!("{path}?as_of=2026-04-24T10:31:03+02:00")).await.is(
            400,
            "bad_request",
            "as_of: not an ISO 8601 time with an offset, such as 2026-04-24T10:31:00Z; a + in a query is written %2B",
        );
    }
    house
        .get("/v1/leads/x?limit=5")
        .await
        .is(400, "bad_request", "limit: unknown query parameter; known are as_of");
    let of = "/v1/leads?limit=1&as_of=2026-04-24T10:31:02Z";
    let page = house.get(of).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = house.get(&format!("{of}&cursor={cursor}")).await.json();
    assert_eq!(
        (next["data"].as_array().unwrap().len(), &next["has_more"]),
        (1, &json!(false))
    );
    for other in ["/v1/leads?limit=1", "/v1/leads?limit=1&as_of=2026-04-24T10:31:01Z"] {
        house.get(&format!("{other}&cursor={cursor}")).await.is(
            400,
            "bad_request",
            "cursor: not the next_cursor of an answer to this query",
        );
    }
}

#[tokio::test]
async fn of_an_erased_lead_the_past_tells_what_today_does() {
    let house = house().await;
    house.record([sighting(7, SignalKind::KeywordIssue, "acme/sdk")]).await;
    let id = house.get("/v1/leads").await.json()["data"][0]["id"].clone();
    assert_eq!(house.call("DELETE", "/v1/people/ada-example-7", None).await.status, 204);
    let path = format!("/v1/leads/{}", id.as_str().unwrap());
    let then = house.get(&format!("{path}?as_of=2026-04-24T10:31:01Z")).await;
    assert_eq!(then.json(), house.get(&path).await.json());
    assert_eq!(then.json()["status"], "erased");
    assert_eq!(
        house.get(&format!("{path}?as_of=2026-04-24T10:31:00Z")).await.status,
        404
    );
    let list = house.get("/v1/leads?as_of=2026-04-24T10:31:01Z").await.json();
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn a_person_whose_key_is_gone_is_erased_in_the_past_too() {
    let house = house().await;
    house.record([sighting(7, SignalKind::KeywordIssue, "acme/sdk")]).await;
    let person = house.writer.vault.person_ref(house.account, 7);
    house.writer.vault.destroy(house.account, person).await.unwrap();
    let page = house.get("/v1/leads?as_of=2026-04-24T10:31:01Z").await.json();
    assert_eq!(page["data"][0]["github_username"], Value::Null);
    let path = format!("/v1/leads/{}", page["data"][0]["id"].as_str().unwrap());
    let lead = house.get(&format!("{path}?as_of=2026-04-24T10:31:01Z")).await.json();
    assert_eq!(
        (&lead["github_profile_url"], &lead["signals"][0]["url"]),
        (&Value::Null, &Value::Null)
    );
}
