//! `GET /v1/account`: who asks, and what the plan grants.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use domain::{AccountId, PlanName, Timestamp};
use projections::accounts;
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::openapi::words;
use super::query::NoQuery;

/// The account that asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct Record {
    #[schema(value_type = words::AccountId)]
    id: AccountId,
    name: String,
    #[schema(value_type = String, example = "agency")]
    plan: PlanName,
    grants: Grants,
    #[schema(value_type = words::Time)]
    created_at: Timestamp,
}

/// What the plan grants.
#[derive(Debug, Serialize, ToSchema)]
struct Grants {
    api: bool,
    requests_per_minute: u32,
    /// Null: as many as come.
    #[schema(required)]
    leads_per_month: Option<u32>,
}

/// `GET /v1/account`
#[utoipa::path(
    get,
    path = "/account",
    tag = "account",
    operation_id = "getAccount",
    summary = "Get the account and what its plan grants",
    responses((status = 200, description = "The account that asks", body = Record)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
) -> Result<Json<Record>, ApiError> {
    let row = accounts::find(room.api.views.as_ref(), account).await?;
    let row = row.ok_or(ApiError::NotFound("account"))?;
    let plan = room.api.plans.find(&row.plan);
    let plan = plan.ok_or_else(|| ApiError::NoApiOnPlan(row.plan.to_string()))?;
    Ok(Json(Record {
        id: row.account,
        name: row.name,
        grants: Grants {
            api: plan.api,
            requests_per_minute: plan.requests_per_minute,
            leads_per_month: plan.leads_per_month,
        },
        plan: row.plan,
        created_at: row.opened_at,
    }))
}
