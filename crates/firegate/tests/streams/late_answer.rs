//! An answer that a service gives after its user's token has expired, as long as it is and all at once.

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::site::{Site, empty, in_time, read_head, read_rest};
use crate::stack::server::listen;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\norder";

async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut service, _) = in_time(listener.accept()).await.expect("a connection");
    read_head(&mut service).await;
    service
}

/// Waits until a stream of the same token is ended.
async fn outlive(site: &Site, listener: &TcpListener, token: &str) {
    let mut client = site.send_with("GET /events", token).await;
    let mut service = accept(listener).await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    service.write_all(head).await.expect("it is sent");
    read_head(&mut client).await;
    assert_eq!(read_rest(&mut service).await, b"", "the service is let go");
}

#[tokio::test(flavor = "multi_thread")]
async fn is_told_of_but_not_handed_on() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let token = site.token(2);
    let mut client = site.send_with("GET /orders", &token).await;
    let mut service = accept(&listener).await;
    outlive(&site, &listener, &token).await;
    service.write_all(ANSWER).await.expect("it is sent");
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("\r\ncontent-length: 5\r\n"), "{head}");
    assert_eq!(read_rest(&mut client).await, b"");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_it_over_http_2() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let token = site.token(2);
    let mut sender = site.http2(65_535).await;
    let request = Request::get(format!("http://{}/orders", site.door.address()));
    let request = request.header("authorization", format!("Bearer {token}")).body(empty());
    let service = async {
        let mut service = accept(&listener).await;
        outlive(&site, &listener, &token).await;
        service.write_all(ANSWER).await.expect("it is sent");
        service
    };
    let sending = sender.send_request(request.expect("a request"));
    let (answer, _service) = in_time(async { tokio::join!(sending, service) }).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    in_time(answer.into_body().collect()).await.expect_err("the user is gone");
    site.close().await;
}
