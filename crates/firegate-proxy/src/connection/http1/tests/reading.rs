//! What a client sends, in whatever pieces it comes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::ORIGIN;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::Notify;

use super::{ANSWER, REQUEST, a_moment, answering, serve_by, tell, telling, test, told};
use crate::connection::framing::Violation;
use crate::connection::http1::hand_over;
use crate::limits::REQUEST_HEAD_TIMEOUT;

#[test]
fn requests_are_answered_one_after_the_other_in_whatever_pieces_they_come() {
    test(async {
        let mut site = answering(64 * 1024);
        for _ in 0..2 {
            site.send(REQUEST).await;
            site.answer().await;
        }
        a_moment().await;
        for piece in [REQUEST, REQUEST].concat().chunks(7) {
            site.send(piece).await;
            tokio::task::yield_now().await;
        }
        site.answer().await;
        a_moment().await;
        // Its head is longer than what is read at once, and its body is not all there.
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
        site.send(long).await;
        site.answer().await;
        site.send(&REQUEST[..REQUEST.len() - 1]).await;
        a_moment().await;
        site.send(b"y").await;
        site.answer().await;
    });
}

/// What clients send, and close the connection after.
const SEQUENCES: [&str; 8] = [
    "GET /a?b=c HTTP/1.1\r\nHost: d\r\nx:\t a \t b\u{fc} \r\nY:\r\ny: 2\r\n\r\n\
     HEAD / HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello\
     PUT /b HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n\
     GET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n\
     5\r\nhello\r\n00a;x=\"y\";z\r\n0123456789\r\n0;\t\r\nA: b\r\nC:\r\n\r\n\
     GET / HTTP/1.1\r\nConnection: x, Close\r\nHost: d\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
     GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n\
     GET /c HTTP/1.0\r\n\r\n",
    "GET http://door/a HTTP/1.1\r\nHost: door\r\n\r\n\
     GET / HTTP/1.1\r\nA b: c\r\n\r\n\
     GET /never HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n\
     GET /never HTTP/1.1\r\nHost: d\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: d\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\
     GET /b HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789",
];

/// What a client gets for these pieces of bytes.
async fn exchange<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut site = telling(64 * 1024);
    for piece in pieces {
        // It may be closed before the last of them.
        let _ = site.client.write_all(piece).await;
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
    told(&site.rest().await)
}

#[test]
fn it_does_not_matter_how_what_comes_is_cut() {
    test(async {
        for sequence in SEQUENCES {
            let bytes = sequence.as_bytes();
            let expected = exchange([bytes]).await;
            assert!(!expected.is_empty());
            assert!(!expected.concat().contains("never"), "{expected:?}");
            assert_eq!(exchange(bytes.chunks(1)).await, expected, "octet by octet: {sequence:?}");
            for cut in 1..bytes.len() {
                let (one, two) = bytes.split_at(cut);
                assert_eq!(exchange([one, two]).await, expected, "cut at {cut}: {sequence:?}");
            }
        }
    });
}

/// Numbers that look as if drawn by lot, and are the same each time.
fn drawn(seed: &mut u64, below: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).expect("31 bits") % below
}

/// Bytes of which no reading is certain have one all the same.
#[test]
fn what_is_mangled_is_read_in_one_way_too() {
    const OCTETS: &[u8] = b"\r\n\0 :;,0123aZ/HTP.\xff\t";
    test(async {
        let mut seed = 1;
        for round in 0..200 {
            let mut bytes = SEQUENCES[round % SEQUENCES.len()].as_bytes().to_vec();
            for _ in 0..=drawn(&mut seed, 3) {
                let (at, octet) = (drawn(&mut seed, bytes.len()), OCTETS[drawn(&mut seed, OCTETS.len())]);
                match drawn(&mut seed, 3) {
                    0 => bytes[at] = octet,
                    1 => bytes.insert(at, octet),
                    _ => drop(bytes.drain(at..bytes.len().min(at + 1 + drawn(&mut seed, 4)))),
                }
            }
            let expected = exchange([&bytes[..]]).await;
            let mut pieces = Vec::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, others) = rest.split_at(1 + drawn(&mut seed, rest.len()));
                pieces.push(piece);
                rest = others;
            }
            let shown = String::from_utf8_lossy(&bytes);
            assert_eq!(exchange(pieces).await, expected, "{shown:?}");
            assert_eq!(exchange(bytes.chunks(1)).await, expected, "{shown:?}");
        }
    });
}

/// hyper reads the same requests in what the scanner lets through.
#[test]
fn requests_are_read_as_hyper_reads_them() {
    test(async {
        for sequence in SEQUENCES.iter().filter(|sequence| !sequence.contains("/never")) {
            let (mut client, stream) = duplex(64 * 1024);
            let service = service_fn(|request: Request<Incoming>| async {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.expect("a whole body");
                let (giver, given) = hand_over::hand_over(None);
                let request = Request::from_parts(parts, given);
                let feeding = async {
                    let trailers = body.trailers().cloned();
                    let bytes = body.to_bytes();
                    if !bytes.is_empty() {
                        giver.give(bytes);
                    }
                    giver.end(Ok(trailers));
                };
                let (answer, ()) = tokio::join!(tell(request), feeding);
                Ok::<_, io::Error>(answer)
            });
            client.write_all(sequence.as_bytes()).await.expect("room");
            let serving =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let mut read = String::new();
            let (served, _) = tokio::join!(serving, client.read_to_string(&mut read));
            served.expect("no error");
            assert_eq!(exchange([sequence.as_bytes()]).await, told(&read), "{sequence:?}");
        }
    });
}

