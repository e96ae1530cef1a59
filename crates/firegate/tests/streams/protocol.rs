//! Parts of HTTP that pass through as they are: expectations, trailers, answers without a body, interim answers, and large
//! uploads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::site::{Site, in_time, read_head, read_rest};
use crate::stack::server::listen;

/// More than the buffers of the two systems' sockets hold on a body's way.
const BUFFERED_BYTES_MAX: u64 = 24 * 1024 * 1024;

async fn accept(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = in_time(listener.accept()).await.expect("a connection");
    let head = read_head(&mut stream).await;
    (stream, head)
}

async fn opened() -> (TcpListener, Site) {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop, body_bytes_max: 128MiB").await;
    (listener, site)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_to_be_asked_is_asked_and_one_that_is_refused_is_not() {
    let (listener, site) = opened().await;
    let fields = "Expect: 100-continue\r\nContent-Length: 2\r\n";
    let mut client = site.send("POST /a", fields, 3000).await;
    let service = tokio::spawn(async move {
        let (mut stream, head) = accept(&listener).await;
        if head.to_ascii_lowercase().contains("expect: 100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("it is sent");
        }
        let mut body = [0; 2];
        in_time(stream.read_exact(&mut body)).await.expect("the body");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("it is sent");
        body
    });
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 100 "));
    client.write_all(b"hi").await.expect("it is sent");
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(&service.await.expect("it ends"), b"hi");
    let mut refused = site.send("POST /a", fields, -1).await;
    assert!(read_head(&mut refused).await.starts_with("HTTP/1.1 401 "), "it is not asked for the body first");
    let mut large = site.send("POST /a", "Expect: 100-continue\r\nContent-Length: 999999999\r\n", 3000).await;
    assert!(read_head(&mut large).await.starts_with("HTTP/1.1 413 "), "nor for one that is too large");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_keep_their_heads() {
    let (listener, site) = opened().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                loop {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).expect("text");
                    let answer = match head.split(' ').next() {
                        Some("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
                        Some("OPTIONS") => "HTTP/1.1 200 OK\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n",
                        _ if head.contains("/204") => "HTTP/1.1 204 No Content\r\nETag: \"a\"\r\n\r\n",
                        _ if head.contains("/304") => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
                        _ => {
                            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                        }
                    };
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    for (line, status, field) in [
        ("HEAD /a", "200", "content-length: 1234"),
        ("OPTIONS /a", "200", "allow: get"),
        ("GET /204", "204", "etag: \"a\""),
        ("GET /304", "304", "etag: \"a\""),
    ] {
        let mut client = site.send(line, "Connection: close\r\n", 3000).await;
        let head = read_head(&mut client).await.to_ascii_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")) && head.contains(field), "{line}: {head}");
        assert_eq!(read_rest(&mut client).await, b"", "{line} has no body");
    }
    let mut client = site.send("GET /103", "Connection: close\r\n", 3000).await;
    let mut head = read_head(&mut client).await;
    if head.starts_with("HTTP/1.1 103 ") {
        head = read_head(&mut client).await;
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "an interim answer is not taken for the last one: {head}");
    assert_eq!(read_rest(&mut client).await, b"ok");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_calls_its_answer_is_handed_on() {
    let (listener, site) = opened().await;
    for (line, status) in
        [("GET /a", "200 Fine by us"), ("GET /b", "299 Nobody knows"), ("GET /c", "404 Not Found")]
    {
        let mut client = site.send(line, "Connection: close\r\n", 3000).await;
        let (mut service, _) = accept(&listener).await;
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        service.write_all(answer.as_bytes()).await.expect("it is sent");
        let head = read_head(&mut client).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
    }
    site.close().await;
}

/// A body of these pieces, and then trailers.
fn with_trailers(pieces: Vec<&'static [u8]>, trailers: HeaderMap) -> crate::site::TestBody {
    let data = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece))));
    let frames = data.chain([Ok(Frame::trailers(trailers))]).collect::<Vec<_>>();
    BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)))
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_both_ways_but_for_what_frames_or_names_somebody() {
    let (listener, site) = opened().await;
    let mut sender = site.http2(65_535).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("1"));
    trailers.insert("x-firegate-user-id", HeaderValue::from_static("admin"));
    trailers.insert("x_forwarded_for", HeaderValue::from_static("1.2.3.4"));
    trailers.insert("content_length", HeaderValue::from_static("1.2.3.4"));
    let request = Request::post(format!("http://{}/a", site.door.address()))
        .header("authorization", format!("Bearer {}", site.token(3000)))
        .header("te", "trailers")
        .header("trailer", "x-checksum, x-firegate-user-id, x_forwarded_for, content_length")
        .body(with_trailers(vec![b"hi"], trailers))
        .expect("a request");
    let service = tokio::spawn(async move {
        let (mut stream, head) = accept(&listener).await;
        assert!(head.contains("te: trailers"), "{head}");
        let mut body = Vec::new();
        while !body.ends_with(b"\r\n\r\n") {
            body.push(in_time(stream.read_u8()).await.expect("a byte"));
        }
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum, Content-Length\r\n\r\n\
                      2\r\nho\r\n0\r\nX-Checksum: 2\r\nContent-Length: 5\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.expect("it is sent");
        String::from_utf8(body).expect("text")
    });
    let answer = in_time(sender.send_request(request)).await.expect("an answer");
    let body = in_time(answer.into_body().collect()).await.expect("a whole body");
    let trailers = body.trailers().expect("trailers").clone();
    assert_eq!(trailers["x-checksum"], "2");
    assert!(!trailers.contains_key("content-length"), "{trailers:?}");
    assert_eq!(body.to_bytes().as_ref(), b"ho");
    let seen = service.await.expect("it ends");
    assert!(seen.contains("x-checksum: 1") && !seen.contains("admin") && !seen.contains("1.2.3.4"), "{seen}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_goes_no_faster_than_the_service_reads_it() {
    const BYTES: u64 = 96 * 1024 * 1024;
    let (listener, site) = opened().await;
    let mut client = site.send("POST /a", &format!("Content-Length: {BYTES}\r\n"), 3000).await;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let upload = tokio::spawn(async move {
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..BYTES / piece.len() as u64 {
            client.write_all(&piece).await.expect("it is sent");
            counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        read_head(&mut client).await
    });
    let (mut service, _) = accept(&listener).await;
    let (mut read, mut most, mut buffer) = (0, 0, vec![0; 256 * 1024]);
    while read < BYTES {
        read += in_time(service.read(&mut buffer)).await.expect("a piece") as u64;
        most = most.max(sent.load(Ordering::Relaxed).saturating_sub(read));
    }
    service.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("it is sent");
    assert!(in_time(upload).await.expect("it ends").starts_with("HTTP/1.1 204 "));
    println!("at most {most} bytes were on their way");
    assert!(most < BUFFERED_BYTES_MAX, "{most} bytes were on their way");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_services_connection_stays_there() {
    let (listener, site) = opened().await;
    let mut client = site.send("GET /a", "Connection: close\r\n", 3000).await;
    let (mut service, _) = accept(&listener).await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Internal, Upgrade, X-Firegate-Request-Id\r\nX-Internal: secret\r\n\
                  Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-Kept: yes\r\n\r\nok";
    service.write_all(answer.as_bytes()).await.expect("it is sent");
    let head = read_head(&mut client).await.to_ascii_lowercase();
    for name in ["x-internal", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(!head.contains(name), "{name}: {head}");
    }
    assert!(head.contains("x-kept: yes") && head.contains("x-firegate-request-id: "), "{head}");
    assert_eq!(read_rest(&mut client).await, b"ok");
    site.close().await;
}
