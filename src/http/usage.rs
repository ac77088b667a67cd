//! `GET /v1/usage`: what an account has used of its month and of its minute.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use projections::{accounts, monthly_usage};
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::query::NoQuery;
use super::rate_limit::Standing;

/// What an account has used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Usage {
    /// The UTC calendar month.
    #[schema(example = "2026-04")]
    month: String,
    /// Leads captured or released in the month: what counts towards the cap.
    captured: u64,
    /// Leads withheld in the month, whether or not they were released since.
    withheld: u64,
    /// Leads a month; null: as many as come.
    #[schema(required)]
    cap: Option<u32>,
    rate_limit: RateLimit,
}

/// What the `X-RateLimit` headers of the same answer say.
#[derive(Debug, Serialize, ToSchema)]
struct RateLimit {
    limit: u32,
    remaining: u32,
    /// When the minute ends, in seconds since 1970.
    reset: i64,
}

/// `GET /v1/usage`
#[utoipa::path(
    get,
    path = "/usage",
    tag = "account",
    operation_id = "getUsage",
    summary = "Get what the account has used of its month and its minute",
    responses((status = 200, description = "The usage so far", body = Usage)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    Extension(standing): Extension<Standing>,
    NoQuery: NoQuery,
) -> Result<Json<Usage>, ApiError> {
    let views = room.api.views.as_ref();
    let row = accounts::find(views, account).await?;
    let row = row.ok_or(ApiError::NotFound("account"))?;
    let plan = room.api.plans.find(&row.plan);
    let plan = plan.ok_or_else(|| ApiError::NoApiOnPlan(row.plan.to_string()))?;
    let month = room.api.writer.clock.now().month();
    let usage = monthly_usage::find(views, account, month).await?;
    Ok(Json(Usage {
        month: month.to_string(),
        captured: usage.captured,
        withheld: usage.withheld,
        cap: plan.leads_per_month,
        rate_limit: RateLimit {
            limit: standing.limit,
            remaining: standing.remaining,
            reset: standing.reset,
        },
    }))
}
