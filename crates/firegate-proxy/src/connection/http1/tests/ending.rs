//! How connections end.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ANSWER, REQUEST, a_moment, answering, serve_by, telling, test};
use crate::limits::{CLIENT_IDLE_TIMEOUT, UNWANTED_BODY_TIMEOUT};

#[test]
fn a_connection_that_has_to_close_closes_though_its_client_is_slow_to_take_the_answer() {
    test(async {
        let mut site = answering(40);
        site.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
        a_moment().await;
        site.answer().await;
        let end = tokio::time::timeout(Duration::from_secs(1), site.client.read(&mut [0])).await;
        assert_eq!(end.expect("at once").expect("an end"), 0);
        assert!(site.serving.await.expect("no panic"));
    });
}

#[test]
fn an_idle_connection_ends_with_its_client_and_when_the_process_stops() {
    test(async {
        let mut site = answering(64 * 1024);
        site.send(REQUEST).await;
        site.answer().await;
        a_moment().await;
        drop(site.client);
        assert!(site.serving.await.expect("no panic"));

        let mut site = answering(64 * 1024);
        site.send(REQUEST).await;
        site.answer().await;
        a_moment().await;
        site.stop.cancel();
        assert_eq!(site.client.read(&mut [0]).await.expect("an end"), 0);
        assert!(site.serving.await.expect("no panic"));
    });
}

#[test]
fn a_connection_is_closed_when_it_was_idle_for_long() {
    test(async {
        let mut site = answering(64 * 1024);
        site.send(REQUEST).await;
        site.answer().await;
        let since = tokio::time::Instant::now();
        assert_eq!(site.client.read(&mut [0]).await.expect("an end"), 0);
        let idle = since.elapsed();
        assert!(
            idle >= CLIENT_IDLE_TIMEOUT && idle < CLIENT_IDLE_TIMEOUT + Duration::from_secs(4),
            "{idle:?}"
        );
    });
}

/// Closed over unread bytes, the connection would be reset, and the answer lost.
#[test]
fn what_a_refused_client_still_sends_is_read_for_a_while() {
    let broken = "POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    let last = "GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
    for (begin, lingers) in [("GET\r\n\r\n", true), (broken, true), (last, false)] {
        // It sends more than there is room for, and says nothing more.
        for closes in [true, false] {
            test(async move {
                let mut site = telling(1024);
                let begun = tokio::time::Instant::now();
                site.send(begin).await;
                let mut read = [0; 1024];
                assert!(site.client.read(&mut read).await.is_ok_and(|count| count > 0), "{begin:?}");
                if lingers {
                    site.send([b'x'; 16 * 1024]).await;
                }
                let mut client = Some(site.client);
                if closes {
                    drop(client.take());
                }
                assert!(site.serving.await.expect("no panic"));
                let expected = if lingers && !closes { UNWANTED_BODY_TIMEOUT } else { Duration::ZERO };
                assert_eq!(begun.elapsed(), expected, "{begin:?} {closes}");
            });
        }
    }
}

/// Whatever it looks like, and however late it comes.
#[test]
fn the_body_of_a_request_that_was_answered_early_is_no_request() {
    test(async {
        const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
        let chunk = format!("{:x}\r\n{HIDDEN}\r\n", HIDDEN.len());
        let length = format!("Content-Length: {}\r\n\r\n", HIDDEN.len());
        for (framing, body) in [(&*length, HIDDEN), ("Transfer-Encoding: chunked\r\n\r\n", &*chunk)] {
            for cut in 0..body.len() {
                // Nobody wants the body, and the next one asks for no other.
                let mut site = serve_by(4096, |request, _| {
                    let text = request.uri().path().to_owned();
                    async { Response::new(Full::from(text + ANSWER)) }.boxed()
                });
                let (with_head, late) = body.split_at(cut);
                site.send(format!("POST /first HTTP/1.1\r\nHost: a\r\n{framing}{with_head}")).await;
                site.answer().await;
                let _ = site.client.write_all(late.as_bytes()).await;
                let rest = site.rest().await;
                assert!(!rest.contains("hidden"), "{framing:?} cut at {cut}: {rest}");
            }
        }
    });
}

/// The last of them is waited for by a client that can have no more answers.
#[test]
fn who_says_nothing_more_after_several_requests_gets_the_answers_before_the_last_one() {
    test(async {
        let mut site = answering(1024);
        site.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3)).await;
        site.client.shutdown().await.expect("it is open");
        let read = site.rest().await;
        assert!(read.matches(ANSWER).count() >= 2, "{read}");
    });
}
