//! The stack that the tests drive: what `firegate dev` starts, in this process and with a clock that can be moved, and
//! clients that speak to it over real sockets.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod authority;
#[cfg(unix)]
pub(crate) mod binary;
pub(crate) mod log;
pub(crate) mod server;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use firegate::dev::{Dev, DevArguments, DevContext, SEEDED_EMAIL, SEEDED_PASSWORD};
use firegate_core::jose::{RsaSigner, encode_base64url};
use firegate_core::time::{Clock, SharedClock, ShiftedClock, SystemClock};
use firegate_emulator::google::APP_CHECK_DEBUG_TOKEN;
use firegate_files::configuration::{self, Configuration};
use firegate_google::http::Roots;
use firegate_proxy::limits::{CLIENT_IDLE_TIMEOUT, IDLE_CONNECTION_GRACE};
use firegate_proxy::{FrontDoor, FrontDoorOptions, InheritedSockets};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use url::Url;

/// A running `firegate dev`.
pub(crate) struct Stack {
    pub(crate) dev: Dev,
    pub(crate) clock: ShiftedClock,
}

/// A clock that starts with the system's.
pub(crate) fn clock() -> ShiftedClock {
    ShiftedClock::new(Arc::new(SystemClock))
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with(DevArguments::default()).await
    }

    pub(crate) async fn with(arguments: DevArguments) -> Self {
        let clock = clock();
        let dev = Dev::start(arguments, context(&clock, false)).await.expect("the stack starts");
        Self { dev, clock }
    }

    pub(crate) async fn stop(self) {
        self.dev.stop().await;
    }

    /// The front door's URL of a path.
    pub(crate) fn door(&self, path: &str) -> Url {
        self.dev.places.door.join(path).expect("a path")
    }

    /// Cloud Run's URL of a path.
    pub(crate) fn service(&self, path: &str) -> Url {
        self.dev.places.service.join(path).expect("a path")
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_seconds()
    }

    /// Signs the seeded user in; `idToken`, `refreshToken`, `localId`.
    pub(crate) async fn sign_in(&self) -> Value {
        let body = json!({"email": SEEDED_EMAIL, "password": SEEDED_PASSWORD, "returnSecureToken": true});
        self.identity("v1/accounts:signInWithPassword", body).await.ok()
    }

    pub(crate) async fn id_token(&self) -> String {
        text(&self.sign_in().await["idToken"])
    }

    /// A call of the identity server by an app.
    pub(crate) async fn identity(&self, operation: &str, body: Value) -> Answer {
        let path = format!("identitytoolkit.googleapis.com/{operation}?key=local");
        let url = self.dev.places.identity.join(&path).expect("a path");
        Call::new(Method::POST, &url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
    }

    /// A call of the identity server by an administrator.
    pub(crate) async fn admin(&self, operation: &str, body: Value) -> Value {
        let project = &self.dev.places.project;
        let path = format!("identitytoolkit.googleapis.com/v1/projects/{project}{operation}");
        let url = self.dev.places.identity.join(&path).expect("a path");
        let call = Call::new(Method::POST, &url).header("content-type", "application/json").bearer("owner");
        call.body(body.to_string()).send().await.ok()
    }

    /// An App Check token for an app of the project, such as `1:123456789012:web:0123456789abcdef`.
    pub(crate) async fn app_check_token(&self, app: &str) -> String {
        self.exchange_debug_token(app, false).await
    }

    /// An App Check token that is meant to be used once.
    pub(crate) async fn limited_use_app_check_token(&self, app: &str) -> String {
        self.exchange_debug_token(app, true).await
    }

    async fn exchange_debug_token(&self, app: &str, limited_use: bool) -> String {
        let path = format!("v1/projects/{}/apps/{app}:exchangeDebugToken", self.dev.places.project);
        let url = self.dev.places.google.join(&path).expect("a path");
        let body = json!({"debug_token": APP_CHECK_DEBUG_TOKEN, "limited_use": limited_use});
        let call = Call::new(Method::POST, &url).header("content-type", "application/json");
        text(&call.body(body.to_string()).send().await.ok()["token"])
    }

    /// A Google ID token of the front door's own service account, with its address, for any audience.
    pub(crate) async fn google_id_token(&self, audience: &str) -> String {
        let path = "computeMetadata/v1/instance/service-accounts/default/identity?format=full";
        let mut url = self.dev.places.google.join(path).expect("a path");
        url.query_pairs_mut().append_pair("audience", audience);
        let answer = Call::get(&url).header("metadata-flavor", "Google").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        String::from_utf8(answer.body.to_vec()).expect("a token")
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        let url =
            self.dev.places.identity.join("securetoken.googleapis.com/v1/token?key=local").expect("a path");
        let form = format!("grant_type=refresh_token&refresh_token={refresh_token}");
        let call = Call::new(Method::POST, &url).header("content-type", "application/x-www-form-urlencoded");
        call.body(form).send().await
    }
}

pub(crate) fn context(clock: &ShiftedClock, has_application_credentials: bool) -> DevContext {
    DevContext {
        clock: Arc::new(clock.clone()),
        has_application_credentials,
        workers: Some(2),
        log: log::queue(),
    }
}

/// A front door of its own, with the given configuration.
pub(crate) fn door(text: &str, clock: &ShiftedClock) -> FrontDoor {
    door_with_credentials(text, clock, None)
}

