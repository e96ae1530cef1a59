//! Server-sent events: each comes when it is sent, and the stream ends well when its user's lease does.

use http::Request;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::{Site, empty, in_time, read_head, read_rest};
use crate::stack::server::listen;

const ANSWER: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One event as a chunk of 11 bytes.
fn event(number: u8) -> String {
    format!("b\r\ndata: e{number:02}\n\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_before_the_next_one_is_sent_and_the_stream_ends_with_the_lease() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.send("GET /events", "Accept: text/event-stream\r\n", 3).await;
    let (mut service, _) = in_time(listener.accept()).await.expect("a connection");
    read_head(&mut service).await;
    service.write_all(ANSWER.as_bytes()).await.expect("it is sent");
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for number in [1, 2] {
        service.write_all(event(number).as_bytes()).await.expect("it is sent");
        let mut found = vec![0; event(number).len()];
        in_time(client.read_exact(&mut found)).await.expect("the event, before the next one");
        assert_eq!(String::from_utf8_lossy(&found).to_ascii_lowercase(), event(number));
    }
    let mut end = [0; 5];
    in_time(client.read_exact(&mut end)).await.expect("an end");
    assert_eq!(&end, b"0\r\n\r\n", "an EventSource would take anything else for an error");
    // It connects again with the token that it has.
    let again = "GET /events HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer ";
    let again = format!("{again}{}\r\nConnection: close\r\n\r\n", site.token(-1));
    client.write_all(again.as_bytes()).await.expect("the connection is still good");
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 401 "));
    assert_eq!(read_rest(&mut service).await, b"", "the service is let go");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_it_ends_as_well() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut sender = site.http2(65_535).await;
    let request = Request::get(format!("http://{}/events", site.door.address()))
        .header("authorization", format!("Bearer {}", site.token(2)))
        .body(empty())
        .expect("a request");
    let service = async {
        let (mut service, _) = listener.accept().await.expect("a connection");
        read_head(&mut service).await;
        service.write_all(format!("{ANSWER}{}", event(1)).as_bytes()).await.expect("it is sent");
        service
    };
    let (answer, _service) = in_time(async { tokio::join!(sender.send_request(request), service) }).await;
    let body = in_time(answer.expect("an answer").into_body().collect()).await.expect("a whole body");
    assert_eq!(body.to_bytes().as_ref(), b"data: e01\n\n");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_length_that_was_announced_are_broken_off() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.send("GET /events", "", 2).await;
    let (mut service, _) = in_time(listener.accept()).await.expect("a connection");
    read_head(&mut service).await;
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\ndata: e01\n\n";
    service.write_all(answer.as_bytes()).await.expect("it is sent");
    read_head(&mut client).await;
    assert_eq!(read_rest(&mut client).await, b"data: e01\n\n");
    site.close().await;
}
