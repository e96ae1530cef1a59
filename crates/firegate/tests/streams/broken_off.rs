//! Answers that break off half-way: the client can tell the part from the whole, whichever version of HTTP it speaks.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use firegate_core::time::ShiftedClock;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::site::{Site, empty, in_time, read_head, read_rest};
use crate::stack::authority::{Authority, VERSIONS, connect};
use crate::stack::server::listen;
use crate::stack::{door, door_draining, log};

const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A service that answers with this when it has a request, and goes away when it is told to.
async fn service(answer: String) -> (String, oneshot::Sender<()>) {
    let (listener, url) = listen().await;
    let (leave, told) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.expect("it is sent");
        told.await.expect("the test goes on");
    });
    (url, leave)
}

/// Reads until this has come.
async fn read_up_to(stream: &mut (impl AsyncRead + Unpin), part: &str) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(part.as_bytes()) {
        let count = in_time(stream.read_buf(&mut read)).await.expect("more of it");
        assert_ne!(count, 0, "{:?}", String::from_utf8_lossy(&read));
    }
    read
}

/// What comes after `part` of an answer of which the service sends no more, and how the connection ends.
async fn after(part: &str, version: &str, chunks: &str) -> (Vec<u8>, Result<(), ErrorKind>) {
    let (url, leave) = service(format!("{HEAD}{chunks}")).await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.send_by(version, "GET /a", "", 3000).await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with(&format!("{version} 200 ")), "{head}");
    read_up_to(&mut client, part).await;
    leave.send(()).expect("the service waits");
    let mut rest = Vec::new();
    let end = in_time(client.read_to_end(&mut rest)).await.map(drop).map_err(|error| error.kind());
    site.close().await;
    (rest, end)
}

/// HTTP/1.0 knows no chunks: the end of the connection is the end of the answer, unless it is a reset.
#[tokio::test(flavor = "multi_thread")]
async fn the_connection_of_a_client_that_takes_its_end_for_the_answers_is_reset() {
    let part = after("first", "HTTP/1.0", "5\r\nfirst\r\n").await;
    assert_eq!(part, (Vec::new(), Err(ErrorKind::ConnectionReset)));
}

/// It is larger than what the client has taken when the connection is closed, of which a reset would leave nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_ends_with_its_connection_and_nothing_of_it_is_lost() {
    let body = "x".repeat(1 << 20);
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let (read, end) = after("", "HTTP/1.0", &chunks).await;
    assert_eq!((read.len(), end), (body.len(), Ok(())));
}

/// Who is told to keep the connection takes an answer without a length for an empty one, as `ab -k` does.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_with_its_answer_is_not_said_to_be_kept() {
    for (body, expected) in [
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "close"),
        ("Content-Length: 2\r\n\r\nok", "keep-alive"),
        ("Content-Length: 0\r\n\r\n", "keep-alive"),
    ] {
        let (url, leave) = service(format!("HTTP/1.1 200 OK\r\n{body}")).await;
        let site = Site::open(&url, "user_token: drop").await;
        let mut client = site.send_by("HTTP/1.0", "GET /a", "Connection: keep-alive\r\n", 3000).await;
        let head = read_head(&mut client).await;
        assert!(head.contains(&format!("\r\nconnection: {expected}\r\n")), "{body} {head}");
        leave.send(()).expect("the service waits");
        drop(client);
        site.close().await;
    }
}

/// Not every client minds that TLS was not ended in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_by_tls_is_reset_too() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let (url, leave) = service(format!("{HEAD}5\r\nfirst\r\n")).await;
    let certificates = authority.setting(&["one"]);
    let by_tls = |text: &str, clock: &ShiftedClock| door(&format!("{text}{certificates}"), clock);
    let site = Site::open_by(&url, "user_token: drop", by_tls).await;
    let config = Arc::new(authority.client(&["http/1.1"], VERSIONS));
    let mut client = connect(config, site.door.address(), "one.example").await.expect("a handshake");
    let head = format!("GET /a HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n", site.token(3000));
    client.write_all(head.as_bytes()).await.expect("it is sent");
    read_up_to(&mut client, "first").await;
    leave.send(()).expect("the service waits");
    let end = in_time(client.read_to_end(&mut Vec::new())).await.map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    site.close().await;
}

/// A connection that is closed over bytes that nobody read is reset, and what was sent and not taken yet is lost with it.
#[tokio::test(flavor = "multi_thread")]
async fn whole_answers_before_one_that_breaks_off_are_not_lost() {
    log::begin();
    let body = "x".repeat(1 << 19);
    let whole =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let part = format!("{HEAD}5\r\nfirst\r\n");
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        for answer in [whole, part] {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            read_head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.expect("it is sent");
        }
    });
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.send("GET /whole", "", 3000).await;
    let (mut reader, mut writer) = client.split();
    let rest = format!(
        "GET /part HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {}\r\n\r\n\
         POST /never HTTP/1.1\r\nHost: door\r\nContent-Length: 1000000\r\n\r\n{body}",
        site.token(3000)
    );
    let sending = async {
        // Not all of it is taken.
        let _ = writer.write_all(rest.as_bytes()).await;
        std::future::pending::<()>().await;
    };
    let reading = async {
        log::line(|line| line.contains("/part ")).await;
        let head = read_head(&mut reader).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut read = vec![0; body.len()];
        in_time(reader.read_exact(&mut read)).await.expect("the whole answer");
        let head = read_head(&mut reader).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut rest = Vec::new();
        in_time(reader.read_to_end(&mut rest)).await.expect("no reset");
        assert_eq!(String::from_utf8_lossy(&rest), "5\r\nfirst\r\n");
    };
    tokio::select! { () = sending => {}, () = reading => {} }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_chunks_ends_without_the_last_one() {
    let part = after("first\r\n", "HTTP/1.1", "5\r\nfirst\r\n").await;
    assert_eq!(part, (Vec::new(), Ok(())));
}

/// What a stop does not wait for is no whole answer either, and by HTTP/1.1 it shows in the framing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_cuts_an_answer_resets_the_connection_of_such_a_client() {
    log::begin();
    let (url, _never_leaves) = service(format!("{HEAD}5\r\nfirst\r\n")).await;
    let impatient = |text: &str, clock: &ShiftedClock| door_draining(Duration::ZERO, text, clock);
    let site = Site::open_by(&url, "user_token: drop", impatient).await;
    let mut client = site.send_by("HTTP/1.0", "GET /cut", "", 3000).await;
    read_up_to(&mut client, "first").await;
    in_time(site.close()).await;
    let end = in_time(client.read_to_end(&mut Vec::new())).await.map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    let line = log::line(|line| line.contains("/cut ")).await;
    assert!(line.contains("cut=\"the proxy stopped\""), "it was not the client that left: {line}");
}

/// A client that gets nothing of an answer takes its request for one that was not seen, and may send it again.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_at_once_has_its_head_all_the_same() {
    let no_chunk = || service(format!("{HEAD}no chunk\r\n"));
    let (url, _stays) = no_chunk().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.send("POST /a", "Content-Length: 0\r\n", 3000).await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(read_rest(&mut client).await, b"", "not even the end of the chunks");
    site.close().await;

    let (url, _stays) = no_chunk().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.http2(1 << 16).await;
    let request =
        Request::post("http://door/a").header(AUTHORIZATION, format!("Bearer {}", site.token(3000)));
    let answer = in_time(client.send_request(request.body(empty()).expect("a request"))).await;
    let answer = answer.expect("a head");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(in_time(answer.into_body().collect()).await.is_err());
    site.close().await;
}
