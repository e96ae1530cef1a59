//! Requests to switch to another protocol, and clients that leave while they wait.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, poll};
use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::{Site, a_moment, serve_by, tell, test};
use crate::limits::HTTP1_READ_BUFFER_BYTES_MAX;
use crate::stream::ClientUpgrade;

const SWITCH: &str = "GET / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";

/// Answers each request to switch when it is told to, by a switch if it is asked for at a path of that name.
fn switching(go_on: &Arc<Notify>, answered: &Arc<AtomicUsize>) -> Site {
    let (go_on, answered) = (Arc::clone(go_on), Arc::clone(answered));
    serve_by(64 * 1024, move |request, upgrade| {
        let (go_on, answered) = (Arc::clone(&go_on), Arc::clone(&answered));
        async move {
            if upgrade.is_none() {
                return tell(request).await;
            }
            go_on.notified().await;
            let mut answer = Response::new(Full::from(""));
            if let Some(ClientUpgrade::Http1(switched)) =
                upgrade.filter(|_| request.headers().contains_key("x-yes"))
            {
                *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                tokio::task::spawn_local(async move {
                    let mut stream = switched.await.expect("it is handed over");
                    let (mut reader, mut writer) = tokio::io::split(&mut stream);
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                    let _ = writer.shutdown().await;
                });
            }
            answered.fetch_add(1, Ordering::Relaxed);
            answer
        }
        .boxed()
    })
}

#[test]
fn what_came_behind_a_request_to_switch_goes_on_when_that_is_answered() {
    test(async {
        let next = "GET /next HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n";
        for (is_switched, behind) in [(false, next), (true, next), (true, "\x01\x02")] {
            let (go_on, answered) = Default::default();
            let mut site = switching(&go_on, &answered);
            let yes = if is_switched { "X-Yes: 1\r\n\r\n" } else { "\r\n" };
            site.send(format!("{}{yes}{behind}", SWITCH.strip_suffix("\r\n").expect("an end"))).await;
            a_moment().await;
            assert_eq!(answered.load(Ordering::Relaxed), 0);
            go_on.notify_one();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(site.client.read_u8().await.expect("a head"));
            }
            if is_switched {
                site.client.shutdown().await.expect("it is open");
            }
            let read = String::from_utf8(head).expect("text") + &site.rest().await;
            assert_eq!(read.starts_with("HTTP/1.1 101 "), is_switched, "{read}");
            let expected = if is_switched { behind } else { "GET /next HTTP/1.1" };
            assert!(read.contains(expected), "{read}");
        }
    });
}

/// An earlier answer is none to the next request to switch.
#[test]
fn each_request_to_switch_waits_for_an_answer_of_its_own() {
    test(async {
        let (go_on, answered) = Default::default();
        let mut site = switching(&go_on, &answered);
        site.send(SWITCH.repeat(3)).await;
        for count in 0..3 {
            a_moment().await;
            assert_eq!(answered.load(Ordering::Relaxed), count);
            go_on.notify_one();
        }
    });
}

/// Whoever waits for an answer is seen to leave, and what they send meanwhile is held up to a bound.
#[test]
fn a_client_that_leaves_before_its_request_is_answered_is_noticed() {
    test(async {
        for request in [SWITCH, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            for early in ["", "\x01\x02GET / HT"] {
                if !early.is_empty() && request != SWITCH {
                    continue;
                }
                let dropped = Arc::new(());
                let held = Arc::clone(&dropped);
                let mut site = serve_by(1024, move |_, _| {
                    let held = Arc::clone(&held);
                    async move {
                        let _held = held;
                        std::future::pending::<Response<Full<Bytes>>>().await
                    }
                    .boxed()
                });
                site.send(format!("{request}{early}")).await;
                a_moment().await;
                assert_eq!(Arc::strong_count(&dropped), 3);
                drop(site.client);
                assert!(!site.serving.await.expect("no panic"), "it left in the middle");
                assert_eq!(Arc::strong_count(&dropped), 1);
            }
        }
        const ROOM: usize = 1000;
        let (go_on, answered) = Default::default();
        let (mut site, bytes) = (switching(&go_on, &answered), [b'x'; 1024]);
        site.send(SWITCH).await;
        let mut sent = 0;
        while let Some(Ok(count)) = {
            let mut writing = pin!(site.client.write(&bytes));
            let polled = poll!(&mut writing);
            match polled {
                Poll::Ready(count) => Some(count),
                Poll::Pending => tokio::time::timeout(Duration::from_secs(1), writing).await.ok(),
            }
        } {
            sent += count;
        }
        let most = HTTP1_READ_BUFFER_BYTES_MAX + 64 * 1024;
        assert!((most - ROOM..=most).contains(&sent), "{sent}");
    });
}
