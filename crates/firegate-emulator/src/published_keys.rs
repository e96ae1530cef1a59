//! The key set that an issuer publishes, fetched when a token first needs it. Any number of requests join one fetch;
//! an unknown key id causes at most one fetch per cool-down; what was fetched last stays in use when a fetch fails.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use firegate_core::jose::{KeySet, KeySetError};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use crate::limits::{KEY_SET_AGE_MAX, KEY_SET_BYTES_MAX, KEY_SET_COOL_DOWN, KEY_SET_TIMEOUT};

/// Why there are no keys to verify with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysUnavailable {
    #[error("the key set's address {0} cannot be requested; give an http:// address of this machine")]
    Address(Url),
    #[error("the key set at {0} cannot be fetched ({1}); start the server that publishes it")]
    Fetch(Url, String),
    #[error("the key set at {0} did not arrive in {1} seconds; look at the server that publishes it")]
    Late(Url, u64),
    #[error("the key set at {0} was answered with status {1}; correct the address")]
    Status(Url, u16),
    #[error("what {0} publishes cannot be used: {1}")]
    Document(Url, KeySetError),
}

/// Reads a published document.
pub(crate) type ParseKeySet = fn(&[u8]) -> Result<KeySet, KeySetError>;

#[derive(Debug)]
pub(crate) struct PublishedKeys {
    url: Url,
    parse: ParseKeySet,
    client: Client<HttpConnector, Empty<Bytes>>,
    latest: Mutex<Option<Arc<Fetch>>>,
}

/// One fetch: under way, or done.
#[derive(Debug)]
struct Fetch {
    started_at: Instant,
    previous: Option<Arc<KeySet>>,
    result: OnceCell<Result<Arc<KeySet>, KeysUnavailable>>,
}

impl PublishedKeys {
    pub(crate) fn new(url: Url, parse: ParseKeySet) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { url, parse, client, latest: Mutex::new(None) }
    }

    /// The newest keys, fetched if there are none, if they are old, or if `key_id` is not among them.
    pub(crate) async fn having(&self, key_id: &str) -> Result<Arc<KeySet>, KeysUnavailable> {
        let fetch = self.fetch_for(key_id);
        let run = || async {
            match (self.request().await, &fetch.previous) {
                (Err(error), Some(previous)) => {
                    tracing::warn!(%error, "the keys fetched before stay in use");
                    Ok(Arc::clone(previous))
                }
                (result, _) => result.map(Arc::new),
            }
        };
        fetch.result.get_or_init(run).await.clone()
    }

    /// The fetch to join, begun now if the latest one does not serve.
    fn fetch_for(&self, key_id: &str) -> Arc<Fetch> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut previous = None;
        if let Some(fetch) = latest.as_ref() {
            let age = now.saturating_duration_since(fetch.started_at);
            let serves = match fetch.result.get() {
                None => true,
                Some(Ok(keys)) if keys.find(key_id).is_some() => age < KEY_SET_AGE_MAX,
                Some(_) => age < KEY_SET_COOL_DOWN,
            };
            if serves {
                return Arc::clone(fetch);
            }
            previous = match fetch.result.get() {
                Some(Ok(keys)) => Some(Arc::clone(keys)),
                _ => fetch.previous.clone(),
            };
        }
        let fetch = Arc::new(Fetch { started_at: now, previous, result: OnceCell::new() });
        *latest = Some(Arc::clone(&fetch));
        fetch
    }

    async fn request(&self) -> Result<KeySet, KeysUnavailable> {
        let url = || self.url.clone();
        let uri = self.url.as_str().parse().map_err(|_| KeysUnavailable::Address(url()))?;
        if self.url.scheme() != "http" {
            return Err(KeysUnavailable::Address(url()));
        }
        let exchange = async {
            let response = self
                .client
                .get(uri)
                .await
                .map_err(|error| KeysUnavailable::Fetch(url(), error.to_string()))?;
            if response.status() != http::StatusCode::OK {
                return Err(KeysUnavailable::Status(url(), response.status().as_u16()));
            }
            let body = Limited::new(response.into_body(), KEY_SET_BYTES_MAX).collect().await;
            Ok(body.map_err(|error| KeysUnavailable::Fetch(url(), error.to_string()))?.to_bytes())
        };
        let document = tokio::time::timeout(KEY_SET_TIMEOUT, exchange)
            .await
            .map_err(|_| KeysUnavailable::Late(url(), KEY_SET_TIMEOUT.as_secs()))??;
        (self.parse)(&document).map_err(|error| KeysUnavailable::Document(url(), error))
    }
}
