//! A sample container: it tells, as JSON, what of a request reached it and what it can believe of it. It is what a
//! private service looks like that takes its user from Firegate's assertion.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use firegate_core::jose::{CompactJws, CompactJwsError, KeySet};
use firegate_core::time::{SharedClock, UnixTime};
use futures_util::Stream;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::limits::{EVENT_COUNT, EVENT_INTERVAL};
use crate::published_keys::{KeysUnavailable, PublishedKeys};

const SERVICE: &str = "firegate sample";
const ASSERTION: &str = "x-firegate-assertion";
const ASSERTION_TYPE: &str = "firegate-assertion+jwt";
const SERVERLESS_AUTHORIZATION: &str = "x-serverless-authorization";

/// What the sample needs to verify assertions.
#[derive(Clone, Debug)]
pub struct EchoOptions {
    /// Where the front door publishes its keys: `http://DOOR/.well-known/firegate/jwks.json`.
    pub jwks_url: Url,
    /// The `aud` values of assertions for this service.
    pub audiences: Vec<String>,
    /// The time.
    pub clock: SharedClock,
}

/// The sample container. Clones share the fetched keys.
#[derive(Clone, Debug)]
pub struct EchoService {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: EchoOptions,
    keys: PublishedKeys,
}

/// Why an assertion is not believed.
#[derive(Debug, thiserror::Error)]
enum AssertionError {
    #[error(
        "the request has no {ASSERTION} header; it did not come through Firegate, or no user was identified"
    )]
    Missing,
    #[error("the header {ASSERTION} is repeated")]
    Repeated,
    #[error("{0}")]
    Malformed(#[from] CompactJwsError),
    #[error("its typ is not {ASSERTION_TYPE}")]
    Type,
    #[error("its alg is not ES256")]
    Algorithm,
    #[error("{0}")]
    Keys(#[from] KeysUnavailable),
    #[error("its key {0:?} is not among those that the front door publishes")]
    UnknownKey(String),
    #[error("its signature is not the front door's")]
    Signature,
    #[error("its audience {0} is not this service")]
    Audience(Value),
    #[error("it has expired, or has no exp")]
    Expired,
}

impl EchoService {
    /// Takes the configuration. The keys are fetched when the first assertion comes.
    pub fn new(options: EchoOptions) -> Self {
        let keys = PublishedKeys::new(options.jwks_url.clone(), KeySet::parse_es256);
        Self { shared: Arc::new(Shared { options, keys }) }
    }

    /// Serves HTTP/1 and h2c until `shutdown` completes: `/events` is an event stream, `/status/{code}` answers with that
    /// status, everything else is echoed.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let router = Router::new()
            .route("/events", get(|| async { Sse::new(events()) }))
            .route("/status/{code}", any(status))
            .fallback(echo)
            .with_state(self.shared);
        crate::serve::serve(listener, router, shutdown).await
    }
}

impl Shared {
    /// The claims of a user whom the front door vouches for.
    async fn verify(&self, headers: &HeaderMap) -> Result<Map<String, Value>, AssertionError> {
        let mut values = headers.get_all(ASSERTION).iter();
        let text = values.next().and_then(|value| value.to_str().ok()).ok_or(AssertionError::Missing)?;
        if values.next().is_some() {
            return Err(AssertionError::Repeated);
        }
        let token = CompactJws::parse(text)?;
        if token.header_text("typ") != Some(ASSERTION_TYPE) {
            return Err(AssertionError::Type);
        }
        if token.header_text("alg") != Some("ES256") {
            return Err(AssertionError::Algorithm);
        }
        let key_id = token.header_text("kid").unwrap_or_default();
        let keys = self.keys.having(key_id).await?;
        let key = keys.find(key_id).ok_or_else(|| AssertionError::UnknownKey(key_id.to_owned()))?;
        if !key.verifies(&token) {
            return Err(AssertionError::Signature);
        }
        let audience = token.payload_text("aud");
        if !audience.is_some_and(|audience| self.options.audiences.iter().any(|own| own == audience)) {
            return Err(AssertionError::Audience(json!(audience)));
        }
        let expires_at = token.payload().integer("exp").map(UnixTime::from_seconds);
        if expires_at.is_none_or(|expires_at| expires_at <= self.options.clock.now()) {
            return Err(AssertionError::Expired);
        }
        Ok(token.into_payload())
    }
}

