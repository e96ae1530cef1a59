//! RST_STREAM with NO_ERROR: after a whole answer it says that the rest of the request is not wanted (RFC 9113, section 8.1),
//! and for hyper it is an end like any other. Envoy resets so what broke off behind it: a client would take the part for the
//! whole.

use firegate_proxy::FrontDoor;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::frames::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, frame};
use crate::stack::{Call, clock, close, door};
use crate::wire::rest;

const NO_ERROR: [u8; 4] = [0; 4];

/// `:status: 200`, in HPACK's static table.
const OK: u8 = 0x88;

/// `content-length`, in HPACK's static table, and this length.
fn length(digit: u8) -> [u8; 4] {
    [0x0f, 0x0d, 1, digit]
}

/// A service over HTTP/2 that answers the first request on each connection with these frames, as soon as it has begun.
pub(crate) async fn opened(answer: Vec<Vec<u8>>) -> FrontDoor {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer.concat()));
        }
    });
    let text = format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allUsers]\n\
         backends: {{ api: {{ url: '{url}', protocol: h2c }} }}\n"
    );
    door(&text, &clock())
}

async fn serve(mut stream: TcpStream, answer: Vec<u8>) -> std::io::Result<()> {
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    stream.read_exact(&mut [0; 24]).await?;
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await?;
        match header[3] {
            SETTINGS if header[4] == 0 => stream.write_all(&frame(SETTINGS, 1, 0, &[])).await?,
            HEADERS => stream.write_all(&answer).await?,
            _ => {}
        }
    }
}

/// What a client over HTTP/1 gets.
async fn over_http1(door: &FrontDoor, request: &str) -> String {
    let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    rest(&mut stream).await
}

/// How many failures of the service were counted.
async fn failures(door: &FrontDoor) -> u32 {
    let url = format!("http://{}/metrics", door.admin_address().expect("an admin listener"));
    let metrics = Call::get(&url.parse().expect("a URL")).send().await;
    let metrics = String::from_utf8(metrics.body.to_vec()).expect("text");
    let line = metrics.lines().find(|line| line.starts_with("firegate_upstream_failures_total{"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("a figure")
}

const GET: &str = "GET / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n";

/// Of its body no more comes than what the answer waits for.
const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: door\r\nConnection: close\r\nContent-Length: 5\r\n\r\nab";

/// This one is whole, and may be so before it is answered.
const WHOLE_UPLOAD: &str =
    "POST / HTTP/1.1\r\nHost: door\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab";

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_not_taken_for_the_whole() {
    let head = frame(HEADERS, END_HEADERS, 1, &[OK]);
    let part = frame(DATA, 0, 1, b"part");
    let goodbye = frame(GOAWAY, 0, 0, &[0; 8]);
    for end in [frame(RST_STREAM, 0, 1, &NO_ERROR), goodbye] {
        let door = opened(vec![head.clone(), part.clone(), end]).await;
        let answer = over_http1(&door, GET).await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        assert_eq!(failures(&door).await, 1, "it is one of the service's");
        let stream = TokioIo::new(TcpStream::connect(door.address()).await.expect("a connection"));
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await;
        let (mut sender, connection) = handshake.expect("HTTP/2");
        tokio::spawn(connection);
        let request = http::Request::get("http://door/").body(Full::<bytes::Bytes>::default());
        if let Ok(answer) = sender.send_request(request.expect("a request")).await {
            assert!(answer.status() != 200 || answer.into_body().collect().await.is_err(), "it is no whole");
        }
        close(door).await;
    }
}

/// Who has answered before the request's end, and wants no more of it, says so behind the answer's end and not instead of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_part_is_not_taken_for_the_whole() {
    let answer = vec![
        frame(HEADERS, END_HEADERS, 1, &[OK]),
        frame(DATA, 0, 1, b"part"),
        frame(RST_STREAM, 0, 1, &NO_ERROR),
    ];
    let door = opened(answer).await;
    for (upload, failed) in [(WHOLE_UPLOAD, 1), (UPLOAD, 2)] {
        let answer = over_http1(&door, upload).await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        assert_eq!(failures(&door).await, failed, "it is one of the service's");
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_one_is_not_taken_for_a_part() {
    let reset = frame(RST_STREAM, 0, 1, &NO_ERROR);
    let head = frame(HEADERS, END_HEADERS, 1, &[OK]);
    let told = frame(HEADERS, END_HEADERS, 1, &[&[OK][..], &length(b'5')].concat());
    let whole = frame(DATA, END_STREAM, 1, b"whole");
    let door = opened(vec![head.clone(), whole.clone()]).await;
    let answer = over_http1(&door, GET).await;
    assert!(answer.ends_with("5\r\nwhole\r\n0\r\n\r\n"), "{answer}");
    close(door).await;
    // Early, and so that the rest of the upload is not sent.
    let chunked = "5\r\nwhole\r\n0\r\n\r\n";
    for (upload, head, end) in [
        (UPLOAD, &head, chunked),
        (WHOLE_UPLOAD, &head, chunked),
        (UPLOAD, &told, "\r\n\r\nwhole"),
        (WHOLE_UPLOAD, &told, "\r\n\r\nwhole"),
    ] {
        let door = opened(vec![head.clone(), whole.clone(), reset.clone()]).await;
        let answer = over_http1(&door, upload).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(end), "{answer}");
        assert_eq!(failures(&door).await, 0, "{answer}");
        close(door).await;
    }
}
