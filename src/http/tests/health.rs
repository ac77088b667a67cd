//! Liveness and readiness.

use database::Statement;
use projections::Rebuild;
use serde_json::json;

use super::{TaskReport, house};

#[tokio::test]
async fn the_process_is_alive() {
    let answer = house().await.call_openly("GET", "/healthz").await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "status": "ok" }))
    );
}

#[tokio::test]
async fn readiness_names_every_check() {
    let house = house().await;
    let running = TaskReport {
        name: "projections",
        well: true,
        state: "running",
    };
    house.tasks.lock().unwrap().push(running.clone());
    let answer = house.call_openly("GET", "/readyz").await;
    let checks = json!({ "log": "ok", "views": "ok", "projections": "ok", "task:projections": "running" });
    assert_eq!(
        answer.json(),
        json!({ "status": "ready", "roles": ["api"], "checks": checks })
    );
    assert_eq!(answer.status, 200);

    house.tasks.lock().unwrap().push(TaskReport {
        name: "deliver",
        well: false,
        state: "failed",
    });
    let answer = house.call_openly("GET", "/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["status"], "not_ready");
    assert_eq!(answer.json()["checks"]["task:deliver"], "failed");
}

#[tokio::test]
async fn a_parked_stream_and_a_rebuild_are_shown_and_no_reason_to_be_given_no_work() {
    let house = house().await;
    let begun = Rebuild::begin(
        house.writer.log.clone(),
        house.views.clone(),
        vec![Box::new(projections::leads::Leads)],
        7,
    );
    let rebuild = begun.await.unwrap();
    let parked = "INSERT INTO projection_parked (name, stream, done, position, error) VALUES ('leads', 's', 0, 1, 'e')";
    house
        .views
        .write(vec![Statement::sql(parked, Vec::new())])
        .await
        .unwrap();
    let answer = house.call_openly("GET", "/readyz").await;
    assert_eq!(answer.status, 200);
    let checks = &answer.json()["checks"];
    assert_eq!(checks["parked:leads"], "streams: 1");
    let head = house.writer.log.head().await.unwrap();
    assert_eq!(checks["rebuild:leads"], format!("at 0 of {head}"));
    rebuild.give_up().await.unwrap();
    let checks = house.call_openly("GET", "/readyz").await.json()["checks"].take();
    assert_eq!(checks["rebuild:leads"], json!(null));
}
