//! What the calls of Google's APIs have in common: a JSON body, and the access token of whoever calls.

use std::time::Duration;

use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::State;
use super::error::ApiError;
use crate::member::Principal;

/// The body of a call.
///
/// # Errors
/// If it is not the JSON of the method.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid_argument(format!("Invalid JSON payload received. {error}")))
}

/// The principal of the request's access token, which has to be of this scope.
///
/// # Errors
/// If there is no token, or none that `service` accepts.
pub(crate) fn authenticate(
    state: &State,
    headers: &HeaderMap,
    service: &str,
    scope: &str,
) -> Result<Principal, ApiError> {
    let invalid = || ApiError::credentials_invalid(service);
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| ApiError::credentials_missing(service))?;
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(invalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(invalid());
    }
    let token = state.access_tokens.open(token.trim()).ok_or_else(invalid)?;
    if !token.covers(scope) {
        return Err(ApiError::scope_insufficient(service));
    }
    Ok(token.principal)
}

/// Whole seconds in protobuf's JSON form, such as `3600s`.
pub(crate) fn parse_seconds(text: &str) -> Option<Duration> {
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}
