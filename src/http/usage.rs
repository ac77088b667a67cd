//! `GET /v1/usage`: what an account has used of its month and of its minute.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use domain::{AccountId, Timestamp};
use http::header::CACHE_CONTROL;
use projections::{accounts, monthly_usage};
use serde::Serialize;
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::openapi::words;
use super::query::NoQuery;
use super::rate_limit::Standing;
use crate::ingest::budgets::{self, BudgetRow};

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
    /// What GitHub grants the tokens that work for the account, as its last answers said.
    github: Vec<GithubBudget>,
}

/// What GitHub grants a token of one thing that it counts.
#[derive(Debug, Serialize, ToSchema)]
struct GithubBudget {
    /// `host`: the token that serves all accounts; `account`: one of the account's own.
    token: &'static str,
    /// `core`, `search` and `code_search` are requests, `graphql` points.
    resource: &'static str,
    #[schema(required)]
    limit: Option<u64>,
    #[schema(required)]
    remaining: Option<u64>,
    #[schema(value_type = Option<words::Time>, required)]
    resets_at: Option<Timestamp>,
    /// Nothing is asked before; null: it is not so.
    #[schema(value_type = Option<words::Time>, required)]
    blocked_until: Option<Timestamp>,
    /// Whether nothing is asked because GitHub refuses the token, and not since it asks to wait.
    is_refused: bool,
    /// When that was noted.
    #[schema(value_type = words::Time)]
    noted_at: Timestamp,
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
) -> Result<impl IntoResponse, ApiError> {
    let views = room.api.views.as_ref();
    let row = accounts::find(views, account).await?;
    let row = row.ok_or(ApiError::NotFound("account"))?;
    let plan = room.api.plans.find(&row.plan);
    let plan = plan.ok_or_else(|| ApiError::NoApiOnPlan(row.plan.to_string()))?;
    let month = room.api.writer.clock.now().month();
    let usage = monthly_usage::find(views, account, month).await?;
    let budgets = budgets::all(room.api.store.as_ref()).await?;
    let usage = Usage {
        github: github(budgets, account, room.api.writer.clock.now()),
        month: month.to_string(),
        captured: usage.captured,
        withheld: usage.withheld,
        cap: plan.leads_per_month,
        rate_limit: RateLimit {
            limit: standing.limit,
            remaining: standing.remaining,
            reset: standing.reset,
        },
    };
    // Each request counts, so that no two answers are the same.
    Ok(([(CACHE_CONTROL, "private, no-store")], Json(usage)))
}

/// The budgets of the tokens that work for the account. A window that has ended is as good as new.
fn github(rows: Vec<BudgetRow>, account: AccountId, now: Timestamp) -> Vec<GithubBudget> {
    let own = account.to_string();
    let token = |token: &str| match token {
        budgets::HOST => Some("host"),
        token if token == own => Some("account"),
        _ => None,
    };
    let shown = |row: BudgetRow| {
        let ended = row.budget.resets_at.is_some_and(|at| at <= now);
        let blocked_until = row.budget.blocked_until.filter(|until| *until > now);
        Some(GithubBudget {
            token: token(&row.token)?,
            resource: row.resource.as_str(),
            limit: row.budget.limit,
            remaining: if ended { row.budget.limit } else { row.budget.remaining },
            resets_at: row.budget.resets_at,
            blocked_until,
            is_refused: row.budget.is_refused && blocked_until.is_some(),
            noted_at: row.noted_at,
        })
    };
    rows.into_iter().filter_map(shown).collect()
}
