//! A fault of Firegate's own that nobody foresaw: a clock that panics stands for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use firegate_core::time::{Clock, ShiftedClock, UnixTime};
use firegate_files::configuration;
use futures_util::{StreamExt, stream};
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use crate::gate::{PATIENCE, metric};
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, claims, clock, close, door_of, log, stranger};

/// A clock that panics once on each kind of thread that it is told of.
#[derive(Debug)]
struct Treacherous {
    clock: ShiftedClock,
    on_a_worker: AtomicBool,
    on_control: AtomicBool,
    /// How often it has panicked.
    times: AtomicUsize,
}

impl Treacherous {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: clock(),
            on_a_worker: AtomicBool::new(false),
            on_control: AtomicBool::new(false),
            times: AtomicUsize::new(0),
        })
    }
}

impl Clock for Treacherous {
    fn now(&self) -> UnixTime {
        let thread = std::thread::current();
        let armed = match thread.name() {
            Some(name) if name.starts_with("firegate-worker") => &self.on_a_worker,
            Some("firegate-control") => &self.on_control,
            _ => return self.clock.now(),
        };
        if armed.swap(false, Ordering::SeqCst) {
            self.times.fetch_add(1, Ordering::SeqCst);
            panic!("the clock fell down");
        }
        self.clock.now()
    }

    fn steady(&self) -> Duration {
        self.clock.steady()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_that_requests_500_and_the_other_requests_of_its_connection_go_on() {
    log::begin();
    let (signer, fetches) = (stranger(), Arc::new(AtomicUsize::new(0)));
    let (keys, counted) = (json!({"keys": [signer.public_jwk()]}).to_string(), Arc::clone(&fetches));
    let publish = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { keys }
    };
    let (came, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (arrived, held) = (Arc::clone(&came), Arc::clone(&go_on));
    let slow = move || async move {
        arrived.notify_one();
        held.notified().await;
        "slow"
    };
    let router = Router::new()
        .route("/keys", get(publish))
        .route("/slow", any(slow))
        .fallback(any(|| async { "hello" }));
    let service = serve(router).await;
    let treacherous = Treacherous::new();
    let text = format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allAuthenticatedUsers]\n\
         backends: {{ api: {{ url: '{service}', credential: none }} }}\ngoogle: {{ id_token_keys: '{service}/keys' }}\n"
    );
    let configuration = configuration::parse("firegate.yaml", &text).expect("a configuration");
    let door = door_of(configuration, Arc::clone(&treacherous) as _, None);
    door.ready().await;

    let stream = TcpStream::connect(door.address()).await.expect("a connection");
    let handshake = hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>;
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let token = signer.sign(&claims("demo-project", treacherous.clock.now().as_seconds())).expect("a token");
    let send = |path: &str| {
        let mut client = client.clone();
        let request = Request::get(format!("http://{}{path}", door.address()));
        let request = request.header("authorization", format!("Bearer {token}")).body(Empty::new());
        async move {
            let answer = client.send_request(request.expect("a request")).await.expect("an answer");
            let (parts, body) = answer.into_parts();
            (parts, body.collect().await.expect("a whole body").to_bytes())
        }
    };
    let slow = tokio::spawn(send("/slow"));
    came.notified().await;

    treacherous.on_a_worker.store(true, Ordering::SeqCst);
    let (refused, body) = send("/").await;
    assert_eq!(refused.status.as_u16(), 500);
    assert_eq!(refused.headers["x-firegate-reason"], "INTERNAL");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(!body.to_string().contains("the clock fell down"), "the client is not told why: {body}");
    let request_id = refused.headers["x-firegate-request-id"].to_str().expect("text");
    log::line(|line| line.contains("ERROR") && line.contains(request_id)).await;
    let logged = log::so_far();
    let errors = logged.lines().filter(|line| line.contains("ERROR") && line.contains(request_id));
    let errors = errors.collect::<Vec<_>>();
    assert!(matches!(&errors[..], [line] if line.contains("the clock fell down")), "{errors:?}");

