//! Copies of requests beside what else becomes of these: tries, a stop, and more of them than there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use firegate_core::jose::CompactJws;
use firegate_files::configuration::parse_with_files;
use firegate_proxy::FrontDoor;
use firegate_proxy::limits::MIRRORED_REQUESTS_MAX;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::gate::{PATIENCE, Site, expect_echo, metric, open_web_socket};
use crate::stack::server::serve;
use crate::stack::{Call, at, clock, close, door_of, text};
use crate::upstreams::web_sockets_and;
use crate::url_map::TheFile;

const DROPPED: &str = "firegate_mirrored_requests_dropped_total";

/// A service that counts the requests that came, and answers them when it is let go.
#[derive(Clone)]
struct Held {
    came: watch::Sender<usize>,
    let_go: watch::Sender<bool>,
}

impl Held {
    async fn start() -> (Self, String) {
        let held = Self { came: watch::channel(0).0, let_go: watch::channel(false).0 };
        let counting = held.clone();
        let answer = move || {
            let Self { came, let_go } = counting.clone();
            async move {
                came.send_modify(|count| *count += 1);
                let_go.subscribe().wait_for(|let_go| *let_go).await.expect("the test goes on");
            }
        };
        (held, serve(Router::new().fallback(any(answer))).await)
    }

    async fn came(&self, times: usize) {
        let mut came = self.came.subscribe();
        let came = tokio::time::timeout(PATIENCE, came.wait_for(|count| *count >= times));
        assert_eq!(*came.await.expect("they come").expect("the service runs"), times);
    }
}

/// A service that refuses so many requests, and says how often it was asked.
async fn failing(failures: usize) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move { if number < failures { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK } }
    };
    (serve(Router::new().fallback(any(answer))).await, asked)
}

/// A door before a service whose requests are mirrored and, if they fail, tried again; both by this protocol.
fn door(protocol: &str, service: &str, copies: &str) -> FrontDoor {
    let backend = |url: &str| format!("{{ url: '{url}', protocol: {protocol} }}");
    let text = format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allUsers]\nurl_map: map.yaml\n\
         backends: {{ web: {}, api: {} }}\n",
        backend(service),
        backend(copies)
    );
    let map = "name: m\ndefaultService: web\ndefaultRouteAction: {requestMirrorPolicy: {backendService: api}, \
               retryPolicy: {numRetries: 3, retryConditions: [gateway-error]}}\n";
    let configuration = parse_with_files("firegate.yaml", &text, &TheFile(map.to_owned()));
    door_of(configuration.unwrap_or_else(|found| panic!("{found}")), Arc::new(clock()), None)
}

