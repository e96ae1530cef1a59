//! Answers as they are written.

use std::io;

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;

use super::{a_moment, serve_by, test};

/// The door that has to break off an answer has written all that came before it.
#[test]
fn what_came_before_an_answer_that_breaks_off_is_written() {
    test(async {
        let mut site = serve_by(128, |request, _| {
            let end = (request.uri().path() != "/whole").then(|| Err(io::Error::other("it broke")));
            let pieces = [Ok(Frame::data(Bytes::from_static(b"piece")))].into_iter().chain(end);
            async move { Response::new(StreamBody::new(stream::iter(pieces))) }.boxed()
        });
        let heads = ["whole", "whole", "part"].map(|path| format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        site.send(heads.concat()).await;
        // There is room for one answer and a part of the next.
        a_moment().await;
        let read = site.rest().await;
        let bodies = read.split("HTTP/1.1 200 OK").skip(1);
        let bodies = bodies.map(|answer| answer.split("\r\n\r\n5\r\n").nth(1)).collect::<Vec<_>>();
        let whole = Some("piece\r\n0\r\n\r\n");
        assert_eq!(bodies, [whole, whole, Some("piece\r\n")], "{read}");
        assert!(site.serving.await.expect("no panic"));
    });
}

#[test]
fn pieces_of_any_size_come_in_their_order() {
    test(async {
        let sizes = [1, 5000, 70_000, 3, 16 * 1024, 16 * 1024 - 1, 100_000];
        let pieces = move || sizes.into_iter().zip(b'a'..).map(|(size, byte)| vec![byte; size]);
        for chunked in [true, false] {
            let mut site = serve_by(1000, move |_, _| {
                let frames = pieces().map(|piece| Ok::<_, io::Error>(Frame::data(Bytes::from(piece))));
                let mut answer = Response::new(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())));
                if !chunked {
                    answer.headers_mut().insert("content-length", sizes.iter().sum::<usize>().into());
                }
                async { answer }.boxed()
            });
            site.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
            let read = site.rest().await;
            let (head, body) = read.split_once("\r\n\r\n").expect("a head");
            assert_eq!(head.contains("transfer-encoding: chunked"), chunked, "{head}");
            let expected = match chunked {
                true => {
                    pieces().fold(String::new(), |body, piece| {
                        format!("{body}{:X}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(&piece))
                    }) + "0\r\n\r\n"
                }
                false => String::from_utf8(pieces().collect::<Vec<_>>().concat()).expect("text"),
            };
            assert!(body == expected, "{} {}", body.len(), expected.len());
        }
    });
}

#[test]
fn an_answer_is_as_long_as_it_says_or_broken_off() {
    test(async {
        for (length, is_whole) in [(5, true), (6, false), (4, true)] {
            let mut site = serve_by(1000, move |_, _| {
                let frames = [Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"piece")))];
                let mut answer = Response::new(StreamBody::new(stream::iter(frames)));
                answer.headers_mut().insert("content-length", length.into());
                async { answer }.boxed()
            });
            site.send(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            )
            .await;
            let read = site.rest().await;
            assert_eq!(read.matches("200 OK").count(), if is_whole { 2 } else { 1 }, "{read}");
            assert!(read.ends_with(&"piece"[..5.min(length)]), "{read}");
        }
    });
}

#[test]
fn trailers_come_behind_an_answer_if_they_were_announced_and_its_client_reads_them() {
    test(async {
        for (te, expected) in [("trailers", "0\r\nx-sum: 1\r\n\r\n"), ("gzip", "0\r\n\r\n")] {
            let mut site = serve_by(1000, |_, _| {
                let mut trailers = HeaderMap::new();
                for name in ["x-sum", "x-other", "set-cookie"] {
                    trailers.insert(name, HeaderValue::from_static("1"));
                }
                let frames = [Frame::data(Bytes::from_static(b"piece")), Frame::trailers(trailers)];
                let mut answer = Response::new(StreamBody::new(stream::iter(frames.map(Ok::<_, io::Error>))));
                answer.headers_mut().insert("trailer", HeaderValue::from_static("X-Sum, set-cookie"));
                async { answer }.boxed()
            });
            site.send(format!("GET / HTTP/1.1\r\nHost: a\r\nTE: {te}\r\nConnection: close\r\n\r\n")).await;
            let read = site.rest().await;
            assert!(read.ends_with(&format!("5\r\npiece\r\n{expected}")), "{read}");
        }
    });
}
