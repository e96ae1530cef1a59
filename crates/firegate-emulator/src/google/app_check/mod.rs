//! Firebase App Check: tokens that attest an app, the keys to verify them with, and whether one was used before.
//! <https://firebase.google.com/docs/reference/appcheck/rest>

mod consumed;
mod pages;
mod tokens;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State as Extract};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use bytes::Bytes;
use firegate_core::jose::CompactJws;
use firegate_core::time::SharedClock;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use self::consumed::{ConsumedTokens, Full};
use self::tokens::AppCheckToken;
use super::State;
use super::access_token::FIREBASE;
use super::api_call::{authenticate, parse_seconds, read};
use super::error::ApiError;
use super::keys::{Document, KeySlot};
use super::oauth::is_timely;
use crate::limits::{
    APP_CHECK_CUSTOM_LIFETIME_MAX, APP_CHECK_CUSTOM_LIFETIME_MIN, APP_CHECK_LIMITED_USE_LIFETIME,
    APP_CHECK_TOKEN_ID_BYTES_MAX, APP_CHECK_TOKEN_LIFETIME,
};

/// The debug token that attests every app of the local project. It is no secret: it is
/// worth something to this server alone, which answers to this machine alone.
pub const DEBUG_TOKEN: &str = "f12e6a7e-0000-4000-8000-000000000000";

const SERVICE: &str = "firebaseappcheck.googleapis.com";
const VERIFY: &str = "firebaseappcheck.appCheckTokens.verify";

/// The audience of the custom tokens that the Admin SDKs sign.
const CUSTOM_TOKEN_AUDIENCE: &str =
    "https://firebaseappcheck.googleapis.com/google.firebase.appcheck.v1.TokenExchangeService";

/// What App Check keeps.
#[derive(Debug)]
pub(crate) struct AppCheckState {
    /// A key of its own: no other issuer's tokens are verified with it.
    key: KeySlot,
    consumed: Mutex<ConsumedTokens>,
}

impl AppCheckState {
    pub(crate) fn new(clock: &SharedClock) -> Self {
        Self { key: KeySlot::new(SERVICE, clock), consumed: Mutex::default() }
    }
}

