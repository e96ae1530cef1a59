//! The access log of the real binary: one line for each request, with what Cloud Logging wants to know, when the request is
//! over; and a log that nobody reads, which holds up nothing.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, post};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::gate::PATIENCE;
use crate::stack::binary::Served;
use crate::stack::server::serve;
use crate::stack::{Call, claims, clock, stranger};

/// A service: `/post` says how much it got, `/endless` begins an answer, and breaks it off when it is told to.
async fn service(breaks_off: Arc<Notify>) -> String {
    let endless = move || async move {
        let first = stream::once(async { Ok(Bytes::from_static(b"first")) });
        let rest = stream::once(async move {
            breaks_off.notified().await;
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
        });
        Body::from_stream(first.chain(rest))
    };
    // More than sockets hold, and without an end.
    let flood = || async {
        Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 0x4000]))))
    };
    let router = Router::new()
        .route("/flood", any(flood))
        .route("/post", post(|body: Bytes| async move { format!("{} bytes", body.len()) }))
        .route("/endless", any(endless))
        .fallback(any(|| async { "hello" }));
    serve(router).await
}

fn open(service: &str, settings: &str) -> String {
    format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nbackends: {{ api: '{service}' }}\nallow: [allUsers]\n\
         routes: [{{ path: '/api/*', backend: api }}, {{ path: '/*', backend: api }}]\n{settings}\n"
    )
}

