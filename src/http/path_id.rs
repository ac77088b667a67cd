//! The ids in a path; used by every route that has one.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::error::ApiError;

/// The text where an id is expected.
#[derive(Debug)]
pub struct PathId(String);

impl PathId {
    /// The id. A text that can be no id of this kind names nothing that exists: 404, not 400.
    pub fn of<T: FromStr>(&self, what: &'static str) -> Result<T, ApiError> {
        self.0.parse().map_err(|_| ApiError::NotFound(what))
    }
}

/// The two texts of a path that names a thing of a thing.
#[derive(Debug)]
pub struct PathIds(pub PathId, pub PathId);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path((one, other))) => Ok(Self(PathId(one), PathId(other))),
            // Escapes that are no UTF-8.
            Err(_) => Err(ApiError::NotFound("path")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            // Escapes that are no UTF-8.
            Err(_) => Err(ApiError::NotFound("path")),
        }
    }
}
