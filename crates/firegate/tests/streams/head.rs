//! What Firegate itself answers to HEAD: the head of what a GET is answered, and nothing behind it. Over HTTP/2 a client that
//! gets content all the same gives the whole answer up, and never learns why it was refused.

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;

use crate::site::{Site, empty, in_time, read_head, read_rest};
use crate::stack::door;
use crate::stack::server::listen;

const ORIGIN: &str = "https://app.example";

async fn over_http2(site: &Site, method: Method, path: &str) -> Response<Incoming> {
    let mut sender = site.http2(65_535).await;
    let request = Request::builder().method(method).uri(format!("http://{}{path}", site.door.address()));
    let request = request.header("origin", ORIGIN).body(empty()).expect("a request");
    in_time(sender.send_request(request)).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_the_head_of_a_get_and_no_content() {
    let (_listener, url) = listen().await;
    let cors = format!("cors: {{ origins: ['{ORIGIN}'] }}\n");
    let with_cors = |text: &str, clock: &_| door(&format!("{text}{cors}"), clock);
    let site = Site::open_by(&url, "user_token: drop", with_cors).await;
    for (path, status) in [
        ("/a", 401),
        ("/.well-known/firegate/nothing", 404),
        ("/.well-known/firegate/ready", 200),
        ("/.well-known/firegate/jwks.json", 200),
    ] {
        let got = over_http2(&site, Method::GET, path).await;
        let length = got.headers()["content-length"].to_str().expect("text").to_owned();
        let content = in_time(got.into_body().collect()).await.expect("a whole body").to_bytes();
        assert_eq!(content.len().to_string(), length, "{path}");

        let (parts, body) = over_http2(&site, Method::HEAD, path).await.into_parts();
        assert_eq!(parts.status.as_u16(), status, "{path}");
        assert_eq!(parts.headers["content-length"], *length, "{path}");
        assert_eq!(parts.headers["access-control-allow-origin"], ORIGIN, "{path}");
        let content = in_time(body.collect()).await;
        assert_eq!(content.expect("an end that is none of an error").to_bytes(), "", "{path}");

        let mut client = site.connect().await;
        let asked =
            format!("HEAD {path} HTTP/1.1\r\nHost: door\r\nOrigin: {ORIGIN}\r\nConnection: close\r\n\r\n");
        client.write_all(asked.as_bytes()).await.expect("it is sent");
        let head = read_head(&mut client).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {length}\r\n")), "{head}");
        assert_eq!(read_rest(&mut client).await, b"", "{path}");
    }
    site.close().await;
}