/// The line about a request for this path.
async fn line(served: &Served, path: &str) -> Value {
    let is_it = |line: &str| line.contains("httpRequest") && line.contains(&format!("{path}\""));
    let line = served.line(is_it).await;
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// A connection to the door on which this head was sent, after the first bytes of the answer.
async fn begun(served: &Served, head: &str) -> TcpStream {
    let address = served.url.socket_addrs(|| None).expect("an address")[0];
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(format!("{head}\r\nHost: door\r\n\r\n").as_bytes()).await.expect("it is sent");
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("first") {
        assert_ne!(
            stream.read_buf(&mut seen).await.expect("a piece"),
            0,
            "{:?}",
            String::from_utf8_lossy(&seen)
        );
    }
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_line_with_what_cloud_logging_wants_to_know() {
    let served = Served::start(&open(&service(Arc::default()).await, ""), "json", "info");
    let at = |path: &str| served.url.join(path).expect("a path");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let answer = Call::new(Method::POST, &at("/post?page=2"))
        .header("user-agent", "test/1 \"quoted\"")
        .header("referer", "https://app.example/")
        .header("x-cloud-trace-context", &format!("{trace}/255;o=1"))
        .body("twelve bytes")
        .send()
        .await;
    assert_eq!(answer.body.as_ref(), b"12 bytes");
    let found = line(&served, "/post?page=2").await;
    let request = &found["httpRequest"];
    let url = served.url.join("/post?page=2").expect("a path");
    for (name, expected) in [
        ("requestMethod", json!("POST")),
        ("requestUrl", json!(url.as_str())),
        ("status", json!(200)),
        ("requestSize", json!("12")),
        ("responseSize", json!("8")),
        ("userAgent", json!("test/1 \"quoted\"")),
        ("referer", json!("https://app.example/")),
        ("remoteIp", json!("127.0.0.1")),
        ("protocol", json!("HTTP/1.1")),
    ] {
        assert_eq!(request[name], expected, "{name}: {found}");
    }
    let latency = request["latency"].as_str().and_then(|text| text.strip_suffix('s')).expect("a latency");
    let upstream =
        found["upstream_latency"].as_str().and_then(|text| text.strip_suffix('s')).expect("a latency");
    let seconds = |text: &str| text.parse::<f64>().expect("seconds");
    assert!(seconds(upstream) > 0.0 && seconds(upstream) <= seconds(latency), "{found}");
    for (name, expected) in [
        ("severity", json!("INFO")),
        ("backend", json!("api")),
        ("route", json!("/*")),
        ("outcome", json!("permit")),
        ("attempts", json!(1)),
        ("request_id", json!(answer.header("x-firegate-request-id").expect("an id"))),
        ("logging.googleapis.com/trace", json!(format!("projects/demo-project/traces/{trace}"))),
        ("logging.googleapis.com/spanId", json!("00000000000000ff")),
        ("logging.googleapis.com/trace_sampled", json!(true)),
    ] {
        assert_eq!(found[name], expected, "{name}: {found}");
    }
    Call::get(&at("/.well-known/firegate/jwks.json")).send().await.ok();
    assert_eq!(line(&served, "/jwks.json").await["outcome"], json!("respond"));
    Call::get(&at("/hello?kept=1&access_token=secret")).send().await;
    line(&served, "/hello?kept=1").await;
    Call::new(Method::HEAD, &at("/head")).send().await;
    let head = line(&served, "/head").await;
    assert!(head.get("cut").is_none() && head["httpRequest"]["responseSize"] == "0", "{head}");
    let log = served.stop();
    assert_eq!(log.matches("httpRequest").count(), 4, "each has one line:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_reach_its_end_says_why() {
    let breaks_off = Arc::new(Notify::new());
    let service = service(Arc::clone(&breaks_off)).await;
    let served = Served::start(&open(&service, "access_log: refused"), "json", "info");
    drop(begun(&served, "GET /endless?left HTTP/1.1").await);
    let left = line(&served, "/endless?left").await;
    assert_eq!(
        (&left["httpRequest"]["status"], &left["severity"]),
        (&json!(200), &json!("WARNING")),
        "{left}"
    );
    assert_eq!(left["message"], json!("cut short"), "{left}");
    assert_eq!(left["cut"], json!("the client left before the end"), "{left}");
    assert_eq!(left["httpRequest"]["responseSize"], json!("5"), "{left}");

    let _client = begun(&served, "GET /endless?broken HTTP/1.1").await;
    breaks_off.notify_waiters();
    let broken = line(&served, "/endless?broken").await;
    assert!(broken["cut"].as_str().is_some_and(|why| why.contains("broke off")), "{broken}");
    served.stop();
}

/// It is there, and was cut off for what it did not do.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_cut_off_is_not_told_of_as_one_that_left() {
    let service = service(Arc::default()).await;
    let limited = format!("{{ url: '{service}', timeouts: {{ idle: 1s }} }}");
    let text = open(&service, "").replace(&format!("'{service}'"), &limited);
    let served = Served::start(&text, "json", "info");
    let address = served.url.socket_addrs(|| None).expect("an address")[0];
    let mut client = TcpStream::connect(address).await.expect("a connection");
    client.write_all(b"GET /flood HTTP/1.1\r\nHost: door\r\n\r\n").await.expect("it is sent");
    let cut = in_time(line(&served, "/flood")).await;
    let why = "the client holds a stream whose time is over, and reads no more";
    assert_eq!(cut["cut"], json!(why), "{cut}");
    drop(client);
    served.stop();
}

/// Waits, but not for ever.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

/// Whatever the client speaks, it can tell the part from the whole.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_takes_longer_than_it_may_is_broken_off_and_says_why() {
    let service = service(Arc::default()).await;
    let limited = format!("{{ url: '{service}', timeouts: {{ total: 2s }} }}");
    let text = open(&service, "").replace(&format!("'{service}'"), &limited);
    let served = Served::start(&text, "json", "info");
    let told = async |path: &str| {
        let line = line(&served, path).await;
        let told = [&line["cut"], &line["message"], &line["severity"], &line["outcome"]];
        let why = "the request and its answer took longer than they may in all";
        assert_eq!(told, [why, "cut short", "WARNING", "permit"], "{line}");
        let request = &line["httpRequest"];
        assert_eq!([&request["status"], &request["responseSize"]], [&json!(200), &json!("5")], "{line}");
    };
    let mut client = begun(&served, "GET /endless?old HTTP/1.1").await;
    let mut rest = Vec::new();
    in_time(client.read_to_end(&mut rest)).await.expect("an end");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it has no last chunk: {:?}", String::from_utf8_lossy(&rest));
    told("/endless?old").await;

    let stream = TokioIo::new(TcpStream::connect(served.address).await.expect("a connection"));
    let handshake = hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>;
    let (mut client, connection) = handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let request = |path: &str| {
        let url = served.url.join(path).expect("a path");
        Request::get(url.as_str()).body(Empty::new()).expect("a request")
    };
    let mut answer = client.send_request(request("/endless?new")).await.expect("an answer").into_body();
    let first = answer.frame().await.expect("a piece").expect("of the answer").into_data();
    assert_eq!(first.expect("data").as_ref(), b"first");
    in_time(answer.frame()).await.expect("more than the end").expect_err("it is broken off");
    assert!(client.send_request(request("/")).await.is_ok(), "the stream alone is reset");
    told("/endless?new").await;
    served.stop();
}

/// The service had no part in it, and is not blamed.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_during_its_upload_is_told_of_as_one_that_left() {
    let service = service(Arc::default()).await;
    let served = Served::start(&open(&service, "access_log: refused"), "json", "info");
    let address = served.url.socket_addrs(|| None).expect("an address")[0];
    let mut client = TcpStream::connect(address).await.expect("a connection");
    let request = "POST /post?left HTTP/1.1\r\nHost: door\r\nContent-Length: 100\r\n\r\nnot a hundred";
    client.write_all(request.as_bytes()).await.expect("it is sent");
    drop(client);
    let left = line(&served, "/post?left").await;
    assert_eq!(left["httpRequest"]["status"], json!(499), "{left}");
    assert_eq!(left["outcome"], json!("cancelled"), "{left}");
    assert_eq!(left["cut"], json!("the client left before the answer"), "{left}");
    assert!(left.get("code").is_none() && left.get("evidence").is_none(), "{left}");
    let metrics = Call::get(&served.admin.clone().expect("an admin listener")).send().await;
    let metrics = String::from_utf8(metrics.body.to_vec()).expect("text");
    for (name, label) in [
        ("firegate_decisions_total{", "outcome=\"cancelled\""),
        ("firegate_responses_cut_total{", "backend=\"api\""),
    ] {
        let is_it = |line: &&str| line.starts_with(name) && line.contains(label) && line.ends_with(" 1");
        assert!(metrics.lines().find(is_it).is_some(), "{name} {metrics}");
    }
    served.stop();
}

