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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use firegate_core::jose::EcdsaP256Signer;
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    /// A server of one key, its address, and how often the key was asked for.
    async fn publisher() -> (String, String, Arc<AtomicUsize>) {
        let signer = EcdsaP256Signer::generate().unwrap();
        let document = json!({ "keys": [signer.public_jwk().unwrap()] }).to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let good = move || async move {
            counter.fetch_add(1, Ordering::SeqCst);
            document
        };
        let router = Router::new()
            .route("/good", get(good))
            .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
            .route("/empty", get(|| async { "{}" }))
            .route("/large", get(|| async { "x".repeat(KEY_SET_BYTES_MAX + 1) }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (address, signer.key_id().to_owned(), requests)
    }

    fn keys(url: &str) -> PublishedKeys {
        PublishedKeys::new(url.parse().unwrap(), KeySet::parse_es256)
    }

    #[tokio::test]
    async fn a_failure_says_which_one_it_was() {
        let (address, ..) = publisher().await;
        let check = async |url: String, expected: fn(&KeysUnavailable) -> bool| {
            let error = keys(&url).having("any").await.unwrap_err();
            assert!(expected(&error), "{url}: {error}");
        };
        check(format!("{address}/broken"), |error| matches!(error, KeysUnavailable::Status(_, 500))).await;
        check(format!("{address}/empty"), |error| matches!(error, KeysUnavailable::Document(..))).await;
        check(format!("{address}/large"), |error| matches!(error, KeysUnavailable::Fetch(..))).await;
        check("http://127.0.0.1:1/".to_owned(), |error| matches!(error, KeysUnavailable::Fetch(..))).await;
        check("https://127.0.0.1/".to_owned(), |error| matches!(error, KeysUnavailable::Address(_))).await;
    }

    #[tokio::test]
    async fn many_requests_join_one_fetch_and_strange_key_ids_cause_no_more() {
        let (address, key_id, requests) = publisher().await;
        let keys = Arc::new(keys(&format!("{address}/good")));
        let asked: Vec<_> = (0..16)
            .map(|number| {
                let (keys, key_id) =
                    (Arc::clone(&keys), if number % 2 == 0 { key_id.clone() } else { number.to_string() });
                tokio::spawn(async move { keys.having(&key_id).await })
            })
            .collect();
        for task in asked {
            assert!(task.await.unwrap().unwrap().find(&key_id).is_some());
        }
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_was_fetched_before_outlives_a_failure() {
        let (address, key_id, _) = publisher().await;
        let before = keys(&format!("{address}/good")).having(&key_id).await.unwrap();
        let broken = keys(&format!("{address}/broken"));
        let old = Fetch {
            started_at: Instant::now().checked_sub(Duration::from_secs(3600)).unwrap(),
            previous: None,
            result: OnceCell::new_with(Some(Ok(before))),
        };
        *broken.latest.lock().unwrap() = Some(Arc::new(old));
        assert!(broken.having("unknown").await.unwrap().find(&key_id).is_some());
    }
}
