//! `/healthz` and `/readyz`: whether the process lives, and whether it should be given work. Read by supervisors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use database::Statement;
use event_log::Scope;
use http::StatusCode;
use projections::generations;
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use crate::lease::Leases;

/// How far behind the read models may be: the age of the oldest event that they do not show.
const LAG: Duration = Duration::from_secs(30);
/// How long a store may take to answer.
const AT_MOST: Duration = Duration::from_secs(2);

/// How one long-running task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskReport {
    /// Its name.
    pub name: &'static str,
    /// Whether it does its work.
    pub well: bool,
    /// The word for it, such as `running`.
    pub state: &'static str,
}

/// Tells how the long-running tasks are.
pub type Tasks = Arc<dyn Fn() -> Vec<TaskReport> + Send + Sync>;

/// What this process is among the nodes that share its database.
pub struct NodeReport {
    /// What it does.
    pub roles: Vec<&'static str>,
    /// The way to its leases, and thereby to whether others take it for dead.
    pub leases: Leases,
}

/// The answer of `/healthz`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alive {
    status: &'static str,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
    roles: Vec<&'static str>,
    /// How many leases of each kind are held: what this node does that no other may do meanwhile.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    leases: BTreeMap<String, usize>,
    checks: BTreeMap<String, String>,
}

#[utoipa::path(
    get,
    path = "/healthz",
    tag = "supervision",
    operation_id = "isAlive",
    summary = "Whether the process lives",
    responses((status = 200, description = "It does", body = Alive)),
    security(()),
)]
/// `GET /healthz`: the process answers, so it lives.
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

#[utoipa::path(
    get,
    path = "/readyz",
    tag = "supervision",
    operation_id = "isReady",
    summary = "Whether it should be given work",
    responses(
        (status = 200, description = "Every check is well", body = Health),
        (status = 503, description = "One is not", body = Health),
    ),
    security(()),
)]
/// `GET /readyz`: 200 if every check says `ok` or how well it is, 503 if one does not.
pub(super) async fn ready(State(room): State<Arc<Room>>) -> (StatusCode, Json<Health>) {
    let (log, views) = tokio::join!(check_log(&room), check_views(&room));
    let mut all_well = true;
    let mut checks = BTreeMap::new();
    for (name, check) in [("log", log), ("views", views), ("projections", check_lag(&room).await)] {
        all_well &= check.is_ok();
        checks.insert(name.to_owned(), check.unwrap_or_else(|fault| fault));
    }
    let node = room.api.node.leases.report();
    if node.silent {
        all_well = false;
        checks.insert("node".to_owned(), "silent".to_owned());
    }
    for (name, check) in check_projections(&room).await {
        checks.insert(name, check);
    }
    for task in (room.api.tasks)() {
        all_well &= task.well;
        checks.insert(format!("task:{}", task.name), task.state.to_owned());
    }
    let (code, status) = if all_well {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let health = Health {
        status,
        roles: room.api.node.roles.clone(),
        leases: node.held,
        checks,
    };
    (code, Json(health))
}

type Check = Result<String, String>;

async fn check_log(room: &Room) -> Check {
    answered(room.api.writer.log.head()).await.map(|_| "ok".to_owned())
}

async fn check_views(room: &Room) -> Check {
    let query = Statement::sql("SELECT 1", Vec::new());
    answered(room.api.views.read(query)).await.map(|_| "ok".to_owned())
}

/// Positions say what comes before what, not how far apart it is; so the lag is told in time.
async fn check_lag(room: &Room) -> Check {
    let applied = room.api.freshness.applied();
    let page = answered(room.api.writer.log.read(Scope::All, applied, 1)).await?;
    let now = room.api.writer.clock.now();
    match page.events.first().map(|oldest| now.since(oldest.recorded_at)) {
        Some(lag) if lag > LAG => Err(format!("{} s behind", lag.as_secs())),
        _ => Ok("ok".to_owned()),
    }
}

/// Rebuilds under way, and what is parked. Neither is a reason to be given no work: every process reads the same rows, and
/// no other has what is missing in them.
async fn check_projections(room: &Room) -> Vec<(String, String)> {
    let views = &*room.api.views;
    let asked = async { tokio::join!(generations::standings(views), room.api.writer.log.head()) };
    let Ok((Ok(standings), Ok(head))) = tokio::time::timeout(AT_MOST, asked).await else {
        // The checks of views and log say so.
        return Vec::new();
    };
    let mut checks = Vec::new();
    for one in standings {
        if one.parked > 0 {
            checks.push((format!("parked:{}", one.name), format!("streams: {}", one.parked)));
        }
        if let Some(to) = one.rebuilt_to {
            checks.push((format!("rebuild:{}", one.name), format!("at {to} of {head}")));
        }
    }
    checks
}

/// The answer of a store; the fault is told without its cause, since everyone may read it.
async fn answered<T, E: std::error::Error>(answer: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(AT_MOST, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a readiness check failed");
            Err("failed".to_owned())
        }
        Err(_) => Err("no answer".to_owned()),
    }
}
