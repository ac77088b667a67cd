//! An endpoint's deliveries over HTTP, from rows as delivery writes them; and asking for one, or a span of them, again.

use database::Statement;
use domain::SignalKind::Stargazer;
use domain::{EventId, StreamId};
use event_log::{Position, Scope};
use serde_json::{Value, json};

use super::endpoint;
use crate::http::tests::past::server;
use crate::http::tests::{House, house, house_above, sighting};

/// What one captured lead leaves in the log.
struct Captured {
    id: EventId,
    position: Position,
    stream: StreamId,
}

async fn captured(house: &House, people: u64) -> Vec<Captured> {
    house
        .record((1..=people).map(|user| sighting(user, Stargazer, "acme/sdk")))
        .await;
    let scope = Scope::Account(house.account);
    let page = house.writer.log.read(scope, Position::START, 100).await.unwrap();
    let leads = page
        .events
        .into_iter()
        .filter(|recorded| recorded.event.name() == "LeadCaptured");
    leads
        .map(|recorded| Captured {
            id: recorded.id,
            position: recorded.position,
            stream: recorded.stream,
        })
        .collect()
}

async fn write(house: &House, text: String) {
    house.store.write(vec![Statement::sql(text, Vec::new())]).await.unwrap();
}

/// An attempt as delivery notes it; the answer is sealed for the person.
async fn attempt(house: &House, endpoint: &str, captured: &Captured, number: u32, status: u16, outcome: &str) {
    let person = captured.stream.person().unwrap();
    let keys = house.writer.vault.keys(house.account, &[person]).await.unwrap();
    let answer = keys.seal(person, captured.id, &format!("answer {number}")).unwrap();
    let row = vec![
        format!("dlv_{}_{number}", captured.id).into(),
        endpoint.into(),
        captured.position.get().into(),
        captured.id.to_string().into(),
        number.into(),
        (1_777_026_660_000_000 + i64::from(number)).into(),
        1_500_u32.into(),
        u32::from(status).into(),
        outcome.into(),
        answer.bytes().into(),
        captured.stream.as_str().into(),
        "lead.created".into(),
    ];
    let insert = Statement::insert(
        "webhook_attempt (id, endpoint, position, event_id, attempt, at, duration_us, status, outcome, answer, stream, event)",
        "",
        row,
    );
    house.store.write(vec![insert]).await.unwrap();
}

async fn kept(house: &House, endpoint: &str, captured: &Captured, state: &str) {
    let (position, stream) = (captured.position, captured.stream.as_str());
    write(
        house,
        format!(
            "INSERT INTO webhook_retry (endpoint, position, stream, attempts, due_at, state) \
             VALUES ('{endpoint}', {position}, '{stream}', 1, 1777026700000000, '{state}')"
        ),
    )
    .await;
}

/// A house with an endpoint and four events: taken, tried again, failed for good, and waiting for its turn.
async fn four() -> (House, String, String, Vec<Captured>) {
    four_in(house().await).await
}

async fn four_in(house: House) -> (House, String, String, Vec<Captured>) {
    let (record, path) = endpoint(&house, json!({})).await;
    let id = record["id"].as_str().unwrap().to_owned();
    let leads = captured(&house, 4).await;
    attempt(&house, &id, &leads[0], 1, 503, "status").await;
    attempt(&house, &id, &leads[0], 2, 200, "delivered").await;
    attempt(&house, &id, &leads[1], 1, 503, "status").await;
    kept(&house, &id, &leads[1], "waiting").await;
    attempt(&house, &id, &leads[2], 12, 500, "status").await;
    kept(&house, &id, &leads[2], "failed").await;
    kept(&house, &id, &leads[3], "waiting").await;
    (house, id, path, leads)
}

