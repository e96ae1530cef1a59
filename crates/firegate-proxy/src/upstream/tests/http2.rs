use std::convert::Infallible;

use http::header::{CONNECTION, HOST, TE};
use http_body_util::StreamBody;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::{Barrier, watch};

use super::super::connections::Reuse;
use super::*;
use crate::limits::{
    UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX, UPSTREAM_HTTP2_VAIN_CONNECTIONS_MAX,
    UPSTREAM_RESPONSE_HEAD_BYTES_MAX,
};

fn site(origin: &Origin) -> Site {
    Site::new(&format!("url: '{}', protocol: h2c", origin.url()))
}

#[tokio::test]
async fn requests_share_a_connection() {
    const REQUESTS: usize = 50;
    let barrier = Arc::new(Barrier::new(REQUESTS));
    let origin = Origin::answering(100, move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            // Nobody is answered before all have come.
            barrier.wait().await;
            Response::new(full("hello"))
        }
    })
    .await;
    let site = site(&origin);
    let requests = (0..REQUESTS).map(|_| site.get());
    for answer in futures_util::future::join_all(requests).await {
        assert_eq!(answer.expect("an answer").body, "hello");
    }
    assert_eq!(origin.connections(), 1);
    let endpoint = site.endpoint(0);
    assert_eq!((endpoint.requests.count(), endpoint.idle_connections()), (0, 1));
}

#[tokio::test]
async fn when_a_connection_has_all_the_streams_it_may_another_one_is_made() {
    let (go, told) = watch::channel(false);
    let origin = Origin::answering(2, move |_| {
        let mut told = told.clone();
        async move {
            told.wait_for(|told| *told).await.expect("the test goes on");
            Response::new(full("hello"))
        }
    })
    .await;
    let site = site(&origin);
    let waiting = async {
        // The first answer tells how many streams there may be.
        let first = site.get();
        let more = async {
            until(|| site.endpoint(0).requests.count() == 1 && origin.connections() == 1).await;
            settle().await;
            tokio::join!(site.get(), site.get(), site.get(), site.get())
        };
        tokio::join!(first, more)
    };
    let release = async {
        until(|| origin.connections() >= 2).await;
        go.send_replace(true);
    };
    let ((first, more), ()) = tokio::join!(waiting, release);
    for answer in [first, more.0, more.1, more.2, more.3] {
        assert_eq!(answer.expect("an answer").body, "hello");
    }
}

/// It is kept in memory as a whole, for each stream.
#[tokio::test]
async fn an_answer_has_no_larger_head_than_is_allowed() {
    let most = UPSTREAM_RESPONSE_HEAD_BYTES_MAX as usize;
    for (bytes, is_whole) in [(most / 2, true), (most * 2, false)] {
        let origin = Origin::answering(100, move |_| async move {
            let mut answer = Response::new(full(""));
            for number in 0..bytes / 1024 {
                let name = http::HeaderName::try_from(format!("x-{number}")).expect("a name");
                answer.headers_mut().insert(name, "x".repeat(1000).parse().expect("a value"));
            }
            answer
        })
        .await;
        assert_eq!(site(&origin).get().await.is_ok(), is_whole, "{bytes}");
    }
}

/// As gRPC has it: trailers both ways, and the headers of an HTTP/1 connection go no further.
#[tokio::test]
async fn trailers_pass_and_the_head_is_http2s_own() {
    let origin = Origin::answering(100, |request: Request<Incoming>| async move {
        assert_eq!(request.uri().authority().map(http::uri::Authority::as_str), Some("service.example"));
        assert_eq!(request.uri().path_and_query().map(http::uri::PathAndQuery::as_str), Some("/a?b=c"));
        assert_eq!(request.headers().get(TE).map(http::HeaderValue::as_bytes), Some(&b"trailers"[..]));
        assert!(!request.headers().contains_key(CONNECTION) && !request.headers().contains_key(HOST));
        let whole = request.into_body().collect().await.expect("a whole body");
        let trailers = whole.trailers().cloned().expect("trailers");
        let frames = [Ok(Frame::data(whole.to_bytes())), Ok(Frame::trailers(trailers))];
        Response::new(StreamBody::new(futures_util::stream::iter(frames)).streamed())
    })
    .await;
    let site = Site::new("url: 'http://service.example', protocol: h2c");
    site.names.set("service.example", origin.address);
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]);
    let frames = [Ok(Frame::data(Bytes::from_static(b"message"))), Ok(Frame::trailers(trailers.clone()))];
    let body = StreamBody::new(futures_util::stream::iter(frames)).streamed();
    let headers = &[("te", "trailers"), ("host", "of.the.client")];
    let response = site.send(Method::POST, headers, body).await.expect("an answer");
    let answer = Answer::read(response).await;
    assert_eq!((&*answer.body, answer.trailers), (&b"message"[..], Some(trailers)));
}

