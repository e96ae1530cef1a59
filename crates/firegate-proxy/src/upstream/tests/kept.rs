//! Connections that are kept for the next request: how many, and for how long.

use tokio::sync::watch;
use tokio::time::{Instant, advance};

use super::*;
use crate::limits::{
    UPSTREAM_HTTP2_CONNECTIONS_MAX, UPSTREAM_HTTP2_STREAMS_MAX, UPSTREAM_IDLE_CONNECTIONS_MAX,
    UPSTREAM_IDLE_TIMEOUT, UPSTREAM_TEND_INTERVAL,
};

/// A step of the time that a test lets pass.
const SECOND: Duration = Duration::from_secs(1);

async fn site(protocol: &str) -> (Origin, Site) {
    let origin = Origin::answering(100, |_| async { Response::new(full("hello")) }).await;
    let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
    (origin, site)
}

/// Lets so much time pass, and what is due then happen.
async fn pass(time: Duration) {
    advance(time).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_is_closed_and_not_before_its_time() {
    let _still = Still::stand();
    for protocol in ["http1", "h2c"] {
        let (origin, site) = site(protocol).await;
        site.get().await.expect("an answer");
        // What is used again is as new.
        pass(UPSTREAM_IDLE_TIMEOUT - 3 * SECOND).await;
        site.get().await.expect("an answer");
        let (last_used, endpoint) = (Instant::now(), site.endpoint(0));
        assert_eq!((origin.connections(), endpoint.idle_connections()), (1, 1), "{protocol}");
        while origin.open_connections() > 0 {
            assert!(last_used.elapsed() < 2 * UPSTREAM_IDLE_TIMEOUT, "{protocol}: it is still open");
            pass(SECOND).await;
        }
        let idle = last_used.elapsed();
        assert!(idle >= UPSTREAM_IDLE_TIMEOUT, "{protocol}: {idle:?}");
        // It is looked at now and then, and found to be idle by one look and to have been so for long by another.
        assert!(idle <= UPSTREAM_IDLE_TIMEOUT + 2 * UPSTREAM_TEND_INTERVAL + SECOND, "{protocol}: {idle:?}");
        assert_eq!(endpoint.idle_connections(), 0, "{protocol}");
    }
}

/// The service may be about to close it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_kept_for_too_long_is_not_used_though_nobody_has_closed_it_yet() {
    let _still = Still::stand();
    let (origin, site) = site("http1").await;
    // Connections are looked at every other second, and this one is over in the seconds between.
    pass(SECOND).await;
    site.get().await.expect("an answer");
    for (passed, connections) in [(UPSTREAM_IDLE_TIMEOUT - SECOND, 1), (UPSTREAM_IDLE_TIMEOUT, 2)] {
        let last_used = Instant::now();
        while last_used.elapsed() < passed {
            pass(SECOND).await;
        }
        assert_eq!(site.endpoint(0).idle_connections(), 1, "{passed:?}: it is there");
        site.get().await.expect("an answer");
        assert_eq!(origin.connections(), connections, "{passed:?}");
    }
}

#[tokio::test]
async fn no_more_connections_are_kept_than_may_be() {
    const BEYOND: usize = 3;
    let (origin, site) = site("http1").await;
    let mut answers = Vec::new();
    // An answer that is not read to its end has a connection of its own.
    for _ in 0..UPSTREAM_IDLE_CONNECTIONS_MAX + BEYOND {
        answers.push(site.send(Method::GET, &[], full("")).await.expect("an answer"));
    }
    assert_eq!(origin.connections(), UPSTREAM_IDLE_CONNECTIONS_MAX + BEYOND);
    for answer in answers {
        assert_eq!(Answer::read(answer).await.body, "hello");
    }
    assert_eq!(site.endpoint(0).idle_connections(), UPSTREAM_IDLE_CONNECTIONS_MAX);
    until(|| origin.open_connections() == UPSTREAM_IDLE_CONNECTIONS_MAX).await;
}

/// Nobody has used it since, and so nobody has found out.
#[tokio::test]
async fn a_connection_that_the_service_closed_is_not_kept() {
    for protocol in ["http1", "h2c"] {
        let (close, told) = watch::channel(false);
        let origin = Origin::start(move |stream, _| {
            let mut told = told.clone();
            async move {
                let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(full("hello"))) });
                let io = TokioIo::new(stream);
                let (http1, http2) =
                    (conn::http1::Builder::new(), conn::http2::Builder::new(TokioExecutor::new()));
                let served = async {
                    match protocol {
                        "http1" => http1.serve_connection(io, service).await,
                        _ => http2.serve_connection(io, service).await,
                    }
                };
                tokio::select! {
                    served = served => served.expect("it goes on"),
                    told = told.wait_for(|told| *told) => drop(told.expect("the test goes on")),
                }
            }
        })
        .await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
        let endpoint = site.endpoint(0);
        site.get().await.expect("an answer");
        endpoint.tend(&site.names).await;
        assert_eq!(endpoint.idle_connections(), 1, "{protocol}: it is open");
        close.send_replace(true);
        until(|| origin.open_connections() == 0).await;
        settle().await;
        endpoint.tend(&site.names).await;
        assert_eq!(endpoint.idle_connections(), 0, "{protocol}");
    }
}

