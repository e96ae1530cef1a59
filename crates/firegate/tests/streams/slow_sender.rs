//! Clients that send slowly, or more than they may.

use std::convert::Infallible;
use std::io::Write as _;

use bytes::Bytes;
use futures_util::StreamExt;
use http::Request;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::site::{PATIENCE, Site, in_time, read_head, read_rest};
use crate::stack::server::listen;

/// Sends a byte now and then until the other side has had enough of it.
async fn drip(stream: &mut TcpStream) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
    let drops = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(500));
        loop {
            ticks.tick().await;
            if writer.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        answer = read_rest(&mut reader) => answer,
        () = drops => Vec::new(),
    }
}

/// Takes a request and reads of it whatever comes, until the other side breaks off or is done.
async fn swallow(listener: &TcpListener) -> (u64, bool) {
    let (mut stream, _) = in_time(listener.accept()).await.expect("a connection");
    read_head(&mut stream).await;
    let (mut bytes, mut buffer, mut last) = (0, vec![0; 64 * 1024], Vec::new());
    while let Ok(count @ 1..) =
        tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("in time")
    {
        bytes += count as u64;
        last.extend_from_slice(&buffer[..count]);
        last.drain(..last.len().saturating_sub(5));
    }
    (bytes, last == b"0\r\n\r\n")
}

/// Scenario 16: heads and bodies of a byte now and then.
#[tokio::test(flavor = "multi_thread")]
async fn scenario_16_slow_heads_and_bodies_are_cut_off_and_honest_clients_pass() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut head = site.connect().await;
    head.write_all(b"GET / HTTP/1.1\r\nHost: door\r\nX-Slow: ").await.expect("it is sent");
    let mut announced = site.send("POST /a", "Content-Length: 100000\r\n", 3000).await;
    let mut chunked =
        site.send("POST /a", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1000\r\n", 3000).await;
    let services = async { tokio::join!(swallow(&listener), swallow(&listener)) };
    let (slow_head, announced, chunked, services) =
        tokio::join!(drip(&mut head), drip(&mut announced), drip(&mut chunked), services);
    for answer in [announced, chunked] {
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"BODY_TOO_SLOW\""), "{answer}");
    }
    let slow_head = String::from_utf8_lossy(&slow_head).into_owned();
    assert!(slow_head.is_empty() || slow_head.starts_with("HTTP/1.1 408 "), "{slow_head}");
    assert!(!services.0.1 && !services.1.1, "the service must not take a part for the whole: {services:?}");
    site.close().await;
}

/// Scenario 18: a body that turns out to be too large is refused when it does, and the service is not left waiting.
#[tokio::test(flavor = "multi_thread")]
async fn scenario_18_a_body_over_the_limit_is_413_and_the_service_is_broken_off() {
    const LIMIT: u64 = 4 * 1024 * 1024;
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop, body_bytes_max: 4MiB").await;
    let mut client = site.send("POST /a", "Transfer-Encoding: chunked\r\n", 3000).await;
    let (mut reader, mut writer) = client.split();
    let mut chunk = Vec::new();
    write!(chunk, "10000\r\n{}\r\n", "x".repeat(0x10000)).expect("memory");
    let flood = async {
        loop {
            if writer.write_all(&chunk).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let answer = async {
        let head = read_head(&mut reader).await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    };
    let (_, (bytes, is_whole)) = tokio::join!(
        async {
            tokio::select! { () = answer => {}, () = flood => {} }
        },
        swallow(&listener)
    );
    assert!(!is_whole, "the service must not take the part for the whole");
    assert!(bytes < LIMIT + 256 * 1024, "{bytes} bytes went on");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_outlives_its_token_is_told_so() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.send("POST /a", "Content-Length: 100000\r\n", 2).await;
    let (answer, (_, is_whole)) = tokio::join!(drip(&mut client), swallow(&listener));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\"LEASE_OVER\""), "{answer}");
    assert!(answer.contains("\"REFRESH_TOKEN\""), "{answer}");
    assert!(!is_whole);
    site.close().await;
}

/// A backend that bounds no pace bounds a pause.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_pauses_for_longer_than_anything_may_is_given_up() {
    let (listener, url) = listen().await;
    let settings = "user_token: drop, body_bytes_per_second_min: 0, timeouts: { idle: 1s }";
    let site = Site::open(&url, settings).await;
    let mut client = site.send("POST /a", "Content-Length: 100000\r\n", 3000).await;
    let (answer, (_, is_whole)) = tokio::join!(read_rest(&mut client), swallow(&listener));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"BODY_TOO_SLOW\""), "{answer}");
    assert!(!is_whole);
    site.close().await;
}

/// For how long a client sends a byte now and then: longer than the least average leaves it time for.
const DRIP_SECONDS: u64 = 14;

