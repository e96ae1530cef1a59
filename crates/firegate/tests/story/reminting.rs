//! The one fresh Google token when Cloud Run's front refuses the kept one: over both versions of HTTP, for uploads, and for
//! several requests that were refused at once.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use firegate_google::limits::TOKEN_REMINT_COOL_DOWN;
use firegate_proxy::FrontDoor;
use http::{Method, StatusCode, header};

use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::gate::{PATIENCE, Site};
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at};

/// A service behind a front that refuses the tokens which it is told to. It tells the token by which a request came.
#[derive(Clone)]
struct Service {
    refused: Arc<Mutex<HashSet<String>>>,
    requests: Arc<AtomicUsize>,
    /// How many requests came to `/late`, whose refusals are held back until they are let go.
    late: watch::Sender<usize>,
    let_go: watch::Sender<bool>,
}

impl Service {
    async fn open() -> (Self, String) {
        let service = Self {
            refused: Arc::default(),
            requests: Arc::default(),
            late: watch::channel(0).0,
            let_go: watch::channel(false).0,
        };
        let answering = service.clone();
        let router = Router::new().fallback(any(move |request| answering.clone().answer(request)));
        (service, serve(router).await)
    }

    async fn answer(self, request: Request) -> Response {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let token = request.headers()["x-serverless-authorization"].to_str().expect("text").to_owned();
        if !self.refused.lock().expect("the list").contains(&token) {
            return token.into_response();
        }
        if request.uri().path() == "/late" {
            self.late.send_modify(|count| *count += 1);
            self.let_go.subscribe().wait_for(|let_go| *let_go).await.expect("the test goes on");
        }
        if request.uri().path() == "/forbidden" {
            let headers =
                [(header::SERVER, "Google Frontend"), (header::CONTENT_TYPE, "text/html; charset=UTF-8")];
            let page = "<title>403 Forbidden</title><h2>Your client does not have permission to get URL \
                        <code>/forbidden</code> from this server.</h2>";
            return (StatusCode::FORBIDDEN, headers, page).into_response();
        }
        let challenge =
            "Bearer error=\"invalid_token\" error_description=\"The access token could not be verified\"";
        let headers = [
            (header::SERVER, "Google Frontend"),
            (header::CONTENT_TYPE, "text/html; charset=UTF-8"),
            (header::WWW_AUTHENTICATE, challenge),
        ];
        (StatusCode::UNAUTHORIZED, headers, "<html></html>").into_response()
    }