/// They wait there for a stream to end: all of them behind the same few would wait long.
#[tokio::test]
async fn what_is_beyond_all_streams_is_spread_over_the_connections() {
    const CONNECTIONS: usize = UPSTREAM_HTTP2_CONNECTIONS_MAX;
    let (_origin, site) = site("h2c").await;
    let endpoint = site.endpoint(0);
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        held.push(endpoint.obtain(0).await.expect("a connection").connection);
    }
    let reuse = || endpoint.reuse(0).expect("a place").connection;
    held.extend((CONNECTIONS..CONNECTIONS * UPSTREAM_HTTP2_STREAMS_MAX).map(|_| reuse()));
    assert!(held.iter().all(|connection| !connection.is_overbooked()), "all are full, and no fuller");
    let beyond = (0..CONNECTIONS).map(|_| reuse()).collect::<Vec<_>>();
    assert!(held.iter().all(super::super::connections::Connection::is_overbooked), "each has one more");
    drop(beyond);
    assert!(held.iter().all(|connection| !connection.is_overbooked()));
}

/// A connection is not idle while an answer comes by it, however long that lasts.
#[tokio::test(start_paused = true)]
async fn a_connection_with_an_answer_that_lasts_is_kept() {
    let _still = Still::stand();
    let origin = Origin::answering(100, |request: Request<Incoming>| async move {
        match request.method() {
            &Method::POST => Response::new(StreamBody::new(futures_util::stream::pending()).streamed()),
            _ => Response::new(full("hello")),
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}', protocol: h2c", origin.url()));
    let lasting = site.send(Method::POST, &[], full("")).await.expect("an answer");
    let begun = Instant::now();
    while begun.elapsed() < UPSTREAM_IDLE_TIMEOUT + 2 * UPSTREAM_TEND_INTERVAL {
        pass(SECOND).await;
    }
    site.get().await.expect("an answer");
    assert_eq!(origin.connections(), 1);
    drop(lasting);
}

/// Whoever reads an answer does not ask for more of it once it says that it is over.
#[tokio::test]
async fn however_an_answer_ends_its_connection_is_kept() {
    for answer in [
        "Content-Length: 0\r\n\r\n",
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let origin = Origin::start(move |mut stream, _| async move {
            while let Some(_head) = head(&mut stream).await {
                let answer = format!("HTTP/1.1 200 OK\r\n{answer}");
                stream.write_all(answer.as_bytes()).await.expect("it is sent");
            }
        })
        .await;
        let site = Site::new(&format!("url: '{}'", origin.url()));
        let mut body = site.send(Method::GET, &[], full("")).await.expect("an answer").into_body();
        while !http_body::Body::is_end_stream(&body)
            && let Some(frame) = body.frame().await
        {
            frame.expect("no error");
        }
        assert_eq!(site.endpoint(0).idle_connections(), 1, "{answer:?}");
        drop(body);
        assert_eq!(site.endpoint(0).idle_connections(), 1, "{answer:?}");
    }
}

/// The service answered before it had the whole request, the rest of which may take long.
#[tokio::test]
async fn a_connection_that_is_busy_with_the_rest_of_a_request_is_passed_over() {
    let origin = Origin::saying("hello").await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let unfinished = StreamBody::new(futures_util::stream::pending()).streamed();
    assert_eq!(site.post(unfinished).await.expect("an answer").body, "hello");
    let next = tokio::time::timeout(PATIENCE, site.get()).await.expect("it waits for nobody");
    assert_eq!(next.expect("an answer").body, "hello");
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_connection_has_no_more_streams_than_it_may_however_many_a_service_allows() {
    let allowed = 2 * u32::try_from(UPSTREAM_HTTP2_STREAMS_MAX).expect("a number");
    let lasting = || async { Response::new(StreamBody::new(futures_util::stream::pending()).streamed()) };
    let origin = Origin::answering(allowed, move |_| lasting()).await;
    let site = Site::new(&format!("url: '{}', protocol: h2c", origin.url()));
    let mut lasting = Vec::new();
    for number in 0..=UPSTREAM_HTTP2_STREAMS_MAX {
        lasting.push(site.send(Method::GET, &[], full("")).await.expect("an answer"));
        assert_eq!(origin.connections(), 1 + number / UPSTREAM_HTTP2_STREAMS_MAX, "{number}");
    }
}