/// A WebSocket has its line when it is over, with what went through it.
#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_is_told_at_its_end() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let service = format!("http://{}", listener.local_addr().expect("an address"));
    let served = Served::start(&open(&service, ""), "json", "info");
    let address = served.url.socket_addrs(|| None).expect("an address")[0];
    let client = async {
        let mut client = TcpStream::connect(address).await.expect("a connection");
        let head = "GET /socket HTTP/1.1\r\nHost: door\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.write_all(head.as_bytes()).await.expect("it is sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"pong") {
            assert_ne!(client.read_buf(&mut answer).await.expect("a piece"), 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{:?}", String::from_utf8_lossy(&answer));
        let bytes_so_far = served.so_far();
        assert!(!bytes_so_far.contains("httpRequest"), "it is not over:\n{bytes_so_far}");
        client.write_all(b"twelve bytes").await.expect("it is sent");
        client.shutdown().await.expect("it ends");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("an end");
    };
    let service = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut head).await.expect("a piece"), 0);
        }
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\npong";
        stream.write_all(answer.as_bytes()).await.expect("it is sent");
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).await.expect("an end");
        assert_eq!(sent, b"twelve bytes");
    };
    tokio::join!(client, service);
    let found = line(&served, "/socket").await;
    let request = &found["httpRequest"];
    assert_eq!(
        (&request["status"], &request["requestSize"], &request["responseSize"]),
        (&json!(101), &json!("12"), &json!("4")),
        "{found}"
    );
    assert!(found.get("cut").is_none() && found["outcome"] == "permit", "{found}");
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_well_is_told_by_the_sample_and_what_did_not_always() {
    let (clock, signer) = (clock(), stranger());
    let keys = json!({"keys": [signer.public_jwk()]}).to_string();
    let keys = serve(Router::new().fallback(any(move || async move { keys.clone() }))).await;
    let service = service(Arc::default()).await;
    let token = signer
        .sign(&claims("demo-project", firegate_core::time::Clock::now(&clock).as_seconds()))
        .expect("a token");
    for (settings, tells_good, tells_user) in [
        ("all", true, false),
        ("refused", false, false),
        ("{ sample: 0% }", false, false),
        ("{ sample: 100%, user_ids: true }", true, true),
        ("{ sample: 0%, user_ids: true }", false, true),
    ] {
        let configuration = format!(
            "project: demo-project\nbackends: {{ api: '{service}', closed: {{ url: '{service}', allow: ['user:root@example.com'] }} }}\n\
             routes: [{{ path: '/closed', backend: closed }}, {{ path: '/*', backend: api }}]\n\
             allow: [allAuthenticatedUsers]\naccess_log: {settings}\ngoogle: {{ id_token_keys: '{keys}/keys' }}\n"
        );
        let served = Served::start(&configuration, "json", "info");
        let at = |path: &str| served.url.join(path).expect("a path");
        assert_eq!(Call::get(&at("/good")).bearer(&token).send().await.body.as_ref(), b"hello");
        let refused = Call::get(&at("/closed")).bearer(&token).send().await;
        refused.expect_refusal(403, "NO_INVOKER_BINDING", "NONE");
        let refused = line(&served, "/closed").await;
        let log = served.stop();
        assert_eq!(log.contains("/good\""), tells_good, "{settings}:\n{log}");
        let told = log.lines().filter(|line| line.contains("\"user_id\":\"eve\"")).count();
        assert_eq!(told, usize::from(tells_good && tells_user), "{settings}:\n{log}");
        for (name, expected) in
            [("message", "refused"), ("code", "NO_INVOKER_BINDING"), ("stage", "iam"), ("outcome", "denial")]
        {
            assert_eq!(refused[name], json!(expected), "{settings}: {refused}");
        }
        assert!(
            refused["evidence"].as_str().is_some_and(|text| text.contains("root@example.com")),
            "{refused}"
        );
        assert!(refused["hint"].is_string() && refused["httpRequest"]["status"] == 403, "{refused}");
    }
}