    fn revoke(&self, token: &Bytes) {
        let token = String::from_utf8(token.to_vec()).expect("text");
        self.refused.lock().expect("the list").insert(token);
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn opened(protocol: &str) -> (Site, Service, FrontDoor, String) {
    let (site, (service, url)) = (Site::open().await, Service::open().await);
    let backend = format!("{{ url: '{url}', credential: metadata, protocol: {protocol} }}");
    let door = site.door(&format!("allow: [allAuthenticatedUsers]\nbackends: {{ api: {backend} }}")).await;
    let user = site.stack.id_token().await;
    (site, service, door, user)
}

/// Sends a request over HTTP/2: without a body, or with what is sent into the channel until it is dropped.
pub(crate) async fn over_http2(
    door: &FrontDoor,
    user: &str,
    body: Option<mpsc::UnboundedReceiver<Bytes>>,
) -> Answer {
    let stream = TokioIo::new(TcpStream::connect(door.address()).await.expect("a connection"));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let request = http::Request::builder().method(if body.is_some() { Method::POST } else { Method::GET });
    let request = request.uri(at(door, "/").as_str()).header("authorization", format!("Bearer {user}"));
    let body = match body {
        None => http_body_util::Empty::new().boxed(),
        Some(mut pieces) => BodyExt::boxed(StreamBody::new(futures_util::stream::poll_fn(move |context| {
            let piece = pieces.poll_recv(context);
            piece.map(|piece| piece.map(|piece| Ok::<_, Infallible>(Frame::data(piece))))
        }))),
    };
    let answer = sender.send_request(request.body(body).expect("a request"));
    let (parts, body) =
        tokio::time::timeout(PATIENCE, answer).await.expect("in time").expect("an answer").into_parts();
    let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("in time").expect("a whole body");
    Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_body_is_sent_again_over_either_version_and_an_upload_is_not() {
    for protocol in ["http1", "h2c"] {
        let (site, service, door, user) = opened(protocol).await;
        let first = over_http2(&door, &user, None).await;
        assert_eq!(first.status, 200, "{protocol} {:?}", first.body);
        service.revoke(&first.body);
        site.stack.clock.advance(5);
        // Something of it was sent, and more would come.
        let (say, said) = mpsc::unbounded_channel();
        say.send(Bytes::from_static(b"a piece")).expect("it is sent");
        let refused = over_http2(&door, &user, Some(said)).await;
        refused.expect_refusal(502, "CLOUD_RUN_REFUSED_FIREGATE", "NONE");
        assert_eq!(service.requests(), 2, "{protocol}");
        drop(say);
        let (say, said) = mpsc::unbounded_channel();
        say.send(Bytes::from_static(b"a piece")).expect("it is sent");
        drop(say);
        let second = over_http2(&door, &user, Some(said)).await;
        assert_eq!((second.status.as_u16(), service.requests()), (200, 3), "{protocol} {:?}", second.body);
        assert_ne!(second.body, first.body, "{protocol}: a fresh one was asked for");
        service.revoke(&second.body);
        site.stack.clock.advance(31);
        let third = over_http2(&door, &user, None).await;
        assert_eq!((third.status.as_u16(), service.requests()), (200, 5), "{protocol} {:?}", third.body);
        site.close([door]).await;
    }
}

/// What a fresh token does not mend has another cause: the next one is asked for when the pause is over, and none is sent
/// twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_token_that_is_refused_too_is_not_replaced_at_once() {
    let (site, service, door, user) = opened("http1").await;
    let get = async || Call::get(&at(&door, "/")).bearer(&user).send().await;
    let first = get().await;
    service.revoke(&first.body);
    site.stack.clock.advance(5);
    let second = get().await;
    assert_eq!((second.status.as_u16(), service.requests()), (200, 3), "{:?}", second.body);
    service.revoke(&second.body);
    let cool_down = i64::try_from(TOKEN_REMINT_COOL_DOWN.as_secs()).expect("seconds");
    for (seconds, requests) in [(0, 4), (cool_down - 1, 5)] {
        site.stack.clock.advance(seconds);
        get().await.expect_refusal(502, "CLOUD_RUN_REFUSED_FIREGATE", "NONE");
        assert_eq!(service.requests(), requests, "after {seconds} s");
    }
    site.stack.clock.advance(1);
    let third = get().await;
    assert_eq!((third.status.as_u16(), service.requests()), (200, 7), "{:?}", third.body);
    site.close([door]).await;
}

/// Whom the service's IAM does not know, no other token of the same account helps.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_call_gets_no_fresh_token() {
    let (site, service, door, user) = opened("http1").await;
    let get = async |path: &str| Call::get(&at(&door, path)).bearer(&user).send().await;
    let first = get("/").await;
    service.revoke(&first.body);
    site.stack.clock.advance(5);
    get("/forbidden").await.expect_refusal(502, "CLOUD_RUN_REFUSED_FIREGATE", "NONE");
    assert_eq!(service.requests(), 2);
    service.refused.lock().expect("the list").clear();
    assert_eq!(get("/").await.body, first.body);
    site.close([door]).await;
}

/// Whoever learns later that the former token was refused does not take the fresh one for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_comes_late_says_nothing_of_the_fresh_token() {
    let (site, service, door, user) = opened("http1").await;
    let get = async |path: &str| Call::get(&at(&door, path)).bearer(&user).send().await;
    let first = get("/").await;
    service.revoke(&first.body);
    site.stack.clock.advance(5);
    let (url, token) = (at(&door, "/late"), user.clone());
    let late = tokio::spawn(async move { Call::get(&url).bearer(&token).send().await });
    let mut came = service.late.subscribe();
    let came = tokio::time::timeout(PATIENCE, came.wait_for(|count| *count == 1));
    came.await.expect("it comes").expect("the service runs");
    let second = get("/").await;
    assert_eq!(second.status, 200, "{:?}", second.body);
    assert_ne!(second.body, first.body);
    service.let_go.send_replace(true);
    let late = late.await.expect("it ends");
    assert_eq!(late.status, 200, "{:?}", late.body);
    assert_eq!(late.body, second.body, "the fresh one serves for both");
    assert_eq!(get("/").await.body, second.body);
    site.close([door]).await;
}