/// Messages of a stream go back and forth, each after the other.
#[tokio::test]
async fn a_stream_goes_both_ways_at_once() {
    let origin = Origin::answering(100, echo).await;
    let site = site(&origin);
    let (say, mut said) = tokio::sync::mpsc::channel::<Bytes>(1);
    let pieces = futures_util::stream::poll_fn(move |context| {
        said.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    });
    let body = StreamBody::new(pieces).streamed();
    let mut echo = site.send(Method::POST, &[], body).await.expect("a head").into_body();
    for message in ["one", "two", "three"] {
        say.send(Bytes::from_static(message.as_bytes())).await.expect("it is sent");
        let frame = echo.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("data"), message);
    }
    drop(say);
    let rest = echo.collect().await.expect("an end");
    assert_eq!(rest.to_bytes(), "");
}

/// A stream that the service refuses was not begun (RFC 9113, section 8.7): any method may be sent again.
#[tokio::test]
async fn a_refused_stream_is_sent_again() {
    let origin = Origin::start(|stream, number| async move {
        let mut connection = h2::server::handshake(stream).await.expect("a connection");
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            if number == 0 {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            } else {
                let mut body = respond.send_response(Response::new(()), false).expect("a head");
                body.send_data(Bytes::from_static(b"hello"), true).expect("a body");
            }
        }
    })
    .await;
    let site = site(&origin);
    assert_eq!(site.post(full("")).await.expect("the second attempt").body, "hello");
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_service_that_says_goodbye_gets_no_more_requests_and_finishes_those_it_has() {
    let (go, told) = watch::channel(false);
    let origin = Origin::start(move |stream, number| {
        let mut told = told.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.expect("a connection");
            let (_, mut respond) = connection.accept().await.expect("a request").expect("no error");
            if number == 0 {
                connection.graceful_shutdown();
                let told = async {
                    told.wait_for(|told| *told).await.expect("the test goes on");
                    let mut body = respond.send_response(Response::new(()), false).expect("a head");
                    body.send_data(Bytes::from_static(b"old"), true).expect("a body");
                };
                let (_, ()) = tokio::join!(connection.accept(), told);
            } else {
                let mut body = respond.send_response(Response::new(()), false).expect("a head");
                body.send_data(Bytes::from_static(b"new"), true).expect("a body");
            }
            while connection.accept().await.is_some() {}
        }
    })
    .await;
    let site = site(&origin);
    let late = async {
        until(|| origin.connections() == 1).await;
        settle().await;
        let answer = site.post(full("")).await.expect("an answer");
        go.send_replace(true);
        answer.body
    };
    let (old, new) = tokio::join!(site.post(full("")), late);
    assert_eq!((&*old.expect("an answer").body, &*new), (&b"old"[..], &b"new"[..]));
}

/// A WebSocket that did not get through on an open connection is sent by a new one; when there may be no other one, a place on
/// an open one has to do.
#[tokio::test]
async fn a_web_socket_that_needs_another_connection_takes_a_place_where_there_may_be_none() {
    const STREAMS_MAX: u32 = 2;
    let origin = Origin::start(|stream, _| async move {
        let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(full(""))) });
        let _ = http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(STREAMS_MAX)
            .enable_connect_protocol()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    })
    .await;
    let site = site(&origin);
    let endpoint = site.endpoint(0);
    let mut held = Vec::new();
    while held.len() < UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX * STREAMS_MAX as usize {
        let obtained = endpoint.obtain_for_upgrade(0, Reuse::Avoided).await;
        let obtained = obtained.unwrap_or_else(|error| panic!("{} are open: {error}", held.len()));
        assert!(!obtained.is_reused, "it is given up on like a new one");
        held.push(obtained.connection);
        assert_eq!(origin.connections(), held.len().min(UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX));
    }
    assert!(endpoint.obtain_for_upgrade(0, Reuse::Avoided).await.is_err(), "all of them are full");
    let passage = site.upstream.enter(0, TimeLimits::default()).expect("a place");
    let sending = Sending { wants_upgrade: true, ..sending() };
    let refused = passage.send(Request::new(full("")), &sending).await.expect_err("no room").refused();
    assert_eq!(refused.code(), Code::UpstreamOverloaded);
    assert_eq!((site.figures()[0].failures, site.upstreams.backend_figures()[0].refused), (0, 1));
    held.pop();
    assert!(endpoint.obtain_for_upgrade(0, Reuse::Avoided).await.is_ok(), "there is a place again");
}