/// An answer for a person who reads it in a terminal.
fn indented(status: StatusCode, answer: &Value) -> Response {
    let json = http::HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], format!("{answer:#}\n")).into_response()
}

async fn echo(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let mut body_bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => body_bytes += frame.data_ref().map_or(0, |data| data.len()),
            Err(error) => {
                let why = format!("the body broke off after {body_bytes} bytes: {error}");
                return indented(StatusCode::BAD_REQUEST, &json!({ "service": SERVICE, "error": why }));
            }
        }
    }
    let (user, assertion) = match shared.verify(&parts.headers).await {
        Ok(claims) => (
            Value::Object(claims),
            json!({ "verified": true, "why": "signed by the front door, for this service, and not expired" }),
        ),
        Err(error) => (Value::Null, json!({ "verified": false, "why": error.to_string() })),
    };
    let answer = json!({
        "service": SERVICE,
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map_or("/", |path| path.as_str()),
        "headers": headers_as_json(&parts.headers),
        "user": user,
        "assertion": assertion,
        "caller": caller(&parts.headers),
        "body_bytes": body_bytes,
    });
    indented(StatusCode::OK, &answer)
}

/// Each header by name: its value, or the list of its values if it is repeated.
fn headers_as_json(headers: &HeaderMap) -> Value {
    let names: BTreeMap<_, _> = headers.keys().map(|name| (name.as_str(), name)).collect();
    let values = |name| {
        let mut texts: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        if texts.len() == 1 { texts.remove(0) } else { Value::Array(texts) }
    };
    names.into_iter().map(|(text, name)| (text.to_owned(), values(name))).collect::<Map<_, _>>().into()
}

/// The claims of the caller's Google ID token. Cloud Run has validated it and removed its signature, so that there is
/// nothing left to verify: on a private service the claims can be believed, on a public one they cannot.
fn caller(headers: &HeaderMap) -> Value {
    let claims = || {
        let value = headers.get(SERVERLESS_AUTHORIZATION)?.to_str().ok()?;
        let (_, token) = value.split_once(' ')?;
        let payload = token.split('.').nth(1)?;
        let bytes = firegate_core::jose::decode_base64url(payload)?;
        serde_json::from_slice::<Map<String, Value>>(&bytes).ok()
    };
    claims().map_or(Value::Null, Value::Object)
}

/// An answer that the application makes itself, with any status.
async fn status(Path(code): Path<String>) -> Response {
    let parsed = code.parse::<u16>().ok().filter(|code| (200..=599).contains(code));
    let Some(status) = parsed.and_then(|code| StatusCode::from_u16(code).ok()) else {
        let error = format!("{code:?} is no status; write one from 200 to 599");
        return indented(StatusCode::BAD_REQUEST, &json!({ "service": SERVICE, "error": error }));
    };
    let error = format!("the application answers with {status} because the path says so");
    let mut response =
        indented(status, &json!({ "service": SERVICE, "status": status.as_u16(), "error": error }));
    if status == StatusCode::UNAUTHORIZED {
        let challenge = http::HeaderValue::from_static("Bearer realm=\"firegate sample\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn events() -> impl Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold(0, |sent| async move {
        if sent == EVENT_COUNT {
            return None;
        }
        if sent > 0 {
            tokio::time::sleep(EVENT_INTERVAL).await;
        }
        let number = sent + 1;
        Some((
            Ok(Event::default().id(number.to_string()).data(json!({ "event": number }).to_string())),
            number,
        ))
    })
}
