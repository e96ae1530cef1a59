//! RSA keys that sign in Google's name, made when they are first needed, and the documents that publish them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use firegate_core::jose::{CompactJws, KeySet, KeySetError, RsaSigner, SignError};
use firegate_core::time::{SharedClock, UnixTime};
use http::header;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::State;
use super::error::ApiError;
use crate::limits::{CERTIFICATE_BACKDATE, CERTIFICATE_LIFETIME, KEYS_MAX_AGE_SECONDS};

/// Whose certificate Google's ID tokens are verified with.
const SIGN_ON_NAME: &str = "federated-signon.system.gserviceaccount.com";

/// Why a key could not be made or used. Trying again may help.
#[derive(Debug, thiserror::Error)]
pub enum KeyUnavailable {
    /// The cryptographic library failed.
    #[error("cannot make or use an RSA key: {0}; try again")]
    Sign(#[from] SignError),
    /// No certificate could be made for the key.
    #[error("cannot make the key's certificate: {0}; try again")]
    Certificate(#[from] rcgen::Error),
    /// The key cannot be published.
    #[error("cannot publish the key: {0}; try again")]
    Publish(#[from] KeySetError),
    /// The thread that makes the key ended early.
    #[error("the thread that makes the key ended early; try again")]
    Task(#[from] tokio::task::JoinError),
    /// The system gave no random bytes.
    #[error("the system has no random bytes; try again")]
    Randomness,
    /// An access token could not be sealed.
    #[error("cannot seal an access token; try again")]
    Seal,
}

/// An RSA key with everything that is derived from it.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pub(crate) signer: RsaSigner,
    pub(crate) public: Arc<KeySet>,
    pub(crate) jwk_set: String,
    pub(crate) certificates: String,
}

impl SigningKey {
    fn generate(name: &str, now: UnixTime) -> Result<Self, KeyUnavailable> {
        let signer = RsaSigner::generate()?;
        let jwk_set = json!({ "keys": [signer.public_jwk()] }).to_string();
        let certificates = json!({ signer.key_id(): certificate(&signer, name, now)? }).to_string();
        let public = Arc::new(KeySet::parse_rs256(jwk_set.as_bytes())?);
        Ok(Self { signer, public, jwk_set, certificates })
    }

    /// Whether this key signed the token with RS256. A token without a key id is tried all the same: Node's client
    /// sends none.
    pub(crate) fn verifies(&self, token: &CompactJws<'_>) -> bool {
        let key_id = match token.header().get("kid") {
            None => Some(self.signer.key_id()),
            Some(_) => token.header_text("kid"),
        };
        token.header_text("alg") == Some("RS256")
            && key_id.and_then(|key_id| self.public.find(key_id)).is_some_and(|key| key.verifies(token))
    }
}

/// A key that is made by whoever needs it first, on a thread of its own kind; the others wait.
#[derive(Debug)]
pub(crate) struct KeySlot {
    name: String,
    key: OnceCell<Arc<SigningKey>>,
    clock: SharedClock,
}

impl KeySlot {
    pub(crate) fn new(name: &str, clock: &SharedClock) -> Self {
        Self { name: name.to_owned(), key: OnceCell::new(), clock: Arc::clone(clock) }
    }

    pub(crate) async fn get(&self) -> Result<Arc<SigningKey>, KeyUnavailable> {
        let make = || async {
            let (name, now) = (self.name.clone(), self.clock.now());
            tokio::task::spawn_blocking(move || SigningKey::generate(&name, now).map(Arc::new)).await?
        };
        self.key.get_or_try_init(make).await.cloned()
    }
}

/// The key that signs Google's ID tokens on this machine. Clones share it.
#[derive(Clone, Debug)]
pub struct GoogleKeys {
    slot: Arc<KeySlot>,
}

impl GoogleKeys {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self { slot: Arc::new(KeySlot::new(SIGN_ON_NAME, &clock)) }
    }

    /// The public keys to verify ID tokens with.
    ///
    /// # Errors
    /// If the key cannot be made.
    pub async fn key_set(&self) -> Result<Arc<KeySet>, KeyUnavailable> {
        Ok(Arc::clone(&self.slot.get().await?.public))
    }

    /// Signs `claims` as Google's.
    pub(crate) async fn sign(&self, claims: &Value) -> Result<String, KeyUnavailable> {
        Ok(self.slot.get().await?.signer.sign(claims)?)
    }

    /// Has the key made in the background.
    pub(crate) fn warm_up(&self) {
        let slot = Arc::clone(&self.slot);
        tokio::spawn(async move {
            if let Err(error) = slot.get().await {
                tracing::error!(%error, "no key for Google's ID tokens");
            }
        });
    }
}

fn certificate(signer: &RsaSigner, name: &str, now: UnixTime) -> Result<String, KeyUnavailable> {
    let key_pair = KeyPair::try_from(signer.pkcs8())?;
    let moment = |moment: UnixTime| {
        time::OffsetDateTime::from_unix_timestamp(moment.as_seconds())
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = moment(now.minus(CERTIFICATE_BACKDATE));
    params.not_after = moment(now.plus(CERTIFICATE_LIFETIME));
    Ok(params.self_signed(&key_pair)?.pem())
}

/// Which of a key's documents is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Document {
    JwkSet,
    Certificates,
}

impl Document {
    pub(crate) fn of(self, key: &SigningKey) -> Response {
        let text = match self {
            Self::JwkSet => &key.jwk_set,
            Self::Certificates => &key.certificates,
        };
        let cache_control = format!("public, max-age={KEYS_MAX_AGE_SECONDS}, must-revalidate, no-transform");
        let content_type = "application/json; charset=UTF-8".to_owned();
        ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, cache_control)], text.clone())
            .into_response()
    }
}

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/oauth2/v3/certs", get(|state| sign_on_key(state, Document::JwkSet)))
        .route("/oauth2/v1/certs", get(|state| sign_on_key(state, Document::Certificates)))
        .route(
            "/service_accounts/v1/jwk/{email}",
            get(|state, path| account_key(state, path, Document::JwkSet)),
        )
        .route(
            "/robot/v1/metadata/x509/{email}",
            get(|state, path| account_key(state, path, Document::Certificates)),
        )
}

async fn sign_on_key(Extract(state): Extract<Arc<State>>, document: Document) -> Result<Response, ApiError> {
    Ok(document.of(&*state.keys.slot.get().await?))
}

async fn account_key(
    Extract(state): Extract<Arc<State>>,
    Path(email): Path<String>,
    document: Document,
) -> Result<Response, ApiError> {
    let account =
        state.accounts.find(&email).ok_or_else(|| ApiError::not_found("there is no such service account"))?;
    Ok(document.of(&*account.key.get().await?))
}