pub(crate) fn router() -> Router<Arc<State>> {
    let open_to_pages = Router::new()
        .route("/v1/jwks", get(jwk_set))
        .route("/v1beta/jwks", get(jwk_set))
        .route("/v1/projects/{project}/apps/{target}", post(exchange))
        .route("/v1beta/projects/{project}/apps/{target}", post(exchange))
        .layer(middleware::from_fn(pages::admit));
    open_to_pages.route("/v1beta/projects/{target}", post(verify_app_check_token))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExchangeDebugToken {
    /// The JavaScript SDK writes names as protobuf does.
    #[serde(default, alias = "debug_token")]
    debug_token: String,
    #[serde(default, alias = "limited_use")]
    limited_use: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExchangeCustomToken {
    #[serde(default, alias = "custom_token")]
    custom_token: String,
    #[serde(default, alias = "limited_use")]
    limited_use: bool,
    #[serde(default)]
    jti: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifyAppCheckToken {
    #[serde(default, alias = "app_check_token")]
    app_check_token: String,
}

async fn jwk_set(Extract(state): Extract<Arc<State>>) -> Result<Response, ApiError> {
    Ok(Document::JwkSet.of(&*state.app_check.key.get().await?))
}

async fn exchange(
    Extract(state): Extract<Arc<State>>,
    Path((project, target)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let (app, method) = target
        .rsplit_once(':')
        .ok_or_else(|| ApiError::not_found("the path names no method; end it with :exchangeDebugToken"))?;
    let is_here = is_project(&state, &project) && tokens::is_app_of(app, &state.options.project_number);
    match method {
        "exchangeDebugToken" | "exchangeCustomToken" if !is_here => {
            Err(unattested(app, "the app is not of this project; its id is 1:PROJECT_NUMBER:web:HEX"))
        }
        "exchangeDebugToken" => exchange_debug_token(&state, app, &read(&body)?).await,
        "exchangeCustomToken" => exchange_custom_token(&state, app, &read(&body)?).await,
        other => Err(ApiError::not_found(format!(
            "App Check's method {other} is not among the local Google endpoints"
        ))),
    }
    .map(Json)
}

async fn exchange_debug_token(
    state: &State,
    app: &str,
    request: &ExchangeDebugToken,
) -> Result<Value, ApiError> {
    if request.debug_token != DEBUG_TOKEN {
        return Err(unattested(app, "the debug token is another than the one at this server's address"));
    }
    let lifetime =
        if request.limited_use { APP_CHECK_LIMITED_USE_LIFETIME } else { APP_CHECK_TOKEN_LIFETIME };
    Ok(AppCheckToken { app, provider: "debug", lifetime, token_id: None }.mint(state).await?)
}

/// The exchange behind `getAppCheck().createToken(appId)` of the Admin SDKs.
async fn exchange_custom_token(
    state: &State,
    app: &str,
    request: &ExchangeCustomToken,
) -> Result<Value, ApiError> {
    let asked = verify_custom_token(state, app, &request.custom_token).await?;
    if request.jti.len() > APP_CHECK_TOKEN_ID_BYTES_MAX {
        return Err(ApiError::invalid_argument("The jti field is too long."));
    }
    let lifetime = if request.limited_use { APP_CHECK_LIMITED_USE_LIFETIME } else { asked };
    let token_id = Some(request.jti.as_str()).filter(|jti| request.limited_use && !jti.is_empty());
    Ok(AppCheckToken { app, provider: "custom", lifetime, token_id }.mint(state).await?)
}

/// The life that a custom token asks for, if a service account of the project signed it just now for this app.
async fn verify_custom_token(state: &State, app: &str, token: &str) -> Result<Duration, ApiError> {
    let token = CompactJws::parse(token).map_err(|_| unattested(app, "the custom token is no token"))?;
    let signer = token.payload_text("iss").unwrap_or_default();
    let account = state
        .accounts
        .find(signer)
        .ok_or_else(|| unattested(app, "no service account of the project signed the custom token"))?;
    if !account.key.get().await?.verifies(&token) {
        return Err(unattested(app, "the custom token's signature is not its service account's"));
    }
    let claims = [("sub", signer), ("aud", CUSTOM_TOKEN_AUDIENCE), ("app_id", app)];
    if claims.iter().any(|(name, expected)| token.payload_text(name) != Some(expected)) {
        return Err(unattested(app, "the custom token is for another app or another purpose"));
    }
    if !is_timely(token.payload(), state.options.clock.now()) {
        return Err(unattested(app, "the custom token has expired, or lives for more than an hour"));
    }
    match token.payload().get("ttl") {
        None => Ok(APP_CHECK_TOKEN_LIFETIME),
        Some(ttl) => ttl
            .as_str()
            .and_then(parse_seconds)
            .filter(|ttl| (APP_CHECK_CUSTOM_LIFETIME_MIN..=APP_CHECK_CUSTOM_LIFETIME_MAX).contains(ttl))
            .ok_or_else(|| ApiError::invalid_argument("The ttl must be from 1800s to 604800s.")),
    }
}

async fn verify_app_check_token(
    Extract(state): Extract<Arc<State>>,
    Path(target): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let Some(project) = target.strip_suffix(":verifyAppCheckToken") else {
        return Err(ApiError::not_found("the method is not among the local Google endpoints"));
    };
    let caller = authenticate(&state, &headers, SERVICE, FIREBASE)?;
    let may_verify = state.options.app_check_verifiers.iter().any(|member| member.includes(&caller));
    if !may_verify || !is_project(&state, project) {
        tracing::warn!(%caller, permission = VERIFY, project, "no binding permits this");
        return Err(ApiError::permission_denied(VERIFY));
    }
    let request: VerifyAppCheckToken = read(&body)?;
    if request.app_check_token.is_empty() {
        return Err(ApiError::invalid_argument("The app_check_token field must be set."));
    }
    let token = tokens::verify(&state, &request.app_check_token)
        .await?
        .ok_or_else(|| ApiError::token_refused("App Check token is invalid."))?;
    let mut consumed = state.app_check.consumed.lock().unwrap_or_else(PoisonError::into_inner);
    match consumed.consume(&token.token_id, token.expires_at, state.options.clock.now()) {
        // A field of protobuf with its default is left out.
        Ok(false) => Ok(Json(json!({}))),
        Ok(true) => Ok(Json(json!({ "alreadyConsumed": true }))),
        Err(Full) => Err(ApiError::resource_exhausted("Too many consumed tokens have not expired yet.")),
    }
}

/// Whether a path names this project, by its id or by its number.
fn is_project(state: &State, name: &str) -> bool {
    name == state.options.project || name == state.options.project_number
}

/// What Google answers whatever is wrong; why stands in the log.
fn unattested(app: &str, why: &str) -> ApiError {
    tracing::warn!(app, why, "no App Check token is given");
    ApiError::attestation_failed()
}
