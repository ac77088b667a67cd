//! `GET /metrics`: the figures of this process for Prometheus; states are looked up when they are asked for.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use event_log::Scope;
use http::header::{CONTENT_TYPE, HeaderValue};
use metrics::gauge;
use projections::{generations, webhook_endpoints};

use super::Room;
use super::error::ApiError;
use crate::metrics as names;

/// `GET /metrics`
pub(super) async fn scrape(State(room): State<Arc<Room>>) -> Result<Response, ApiError> {
    look_up(&room).await?;
    let mut response = names::render().into_response();
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    Ok(response)
}

async fn look_up(room: &Room) -> Result<(), ApiError> {
    let log = &room.api.writer.log;
    gauge!(names::LOG_HEAD).set(number(log.head().await?.get()));
    let behind = log.read(Scope::All, room.api.freshness.applied(), 1).await?;
    let now = room.api.writer.clock.now();
    let lag = behind.events.first().map(|oldest| now.since(oldest.recorded_at));
    gauge!(names::PROJECTION_LAG).set(lag.unwrap_or_default().as_secs_f64());
    for one in generations::standings(&*room.api.views).await? {
        let name = [("projection", one.name.clone())];
        gauge!(names::PROJECTION_POSITION, &name).set(number(one.position.get()));
        gauge!(names::PARKED_STREAMS, &name).set(number(one.parked));
        gauge!(names::REBUILD_POSITION, &name).set(one.rebuilt_to.map_or(f64::NAN, |to| number(to.get())));
    }
    let endpoints = webhook_endpoints::count(&*room.api.views).await?;
    let counts = [
        ("active", endpoints.active),
        ("paused", endpoints.paused),
        ("disabled", endpoints.disabled),
    ];
    for (status, count) in counts {
        gauge!(names::WEBHOOK_ENDPOINTS, "status" => status).set(number(count));
    }
    for task in (room.api.tasks)() {
        gauge!(names::TASK_UP, "task" => task.name).set(f64::from(u8::from(task.well)));
    }
    for (kind, count) in room.api.node.leases.report().held {
        gauge!(names::LEASES_HELD, "kind" => kind).set(number(count as u64));
    }
    Ok(())
}

/// Exact up to 2^53, which no figure comes near.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn number(figure: u64) -> f64 {
    figure as f64
}