#[test]
fn a_body_is_asked_for_before_its_client_is_told_to_send_it() {
    test(async {
        const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n";
        let mut site = telling(1000);
        site.send(HEAD).await;
        let mut read = [0; 25];
        site.client.read_exact(&mut read).await.expect("it is told to go on");
        assert_eq!(&read, b"HTTP/1.1 100 Continue\r\n\r\n");
        site.send("body").await;
        site.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let read = site.rest().await;
        assert!(!read.contains("100 Continue") && read.contains("b\"body\""), "{read}");
        // Nobody asks for this one.
        let mut site = serve_by(1000, |_, _| async { Response::new(Full::from(ANSWER)) }.boxed());
        site.send(HEAD).await;
        let read = site.rest().await;
        assert!(read.starts_with("HTTP/1.1 200 OK\r\n") && read.ends_with(ANSWER), "{read}");
    });
}

#[test]
fn a_body_is_read_no_faster_than_it_is_asked_for() {
    test(async {
        let go_on = Arc::new(Notify::new());
        let going = Arc::clone(&go_on);
        let mut site = serve_by(1000, move |request, _| {
            let going = Arc::clone(&going);
            async move {
                going.notified().await;
                tell(request).await
            }
            .boxed()
        });
        site.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 50000\r\n\r\n").await;
        let mut sent = 0;
        let body = [b'x'; 50_000];
        while let Ok(Ok(count)) =
            tokio::time::timeout(Duration::from_secs(1), site.client.write(&body[sent..])).await
        {
            sent += count;
        }
        assert!(sent <= 2000, "{sent}");
        go_on.notify_one();
        site.send(&body[sent..]).await;
        assert!(site.rest().await.contains(&"x".repeat(50_000)));
    });
}

/// What stands before the fault, in whatever pieces it comes, and behind other requests too.
#[test]
fn of_a_refused_head_the_page_is_known_that_was_named_before_the_fault() {
    const BEFORE: &str =
        "POST / HTTP/1.1\r\nhost: d\r\norigin: https://before.example\r\ncontent-length: 3\r\n\r\nabc";
    test(async {
        let (fault, app) = ("a b: c\r\n", "https://app.example");
        for (fields, expected) in [
            (format!("Origin: {app}\r\n{fault}"), Some(app)),
            (format!("a: b\r\norigin:\t{app} \r\nc: d\r\n{fault}"), Some(app)),
            (format!("Origin: {app}\r\nOrigin: {app}\r\nOrigin: {app}\r\n{fault}"), None),
            (format!("{fault}Origin: {app}\r\n"), None),
            (format!("X-Origin: {app}\r\n{fault}"), None),
            (format!("Origin:\r\n{fault}"), Some("")),
            (fault.to_owned(), None),
        ] {
            for before in ["", BEFORE] {
                let mut site = serve_by(4096, |request, _| {
                    let origin = request.headers().get(ORIGIN).map(|value| value.to_str().expect("text"));
                    let is_refused = request.extensions().get::<Violation>().is_some();
                    let text = format!("{is_refused} {} {origin:?}\n", request.method());
                    async { Response::new(Full::from(text)) }.boxed()
                });
                let head = format!("POST / HTTP/1.1\r\nHost: door\r\n{fields}\r\n");
                site.send(format!("{before}{head}GET /never HTTP/1.1\r\nHost: d\r\n\r\n")).await;
                let answers = told(&site.rest().await);
                let expected = format!("true UNREAD {expected:?}");
                assert_eq!(answers.last(), Some(&expected), "{fields:?} behind {before:?}");
                assert_eq!(answers.len(), if before.is_empty() { 1 } else { 2 }, "{answers:?}");
            }
        }
    });
}

/// Each head has its own time, also when the next one has always begun by the end of the one before.
#[test]
fn the_time_of_a_head_runs_from_its_beginning() {
    test(async {
        let mut site = telling(64 * 1024);
        let count = 2 * REQUEST_HEAD_TIMEOUT.as_secs();
        site.send(b"GET / HTTP/1.1\r\nHost: d").await;
        for _ in 0..count {
            tokio::time::sleep(Duration::from_secs(1)).await;
            site.send(b"oor\r\n\r\nGET / HTTP/1.1\r\nHost: d").await;
        }
        let read = site.rest().await;
        assert_eq!(read.matches("door").count() as u64, count, "{read}");
        assert!(read.ends_with("None Some(HeadTimedOut)\n"), "{read}");
    });
}

/// Only what has begun can be late: an answer may take longer than a head.
#[test]
fn a_head_that_has_not_begun_is_not_late() {
    test(async {
        let mut site = answering(1024);
        for _ in 0..2 {
            site.send("GET / HTTP/1.1\r\n").await;
            tokio::time::sleep(REQUEST_HEAD_TIMEOUT * 3 / 4).await;
            site.send("Host: door\r\n\r\n").await;
            site.answer().await;
            tokio::time::sleep(REQUEST_HEAD_TIMEOUT * 2).await;
        }
    });
}
