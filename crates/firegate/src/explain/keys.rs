//! The key sets that a token is judged by, fetched for this one question.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use firegate_core::identity::{KeyRing, KeyState, TokenKind};
use firegate_core::jose::{CompactJws, KeySet};
use firegate_files::configuration::GoogleEndpoints;
use firegate_google::http::{ExchangeBounds, HttpClient, Roots};
use firegate_google::limits::KEY_SET_BODY_BYTES_MAX;
use tokio::runtime::Handle;
use url::Url;

use super::limits::KEYS_TIMEOUT;
use super::summary::GOOGLE_ISSUERS;

/// Where a key set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    /// An endpoint.
    Url(Url),
    /// A file.
    File(PathBuf),
}

/// The keys that a token needs, and why they could not be had.
#[derive(Debug, Default)]
pub(super) struct FetchedKeys {
    pub(super) ring: KeyRing,
    pub(super) google: Option<KeySet>,
    pub(super) problem: Option<String>,
}

impl KeySource {
    /// A text with a scheme is a URL, any other a file's name.
    pub(super) fn parse(text: &str) -> Self {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Self::Url(url),
            Ok(_) | Err(_) => Self::File(PathBuf::from(text)),
        }
    }

    async fn read(&self) -> Result<KeySet, String> {
        let (document, place) = match self {
            Self::Url(url) => (fetch(url).await, url.to_string()),
            Self::File(file) => (read_file(file), file.display().to_string()),
        };
        let keys =
            document.and_then(|document| KeySet::parse_rs256(&document).map_err(|error| error.to_string()));
        keys.map_err(|why| format!("no keys from {place}: {why}"))
    }
}

/// Gets the one key set that the token's issuer signs with; none for a token of nobody's that is known.
pub(super) async fn obtain(
    token: &str,
    endpoints: &GoogleEndpoints,
    id_token_keys: Option<KeySource>,
) -> FetchedKeys {
    let mut fetched = FetchedKeys::default();
    let Ok(jws) = CompactJws::parse(token) else { return fetched };
    let issuer = jws.payload_text("iss").unwrap_or_default();
    if GOOGLE_ISSUERS.contains(&issuer) {
        match KeySource::Url(endpoints.google_id_token_keys.clone()).read().await {
            Ok(keys) => fetched.google = Some(keys),
            Err(problem) => fetched.problem = Some(problem),
        }
        return fetched;
    }
    let Some(kind) = TokenKind::FIREBASE
        .into_iter()
        .find(|kind| kind.firebase_issuer_prefix().is_some_and(|prefix| issuer.starts_with(prefix)))
    else {
        return fetched;
    };
    let source = match kind {
        TokenKind::IdToken => id_token_keys.unwrap_or(KeySource::Url(endpoints.id_token_keys.clone())),
        _ => KeySource::Url(endpoints.session_cookie_keys.clone()),
    };
    match (source.read().await.map(|keys| KeyState::Usable(Arc::new(keys))), kind) {
        (Ok(state), TokenKind::IdToken) => fetched.ring.id_token = state,
        (Ok(state), _) => fetched.ring.session_cookie = state,
        (Err(problem), _) => fetched.problem = Some(problem),
    }
    fetched
}

async fn fetch(url: &Url) -> Result<Vec<u8>, String> {
    let bounds = ExchangeBounds { timeout: KEYS_TIMEOUT, body_bytes_max: KEY_SET_BODY_BYTES_MAX };
    // Plain http needs no roots, and a machine without any can still ask its local identity server.
    let client = match url.scheme() {
        "http" => HttpClient::new(Handle::current(), Roots::Given(Vec::new())),
        _ => HttpClient::new(Handle::current(), Roots::Platform),
    };
    let client = client.map_err(|error| error.to_string())?;
    let response = client.get(url, bounds).await.map_err(|error| error.to_string())?;
    Ok(response.into_body().to_vec())
}

fn read_file(file: &PathBuf) -> Result<Vec<u8>, String> {
    let bytes_max = KEY_SET_BODY_BYTES_MAX as u64;
    let mut document = Vec::new();
    let opened =
        std::fs::File::open(file).and_then(|open| open.take(bytes_max + 1).read_to_end(&mut document));
    match opened {
        Ok(length) if length as u64 > bytes_max => Err("the file is too large".to_owned()),
        Ok(_) => Ok(document),
        Err(error) => Err(error.to_string()),
    }
}