async fn get(door: &FrontDoor) -> u16 {
    let answer = tokio::time::timeout(PATIENCE, Call::get(&at(door, "/")).send());
    answer.await.expect("it is answered, whatever becomes of the copy").status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_tried_again_has_one_copy() {
    for protocol in ["http1", "h2c"] {
        let ((service, asked), (held, copies)) = (failing(3).await, Held::start().await);
        let door = door(protocol, &service, &copies);
        assert_eq!((get(&door).await, asked.load(Ordering::SeqCst)), (200, 4), "{protocol}");
        // The next one shows that no other copy was on its way.
        assert_eq!(get(&door).await, 200);
        held.came(2).await;
        held.let_go.send_replace(true);
        close(door).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_places_is_not_copied_and_counted() {
    const BEYOND: usize = 3;
    let ((service, asked), (held, copies)) = (failing(0).await, Held::start().await);
    let door = door("http1", &service, &copies);
    // Many at once: the first copies have their time from when they were sent, and the last ones come before it is over.
    let requests = stream::iter(0..MIRRORED_REQUESTS_MAX + BEYOND).map(|_| get(&door)).buffer_unordered(32);
    assert!(requests.all(async |status| status == 200).await);
    assert_eq!(asked.load(Ordering::SeqCst), MIRRORED_REQUESTS_MAX + BEYOND);
    held.came(MIRRORED_REQUESTS_MAX).await;
    assert_eq!(metric(&door, DROPPED).await, BEYOND as f64);
    // Their places are free again when they are answered.
    held.let_go.send_replace(true);
    let again = async {
        while *held.came.borrow() == MIRRORED_REQUESTS_MAX {
            assert_eq!(get(&door).await, 200);
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("there is a place again");
    close(door).await;
}

/// What is said on it is for its service alone, and so is the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_has_no_copy() {
    let (service, (held, copies)) = (web_sockets_and("200 OK").await, Held::start().await);
    let door = door("http1", &service, &copies);
    let (mut stream, answer, _) = open_web_socket(&door, "/", &[]).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    expect_echo(&mut stream).await;
    assert_eq!(get(&door).await, 200);
    held.came(1).await;
    drop(stream);
    close(door).await;
}

/// Nobody waits for a copy: not even who stops the door.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_under_way_holds_no_stop() {
    let ((service, _), (held, copies)) = (failing(0).await, Held::start().await);
    let door = door("http1", &service, &copies);
    assert_eq!(get(&door).await, 200);
    held.came(1).await;
    tokio::time::timeout(PATIENCE, close(door)).await.expect("it stops though the copy is not answered");
}

/// A service that tells how many requests have come, and what it got of each: the headers and the body, which it reads once it
/// is let go.
async fn telling(
    let_go: &watch::Sender<bool>,
) -> (String, watch::Receiver<usize>, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let (come, came) = watch::channel(0);
    let let_go = let_go.subscribe();
    let answer = move |request: axum::extract::Request| {
        let (come, tell, mut let_go) = (come.clone(), tell.clone(), let_go.clone());
        async move {
            come.send_modify(|count| *count += 1);
            let (head, body) = request.into_parts();
            let_go.wait_for(|let_go| *let_go).await.expect("the test goes on");
            // A copy that is broken off is told as one.
            let body = body.collect().await.map_or(Bytes::from_static(b"broken"), |body| body.to_bytes());
            tell.send((head.headers, body)).expect("the test listens");
        }
    };
    (serve(Router::new().fallback(any(answer))).await, came, told)
}

async fn next<T>(told: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").expect("a request")
}

/// For whom the Google token and the assertion of a request are.
fn audiences(headers: &HeaderMap) -> String {
    let audience = |name: &str| {
        let token = headers[name].to_str().expect("text").trim_start_matches("Bearer ");
        text(&CompactJws::parse(token).expect("a token").into_payload()["aud"])
    };
    [audience("x-serverless-authorization"), audience("x-firegate-assertion")].join(" ")
}

/// A door before these backends, of which the first one's requests are copied to the second.
async fn door_among(site: &Site, backends: [String; 2], more: &str) -> FrontDoor {
    let [web, api] = backends;
    let text = site.configuration(&format!(
        "allow: [allAuthenticatedUsers]\nurl_map: map.yaml\nbackends: {{ web: {{ {web} }}, api: {{ {api} }} }}"
    ));
    let map = format!(
        "name: m\ndefaultService: web\ndefaultRouteAction: {{requestMirrorPolicy: {{backendService: api}}}}\n{more}"
    );
    let configuration = parse_with_files("firegate.yaml", &text, &TheFile(map));
    let configuration = configuration.unwrap_or_else(|found| panic!("{found}"));
    let door = door_of(configuration, Arc::new(site.stack.clock.clone()), None);
    tokio::time::timeout(PATIENCE, door.ready()).await.expect("the door becomes ready");
    door
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_whole_body_and_tokens_for_its_own_service() {
    let (site, at_once) = (Site::open().await, watch::Sender::new(true));
    for protocol in ["http1", "h2c"] {
        let ((web, _, mut asked), (api, _, mut copies)) = (telling(&at_once).await, telling(&at_once).await);
        let backend = |url: &str, audience: &str| {
            format!("url: '{url}', credential: metadata, audience: {audience}, protocol: {protocol}")
        };
        let door = door_among(&site, [backend(&web, "first"), backend(&api, "second")], "").await;
        let user = site.stack.id_token().await;
        let body = Bytes::from(vec![b'x'; 100_000]);
        let upload = Call::new(Method::POST, &at(&door, "/")).bearer(&user).body(body.clone()).send();
        assert_eq!(tokio::time::timeout(PATIENCE, upload).await.expect("in time").status, 200);
        for (told, audience) in [(&mut asked, "first first"), (&mut copies, "second second")] {
            let (headers, received) = next(told).await;
            assert_eq!((audiences(&headers).as_str(), received.len()), (audience, body.len()), "{protocol}");
        }
        close(door).await;
    }
    site.close([]).await;
}

/// What its own backend says of the user's token, what the route says of headers, and nothing that only the client's own
/// service has to answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_headers_that_are_for_its_service() {
    const ACTIONS: &str = "headerAction: {requestHeadersToRemove: [x-removed], \
                           requestHeadersToAdd: [{headerName: x-added, headerValue: by the route, replace: true}]}\n";
    let (site, at_once) = (Site::open().await, watch::Sender::new(true));
    let ((web, _, mut asked), (api, _, mut copies)) = (telling(&at_once).await, telling(&at_once).await);
    let gateway = "credential: none, identity_headers: apigateway, user_token: forward";
    let backends = [format!("url: '{web}'"), format!("url: '{api}', {gateway}")];
    let door = door_among(&site, backends, ACTIONS).await;
    let user = site.stack.id_token().await;
    let upload = Call::new(Method::POST, &at(&door, "/")).bearer(&user).body("body");
    let upload = upload.header("expect", "100-continue").header("x-removed", "1").header("x-added", "1");
    assert_eq!(tokio::time::timeout(PATIENCE, upload.send()).await.expect("in time").status, 200);
    for (told, is_copy) in [(&mut asked, false), (&mut copies, true)] {
        let (headers, body) = next(told).await;
        let value = |name: &str| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!((value("x-added").as_deref(), value("x-removed")), (Some("by the route"), None));
        assert_eq!(value("expect").is_none(), is_copy);
        let user = is_copy.then(|| format!("Bearer {user}"));
        assert_eq!((value("authorization"), value("x-forwarded-authorization")), (user.clone(), user));
        assert_eq!(body, "body");
    }
    close(door).await;
    site.close([]).await;
}

/// The copy of an upload that its service does not read is broken off, and never told as the whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_does_not_read_holds_no_upload_up() {
    /// More than the sockets and the copy's own room hold.
    const BYTES: usize = 24 * 1024 * 1024;
    let (site, at_once, later) = (Site::open().await, watch::Sender::new(true), watch::Sender::new(false));
    for protocol in ["http1", "h2c"] {
        later.send_replace(false);
        let (web, _, mut asked) = telling(&at_once).await;
        let (api, mut came, mut copies) = telling(&later).await;
        let backend = |url: &str| format!("url: '{url}', protocol: {protocol}");
        let door = door_among(&site, [backend(&web), backend(&api)], "").await;
        let upload = async {
            let mut client = TcpStream::connect(door.address()).await.expect("a connection");
            let user = site.stack.id_token().await;
            let head = format!(
                "POST / HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {user}\r\nContent-Length: {BYTES}\r\n\r\n"
            );
            client.write_all(head.as_bytes()).await.expect("it is read");
            // A copy that is behind before it has begun is not sent at all.
            came.wait_for(|came| *came > 0).await.expect("the service runs");
            client.write_all(&vec![b'x'; BYTES]).await.expect("it is read");
            let mut status = [0; 12];
            client.read_exact(&mut status).await.expect("an answer");
            assert_eq!(&status, b"HTTP/1.1 200");
        };
        tokio::time::timeout(PATIENCE, upload).await.expect("in time");
        assert_eq!(next(&mut asked).await.1.len(), BYTES, "{protocol}");
        later.send_replace(true);
        assert_eq!(next(&mut copies).await.1, "broken", "{protocol}");
        close(door).await;
    }
    site.close([]).await;
}