/// Also if it is none, until its answer is over.
#[tokio::test]
async fn a_web_socket_has_its_place_on_a_connection_until_it_ends() {
    let origin = Origin::start(|stream, _| async move {
        let service = service_fn(|_| async {
            // An answer without an end, to whatever is asked for.
            let body = StreamBody::new(futures_util::stream::pending()).streamed();
            let mut response: Response<Body> = Response::new(body);
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok::<_, Infallible>(response)
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let _ = builder.enable_connect_protocol().serve_connection(TokioIo::new(stream), service).await;
    })
    .await;
    let site = site(&origin);
    let passage = site.upstream.enter(0, TimeLimits::default()).expect("a place");
    let sending = Sending { wants_upgrade: true, ..sending() };
    let answer = passage.send(Request::new(full("")), &sending).await.expect("an answer");
    assert_eq!(site.endpoint(0).idle_connections(), 0);
    drop(answer);
    assert_eq!(site.endpoint(0).idle_connections(), 1);
}

/// Where one protocol alone is spoken that has no upgrades.
#[tokio::test]
async fn web_sockets_go_by_http2_where_the_backend_says_so() {
    for (protocol, url, by_http2) in [
        ("auto", "https://service.example", false),
        ("http1", "https://service.example", false),
        ("h2", "https://service.example", true),
        ("auto", "http://service.example", false),
        ("h2c", "http://service.example", true),
    ] {
        let site = Site::new(&format!("url: '{url}', credential: none, protocol: {protocol}"));
        assert_eq!(site.endpoint(0).upgrades_over_http2(), by_http2, "{protocol} {url}");
    }
}

/// A service that is about to stop, or of which only the port is left, does not keep anybody connecting for ever.
#[tokio::test]
async fn connections_that_are_closed_as_soon_as_they_are_made_are_soon_given_up_on() {
    let origin = Origin::start(|stream, _| async move { drop(stream) }).await;
    let site = site(&origin);
    let endpoint = site.endpoint(0);
    // Whoever is quicker than the news of the end gets the connection, and no answer by it.
    let request = tokio::time::timeout(PATIENCE, site.get());
    let refused = code(request.await.expect("it is given up on"));
    assert!(matches!(refused, Code::UpstreamUnreachable | Code::UpstreamBrokeOff), "{refused:?}");
    let tunnel = tokio::time::timeout(PATIENCE, endpoint.obtain_for_upgrade(0, Reuse::Allowed));
    assert!(tunnel.await.expect("it is given up on").is_err());
    assert!(
        origin.connections() <= 2 * (UPSTREAM_HTTP2_VAIN_CONNECTIONS_MAX + 1),
        "{}",
        origin.connections()
    );
    assert!(site.figures()[0].failures > 0);
}

/// It says how far it came, and then breaks off what it had begun: that may have been done.
#[tokio::test]
async fn what_a_service_had_begun_when_it_said_goodbye_is_not_sent_twice() {
    for (method, connections) in [(Method::POST, 1), (Method::GET, 2)] {
        let origin = Origin::start(|stream, number| async move {
            let mut connection = h2::server::handshake(stream).await.expect("a connection");
            let (_request, mut respond) = connection.accept().await.expect("a request").expect("no error");
            if number == 0 {
                connection.graceful_shutdown();
                // Its goodbye is written, and then it is gone.
                for _ in 0..20 {
                    assert!(futures_util::poll!(std::pin::pin!(connection.accept())).is_pending());
                    tokio::task::yield_now().await;
                }
            } else {
                respond.send_response(Response::new(()), true).expect("a head");
                while connection.accept().await.is_some() {}
            }
        })
        .await;
        let answer = site(&origin).send(method.clone(), &[], full("")).await;
        assert_eq!((answer.is_ok(), origin.connections()), (connections == 2, connections), "{method}");
    }
}

/// Only REFUSED_STREAM says that nothing was done (RFC 9113, section 8.7).
#[tokio::test]
async fn a_stream_that_was_reset_may_have_been_begun() {
    for reason in [h2::Reason::INTERNAL_ERROR, h2::Reason::CANCEL, h2::Reason::ENHANCE_YOUR_CALM] {
        let resets = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&resets);
        let origin = Origin::start(move |stream, _| {
            let count = Arc::clone(&count);
            async move {
                let mut connection = h2::server::handshake(stream).await.expect("a connection");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    count.fetch_add(1, Ordering::Relaxed);
                    respond.send_reset(reason);
                }
            }
        })
        .await;
        assert_eq!(code(site(&origin).post(full("")).await), Code::UpstreamBrokeOff);
        assert_eq!(resets.load(Ordering::Relaxed), 1, "{reason}");
    }
}

/// That what a service says is no HTTP/2 is found out by this side, and says nothing of what the service did before. Whoever
/// configured it so is told where to look, and of no crash.
#[tokio::test]
async fn what_is_answered_with_nonsense_is_not_sent_twice() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    /// DATA belongs to a stream, and this does not.
    const NONSENSE: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0];
    const HTTP_1: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    for (first, then) in [(SETTINGS, NONSENSE), (b"", HTTP_1)] {
        let origin = Origin::start(move |mut stream, _| async move {
            stream.write_all(first).await.expect("it is sent");
            let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
            // HEADERS of the first stream, with which its request ends.
            while !read.windows(6).any(|header| header == [1, 5, 0, 0, 0, 1]) {
                let count = stream.read(&mut buffer).await.expect("a request");
                read.extend_from_slice(&buffer[..count]);
            }
            stream.write_all(then).await.expect("it is sent");
            while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        })
        .await;
        let site = site(&origin);
        let answer = tokio::time::timeout(PATIENCE, site.post(full(""))).await.expect("it ends");
        assert_eq!(code(answer), Code::UpstreamProtocol);
        assert_eq!(origin.connections(), 1);
    }
}
