//! The Security Token Service: a token of another issuer against an access token of a federated principal.
//! <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>, RFC 8693.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use firegate_core::jose::{CompactJws, JsonValue};
use serde_json::{Map, Value, json};

use super::State;
use super::error::{OAuthCode, OAuthError};
use super::form::Form;
use super::workload_identity::WorkloadIdentityProvider;
use crate::limits::{ACCESS_TOKEN_LIFETIME, CLOCK_SKEW};
use crate::member::Principal;
use crate::published_keys::PublishedKeys;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT_TOKEN_TYPES: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new().route("/v1/token", post(exchange))
}

async fn exchange(Extract(state): Extract<Arc<State>>, body: Bytes) -> Result<Json<Value>, OAuthError> {
    let form = Form::parse(&body)?;
    let invalid_request = |description: &str| OAuthError::new(OAuthCode::InvalidRequest, description);
    if form.require("grant_type")? != GRANT_TYPE {
        return Err(OAuthError::new(
            OAuthCode::UnsupportedGrantType,
            format!("Invalid value for \"grant_type\". The only supported value is {GRANT_TYPE}."),
        ));
    }
    if form.require("requested_token_type")? != ACCESS_TOKEN_TYPE {
        return Err(invalid_request("Invalid value for \"requested_token_type\"."));
    }
    if !SUBJECT_TOKEN_TYPES.contains(&form.require("subject_token_type")?) {
        return Err(invalid_request("Invalid value for \"subject_token_type\"."));
    }
    let scope = form.require("scope")?;
    let (provider, keys) = find_provider(&state, form.require("audience")?)?;
    let claims = verify(&state, provider, keys, form.require("subject_token")?).await?;
    let principal = Principal::Federated(provider.admit(&claims)?);
    tracing::debug!(%principal, "exchanged a subject token");
    let (access_token, _) = state.access_tokens.issue(principal, scope.split(' '), ACCESS_TOKEN_LIFETIME)?;
    Ok(Json(json!({
        "access_token": access_token,
        "issued_token_type": ACCESS_TOKEN_TYPE,
        "token_type": "Bearer",
        "expires_in": ACCESS_TOKEN_LIFETIME.as_secs() - 1,
    })))
}

fn find_provider<'a>(
    state: &'a State,
    audience: &str,
) -> Result<(&'a WorkloadIdentityProvider, &'a PublishedKeys), OAuthError> {
    if !audience.starts_with("//iam.googleapis.com/projects/") || !audience.contains("/providers/") {
        return Err(OAuthError::new(
            OAuthCode::InvalidRequest,
            "Invalid value for \"audience\". This value should be the full resource name of the Identity Provider. \
             See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible \
             formats.",
        ));
    }
    let providers = state.options.workload_identity_providers.iter().zip(&state.provider_keys);
    providers.into_iter().find(|(provider, _)| provider.audience() == audience).ok_or_else(|| {
        OAuthError::new(
            OAuthCode::InvalidTarget,
            "The target service indicated by the \"audience\" parameters is invalid. This might either be because \
             the pool or provider is disabled or deleted or because it doesn't exist.",
        )
    })
}

/// The claims of a subject token that the provider's issuer signed for one of its audiences.
async fn verify(
    state: &State,
    provider: &WorkloadIdentityProvider,
    keys: &PublishedKeys,
    subject_token: &str,
) -> Result<Map<String, Value>, OAuthError> {
    let invalid = |description: String| OAuthError::new(OAuthCode::InvalidGrant, description);
    let token = CompactJws::parse(subject_token)
        .map_err(|error| invalid(format!("Unable to parse the ID Token: {error}.")))?;
    let issuer = token.payload_text("iss").unwrap_or_default();
    if !provider.accepts_issuer(issuer) {
        return Err(invalid(format!(
            "The issuer in ID Token {issuer} does not match the expected ones: {}.",
            provider.issuer
        )));
    }
    check_audience(provider, &token)?;
    let now = state.options.clock.now();
    let expires_at = token.payload().integer("exp");
    if expires_at.is_none_or(|expires_at| expires_at <= now.as_seconds()) {
        let shown = expires_at.map_or_else(|| "nothing".to_owned(), |seconds| seconds.to_string());
        return Err(invalid(format!(
            "The ID Token is stale to sign-in: its exp is {shown}, and it is {now}."
        )));
    }
    let issued_at = token.payload().integer("iat");
    if issued_at.is_none_or(|issued_at| issued_at > now.plus(CLOCK_SKEW).as_seconds()) {
        return Err(invalid("The ID Token has no iat, or one in the future.".to_owned()));
    }
    let key_id = token.header_text("kid").unwrap_or_default();
    if token.header_text("alg") != Some("RS256") || key_id.is_empty() {
        return Err(invalid("The ID Token must be signed with RS256 and name its key.".to_owned()));
    }
    let keys = keys.having(key_id).await.map_err(|error| {
        tracing::warn!(%error, "cannot verify a subject token");
        invalid("Error connecting to the given credential's issuer.".to_owned())
    })?;
    if keys.find(key_id).is_none_or(|key| !key.verifies(&token)) {
        return Err(invalid("The signature of the ID Token cannot be verified.".to_owned()));
    }
    Ok(token.into_payload())
}

fn check_audience(provider: &WorkloadIdentityProvider, token: &CompactJws<'_>) -> Result<(), OAuthError> {
    let audiences = match token.payload().get("aud") {
        Some(JsonValue::String(audience)) => vec![audience],
        Some(JsonValue::Array(audiences)) => audiences.iter().filter_map(JsonValue::as_str).collect(),
        _ => Vec::new(),
    };
    if audiences.iter().any(|audience| provider.accepts_audience(audience)) {
        return Ok(());
    }
    let expected = match provider.allowed_audiences.as_slice() {
        [] => format!("https:{}", provider.audience()),
        allowed => allowed.join(", "),
    };
    Err(OAuthError::new(
        OAuthCode::InvalidGrant,
        format!(
            "The audience in ID Token [{}] does not match the expected audience {expected}.",
            audiences.join(", ")
        ),
    ))
}
