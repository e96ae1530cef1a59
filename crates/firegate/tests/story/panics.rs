//! A fault of Firegate's own that nobody foresaw: a clock that panics stands for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use bytes::Bytes;
use firegate_core::time::{Clock, ShiftedClock, UnixTime};
use firegate_files::configuration;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::gate::{PATIENCE, metric, serve};
use crate::stack::{claims, clock, close, door_of, log, stranger};

/// A clock that panics once on each kind of thread that it is told of.
#[derive(Debug)]
struct Treacherous {
    clock: ShiftedClock,
    on_a_worker: AtomicBool,
    on_control: AtomicBool,
}

impl Clock for Treacherous {
    fn now(&self) -> UnixTime {
        let thread = std::thread::current();
        let armed = match thread.name() {
            Some(name) if name.starts_with("firegate-worker") => &self.on_a_worker,
            Some("firegate-control") => &self.on_control,
            _ => return self.clock.now(),
        };
        assert!(!armed.swap(false, Ordering::SeqCst), "the clock fell down");
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
    let treacherous = Arc::new(Treacherous {
        clock: clock(),
        on_a_worker: AtomicBool::new(false),
        on_control: AtomicBool::new(false),
    });
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
