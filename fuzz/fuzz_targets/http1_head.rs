//! The framing of HTTP/1: what the scanner lets through, hyper reads as the very same requests, whatever the pieces in which
//! it comes. The first byte of an input says how the others are cut.
#![no_main]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use firegate_proxy::framing::{Scan, Scanner, Then};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request as one of the two readers sees it. A body that is not whole is `None`.
type Seen = (String, String, Vec<(String, Vec<u8>)>, Option<Vec<u8>>);

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else { return };
    let (clean, then) = scan([bytes]);
    assert_eq!(
        (clean, then),
        scan(bytes.chunks(usize::from(*size).max(1))),
        "cut otherwise, judged otherwise"
    );
    let clean = &bytes[..clean];
    let expected = requests(clean);
    let seen = by_hyper(clean);
    assert!(seen.len() <= expected.len(), "hyper sees more: {seen:?} {expected:?}");
    for (seen, expected) in seen.iter().zip(&expected) {
        assert_eq!(seen, expected);
    }
    // hyper stops early only where HTTP says that a connection ends.
    if seen.len() < expected.len() {
        let text = String::from_utf8_lossy(clean).to_ascii_lowercase();
        assert!(text.contains("http/1.0") || text.contains("close") || text.contains("upgrade"), "{text:?}");
    }
});

/// How many bytes go on, and what becomes of the rest.
fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (usize, Then) {
    let (mut scanner, mut held, mut passed) = (Scanner::default(), Vec::new(), 0);
    let mut last = Then::More;
    for piece in pieces {
        held.extend_from_slice(piece);
        let Scan { clean, then } = scanner.scan(&held);
        held.drain(..clean);
        passed += clean;
        last = then;
        if matches!(then, Then::Refuse(_) | Then::Break(_)) {
            break;
        }
    }
    (passed, last)
}

/// The requests, read by the rules of RFC 9112 alone: the scanner has promised that nothing else is in them.
fn requests(mut bytes: &[u8]) -> Vec<Seen> {
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("a whole head") + 4;
        let text = &bytes[..head - 4];
        let mut lines =
            text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = String::from_utf8(lines.next().expect("a line").to_vec()).expect("UTF-8");
        let mut parts = line.split(' ');
        let (method, target) = (parts.next().expect("a method"), parts.next().expect("a target"));
        let field = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
            let name = String::from_utf8(line[..colon].to_ascii_lowercase()).expect("a token");
            (name, line[colon + 1..].trim_ascii().to_vec())
        };
        let mut fields: Vec<_> = lines.map(field).collect();
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        let value = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| field.1.clone());
        let rest = &bytes[head..];
        let (body, length) = match (value("transfer-encoding"), value("content-length")) {
            (Some(_), _) => chunks(rest),
            (None, Some(length)) => {
                let length: usize = String::from_utf8(length).expect("digits").parse().expect("a number");
                (rest.get(..length).map(<[u8]>::to_vec), length.min(rest.len()))
            }
            (None, None) => (Some(Vec::new()), 0),
        };
        // `http://door` and `http://door/` are the same.
        let target = target.parse::<Uri>().expect("a target").to_string();
        requests.push((method.to_owned(), target, fields, body));
        bytes = &rest[length..];
    }
    requests
}

/// A chunked body and its length on the wire.
fn chunks(bytes: &[u8]) -> (Option<Vec<u8>>, usize) {
    let (mut body, mut at) = (Vec::new(), 0);
    let line_end = |at: usize| bytes[at..].windows(2).position(|end| end == b"\r\n").map(|end| at + end);
    loop {
        let Some(end) = line_end(at) else { return (None, bytes.len()) };
        let digits = bytes[at..end].split(|byte| *byte == b';').next().unwrap_or_default();
        let size = usize::from_str_radix(&String::from_utf8_lossy(digits), 16).expect("a size");
        at = end + 2;
        if size == 0 {
            loop {
                let Some(end) = line_end(at) else { return (None, bytes.len()) };
                let is_last = end == at;
                at = end + 2;
                if is_last {
                    return (Some(body), at);
                }
            }
        }
        let Some(data) = bytes.get(at..at + size) else { return (None, bytes.len()) };
        body.extend_from_slice(data);
        at += size + 2;
        if at > bytes.len() {
            return (None, bytes.len());
        }
    }
}

/// The requests as hyper's server sees them.
fn by_hyper(bytes: &[u8]) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let kept = Arc::clone(&kept);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.ok().map(|body| body.to_bytes().to_vec());
            let request = (parts.method.to_string(), parts.uri.to_string(), fields(&parts.headers), body);
            kept.lock().expect("no other thread").push(request);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(bytes).await.expect("it is read");
        client.shutdown().await.expect("it is closed");
        let connection = http1::Builder::new()
            .half_close(true)
            .max_buf_size(1 << 17)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(server), service);
        let (_, _) = tokio::join!(connection, async {
            let mut answers = Vec::new();
            client.read_to_end(&mut answers).await
        });
    });
    let seen = seen.lock().expect("no other thread");
    seen.clone()
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> =
        headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}
