//! Who asks, and whether they may: the API key, the plan and the rate limit, in this order, before every `/v1` route.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::{AccountId, Plan, PlanName};
use event_log::Position;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use projections::{Freshness, accounts, api_keys};

use super::Room;
use super::error::ApiError;
use crate::commands::api_key;

/// The account that asks; handlers take it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(pub AccountId);

/// A valid key's account and its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    account: AccountId,
    plan: PlanName,
}

/// The layer in front of `/v1`.
pub async fn admit(State(room): State<Arc<Room>>, mut request: Request, next: Next) -> Response {
    let known = match identify(&room, request.headers()).await {
        Ok(known) => known,
        Err(error) => return error.into_response(),
    };
    // A plan that the configuration no longer has grants nothing.
    let plan = room.api.plans.find(&known.plan);
    let limit = plan.map_or(0, |plan| plan.requests_per_minute);
    let now = room.api.writer.clock.now();
    let standing = room.windows.take(known.account, limit, now).await;

    let mut response = if !plan.is_some_and(has_api) {
        ApiError::NoApiOnPlan(known.plan.to_string()).into_response()
    } else if standing.granted {
        request.extensions_mut().insert(Caller(known.account));
        request.extensions_mut().insert(standing);
        next.run(request).await
    } else {
        let retry_after = standing.retry_after;
        ApiError::RateLimited { limit, retry_after }.into_response()
    };
    standing.write(response.headers_mut());
    response
}

const fn has_api(plan: &Plan) -> bool {
    plan.api
}

async fn identify(room: &Room, headers: &HeaderMap) -> Result<Known, ApiError> {
    let hash = bearer(headers).and_then(api_key::hash).ok_or(ApiError::Unauthorized)?;
    // Read before the rows: a change that comes in between makes the entry stale at once, never lastingly wrong.
    let as_of = as_of(&room.api.freshness);
    if let Some(known) = room.keys.find(as_of, &hash) {
        return Ok(known);
    }
    let known = look_up(room, &hash).await?.ok_or(ApiError::Unauthorized)?;
    room.keys.keep(as_of, hash, known.clone());
    Ok(known)
}

/// The key of a request whose answer goes on for as long as the key is valid.
#[derive(Debug)]
pub struct AskingKey {
    hash: String,
    /// How far keys and accounts were when it was last looked up; none: it was not yet.
    as_of: Option<AsOf>,
}

impl AskingKey {
    /// The key that the request carries.
    pub fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let hash = bearer(headers).and_then(api_key::hash).ok_or(ApiError::Unauthorized)?;
        Ok(Self { hash, as_of: None })
    }

    /// Whether it lets in now. The read models are asked only if something changed since the last time.
    pub async fn is_valid(&mut self, room: &Room) -> Result<bool, ApiError> {
        let as_of = as_of(&room.api.freshness);
        if self.as_of == Some(as_of) {
            return Ok(true);
        }
        let known = look_up(room, &self.hash).await?;
        let plan = known.as_ref().and_then(|known| room.api.plans.find(&known.plan));
        let is_valid = plan.is_some_and(has_api);
        self.as_of = is_valid.then_some(as_of);
        Ok(is_valid)
    }

    /// Returns once it may have lost that.
    pub async fn may_have_changed(&self, freshness: &Freshness) {
        let (keys, accounts) = self.as_of.unwrap_or_default();
        tokio::select! {
            () = freshness.moves("api_keys", keys) => {}
            () = freshness.moves("accounts", accounts) => {}
        }
    }
}

fn as_of(freshness: &Freshness) -> AsOf {
    (freshness.changed_at("api_keys"), freshness.changed_at("accounts"))
}

async fn look_up(room: &Room, hash: &str) -> Result<Option<Known>, ApiError> {
    let views = room.api.views.as_ref();
    let Some(key) = api_keys::find_by_hash(views, hash).await? else {
        return Ok(None);
    };
    if key.revoked_at.is_some() {
        return Ok(None);
    }
    let account = accounts::find(views, key.account).await?;
    Ok(account.map(|account| Known {
        account: account.account,
        plan: account.plan,
    }))
}

/// The token of the one `Authorization` header (RFC 6750; the scheme's letter case does not matter, RFC 9110).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// The positions at which keys and accounts last changed.
type AsOf = (Position, Position);

/// Valid keys by their hash, as of one state of the read models; only valid ones, so no more than were issued.
#[derive(Debug, Default)]
pub struct KnownKeys(Mutex<(AsOf, HashMap<String, Known>)>);

impl KnownKeys {
    fn find(&self, as_of: AsOf, hash: &str) -> Option<Known> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (held_as_of, keys) = &*held;
        (*held_as_of == as_of).then(|| keys.get(hash).cloned()).flatten()
    }

    fn keep(&self, as_of: AsOf, hash: String, known: Known) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (held_as_of, keys) = &mut *held;
        if *held_as_of != as_of {
            keys.clear();
            *held_as_of = as_of;
        }
        keys.insert(hash, known);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (AUTHORIZATION, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_token_is_read_from_one_bearer_header() {
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer  abc"])), Some("abc"));
        for wrong in [
            &[][..],
            &["abc"],
            &["Basic abc"],
            &["Bearer"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(bearer(&headers(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_remembered_key_is_forgotten_once_keys_or_accounts_change() {
        let keys = KnownKeys::default();
        let known = Known {
            account: AccountId::default(),
            plan: "pro".parse().unwrap(),
        };
        let at = |keys, accounts| (Position::new(keys), Position::new(accounts));
        keys.keep(at(1, 1), "hash".into(), known.clone());
        assert_eq!(keys.find(at(1, 1), "hash"), Some(known.clone()));
        assert_eq!(keys.find(at(2, 1), "hash"), None);
        assert_eq!(keys.find(at(1, 2), "hash"), None);
        keys.keep(at(2, 1), "other".into(), known);
        assert_eq!(keys.find(at(2, 1), "hash"), None);
    }
}
