//! Service accounts, their own keys, and the key file that `gcloud iam service-accounts keys create` would give.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use firegate_core::time::SharedClock;
use serde_json::{Value, json};

use super::State;
use super::error::ApiError;
use super::keys::KeySlot;

/// The decimal digits that follow the leading one of a unique id.
const UNIQUE_ID_MODULUS: u128 = 100_000_000_000_000_000_000;
const PEM_LINE_CHARACTERS: usize = 64;

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceAccount {
    email: String,
}

impl ServiceAccount {
    /// The service account with this e-mail address, `NAME@PROJECT.iam.gserviceaccount.com`.
    pub fn new(email: impl Into<String>) -> Self {
        Self { email: email.into() }
    }

    /// Its e-mail address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Its unique id, the `sub` of its ID tokens: 21 decimal digits, here derived from the address.
    pub fn unique_id(&self) -> String {
        unique_id(&self.email)
    }
}

/// The numeric id of the Google account or service account with this address, on this machine.
pub(crate) fn unique_id(email: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, email.to_ascii_lowercase().as_bytes());
    let number = digest.as_ref().iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("1{:020}", number % UNIQUE_ID_MODULUS)
}

/// A service account with its own key.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) service_account: ServiceAccount,
    pub(crate) key: KeySlot,
}

/// All service accounts.
#[derive(Debug)]
pub(crate) struct Accounts(Vec<Account>);

impl Accounts {
    pub(crate) fn new(service_accounts: &[ServiceAccount], clock: &SharedClock) -> Self {
        let account = |service_account: &ServiceAccount| Account {
            service_account: service_account.clone(),
            key: KeySlot::new(service_account.email(), clock),
        };
        Self(service_accounts.iter().map(account).collect())
    }

    /// The account with this e-mail address or unique id.
    pub(crate) fn find(&self, name: &str) -> Option<&Account> {
        self.0.iter().find(|account| {
            account.service_account.email.eq_ignore_ascii_case(name)
                || account.service_account.unique_id() == name
        })
    }
}

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new().route("/firegate/v1/serviceAccounts/{email}/key", get(key_file))
}

/// The JSON key file, with this server as its token endpoint. Reading it changes nothing: an account has one key.
async fn key_file(
    Extract(state): Extract<Arc<State>>,
    Path(email): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let account =
        state.accounts.find(&email).ok_or_else(|| ApiError::not_found("there is no such service account"))?;
    let signer = &account.key.get().await?.signer;
    let url = |path: &str| format!("{}{path}", state.options.base_url.as_str().trim_end_matches('/'));
    let email = account.service_account.email();
    Ok(Json(json!({
        "type": "service_account",
        "project_id": state.options.project,
        "private_key_id": signer.key_id(),
        "private_key": private_key_pem(signer.pkcs8()),
        "client_email": email,
        "client_id": account.service_account.unique_id(),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": url("/token"),
        "auth_provider_x509_cert_url": url("/oauth2/v1/certs"),
        "client_x509_cert_url": url(&format!("/robot/v1/metadata/x509/{email}")),
        "universe_domain": "googleapis.com",
    })))
}

/// The textual encoding of RFC 7468, section 10.
fn private_key_pem(pkcs8: &[u8]) -> String {
    let text = STANDARD.encode(pkcs8);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % PEM_LINE_CHARACTERS == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_ids_have_the_form_of_googles_and_belong_to_one_address() {
        let id = unique_id("caller@demo.iam.gserviceaccount.com");
        assert_eq!(id.len(), 21);
        assert!(id.bytes().all(|byte| byte.is_ascii_digit()) && id.starts_with('1'), "{id}");
        assert_eq!(id, unique_id("CALLER@demo.iam.gserviceaccount.com"));
        assert_ne!(id, unique_id("other@demo.iam.gserviceaccount.com"));
    }
}