/// Sends an upload of a byte in each half second, and then its end, if it gets that far.
async fn sparse_upload(stream: &mut TcpStream) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
    let upload = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(500));
        for _ in 0..2 * DRIP_SECONDS {
            ticks.tick().await;
            if writer.write_all(b"1\r\nx\r\n").await.is_err() {
                return;
            }
        }
        let _ = writer.write_all(b"0\r\n\r\n").await;
    };
    let ((), answer) = tokio::join!(upload, read_rest(&mut reader));
    answer
}

/// Takes an upload; `early` is sent before it and `late` after it.
async fn take_upload(listener: TcpListener, early: &str, late: &str) {
    let (mut stream, _) = in_time(listener.accept()).await.expect("a connection");
    read_head(&mut stream).await;
    stream.write_all(early.as_bytes()).await.expect("it is sent");
    let mut body = Vec::new();
    while !body.ends_with(b"0\r\n\r\n") {
        match in_time(stream.read_buf(&mut body)).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    stream.write_all(late.as_bytes()).await.expect("it is sent");
}

/// A stream whose client speaks now and then is no slow upload where the backend says so, or the service speaks too.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_now_and_then_is_let_alone_where_that_is_what_it_is_for() {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\nConnection: close\r\n";
    const CONVERSATION: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
    const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let case = async |settings: &str, early: &'static str, late: &'static str, expected: &str| {
        let (listener, url) = listen().await;
        let site = Site::open(&url, &format!("user_token: drop{settings}")).await;
        let mut client = site.send("POST /a", CHUNKED, 3000).await;
        let service = take_upload(listener, early, late);
        let (answer, ()) = tokio::join!(sparse_upload(&mut client), service);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(expected), "{settings}: {answer}");
        site.close().await;
        answer
    };
    let (upload, conversation, waited_for) = tokio::join!(
        case(", body_bytes_per_second_min: 0", "", WHOLE, "HTTP/1.1 200 "),
        // What it is silent for is longer than the idle time; its client is not.
        case(", timeouts: { idle: 4s }", CONVERSATION, "0\r\n\r\n", "HTTP/1.1 200 "),
        case("", "", WHOLE, "HTTP/1.1 408 "),
    );
    assert!(upload.ends_with("ok"), "{upload}");
    assert!(conversation.ends_with("hi\r\n0\r\n\r\n"), "{conversation}");
    assert!(waited_for.contains("\"BODY_TOO_SLOW\""), "{waited_for}");
}

/// Whoever was answered has nothing more to say: what is left of the upload is held to the average again.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_answer_is_over_is_not_dripped_on() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.send("POST /a", "Transfer-Encoding: chunked\r\n\r\n1000\r\nx", 3000).await;
    let service = async {
        let (mut stream, _) = in_time(listener.accept()).await.expect("a connection");
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        stream.write_all(answer).await.expect("it is sent");
        read_rest(&mut stream).await
    };
    let (_, body) = tokio::join!(drip(&mut client), service);
    assert!(body.len() < 200, "{} bytes came", body.len());
    site.close().await;
}

/// Messages of gRPC come when there is something to say. Over HTTP/1 there is no gRPC, whatever a client calls what it sends.
#[tokio::test(flavor = "multi_thread")]
async fn what_calls_itself_grpc_is_let_alone_over_http2_and_nowhere_else() {
    const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let over_http1 = async {
        let (listener, url) = listen().await;
        let site = Site::open(&url, "user_token: drop").await;
        let fields = "Content-Type: application/grpc\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n";
        let mut client = site.send("POST /a", fields, 3000).await;
        let (answer, ()) = tokio::join!(sparse_upload(&mut client), take_upload(listener, "", WHOLE));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains("x-firegate-reason: BODY_TOO_SLOW\r\n"), "{answer}");
        site.close().await;
    };
    let over_http2 = async {
        let (listener, url) = listen().await;
        let site = Site::open(&url, "user_token: drop").await;
        let ticks = tokio::time::interval(std::time::Duration::from_millis(500));
        let pieces = futures_util::stream::unfold((ticks, 0), |(mut ticks, sent)| async move {
            ticks.tick().await;
            let piece = (sent < 2 * DRIP_SECONDS).then(|| Frame::data(Bytes::from_static(b"x")));
            piece.map(|piece| (piece, (ticks, sent + 1)))
        });
        let request = Request::post(format!("http://{}/a", site.door.address()))
            .header("authorization", format!("Bearer {}", site.token(3000)))
            .header("content-type", "application/grpc")
            .body(BodyExt::boxed_unsync(StreamBody::new(pieces.map(Ok::<_, Infallible>))))
            .expect("a request");
        let stream = TokioIo::new(site.connect().await);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        let (answer, ()) = tokio::join!(sender.send_request(request), take_upload(listener, "", WHOLE));
        let answer = answer.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers().get("x-firegate-reason")), (200, None));
        site.close().await;
    };
    tokio::join!(over_http1, over_http2);
}