/// A front door of its own, with a credential file as `GOOGLE_APPLICATION_CREDENTIALS` names it.
pub(crate) fn door_with_credentials(
    text: &str,
    clock: &ShiftedClock,
    credentials: Option<PathBuf>,
) -> FrontDoor {
    let configuration = configuration::parse("firegate.yaml", text).expect("a configuration");
    door_of(configuration, Arc::new(clock.clone()), credentials)
}

pub(crate) fn door_of(
    configuration: Configuration,
    clock: SharedClock,
    credentials: Option<PathBuf>,
) -> FrontDoor {
    FrontDoor::start(options(configuration, clock, credentials)).expect("the front door starts")
}

/// A front door of its own that trusts this authority of its services' certificates.
pub(crate) fn door_trusting(
    text: &str,
    clock: &ShiftedClock,
    authority: rustls::pki_types::CertificateDer<'static>,
) -> FrontDoor {
    let configuration = configuration::parse("firegate.yaml", text).expect("a configuration");
    let options = options(configuration, Arc::new(clock.clone()), None);
    let options = FrontDoorOptions { roots: Roots::Given(vec![authority]), ..options };
    FrontDoor::start(options).expect("the front door starts")
}

/// A front door of its own that closes a client's connection when nobody has used it for so long.
pub(crate) fn door_closing_after(idle: Duration, text: &str, clock: &ShiftedClock) -> FrontDoor {
    let configuration = configuration::parse("firegate.yaml", text).expect("a configuration");
    let options = options(configuration, Arc::new(clock.clone()), None);
    let options = FrontDoorOptions { client_idle_timeout: idle, ..options };
    FrontDoor::start(options).expect("the front door starts")
}

/// A front door of its own whose stop waits so long for what is under way.
pub(crate) fn door_draining(timeout: Duration, text: &str, clock: &ShiftedClock) -> FrontDoor {
    let configuration = configuration::parse("firegate.yaml", text).expect("a configuration");
    let options = options(configuration, Arc::new(clock.clone()), None);
    let options = FrontDoorOptions { drain_timeout: timeout, ..options };
    FrontDoor::start(options).expect("the front door starts")
}

/// What such a front door is started with.
pub(crate) fn options(
    configuration: Configuration,
    clock: SharedClock,
    credentials: Option<PathBuf>,
) -> FrontDoorOptions {
    let local = || SocketAddr::from(([127, 0, 0, 1], 0));
    FrontDoorOptions {
        listen: if configuration.listen.is_empty() { vec![local()] } else { configuration.listen.clone() },
        inherited: InheritedSockets::default(),
        on_cloud_run: false,
        application_credentials: credentials,
        home: None,
        lookup_bearer: None,
        keeps_data: false,
        log: log::queue(),
        roots: Roots::Given(Vec::new()),
        is_local: false,
        local_hosts: BTreeSet::new(),
        // Longer than any test waits: what would have to be waited for shows.
        drain_timeout: Duration::from_secs(60),
        idle_connection_grace: IDLE_CONNECTION_GRACE,
        client_idle_timeout: CLIENT_IDLE_TIMEOUT,
        workers: Some(2),
        clock,
        configuration,
    }
}

/// The URL of a path at a front door.
pub(crate) fn at(door: &FrontDoor, path: &str) -> Url {
    Url::parse(&format!("http://{}{path}", door.address())).expect("a URL")
}

/// Stops a front door without blocking the runtime that its requests are sent from.
pub(crate) async fn close(door: FrontDoor) {
    tokio::task::spawn_blocking(move || door.stop()).await.expect("the front door stops");
}

/// The claims of a token of the seeded project, for a user called Eve.
pub(crate) fn claims(project: &str, now: i64) -> Value {
    json!({
        "iss": format!("https://securetoken.google.com/{project}"), "aud": project, "sub": "eve", "user_id": "eve",
        "auth_time": now - 60, "iat": now - 60, "exp": now + 3540, "email": "eve@example.com", "email_verified": true,
        "firebase": {"identities": {}, "sign_in_provider": "password"},
    })
}

/// A token with the header and payload of one's choice, and a signature that nobody made.
pub(crate) fn unsigned(header: Value, payload: Value, signature: &[u8]) -> String {
    let part = |value: Value| encode_base64url(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(payload), encode_base64url(signature))
}

pub(crate) fn stranger() -> RsaSigner {
    RsaSigner::generate().expect("a key")
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A request that is put together.
pub(crate) struct Call {
    request: http::request::Builder,
    body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, url: &Url) -> Self {
        Self { request: Request::builder().method(method).uri(url.as_str()), body: Bytes::new() }
    }

    pub(crate) fn get(url: &Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value.as_bytes());
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let request = self.request.body(Full::new(self.body)).expect("a request");
        let (parts, body) = client.request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The JSON of a success.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        self.json()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// That this is a refusal of Firegate's with this status, reason and action, in every place where it is told.
    pub(crate) fn expect_refusal(&self, status: u16, reason: &str, action: &str) {
        let body = self.json();
        let detail = &body["error"]["details"][0];
        let found = (self.status.as_u16(), detail["reason"].as_str(), detail["metadata"]["action"].as_str());
        assert_eq!(found, (status, Some(reason), Some(action)), "{body}");
        assert_eq!(body["error"]["code"], json!(status));
        assert_eq!(detail["domain"], json!("firegate"));
        assert_eq!(self.header("x-firegate-reason"), Some(reason));
        assert_eq!(self.header("x-firegate-request-id"), detail["metadata"]["request_id"].as_str());
        assert_eq!(
            self.header("www-authenticate").is_some(),
            status == 401 || self.header("www-authenticate").is_some()
        );
        assert_eq!(self.header("retry-after").is_some(), action == "RETRY_LATER", "{body}");
    }
}
