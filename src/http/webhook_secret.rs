//! `/v1/webhooks/{id}/secret` and `…/rotate-secret`: what deliveries are signed with, shown to whoever asks for exactly that.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use domain::Timestamp;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Room;
use super::auth::Caller;
use super::error::ApiError;
use super::json_body::JsonIfAny;
use super::openapi::words;
use super::path_id::PathId;
use super::query::NoQuery;
use super::settle::{failed, settled};
use super::webhook_body::{WHAT, checked_secret, find};
use super::webhooks::refused;
use crate::commands::rotate_webhook_secret;
use crate::deliver::secrets::secrets;
use crate::deliver::sign::Secret;

/// What `POST …/rotate-secret` takes; it may be left out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = WebhookSecretRotation)]
pub(super) struct Rotation {
    /// Generated if not given.
    #[schema(value_type = Option<words::OwnSecret>)]
    secret: Option<String>,
}

/// The secrets of an endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookSecrets)]
pub(super) struct Secrets {
    secret: String,
    /// The form of the secret that Standard Webhooks libraries take, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
    /// The secret before the last rotation, for as long as it is valid too.
    #[schema(required)]
    previous: Option<Previous>,
}

/// A secret that was rotated out.
#[derive(Serialize, ToSchema)]
#[schema(as = PreviousWebhookSecret)]
struct Previous {
    secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
    #[schema(value_type = words::Time)]
    valid_until: Timestamp,
}

impl Secrets {
    fn new(current: &Secret, previous: Option<(&Secret, Timestamp)>) -> Self {
        Self {
            secret: current.as_str().to_owned(),
            signing_secret: other_form(current),
            previous: previous.map(|(secret, valid_until)| Previous {
                secret: secret.as_str().to_owned(),
                signing_secret: other_form(secret),
                valid_until,
            }),
        }
    }

    /// The answer; it is kept nowhere on its way.
    fn answer(self) -> Response {
        let mut response = Json(self).into_response();
        let no_store = HeaderValue::from_static("private, no-store");
        response.headers_mut().insert(CACHE_CONTROL, no_store);
        response
    }
}

fn other_form(secret: &Secret) -> Option<String> {
    let standard_form = secret.standard_form();
    (standard_form != secret.as_str()).then_some(standard_form)
}

/// `GET /v1/webhooks/{id}/secret`
#[utoipa::path(
    get,
    path = "/webhooks/{id}/secret",
    tag = "webhooks",
    operation_id = "getWebhookSecret",
    summary = "Get an endpoint's signing secret",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    responses((status = 200, description = "The secret, and the one before while both are valid", body = Secrets)),
)]
pub(super) async fn show(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
) -> Result<Response, ApiError> {
    let row = find(&room, account, &id).await?;
    let opened = secrets(&room.api.writer, &row)?;
    let previous = opened.previous(room.api.writer.clock.now());
    Ok(Secrets::new(opened.current(), previous).answer())
}

/// `POST /v1/webhooks/{id}/rotate-secret`
#[utoipa::path(
    post,
    path = "/webhooks/{id}/rotate-secret",
    tag = "webhooks",
    operation_id = "rotateWebhookSecret",
    summary = "Give an endpoint another signing secret",
    description = "Both secrets are valid for 24 hours. Until then `webhook-signature` carries a signature of each, \
        `X-GitLeads-Signature` stays with the old secret, `X-GitLeads-Signature-Next` carries the new one's, and a further rotation \
        is refused with 409.",
    params(("id" = words::WebhookEndpointId, Path, description = "The endpoint")),
    request_body = Option<Rotation>,
    responses((status = 200, description = "Both secrets", body = Secrets)),
)]
pub(super) async fn rotate(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    NoQuery: NoQuery,
    id: PathId,
    JsonIfAny(rotation): JsonIfAny<Rotation>,
) -> Result<Response, ApiError> {
    let secret = checked_secret(&room, rotation.secret.as_deref())?;
    let row = find(&room, account, &id).await?;
    if secrets(&room.api.writer, &row)?.current() == &secret {
        let fault = "secret: is the endpoint's secret already";
        return Err(ApiError::Conflict(fault.to_owned()));
    }
    let rotated = rotate_webhook_secret(&room.api.writer, account, id.of(WHAT)?, secret.as_str())
        .await
        .map_err(|error| failed(error, refused))?;
    let previous = Secret::try_new(&rotated.previous).map_err(ApiError::internal)?;
    let shown = Secrets::new(&secret, Some((&previous, rotated.previous_valid_until)));
    Ok(settled(&room, rotated.position, shown.answer()).await)
}