    assert_eq!(send("/").await.1.as_ref(), b"hello", "the worker goes on");
    go_on.notify_one();
    assert_eq!(slow.await.expect("it ends").1.as_ref(), b"slow", "and so does what was under way");
    assert_eq!(metric(&door, "firegate_panics_total").await, 1.0);
    let faults = "firegate_decisions_total{outcome=\"fault\",code=\"INTERNAL\",backend=\"\"}";
    assert_eq!(metric(&door, faults).await, 1.0);

    // What keeps the keys fresh looks at the clock too. It is run again, and fetches what is due then.
    let fetched = fetches.load(Ordering::SeqCst);
    treacherous.on_control.store(true, Ordering::SeqCst);
    let noticed = async {
        while treacherous.on_control.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        treacherous.clock.advance(12 * 60 * 60);
        while fetches.load(Ordering::SeqCst) == fetched {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, noticed).await.expect("the keys are fetched again");
    assert_eq!(metric(&door, "firegate_panics_total").await, 2.0);
    drop(client);
    close(door).await;
}

/// What is told of a request is told when its answer has ended: then the clock is asked for the line of the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_after_the_answer_began_is_counted_and_takes_nothing_along() {
    let (end, ended) = watch::channel(false);
    let streamed = move || {
        let mut ended = ended.clone();
        let rest = async move {
            ended.wait_for(|ended| *ended).await.expect("the test goes on");
            Ok::<_, Infallible>(Bytes::from_static(b"end"))
        };
        async {
            Body::from_stream(stream::iter([Ok(Bytes::from_static(b"begin "))]).chain(stream::once(rest)))
        }
    };
    let service =
        serve(Router::new().route("/streamed", get(streamed)).fallback(any(|| async { "hello" }))).await;
    let treacherous = Treacherous::new();
    let text = format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allUsers]\nbackends: {{ api: '{service}' }}\n"
    );
    let configuration = configuration::parse("firegate.yaml", &text).expect("a configuration");
    let door = door_of(configuration, Arc::clone(&treacherous) as _, None);
    let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
    let head = format!("GET /streamed HTTP/1.1\r\nHost: {}\r\n\r\n", door.address());
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"begin \r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0);
    }
    treacherous.on_a_worker.store(true, Ordering::SeqCst);
    end.send_replace(true);
    while !answer.ends_with(b"0\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("the rest"), 0, "it ends as it should");
    }
    assert_eq!(treacherous.times.load(Ordering::SeqCst), 1);
    assert_eq!(metric(&door, "firegate_panics_total").await, 1.0);
    // The connection goes on.
    stream.write_all(head.replace("/streamed", "/").as_bytes()).await.expect("it is sent");
    while !answer.ends_with(b"hello") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("another answer"), 0);
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_on_the_probes_listener_is_that_probes_500() {
    let signer = stranger();
    let keys = json!({"keys": [signer.public_jwk()]}).to_string();
    let service = serve(Router::new().route("/keys", get(|| async { keys }))).await;
    let treacherous = Treacherous::new();
    let text = format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nhealth: {{ listen: 127.0.0.1:0 }}\n\
         allow: [allAuthenticatedUsers]\nbackends: {{ api: {{ url: '{service}', credential: none }} }}\n\
         google: {{ id_token_keys: '{service}/keys' }}\n"
    );
    let configuration = configuration::parse("firegate.yaml", &text).expect("a configuration");
    let door = door_of(configuration, Arc::clone(&treacherous) as _, None);
    door.ready().await;
    let address = door.health_address().expect("a health listener");
    let url = format!("http://{address}/readyz").parse().expect("a URL");
    let refused = async {
        // Whoever else looks at the clock there may be the first to fall over it.
        loop {
            treacherous.on_control.store(true, Ordering::SeqCst);
            let answer = Call::get(&url).send().await;
            if answer.status.as_u16() == 500 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, refused).await.expect("a probe falls over the clock");
    assert!(!String::from_utf8_lossy(&answer.body).contains("the clock fell down"), "{:?}", answer.body);
    treacherous.on_control.store(false, Ordering::SeqCst);
    assert_eq!(Call::get(&url).send().await.status.as_u16(), 200, "the listener goes on");
    let times = treacherous.times.load(Ordering::SeqCst) as f64;
    assert_eq!(metric(&door, "firegate_panics_total").await, times);
    close(door).await;
}

