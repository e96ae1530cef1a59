//! The IAM Service Account Credentials API: tokens and signatures in the name of a service account, for whoever a
//! binding lets act as it. <https://cloud.google.com/iam/docs/reference/credentials/rest>

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use axum::extract::{Path, State as Extract};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use firegate_core::jose::SignError;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::access_token::IAM;
use super::api_call::{authenticate, parse_seconds, read};
use super::error::ApiError;
use super::id_token::IdToken;
use super::options::Permission;
use super::service_account::Account;
use super::{KeyUnavailable, State};
use crate::limits::{ACCESS_TOKEN_LIFETIME, AUDIENCE_BYTES_MAX, BLOB_BYTES_MAX, DELEGATES_MAX};
use crate::member::Principal;

const SERVICE: &str = "iamcredentials.googleapis.com";

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new().route("/v1/projects/{project}/serviceAccounts/{target}", post(call))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerateIdToken {
    #[serde(default)]
    audience: String,
    #[serde(default)]
    delegates: Vec<String>,
    #[serde(default)]
    include_email: bool,
    /// Sent by Google's Node and Python clients; not documented.
    #[serde(default)]
    use_email_azp: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerateAccessToken {
    #[serde(default)]
    delegates: Vec<String>,
    #[serde(default)]
    scope: Vec<String>,
    lifetime: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignBlob {
    #[serde(default)]
    delegates: Vec<String>,
    #[serde(default)]
    payload: String,
}

async fn call(
    Extract(state): Extract<Arc<State>>,
    Path((project, target)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let (email, method) = target
        .rsplit_once(':')
        .ok_or_else(|| ApiError::not_found("the path names no method; end it with :generateIdToken"))?;
    if project != "-" {
        return Err(ApiError::invalid_argument(format!(
            "Invalid resource name projects/{project}/serviceAccounts/{email}; the project must be given as '-'."
        )));
    }
    let caller = authenticate(&state, &headers, SERVICE, IAM)?;
    let call = Call { state: &state, caller, email };
    match method {
        "generateIdToken" => call.generate_id_token(read(&body)?).await,
        "generateAccessToken" => call.generate_access_token(&read(&body)?),
        "signBlob" => call.sign_blob(&read(&body)?).await,
        other => {
            Err(ApiError::not_found(format!("the method {other} is not among the local Google endpoints")))
        }
    }
    .map(Json)
}

/// An authenticated call about one service account.
struct Call<'a> {
    state: &'a State,
    caller: Principal,
    email: &'a str,
}

impl<'a> Call<'a> {
    /// The service account, if the caller, or the chain of delegates from the caller on, has the permission on it.
    fn authorize(&self, permission: Permission, delegates: &[String]) -> Result<&'a Account, ApiError> {
        if delegates.len() > DELEGATES_MAX {
            return Err(ApiError::invalid_argument(format!(
                "At most {DELEGATES_MAX} delegates are accepted."
            )));
        }
        let mut caller = self.caller.clone();
        for delegate in delegates {
            let email = delegate.strip_prefix("projects/-/serviceAccounts/").ok_or_else(|| {
                ApiError::invalid_argument(format!(
                    "Invalid delegate {delegate}; write projects/-/serviceAccounts/EMAIL."
                ))
            })?;
            let account = self.find(email)?;
            self.permit(&caller, Permission::ImplicitDelegation, account)?;
            caller = Principal::ServiceAccount(account.service_account.email().to_owned());
        }
        let account = self.find(self.email)?;
        self.permit(&caller, permission, account)?;
        Ok(account)
    }

    fn find(&self, name: &str) -> Result<&'a Account, ApiError> {
        let account = self.state.accounts.find(name);
        account.ok_or_else(|| ApiError::not_found(format!("Not found; Gaia id not found for email {name}")))
    }

    fn permit(&self, caller: &Principal, permission: Permission, account: &Account) -> Result<(), ApiError> {
        let email = account.service_account.email();
        if self.state.options.permits(caller, permission, email) {
            return Ok(());
        }
        tracing::warn!(%caller, permission = permission.as_str(), service_account = email, "no binding permits this");
        Err(ApiError::permission_denied(permission.as_str()))
    }

    async fn generate_id_token(&self, request: GenerateIdToken) -> Result<Value, ApiError> {
        let account = &self.authorize(Permission::GetOpenIdToken, &request.delegates)?.service_account;
        let audience = request.audience.as_str();
        if audience.is_empty() || audience.len() > AUDIENCE_BYTES_MAX {
            return Err(ApiError::invalid_argument("The audience field must be set."));
        }
        let unique_id = account.unique_id();
        let id_token = IdToken {
            email: account.email(),
            audience,
            authorized_party: if request.use_email_azp { account.email() } else { &unique_id },
            includes_email: request.include_email,
            extra: Map::new(),
        };
        Ok(json!({ "token": id_token.mint(self.state).await? }))
    }

    fn generate_access_token(&self, request: &GenerateAccessToken) -> Result<Value, ApiError> {
        let account = &self.authorize(Permission::GetAccessToken, &request.delegates)?.service_account;
        if request.scope.is_empty() {
            return Err(ApiError::invalid_argument("The scope field must be set."));
        }
        let lifetime = match &request.lifetime {
            None => ACCESS_TOKEN_LIFETIME,
            Some(text) => parse_seconds(text)
                .filter(|lifetime| (1..=ACCESS_TOKEN_LIFETIME.as_secs()).contains(&lifetime.as_secs()))
                .ok_or_else(|| {
                    ApiError::invalid_argument(format!(
                        "The lifetime {text} is out of range; write 1s to {}s.",
                        ACCESS_TOKEN_LIFETIME.as_secs()
                    ))
                })?,
        };
        let principal = Principal::ServiceAccount(account.email().to_owned());
        let (access_token, expires_at) =
            self.state.access_tokens.issue(principal, &request.scope, lifetime)?;
        Ok(json!({ "accessToken": access_token, "expireTime": expires_at.date().to_string() }))
    }

    async fn sign_blob(&self, request: &SignBlob) -> Result<Value, ApiError> {
        let account = self.authorize(Permission::SignBlob, &request.delegates)?;
        let blob = STANDARD
            .decode(&request.payload)
            .ok()
            .filter(|blob| (1..=BLOB_BYTES_MAX).contains(&blob.len()))
            .ok_or_else(|| ApiError::invalid_argument("The payload field must be set, in base64."))?;
        let signer = &account.key.get().await?.signer;
        let signature = sign(signer.pkcs8(), &blob).map_err(KeyUnavailable::Sign)?;
        Ok(json!({ "keyId": signer.key_id(), "signedBlob": STANDARD.encode(signature) }))
    }
}

fn sign(pkcs8: &[u8], blob: &[u8]) -> Result<Vec<u8>, SignError> {
    let key = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| SignError::Key)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), blob, &mut signature)
        .map_err(|_| SignError::Operation)?;
    Ok(signature)
}
