//! Who asks, and whether they may: the API key, the plan and the rate limit, in this order, before every `/v1` route.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use database::Database;
use domain::{AccountId, ApiKeyId, Plan, PlanName};
use event_log::Position;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use projections::{Freshness, accounts, api_keys};

use super::Room;
use super::error::ApiError;
use super::settle;
use crate::commands::api_key;

/// The account that asks; handlers take it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(pub AccountId);

/// A valid key's account and its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    key: ApiKeyId,
    account: AccountId,
    plan: PlanName,
}

/// The layer in front of `/v1`.
pub async fn admit(State(room): State<Arc<Room>>, mut request: Request, next: Next) -> Response {
    let known = match identify_as_of(&room, request.headers()).await {
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

/// Who asks, as of the write that the request names: a key that was made or revoked on another node counts from then on.
/// What is wrong with the position itself is told further in.
async fn identify_as_of(room: &Room, headers: &HeaderMap) -> Result<Known, ApiError> {
    let behind = settle::named(headers).ok().flatten();
    let behind = behind.filter(|position| room.api.freshness.applied() < *position);
    let before = identify(room, headers).await;
    let Some(position) = behind else {
        return before;
    };
    let has_come = match &before {
        Ok(_) => settle::wait_for(room, position).await.is_ok(),
        // Whoever has no key yet is not worth a look into the log.
        Err(ApiError::Unauthorized) => room.api.freshness.reached(position, settle::PATIENCE).await,
        Err(_) => false,
    };
    if has_come {
        identify(room, headers).await
    } else {
        before
    }
}

async fn identify(room: &Room, headers: &HeaderMap) -> Result<Known, ApiError> {
    let hash = bearer(headers).and_then(api_key::hash).ok_or(ApiError::Unauthorized)?;
    let keys = room.keys.current(room).await?;
    let known = keys.get(&hash).filter(|known| !room.keys.is_revoked(known.key));
    known.cloned().ok_or(ApiError::Unauthorized)
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

    /// Whether it lets in now.
    pub async fn is_valid(&mut self, room: &Room) -> Result<bool, ApiError> {
        let as_of = as_of(&room.api.freshness);
        if self.as_of == Some(as_of) {
            return Ok(true);
        }
        let keys = room.keys.current(room).await?;
        let known = keys.get(&self.hash).filter(|known| !room.keys.is_revoked(known.key));
        let plan = known.and_then(|known| room.api.plans.find(&known.plan));
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

/// All valid keys by their hash, as of one state of the read models: a key that is none of them is refused without asking
/// the database, and without being remembered.
#[derive(Debug, Default)]
pub struct KnownKeys {
    held: Mutex<Held>,
    /// One request reads them anew; the others wait for it.
    reading: tokio::sync::Mutex<()>,
    /// Those that were revoked here: they count no more from then on, however far behind the read models are.
    revoked: Mutex<HashSet<ApiKeyId>>,
}

type Keys = Arc<HashMap<String, Known>>;

#[derive(Debug, Default)]
struct Held {
    /// None: they were never read.
    as_of: Option<AsOf>,
    keys: Keys,
}

impl KnownKeys {
    /// Lets this key in no more.
    pub fn revoke(&self, key: ApiKeyId) {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        revoked.insert(key);
    }

    fn is_revoked(&self, key: ApiKeyId) -> bool {
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        revoked.contains(&key)
    }

    /// The keys as the read models have them now.
    async fn current(&self, room: &Room) -> Result<Keys, ApiError> {
        if let Some(keys) = self.find(as_of(&room.api.freshness)) {
            return Ok(keys);
        }
        let _turn = self.reading.lock().await;
        // Read before the rows: a change that comes in between makes them stale at once, never lastingly wrong.
        let as_of = as_of(&room.api.freshness);
        if let Some(keys) = self.find(as_of) {
            return Ok(keys);
        }
        let keys = Arc::new(read(&*room.api.views).await?);
        self.keep(as_of, keys.clone());
        Ok(keys)
    }

    fn find(&self, as_of: AsOf) -> Option<Keys> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        (held.as_of == Some(as_of)).then(|| held.keys.clone())
    }

    fn keep(&self, as_of: AsOf, keys: Keys) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Held {
            as_of: Some(as_of),
            keys,
        };
    }
}

async fn read(views: &dyn Database) -> Result<HashMap<String, Known>, ApiError> {
    let plans: HashMap<AccountId, PlanName> = accounts::all(views)
        .await?
        .into_iter()
        .map(|row| (row.account, row.plan))
        .collect();
    let valid = api_keys::valid(views).await?.into_iter();
    let known = valid.filter_map(|(hash, account, key)| {
        let plan = plans.get(&account)?.clone();
        Some((hash, Known { key, account, plan }))
    });
    Ok(known.collect())
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
    fn keys_are_read_anew_once_keys_or_accounts_change() {
        let keys = KnownKeys::default();
        let at = |keys, accounts| (Position::new(keys), Position::new(accounts));
        assert!(keys.find(at(0, 0)).is_none(), "they were never read");
        let known = Known {
            key: ApiKeyId::default(),
            account: AccountId::default(),
            plan: "pro".parse().unwrap(),
        };
        keys.keep(at(1, 1), Arc::new([("hash".to_owned(), known)].into()));
        assert!(keys.find(at(1, 1)).is_some_and(|keys| keys.contains_key("hash")));
        assert!(keys.find(at(2, 1)).is_none());
        assert!(keys.find(at(1, 2)).is_none());
    }
}
