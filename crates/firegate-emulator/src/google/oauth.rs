//! OAuth's token endpoint: a service account's signed assertion (RFC 7523), or a user's refresh token, against an
//! access token or an ID token. <https://developers.google.com/identity/protocols/oauth2/service-account>

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use firegate_core::jose::{CompactJws, JsonObject};
use firegate_core::time::UnixTime;
use serde_json::{Map, Value, json};

use super::State;
use super::access_token::CLOUD_PLATFORM;
use super::error::{OAuthCode, OAuthError};
use super::form::Form;
use super::id_token::IdToken;
use super::options::AuthorizedUser;
use super::service_account::Account;
use crate::limits::{ACCESS_TOKEN_LIFETIME, ASSERTION_LIFETIME_MAX, AUDIENCE_BYTES_MAX, CLOCK_SKEW};
use crate::member::Principal;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new().route("/token", post(token))
}

async fn token(Extract(state): Extract<Arc<State>>, body: Bytes) -> Result<Json<Value>, OAuthError> {
    let form = Form::parse(&body)?;
    match form.require("grant_type")? {
        JWT_BEARER => service_account(&state, form.require("assertion")?).await,
        "refresh_token" => authorized_user(&state, &form).await,
        other => {
            Err(OAuthError::new(OAuthCode::UnsupportedGrantType, format!("Invalid grant_type: {other}")))
        }
    }
    .map(Json)
}

fn invalid_grant(description: &str) -> OAuthError {
    OAuthError::new(OAuthCode::InvalidGrant, description)
}

async fn service_account(state: &State, assertion: &str) -> Result<Value, OAuthError> {
    let assertion =
        CompactJws::parse(assertion).map_err(|error| invalid_grant(&format!("Invalid JWT: {error}.")))?;
    let account = verify(state, &assertion).await?;
    let email = account.service_account.email();
    if let Some(audience) = assertion.payload_text("target_audience") {
        if audience.is_empty() || audience.len() > AUDIENCE_BYTES_MAX {
            return Err(OAuthError::new(
                OAuthCode::InvalidScope,
                "Invalid OAuth scope or ID token audience provided.",
            ));
        }
        let id_token =
            IdToken { email, audience, authorized_party: email, includes_email: true, extra: Map::new() };
        return Ok(json!({ "id_token": id_token.mint(state).await? }));
    }
    let scopes: Vec<_> = assertion.payload_text("scope").unwrap_or_default().split_whitespace().collect();
    if scopes.is_empty() {
        return Err(OAuthError::new(
            OAuthCode::InvalidScope,
            "Invalid OAuth scope or ID token audience provided.",
        ));
    }
    let principal = Principal::ServiceAccount(email.to_owned());
    let (access_token, _) = state.access_tokens.issue(principal, scopes, ACCESS_TOKEN_LIFETIME)?;
    Ok(json!({
        "access_token": access_token,
        "expires_in": ACCESS_TOKEN_LIFETIME.as_secs() - 1,
        "token_type": "Bearer",
    }))
}

/// The service account that signed the assertion, for this endpoint, just now.
async fn verify<'a>(state: &'a State, assertion: &CompactJws<'_>) -> Result<&'a Account, OAuthError> {
    let issuer = assertion.payload_text("iss").unwrap_or_default();
    let account =
        state.accounts.find(issuer).ok_or_else(|| invalid_grant("Invalid grant: account not found"))?;
    if !account.key.get().await?.verifies(assertion) {
        return Err(invalid_grant("Invalid JWT Signature."));
    }
    let own_url = format!("{}/token", state.options.base_url.as_str().trim_end_matches('/'));
    let audience = assertion.payload_text("aud").unwrap_or_default();
    if audience != own_url && audience != GOOGLE_TOKEN_URL {
        return Err(invalid_grant(&format!(
            "Invalid JWT: Failed audience check. The right audience is {own_url} or {GOOGLE_TOKEN_URL}"
        )));
    }
    if !is_timely(assertion.payload(), state.options.clock.now()) {
        return Err(invalid_grant(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your \
             iat and exp values in the JWT claim.",
        ));
    }
    // Another subject is domain-wide delegation, which nobody has granted here.
    match assertion.payload().get("sub") {
        None => Ok(account),
        Some(subject) if subject.as_str() == Some(issuer) => Ok(account),
        Some(_) => Err(OAuthError::new(
            OAuthCode::UnauthorizedClient,
            "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any \
             of the scopes requested.",
        )
        .unauthorized()),
    }
}

/// Whether an assertion with these claims is of now, and short-lived.
pub(crate) fn is_timely(claims: JsonObject<'_>, now: UnixTime) -> bool {
    let seconds = |name| claims.integer(name).map(UnixTime::from_seconds);
    let (Some(issued_at), Some(expires_at)) = (seconds("iat"), seconds("exp")) else { return false };
    issued_at <= now.plus(CLOCK_SKEW)
        && expires_at > now.minus(CLOCK_SKEW)
        && expires_at <= issued_at.plus(ASSERTION_LIFETIME_MAX)
}

/// A user's tokens. The ID token's audience is the OAuth client whatever is asked for, as at Google: user credentials
/// cannot name a service.
async fn authorized_user(state: &State, form: &Form) -> Result<Value, OAuthError> {
    let (client_id, client_secret) = (form.require("client_id")?, form.require("client_secret")?);
    let refresh_token = form.require("refresh_token")?;
    let users = &state.options.authorized_users;
    let is_client =
        |user: &&AuthorizedUser| user.client_id == client_id && user.client_secret == client_secret;
    if !users.iter().any(|user| is_client(&user)) {
        return Err(OAuthError::new(OAuthCode::InvalidClient, "The OAuth client was not found."));
    }
    let user = users
        .iter()
        .filter(is_client)
        .find(|user| user.refresh_token == refresh_token)
        .ok_or_else(|| invalid_grant("Token has been expired or revoked."))?;
    let principal = Principal::User(user.email.clone());
    let (access_token, _) = state.access_tokens.issue(principal, [CLOUD_PLATFORM], ACCESS_TOKEN_LIFETIME)?;
    let id_token = IdToken {
        email: &user.email,
        audience: client_id,
        authorized_party: client_id,
        includes_email: true,
        extra: Map::new(),
    };
    Ok(json!({
        "access_token": access_token,
        "expires_in": ACCESS_TOKEN_LIFETIME.as_secs() - 1,
        "scope": format!("{CLOUD_PLATFORM} openid https://www.googleapis.com/auth/userinfo.email"),
        "token_type": "Bearer",
        "id_token": id_token.mint(state).await?,
    }))
}
