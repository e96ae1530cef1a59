//! A stop: what is under way is finished, and what holds nothing up is not waited for.

use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use firegate_core::time::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::stack::{Call, at, claims, clock, close, door, stranger};

/// Much less than the time to drain, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_do_not_hold_a_stop() {
    let clock = clock();
    let door =
        door("project: demo-project\nbackends: { api: 'http://127.0.0.1:9' }\nallow: [allUsers]\n", &clock);
    let silent = TcpStream::connect(door.address()).await.expect("a connection");
    let answer = Call::get(&at(&door, "/")).send().await;
    assert_eq!(answer.status.as_u16(), 502, "the connection before was accepted");
    tokio::time::timeout(AT_ONCE, close(door)).await.expect("it stops");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_still_needs_a_token_gets_it_while_the_door_drains() {
    let (clock, signer) = (clock(), stranger());
    let audience = "http://service.example";
    let now = clock.now().as_seconds();
    let token = json!({"iss": "https://accounts.google.com", "aud": audience, "sub": "1", "iat": now, "exp": now + 3600});
    let token = signer.sign(&token).expect("a token");
    let (asked, was_asked) = oneshot::channel::<()>();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let once = std::sync::Arc::new(tokio::sync::Mutex::new(Some((asked, may_go_on))));
    let metadata = move || async move {
        if let Some((asked, may_go_on)) = once.lock().await.take() {
            asked.send(()).expect("the test waits");
            may_go_on.await.expect("the test goes on");
        }
        ([("metadata-flavor", "Google")], token.clone())
    };
    let keys = json!({"keys": [signer.public_jwk()]}).to_string();
    let router = Router::new()
        .route("/keys", get(|| async { keys }))
        .route("/service", any(|| async { "hello" }))
        .fallback(get(metadata));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    let door = door(
        &format!(
            "project: demo-project\nallow: [allAuthenticatedUsers]\n\
             backends: {{ api: {{ url: 'http://{address}', audience: '{audience}', credential: metadata }} }}\n\
             google: {{ id_token_keys: 'http://{address}/keys', metadata: 'http://{address}' }}\n"
        ),
        &clock,
    );
    door.ready().await;
    let user = signer.sign(&claims("demo-project", now)).expect("a token");
    let request = tokio::spawn(Call::get(&at(&door, "/service")).bearer(&user).send());
    was_asked.await.expect("the metadata server is asked");
    let stopping = tokio::spawn(close(door));
    go_on.send(()).expect("the metadata server waits");
    assert_eq!(request.await.expect("it ends").body.as_ref(), b"hello");
    tokio::time::timeout(AT_ONCE, stopping).await.expect("it stops").expect("cleanly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_first_and_reads_then_learns_why_it_was_refused() {
    let clock = clock();
    let door = door(
        "project: demo-project\nbackends: { api: 'http://127.0.0.1:9' }\nallow: [allAuthenticatedUsers]\n",
        &clock,
    );
    let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
    let body = vec![b'x'; 5 * 1024 * 1024];
    let head = format!("POST / HTTP/1.1\r\nHost: door\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    stream.write_all(&body).await.expect("the whole body is sent");
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.expect("the answer is there");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 401");
    drop(stream);
    close(door).await;
}