/// Scenario: whoever reads the log has stopped reading, and its pipe is full.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_no_request_and_says_later_what_it_lost() {
    const REQUESTS: usize = 3000;
    let mut served = Served::start_unread(&open(&service(Arc::default()).await, ""), "json", "info");
    let address = served.url.socket_addrs(|| None).expect("an address")[0];
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!("HEAD /{} HTTP/1.1\r\nHost: door\r\n\r\n", "x".repeat(1900));
    let (mut answer, mut answered) = (Vec::new(), 0);
    for _ in 0..REQUESTS {
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        answer.clear();
        while !answer.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(&answer));
        answered += 1;
    }
    assert_eq!(answered, REQUESTS);
    let metrics = served.admin.clone().expect("an admin listener");
    let dropped = async || {
        let text = String::from_utf8(Call::get(&metrics).send().await.body.to_vec()).expect("text");
        let value = text.lines().find_map(|line| line.strip_prefix("firegate_log_lines_dropped_total "));
        value.unwrap_or_else(|| panic!("{text}")).parse::<u64>().expect("a number")
    };
    let lost = dropped().await;
    assert!(lost > 0 && lost < REQUESTS as u64, "{lost}");

    served.read();
    let told = served.line(|line| line.contains("lines_dropped")).await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["severity"], json!("WARNING"), "{told}");
    assert!(told["lines_dropped"].as_u64().is_some_and(|told| told >= lost), "{told}, {lost}");
    Call::get(&served.url.join("/after").expect("a path")).send().await;
    line(&served, "/after").await;
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_tells_the_operator_what_stood_in_the_place_of_a_token_or_a_route() {
    let signed_in = open(&service(Arc::default()).await, "").replace("[allUsers]", "[allAuthenticatedUsers]");
    let served = Served::start(&signed_in, "json", "info");
    let check = async |path: &str, method, fields: &[(&str, &str)], [code, evidence, hint]: [&str; 3]| {
        let url = served.url.join(path).expect("a path");
        let mut call = Call::new(method, &url);
        for (name, value) in fields {
            call = call.header(name, value);
        }
        let status = if code == "ROUTE_NOT_FOUND" { 404 } else { 401 };
        assert_eq!(call.send().await.status, status, "{path}");
        let found = line(&served, path).await;
        assert_eq!(found["code"], code, "{found}");
        for (name, expected) in [("evidence", evidence), ("hint", hint)] {
            assert!(found[name].as_str().is_some_and(|told| told.contains(expected)), "{name}: {found}");
        }
    };
    let token = ["eyJhbGciOiJSUzI1NiJ9", "eyJzdWIiOiJhZGEifQ", "c2ln"].join(".");
    let empty = ["TOKEN_MISSING", "`Bearer` with nothing behind it", "is empty"];
    check("/empty", Method::GET, &[("authorization", "Bearer ")], empty).await;
    let promise = ["TOKEN_MALFORMED", "was `await` forgotten?", "write `await`"];
    check("/promise", Method::GET, &[("authorization", "Bearer [object Promise]")], promise).await;
    let bare = ["TOKEN_MISSING", "without `Bearer ` in front of it", "write `Bearer `"];
    check("/bare", Method::GET, &[("authorization", &token)], bare).await;
    let basic = ["TOKEN_MISSING", "has the scheme \"Basic\"", "send `Authorization: Bearer <ID token>`"];
    check("/basic", Method::GET, &[("authorization", "Basic YTpi")], basic).await;
    let origin = ("origin", "http://localhost:5173");
    let preflight = [
        "TOKEN_MISSING",
        "a preflight for a page of \"http://localhost:5173\"",
        "origins: ['http://localhost:5173']",
    ];
    check("/page", Method::OPTIONS, &[origin, ("access-control-request-method", "GET")], preflight).await;
    // What is never routed is missed by no route.
    let exchange =
        ["ROUTE_NOT_FOUND", "the token exchange, which is not switched on", "`exchange: { enabled: true }`"];
    check("/.well-known/firegate/token", Method::POST, &[], exchange).await;
    let own = ["ROUTE_NOT_FOUND", "one of Firegate's own", "no route leads to a service"];
    check("/.well-known/firegate/keys", Method::GET, &[], own).await;
    assert!(!served.so_far().contains(&token), "a token is told");
}