/// What a request is answered by a front door whose clock falls down when Google answers the call at `path`, and what the log
/// says of it.
async fn refused_by_a_panic_behind(path: &'static str, backend: &str, users: &str) -> (Answer, String) {
    log::begin();
    let (signer, treacherous) = (stranger(), Treacherous::new());
    let keys = json!({"keys": [signer.public_jwk()]}).to_string();
    let (armed, key) = (Arc::clone(&treacherous), signer.clone());
    let google = move |uri: Uri| async move {
        armed.on_control.store(uri.path().ends_with(path), Ordering::SeqCst);
        let now = armed.clock.now().as_seconds();
        let token = json!({"iss": "https://accounts.google.com", "aud": "https://api.example", "iat": now, "exp": now + 3600});
        let answer = match uri.path().rsplit('/').next() {
            Some("identity") => key.sign(&token).expect("a token"),
            Some("token") => {
                json!({"access_token": "a", "expires_in": 3600, "token_type": "Bearer"}).to_string()
            }
            _ => json!({"users": [{"localId": "eve"}]}).to_string(),
        };
        ([("metadata-flavor", "Google")], answer)
    };
    let router = Router::new().route("/keys", get(|| async { keys })).fallback(any(google));
    let google = serve(router).await;
    let text = format!(
        "project: demo-project\nallow: [allAuthenticatedUsers]\nusers: {{ {users} }}\n\
         backends: {{ api: {{ url: '{google}', audience: 'https://api.example', credential: {backend} }} }}\n\
         google: {{ id_token_keys: '{google}/keys', metadata: '{google}', identity_toolkit: '{google}' }}\n"
    );
    let configuration = configuration::parse("firegate.yaml", &text).expect("a configuration");
    let door = door_of(configuration, Arc::clone(&treacherous) as _, None);
    door.ready().await;
    let refused = async {
        // Whoever else looks at the clock there may be the first to fall over it.
        loop {
            let now = treacherous.clock.now().as_seconds();
            let token = signer.sign(&claims("demo-project", now)).expect("a token");
            let answer = Call::get(&at(&door, "/")).bearer(&token).send().await;
            if !answer.status.is_success() {
                return answer;
            }
            treacherous.clock.advance(60 * 60);
        }
    };
    let answer = tokio::time::timeout(PATIENCE, refused).await.expect("a call falls over the clock");
    let request_id = answer.header("x-firegate-request-id").expect("a name").to_owned();
    let line = log::line(|line| line.contains(&request_id)).await;
    close(door).await;
    (answer, line)
}

/// Whoever reads that the process stops looks in the wrong place.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_call_that_a_request_waits_for_is_told_as_a_mistake_and_not_as_a_stop() {
    let (answer, line) = refused_by_a_panic_behind("/identity", "metadata", "").await;
    assert_eq!(answer.status.as_u16(), 500, "{line}");
    assert!(line.contains("INTERNAL") && line.contains("a mistake in Firegate"), "{line}");
}

/// Nor is anybody let in by it, as they may be while Identity Platform is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_while_a_user_is_looked_up_is_no_outage_and_no_crowd() {
    let users = "revocation: { check: required, max_staleness: 60s, on_failure: allow }";
    let (answer, line) = refused_by_a_panic_behind("accounts:lookup", "none", users).await;
    assert_eq!(answer.status.as_u16(), 500, "{line}");
    assert!(line.contains("INTERNAL") && line.contains("a mistake in Firegate"), "{line}");
}
