//! Liveness and readiness.

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
