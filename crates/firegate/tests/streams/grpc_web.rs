//! gRPC-Web: its status is the last frame of the body, and so it ends by a frame of ours.

use http::Request;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use crate::site::{Site, empty, in_time, read_head, read_rest};
use crate::stack::server::listen;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_under_way_is_finished_and_then_comes_the_status() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut sender = site.http2(65_535).await;
    let bearer = format!("Bearer {}", site.token(3));
    let request = |content_type: &str| {
        let request = Request::post(format!("http://{}/test.Echo/Listen", site.door.address()));
        let request = request.header("authorization", &bearer).header("content-type", content_type);
        request.body(empty()).expect("a request")
    };
    let accept = async |content_type: &str| {
        let (mut service, _) = listener.accept().await.expect("a connection");
        read_head(&mut service).await;
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
        service.write_all(head.as_bytes()).await.expect("it is sent");
        service
    };
    let message = request("application/grpc-web+proto");
    let service = async {
        let mut service = accept("application/grpc-web+proto").await;
        // The first three bytes of a message of five.
        service.write_all(b"8\r\n\0\0\0\0\x05one\r\n").await.expect("it is sent");
        service
    };
    let (answer, mut service) = in_time(async { tokio::join!(sender.send_request(message), service) }).await;
    let mut body = answer.expect("an answer").into_body();
    let first = in_time(body.frame()).await.expect("a frame").expect("no error");
    assert_eq!(first.into_data().expect("data").as_ref(), b"\0\0\0\0\x05one");
    // The lease ends in between, as an event stream with the same token shows, which was opened later.
    let events = sender.send_request(request("text/plain"));
    let (events, _events) = in_time(async { tokio::join!(events, accept("text/event-stream")) }).await;
    in_time(events.expect("an answer").into_body().collect()).await.expect("it ends well");
    // The rest of the message still comes, and the beginning of the next one does not.
    service.write_all(b"7\r\n23\0\0\0\0\x04\r\n").await.expect("it is sent");
    let rest = in_time(body.collect()).await.expect("it ends well").to_bytes();
    let (message, status) = rest.split_at(2);
    assert_eq!(message, b"23");
    let text = b"grpc-status:16\r\ngrpc-message:the user's token expired\r\n";
    let length = u32::try_from(text.len()).expect("a length").to_be_bytes();
    assert_eq!(status, [&[0x80][..], &length, text].concat());
    assert_eq!(read_rest(&mut service).await, b"", "the service is let go");
    site.close().await;
}