fn ids(page: &Value) -> Vec<String> {
    let rows = page["data"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_delivery_shows_how_it_stands_and_every_attempt() {
    let (house, _, path, leads) = four().await;
    let page = house.get(&format!("{path}/deliveries")).await.json();
    let newest_first: Vec<String> = leads.iter().rev().map(|lead| lead.id.to_string()).collect();
    assert_eq!(ids(&page), newest_first);
    assert_eq!((&page["has_more"], &page["next_cursor"]), (&json!(false), &Value::Null));
    let [waiting, failed, tried, taken] = page["data"].as_array().unwrap().as_slice() else {
        panic!("{page}");
    };
    assert_eq!(
        (&waiting["status"], &waiting["attempts"]),
        (&json!("waiting"), &json!([]))
    );
    assert_eq!(
        (&failed["status"], &failed["next_attempt_at"]),
        (&json!("failed"), &Value::Null)
    );
    assert_eq!(
        (&tried["status"], &tried["next_attempt_at"]),
        (&json!("waiting"), &json!("2026-04-24T10:31:40Z"))
    );
    let id = leads[0].id;
    let attempt = |number: u32, status: u16, failure: Value| {
        json!({
            "id": format!("dlv_{id}_{number}"), "number": number,
            "at": format!("2026-04-24T10:31:00.00000{number}Z"), "duration_ms": 1, "status": status,
            "failure": failure, "answer": format!("answer {number}"),
        })
    };
    let expected = json!({
        "id": id.to_string(), "event": "lead.created", "status": "delivered", "next_attempt_at": null,
        "attempts": [attempt(1, 503, json!("status")), attempt(2, 200, Value::Null)],
    });
    assert_eq!(*taken, expected);
}

#[tokio::test]
async fn deliveries_are_found_by_status_and_time_and_paged_on_files() {
    deliveries_are_found_by_status_and_time_and_paged(four().await).await;
}

#[tokio::test]
async fn deliveries_are_found_by_status_and_time_and_paged_on_a_server() {
    let (ground, _keep) = server().await;
    let four = four_in(house_above(ground, "agency").await).await;
    deliveries_are_found_by_status_and_time_and_paged(four).await;
}

async fn deliveries_are_found_by_status_and_time_and_paged(
    (house, _, path, leads): (House, String, String, Vec<Captured>),
) {
    let listed = async |query: &str| house.get(&format!("{path}/deliveries?{query}")).await.json();
    let named =
        |indexes: &[usize]| -> Vec<String> { indexes.iter().map(|index| leads[*index].id.to_string()).collect() };
    assert_eq!(ids(&listed("status=waiting").await), named(&[3, 1]));
    assert_eq!(ids(&listed("status=failed").await), named(&[2]));
    assert_eq!(ids(&listed("status=delivered").await), named(&[0]));
    assert_eq!(ids(&listed("status=erased").await), named(&[]));
    // One a second, the first a second after the endpoint.
    assert_eq!(ids(&listed("since=2026-04-24T10:31:02Z").await), named(&[3, 2]));
    assert_eq!(ids(&listed("until=2026-04-24T10:31:02Z").await), named(&[1, 0]));
    let (mut seen, mut query) = (Vec::new(), "limit=1".to_owned());
    for _ in 0..4 {
        let page = listed(&query).await;
        seen.extend(ids(&page));
        query = match page["next_cursor"].as_str() {
            Some(cursor) => format!("limit=1&cursor={cursor}"),
            None => "limit=1".to_owned(),
        };
    }
    assert_eq!(seen, named(&[3, 2, 1, 0]));
    let cases = [
        (
            "status=lost",
            "status: must be one of waiting, delivered, failed, erased",
        ),
        (
            "cursor=x",
            "cursor: must be the next_cursor of a page of this list with these filters",
        ),
        (
            "cursor=7",
            "cursor: must be the next_cursor of a page of this list with these filters",
        ),
        (
            "page=2",
            "page: unknown query parameter; known are limit, cursor, status, since, until",
        ),
    ];
    for (query, message) in cases {
        let answer = house.get(&format!("{path}/deliveries?{query}")).await;
        answer.is(400, "bad_request", message);
    }
}

#[tokio::test]
async fn an_erased_persons_answers_are_shown_no_more() {
    let (house, _, path, leads) = four().await;
    let person = leads[0].stream.person().unwrap();
    house.writer.vault.destroy(house.account, person).await.unwrap();
    let page = house.get(&format!("{path}/deliveries?status=delivered")).await.json();
    assert_eq!(page["data"][0]["attempts"][1]["answer"], Value::Null);
}

#[tokio::test]
async fn a_delivery_is_asked_for_again_by_its_id_on_files() {
    a_delivery_is_asked_for_again_by_its_id(four().await).await;
}

#[tokio::test]
async fn a_delivery_is_asked_for_again_by_its_id_on_a_server() {
    let (ground, _keep) = server().await;
    let four = four_in(house_above(ground, "agency").await).await;
    a_delivery_is_asked_for_again_by_its_id(four).await;
}

async fn a_delivery_is_asked_for_again_by_its_id((house, id, path, leads): (House, String, String, Vec<Captured>)) {
    let resend = async |event: &str| {
        house
            .call("POST", &format!("{path}/deliveries/{event}/resend"), None)
            .await
    };
    let taken = leads[0].id.to_string();
    for _ in 0..2 {
        let answer = resend(&taken).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (202, json!({ "id": taken, "status": "waiting" }))
        );
    }
    let query = "SELECT endpoint, position, stream FROM webhook_resend";
    let rows = house.store.read(Statement::sql(query, Vec::new())).await.unwrap();
    let expected = vec![
        id.as_str().into(),
        leads[0].position.get().into(),
        leads[0].stream.as_str().into(),
    ];
    assert_eq!(rows, [database::Row(expected)]);
    // What was asked for waits from now on, whatever came of it before.
    let failed = leads[2].id.to_string();
    assert_eq!(resend(&failed).await.status, 202);
    let listed = async |query: &str| house.get(&format!("{path}/deliveries?{query}")).await.json();
    let waiting = listed("status=waiting").await;
    let expected: Vec<String> = leads.iter().rev().map(|lead| lead.id.to_string()).collect();
    assert_eq!(ids(&waiting), expected);
    assert_eq!(waiting["data"][3]["attempts"].as_array().unwrap().len(), 2);
    for status in ["delivered", "failed"] {
        assert_eq!(ids(&listed(&format!("status={status}")).await), Vec::<String>::new());
    }
    let all = listed("").await;
    assert!(
        all["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["status"] == "waiting")
    );
    for unknown in ["evt_01J8ZQ4N3M8YV7T6S5R4Q3P2N1", "dlv_1", "%FF"] {
        assert_eq!(resend(unknown).await.status, 404, "{unknown}");
    }
    let (_, other) = endpoint(&house, json!({})).await;
    let answer = house
        .call("POST", &format!("{other}/deliveries/{taken}/resend"), None)
        .await;
    answer.is(404, "not_found", "There is no such delivery");
}

#[tokio::test]
async fn whatever_is_listed_can_be_asked_for_again_on_files() {
    whatever_is_listed_can_be_asked_for_again(four().await).await;
}

#[tokio::test]
async fn whatever_is_listed_can_be_asked_for_again_on_a_server() {
    let (ground, _keep) = server().await;
    let four = four_in(house_above(ground, "agency").await).await;
    whatever_is_listed_can_be_asked_for_again(four).await;
}

async fn whatever_is_listed_can_be_asked_for_again((house, id, path, leads): (House, String, String, Vec<Captured>)) {
    // As if thirty days had passed since the attempts of what failed for good.
    let position = leads[2].position;
    write(
        &house,
        format!("DELETE FROM webhook_attempt WHERE position = {position}"),
    )
    .await;
    house.call("POST", &format!("{path}/pause"), None).await;
    let listed = house.get(&format!("{path}/deliveries")).await.json();
    assert_eq!(ids(&listed).len(), 4);
    for event in ids(&listed) {
        let answer = house
            .call("POST", &format!("{path}/deliveries/{event}/resend"), None)
            .await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    let waiting = house.get(&format!("{path}/deliveries?status=waiting")).await.json();
    assert_eq!(ids(&waiting), ids(&listed));
    let again = house.get(&format!("{path}/deliveries")).await.json();
    for row in again["data"].as_array().unwrap() {
        // Nothing is sent to an endpoint that is paused.
        let shown = (&row["status"], &row["next_attempt_at"]);
        assert_eq!(shown, (&json!("waiting"), &Value::Null));
    }
    let edit = json!({ "events": ["lead.erased"] });
    house.call("PATCH", &path, Some(edit)).await;
    let answer = house
        .call("POST", &format!("{path}/deliveries/{}/resend", leads[2].id), None)
        .await;
    answer.is(
        409,
        "conflict",
        "The endpoint does not hear of lead.created: its events do not name it",
    );
    let shown = house.get(&path).await.json();
    assert_eq!(shown["waiting"], 4, "{id}");
}

#[tokio::test]
async fn a_delivery_waits_until_its_turn_can_come_on_files() {
    a_delivery_waits_until_its_turn_can_come(four().await).await;
}

#[tokio::test]
async fn a_delivery_waits_until_its_turn_can_come_on_a_server() {
    let (ground, _keep) = server().await;
    let four = four_in(house_above(ground, "agency").await).await;
    a_delivery_waits_until_its_turn_can_come(four).await;
}

async fn a_delivery_waits_until_its_turn_can_come((house, id, path, leads): (House, String, String, Vec<Captured>)) {
    let next = async || {
        let page = house.get(&format!("{path}/deliveries?status=waiting")).await.json();
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| row["next_attempt_at"].clone()).collect::<Vec<_>>()
    };
    let due = json!("2026-04-24T10:31:40Z");
    assert_eq!(next().await, [due.clone(), due.clone()]);
    // As if both were events of one lead.
    let (earlier, later) = (&leads[1], &leads[3]);
    attempt(&house, &id, later, 1, 503, "status").await;
    write(
        &house,
        format!(
            "UPDATE webhook_retry SET stream = '{}' WHERE position = {}",
            earlier.stream.as_str(),
            later.position
        ),
    )
    .await;
    assert_eq!(next().await, [Value::Null, due]);
    let cursor = format!(
        "INSERT INTO webhook_cursor (endpoint, account, position, seen, unsettled, failures, open_until, openings, \
         changed_at) VALUES ('{id}', '{}', {seen}, {seen}, '', 10, 1777026900000000, 1, {seen})",
        house.account,
        seen = later.position
    );
    write(&house, cursor).await;
    assert_eq!(next().await, [Value::Null, json!("2026-04-24T10:35:00Z")]);
    house.call("POST", &format!("{path}/pause"), None).await;
    assert_eq!(next().await, [Value::Null, Value::Null]);
}

#[tokio::test]
async fn a_filter_finds_what_is_shown_so_on_files() {
    a_filter_finds_what_is_shown_so(four().await).await;
}

#[tokio::test]
async fn a_filter_finds_what_is_shown_so_on_a_server() {
    let (ground, _keep) = server().await;
    let four = four_in(house_above(ground, "agency").await).await;
    a_filter_finds_what_is_shown_so(four).await;
}

async fn a_filter_finds_what_is_shown_so((house, id, path, leads): (House, String, String, Vec<Captured>)) {
    // Sent again and not told, since the person was erased; and no longer tried, since filters leave it out.
    attempt(&house, &id, &leads[0], 3, 200, "erased").await;
    write(
        &house,
        format!("DELETE FROM webhook_retry WHERE position = {}", leads[1].position),
    )
    .await;
    let all = house.get(&format!("{path}/deliveries")).await.json();
    for status in ["waiting", "delivered", "failed", "erased"] {
        let shown = all["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["status"] == status);
        let shown: Vec<&str> = shown.map(|row| row["id"].as_str().unwrap()).collect();
        let found = house.get(&format!("{path}/deliveries?status={status}")).await.json();
        assert_eq!(ids(&found), shown, "{status}");
    }
    let statuses: Vec<&str> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["waiting", "failed", "failed", "erased"]);
}

#[tokio::test]
async fn an_endpoint_shows_what_waits_for_it_and_since_when() {
    let house = house().await;
    let (_, path) = endpoint(&house, json!({ "events": ["lead.created"] })).await;
    house.call("POST", &format!("{path}/pause"), None).await;
    captured(&house, 3).await;
    let shown = house.get(&path).await.json();
    assert_eq!(
        (&shown["waiting"], &shown["waiting_since"]),
        (&json!(3), &json!("2026-04-24T10:31:01Z"))
    );
    let (_, other) = endpoint(&house, json!({ "events": ["lead.created"] })).await;
    let page = house.get("/v1/webhooks").await.json();
    let waiting: Vec<&Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["waiting"])
        .collect();
    assert_eq!(waiting, [&json!(3), &json!(0)]);
    assert_eq!(house.get(&other).await.json()["waiting_since"], Value::Null);
    // Of a long backlog only its beginning is counted; the pause and the other endpoint stand in it.
    captured(&house, 1_010).await;
    let long = house.get(&path).await.json();
    assert_eq!(
        (&long["waiting"], &long["waiting_since"]),
        (&json!(998), &shown["waiting_since"])
    );
}

#[tokio::test]
async fn a_replay_is_a_fact_of_the_log() {
    let (house, id, path, _) = four().await;
    let replay = async |body: Value| house.call("POST", &format!("{path}/replay"), Some(body)).await;
    let span = json!({ "since": "2026-04-24T10:31:01Z", "until": "2026-04-24T10:31:03Z" });
    let answer = replay(span.clone()).await;
    assert_eq!(answer.status, 202);
    assert!(!answer.header("gitleads-position").is_empty());
    let asked = answer.json();
    let expected = json!({
        "id": asked["id"], "since": span["since"], "until": span["until"], "status": "waiting", "percent": 0,
    });
    assert_eq!(asked, expected);
    let page = house.get("/v1/events?type=WebhookReplayRequested").await.json();
    let expected = json!({
        "endpoint_id": id, "replay_id": asked["id"], "since": span["since"], "until": span["until"],
    });
    assert_eq!(page["data"][0]["data"], expected);
    let now = replay(json!({ "since": "2026-04-24T10:31:01Z" })).await.json();
    assert_eq!(now["until"], "2026-04-24T10:31:04Z");
    let cases = [
        (json!({}), "since: is missing"),
        (
            json!({ "since": span["until"], "until": span["since"] }),
            "until: must be later than since",
        ),
        (
            json!({ "since": span["since"], "until": "2026-04-24T10:31:05Z" }),
            "until: must not be in the future",
        ),
        (
            json!({ "since": "2026-04-24T10:31:05Z" }),
            "since: must not be in the future",
        ),
    ];
    for (body, message) in cases {
        replay(body).await.is(400, "bad_request", message);
    }
}

#[tokio::test]
async fn replays_tell_how_far_they_are_on_files() {
    replays_tell_how_far_they_are(four().await).await;
}

#[tokio::test]
async fn replays_tell_how_far_they_are_on_a_server() {
    let (ground, _keep) = server().await;
    let four = four_in(house_above(ground, "agency").await).await;
    replays_tell_how_far_they_are(four).await;
}

async fn replays_tell_how_far_they_are((house, id, path, leads): (House, String, String, Vec<Captured>)) {
    let span = json!({ "since": "2026-04-24T10:31:01Z", "until": "2026-04-24T10:31:04Z" });
    let mut asked = Vec::new();
    for _ in 0..3 {
        let answer = house.call("POST", &format!("{path}/replay"), Some(span.clone())).await;
        let place: u64 = answer.header("gitleads-position").parse().unwrap();
        asked.push((answer.json()["id"].as_str().unwrap().to_owned(), place));
    }
    let listed = async |query: &str| house.get(&format!("{path}/replays?{query}")).await.json();
    let stands = async |query: &str| {
        let page = listed(query).await;
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| format!("{} {} {}", row["id"].as_str().unwrap(), row["status"], row["percent"]))
            .collect::<Vec<_>>()
    };
    let expected = |words: [&str; 3]| -> Vec<String> {
        let newest_first = asked.iter().rev().zip(words);
        newest_first.map(|((id, _), word)| format!("{id} {word}")).collect()
    };
    let waiting = "\"waiting\" 0";
    assert_eq!(stands("").await, expected([waiting; 3]));
    // The worker has come past the first two: of those it keeps rows until they are at their end.
    let row = |(replay, place): &(String, u64), position: String| {
        format!(
            "INSERT INTO webhook_replay (endpoint, replay, place, since, until, position) \
             VALUES ('{id}', '{replay}', {place}, 1777026661000000, 1777026664000000, {position})"
        )
    };
    write(
        &house,
        format!(
            "INSERT INTO webhook_cursor (endpoint, account, position, seen, unsettled, failures) \
             VALUES ('{id}', '{}', {place}, {place}, '', 0)",
            house.account,
            place = asked[1].1
        ),
    )
    .await;
    write(&house, row(&asked[0], leads[1].position.to_string())).await;
    write(&house, row(&asked[1], "NULL".to_owned())).await;
    // The span holds the first three leads, of which two were told.
    assert_eq!(stands("").await, expected([waiting, waiting, "\"running\" 66"]));
    write(
        &house,
        format!("DELETE FROM webhook_replay WHERE replay = '{}'", asked[0].0),
    )
    .await;
    assert_eq!(stands("").await, expected([waiting, waiting, "\"done\" 100"]));

    let page = listed("limit=2").await;
    assert_eq!(
        (ids(&page), &page["has_more"]),
        (vec![asked[2].0.clone(), asked[1].0.clone()], &json!(true))
    );
    let last = listed(&format!("limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!(
        (ids(&last), &last["has_more"], &last["next_cursor"]),
        (vec![asked[0].0.clone()], &json!(false), &Value::Null)
    );
    let refused = house.get(&format!("{path}/replays?cursor=x")).await;
    refused.is(
        400,
        "bad_request",
        "cursor: must be the next_cursor of a page of this list with these filters",
    );
    let (_, other) = endpoint(&house, json!({})).await;
    assert_eq!(house.get(&format!("{other}/replays")).await.json()["data"], json!([]));
}
