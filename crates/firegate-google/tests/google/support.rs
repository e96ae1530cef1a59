//! A server whose answers the test changes while it runs, and the keys and tokens that the tests need.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use firegate_core::jose::{RsaSigner, encode_base64url};
use firegate_core::time::{Clock, SharedClock, ShiftedClock, SystemClock, UnixTime};
use firegate_google::http::{HttpClient, Roots};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::Id;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// What came to a server.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Received {
    /// The members of a form or of a query.
    pub(crate) fn form(text: &str) -> HashMap<String, String> {
        form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// An answer to give: status, headers, body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    pub(crate) pause: Duration,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into(), pause: Duration::ZERO }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::new(200, "application/json; charset=UTF-8", body.to_string())
    }

    /// Given after a while.
    pub(crate) fn after(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

type Respond = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

struct Shared {
    respond: Mutex<Respond>,
    received: Mutex<Vec<Received>>,
    /// Answers wait until this is true.
    open: watch::Sender<bool>,
    arrivals: watch::Sender<usize>,
}

/// A server on a port of 127.0.0.1; dropping it closes the port and all connections.
pub(crate) struct Server {
    shared: Arc<Shared>,
    url: Url,
    task: Option<AbortOnDropHandle<()>>,
}

impl Server {
    pub(crate) async fn start(respond: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            respond: Mutex::new(Arc::new(respond)),
            received: Mutex::default(),
            open: watch::Sender::new(true),
            arrivals: watch::Sender::new(0),
        });
        let url = Url::parse(&format!("http://{address}/")).expect("a URL");
        let mut server = Self { shared, url, task: None };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.shared));
        let serving = async move { axum::serve(listener, router).await.expect("serves until it is aborted") };
        self.task = Some(AbortOnDropHandle::new(tokio::spawn(serving)));
    }

    /// Closes the port.
    pub(crate) async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Opens the same port again.
    pub(crate) async fn restart(&mut self) {
        let address = (self.url.host_str().expect("a host"), self.url.port().expect("a port"));
        let listener = TcpListener::bind(address).await.expect("the port is still free");
        self.serve(listener);
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.url.join(path).expect("a path")
    }

    pub(crate) fn respond(&self, respond: impl Fn(&Received) -> Answer + Send + Sync + 'static) {
        *self.shared.respond.lock().expect("not poisoned") = Arc::new(respond);
    }

    /// Lets requests come in, but answers none until [`Self::release`].
    pub(crate) fn hold(&self) {
        self.shared.open.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.shared.open.send_replace(true);
    }

    /// Waits until this many requests in all have come.
    pub(crate) async fn wait_for_requests(&self, count: usize) {
        let mut arrivals = self.shared.arrivals.subscribe();
        let arrived = arrivals.wait_for(|arrived| *arrived >= count);
        tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("in time").expect("open");
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("not poisoned").clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.received().len()
    }

    pub(crate) fn last(&self) -> Received {
        self.received().last().expect("a request came").clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a small body");
    let received = Received {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).expect("text"),
    };
    shared.received.lock().expect("not poisoned").push(received.clone());
    shared.arrivals.send_modify(|arrived| *arrived += 1);
    shared.open.subscribe().wait_for(|open| *open).await.expect("the server lives");
    let respond = Arc::clone(&shared.respond.lock().expect("not poisoned"));
    let answer = respond(&received);
    tokio::time::sleep(answer.pause).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).expect("a response")
}

/// A client on the test's runtime that trusts no certificate; the servers speak plain HTTP.
pub(crate) fn client() -> HttpClient {
    HttpClient::new(Handle::current(), Roots::Given(Vec::new())).expect("no roots are none too bad")
}

/// A clock that the test moves, and the same one shared.
pub(crate) fn clock() -> ShiftedClock {
    ShiftedClock::new(Arc::new(SystemClock))
}

/// A clock that knows how often it was looked at, by anybody or by one task alone: so a test waits for a look instead of
/// guessing how long it takes.
#[derive(Debug)]
pub(crate) struct CountingClock {
    clock: SharedClock,
    task: OnceLock<Id>,
    looks: watch::Sender<usize>,
    /// Whether the next look of another task panics.
    is_treacherous: AtomicBool,
}

impl CountingClock {
    pub(crate) fn new(clock: SharedClock) -> Arc<Self> {
        let (task, looks) = (OnceLock::new(), watch::Sender::new(0));
        Arc::new(Self { clock, task, looks, is_treacherous: AtomicBool::new(false) })
    }

    /// Counts the looks of this task, and no others from now on.
    pub(crate) fn count_only(&self, task: Id) {
        self.task.set(task).expect("there is one such task");
    }

    pub(crate) fn looks(&self) -> usize {
        *self.looks.borrow()
    }

    /// Panics at the next look of a task that is neither this one nor the test itself.
    pub(crate) fn betray(&self) {
        self.is_treacherous.store(true, Ordering::SeqCst);
    }

    /// Whether it has panicked since.
    pub(crate) fn has_betrayed(&self) -> bool {
        !self.is_treacherous.load(Ordering::SeqCst)
    }

    /// Waits for so many more looks.
    pub(crate) async fn more(&self, looks: usize) {
        let mut counted = self.looks.subscribe();
        let enough = *counted.borrow() + looks;
        let waiting = counted.wait_for(|counted| *counted >= enough);
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .expect("in time")
            .expect("the clock lives");
    }
}

impl Clock for CountingClock {
    fn now(&self) -> UnixTime {
        let now = self.clock.now();
        let task = tokio::task::try_id();
        if self.task.get().is_none_or(|counted| task.as_ref() == Some(counted)) {
            self.looks.send_modify(|looks| *looks += 1);
        } else if task.is_some() && self.is_treacherous.swap(false, Ordering::SeqCst) {
            panic!("the clock fell down");
        }
        now
    }

    fn steady(&self) -> Duration {
        self.clock.steady()
    }
}

pub(crate) fn now(clock: &ShiftedClock) -> i64 {
    clock.now().as_seconds()
}

/// Three RSA keys; making one takes a third of a second.
pub(crate) static SIGNERS: LazyLock<[RsaSigner; 3]> =
    LazyLock::new(|| std::array::from_fn(|_| RsaSigner::generate().expect("a key")));

/// A JWK set of the keys with these numbers.
pub(crate) fn jwk_set(keys: &[usize]) -> Value {
    json!({"keys": keys.iter().map(|key| SIGNERS[*key].public_jwk()).collect::<Vec<_>>()})
}

/// A token of Google as far as its receiver reads it: the signature is for the service to check.
pub(crate) fn id_token(audience: &str, expires_at: i64, number: usize) -> String {
    let payload =
        json!({"aud": audience, "exp": expires_at, "iss": "https://accounts.google.com", "jti": number});
    let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
    format!("{}.{}.c2lnbmF0dXJl", part(&json!({"alg": "RS256", "kid": "k"})), part(&payload))
}

/// The process's memory in MiB, as far as the system tells (proc(5), `statm`: pages). For figures that are printed: other
/// tests run beside this one.
pub(crate) fn resident_mebibytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4 / 1024)
}
