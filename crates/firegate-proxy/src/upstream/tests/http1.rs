use http::header::{CONNECTION, UPGRADE};
use tokio::sync::oneshot;
use tokio::time::advance;

use super::*;
use crate::limits::{UPSTREAM_HEADERS_MAX, UPSTREAM_STALE_CONNECTIONS_MAX};

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let origin = Origin::saying("hello").await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    for _ in 0..5 {
        assert_eq!(site.get().await.expect("an answer").body, "hello");
    }
    assert_eq!(site.post(full("body")).await.expect("an answer").status, StatusCode::OK);
    assert_eq!(origin.connections(), 1);
    let endpoint = site.endpoint(0);
    assert_eq!((endpoint.requests.count(), endpoint.idle_connections()), (0, 1));
}

#[tokio::test]
async fn at_once_they_have_a_connection_each_and_the_last_one_is_used_first() {
    let origin = Origin::start(|mut stream, number| async move {
        while let Some(_head) = head(&mut stream).await {
            say(&mut stream, &number.to_string()).await;
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let first = site.send(Method::GET, &[], full("")).await.expect("an answer");
    let second = site.send(Method::GET, &[], full("")).await.expect("an answer");
    assert_eq!(origin.connections(), 2);
    let first = Answer::read(first).await.body;
    let second = Answer::read(second).await.body;
    assert_ne!(first, second);
    assert_eq!(site.get().await.expect("an answer").body, second, "the one that was used last");
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn an_answer_has_no_more_headers_than_are_allowed() {
    for (headers, is_whole) in [(UPSTREAM_HEADERS_MAX, true), (UPSTREAM_HEADERS_MAX + 1, false)] {
        let origin = Origin::start(move |mut stream, _| async move {
            head(&mut stream).await;
            let fields = (1..headers).map(|number| format!("x-{number}: 1\r\n")).collect::<String>();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let site = Site::new(&format!("url: '{}'", origin.url()));
        assert_eq!(site.get().await.is_ok(), is_whole, "{headers}");
    }
}

/// HTTP/1.0 has no chunks: of a body without a length nothing would be sent, and the service would take that for the whole.
#[tokio::test]
async fn a_connection_that_turned_out_to_speak_http_1_0_carries_no_second_request() {
    let origin = Origin::start(|mut stream, _| async move {
        while let Some(head) = head(&mut stream).await {
            let text = if head.contains("chunked") { "a body" } else { "none" };
            let fields = format!("Connection: keep-alive\r\nContent-Length: {}", text.len());
            let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\n{fields}\r\n\r\n{text}").as_bytes()).await;
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    for expected in ["none", "a body", "a body"] {
        let body = if expected == "none" { full("") } else { streamed([Bytes::from_static(b"in chunks")]) };
        assert_eq!(site.post(body).await.expect("an answer").body, expected);
    }
    assert_eq!((origin.connections(), site.endpoint(0).idle_connections()), (3, 0));
}

/// The service ends each connection after one answer and without saying so before.
#[tokio::test]
async fn a_connection_that_was_closed_while_idle_fails_nobody() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await;
        say(&mut stream, "hello").await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    for round in 1..=5 {
        let answer =
            site.post(streamed([Bytes::from_static(b"a body"), Bytes::from_static(b" in pieces")])).await;
        assert_eq!(answer.expect("an answer").body, "hello");
        assert_eq!(origin.connections(), round);
        settle().await;
    }
}

#[tokio::test]
async fn only_what_may_be_done_twice_is_sent_twice() {
    // The first connection takes the request and dies.
    let dying = || {
        Origin::start(|mut stream, number| async move {
            head(&mut stream).await;
            if number > 0 {
                say(&mut stream, "hello").await;
            }
        })
    };
    let origin = dying().await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    assert_eq!(site.get().await.expect("the second attempt").body, "hello");
    assert_eq!(origin.connections(), 2);

    for body in [full("body"), full("")] {
        let origin = dying().await;
        let site = Site::new(&format!("url: '{}'", origin.url()));
        assert_eq!(code(site.post(body).await), Code::UpstreamBrokeOff);
        assert_eq!(origin.connections(), 1, "it might have been done");
    }
    let origin = dying().await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let put = site.send(Method::PUT, &[], full("body")).await;
    assert!(put.is_err(), "a body that was sent is gone");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn nobody_is_asked_more_than_three_times() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    assert_eq!(code(site.get().await), Code::UpstreamBrokeOff);
    assert_eq!(origin.connections(), crate::limits::UPSTREAM_ATTEMPTS_MAX);
    assert_eq!(site.upstreams.backend_figures()[0].repeats, 1, "one request was repeated, twice");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_whole_and_takes_its_connection_along() {
    let origin = Origin::start(|mut stream, number| async move {
        while let Some(_head) = head(&mut stream).await {
            if number == 0 {
                let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all of it";
                stream.write_all(part).await.expect("it is sent");
                // A reset instead of an end.
                stream.set_zero_linger().expect("a socket");
                return;
            }
            say(&mut stream, "hello").await;
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let response = site.send(Method::GET, &[], full("")).await.expect("a head");
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(site.endpoint(0).idle_connections(), 0);
    assert_eq!(site.figures()[0].failures, 1);
    assert_eq!(site.get().await.expect("an answer").body, "hello");
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_client_that_stops_reading_takes_the_connection_along() {
    let origin = Origin::saying("hello").await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    drop(site.send(Method::GET, &[], full("")).await.expect("a head"));
    let endpoint = site.endpoint(0);
    assert_eq!((endpoint.requests.count(), endpoint.idle_connections()), (0, 0));
}

#[tokio::test]
async fn what_hangs_is_given_up_and_not_asked_again() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let url = origin.url();
    for time in ["response_headers", "total"] {
        let site = Site::new(&format!("url: '{url}', timeouts: {{ {time}: 300ms }}"));
        assert_eq!(code(site.get().await), Code::UpstreamTimedOut);
        assert_eq!(site.figures()[0].failures, 1, "{time}");
    }
    assert_eq!(origin.connections(), 2);
}

/// The time for a request and its answer is not lengthened by that for a connection.
#[tokio::test]
async fn what_cannot_be_connected_to_is_given_up_in_the_requests_own_time() {
    let origin = Origin::start(|stream, _| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let url = origin.url().replace("http:", "https:");
    let site = Site::new(&format!("url: '{url}', timeouts: {{ connect: 60s, total: 300ms }}"));
    let given_up = tokio::time::timeout(PATIENCE, site.get()).await.expect("it is given up in time");
    assert_eq!(code(given_up), Code::UpstreamConnectTimedOut);
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn what_is_not_http_is_told_as_such() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    assert_eq!(code(site.get().await), Code::UpstreamProtocol);
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn the_head_names_the_service_and_not_the_address() {
    let (seen, heard) = oneshot::channel();
    let seen = Mutex::new(Some(seen));
    let origin = Origin::start(move |mut stream, _| {
        let seen = seen.lock().expect("the sender").take();
        async move {
            let head = head(&mut stream).await.expect("a head");
            say(&mut stream, "hello").await;
            seen.expect("one request").send(head).expect("the test listens");
        }
    })
    .await;
    let site = Site::new(&format!("url: 'http://service.example:{}'", origin.address.port()));
    site.names.set("service.example", origin.address);
    site.get().await.expect("an answer");
    let head = heard.await.expect("a head");
    let port = origin.address.port();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: service.example:{port}\r\n")), "{head}");
}

/// What the service does not read, the client is not asked for.
#[tokio::test]
async fn a_large_upload_waits_for_the_service() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 2048;
    /// What the sockets' buffers hold at most, and a little more.
    const AHEAD_MAX: usize = 32 * 1024 * 1024;
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let origin = Origin::start(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            let head = head(&mut stream).await.expect("a head");
            assert!(head.contains(&format!("content-length: {}\r\n", PIECE * PIECES)), "{head}");
            let mut buffer = vec![0; PIECE];
            while count.load(Ordering::Relaxed) < PIECE * PIECES {
                let bytes = stream.read(&mut buffer).await.expect("a piece");
                count.fetch_add(bytes, Ordering::Relaxed);
            }
            say(&mut stream, "all of it").await;
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}', body_bytes_max: 1GiB", origin.url()));
    let mut asked = 0;
    let pieces = std::iter::repeat_with(move || {
        asked += PIECE;
        assert!(asked - read.load(Ordering::Relaxed) <= AHEAD_MAX, "the client is asked for more than fits");
        Bytes::from_static(&[b'x'; PIECE])
    });
    let length = (PIECE * PIECES).to_string();
    let body = streamed(pieces.take(PIECES));
    let answer = site.send(Method::POST, &[("content-length", &length)], body).await.expect("an answer");
    assert_eq!(Answer::read(answer).await.body, "all of it");
}

/// Of what follows on it nobody could tell whether it is HTTP.
#[tokio::test]
async fn a_connection_on_which_an_upgrade_was_refused_carries_nothing_else() {
    let origin = Origin::saying("hello").await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    for (wants_upgrade, idle) in [(true, 0), (false, 1), (true, 1)] {
        let passage = site.upstream.enter(0, TimeLimits::default()).expect("a place");
        let sending = Sending { wants_upgrade, ..sending() };
        let mut request = Request::new(full(""));
        if wants_upgrade {
            request.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("upgrade"));
            request.headers_mut().insert(UPGRADE, http::HeaderValue::from_static("websocket"));
        }
        let response = passage.send(request, &sending).await.expect("an answer");
        assert_eq!(Answer::read(response).await.body, "hello");
        assert_eq!(site.endpoint(0).idle_connections(), idle, "{wants_upgrade}");
    }
    assert_eq!(origin.connections(), 3, "an upgrade has a connection of its own from the beginning");
}

/// A route says how long one try may take; what its backend says of every answer holds all the same, unless the route says how
/// long the whole may take.
#[tokio::test(start_paused = true)]
async fn a_try_has_its_own_time_and_the_whole_as_much_as_the_route_says() {
    const HEADERS: Duration = Duration::from_secs(10);
    let _still = Still::stand();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let origin = Origin::start(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            head(&mut stream).await;
            count.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}', timeouts: {{ response_headers: 10s }}", origin.url()));
    let per_try = |time| TimeLimits { per_try: Some(time), ..TimeLimits::default() };
    let whole = |time| TimeLimits { whole: Some(time), ..TimeLimits::default() };
    for (number, (limits, lasts)) in [
        (per_try(HEADERS / 2), HEADERS / 2),
        (per_try(100 * HEADERS), HEADERS),
        (whole(HEADERS / 2), HEADERS / 2),
        (whole(2 * HEADERS), 2 * HEADERS),
        (TimeLimits { per_try: Some(HEADERS), ..whole(2 * HEADERS) }, HEADERS),
    ]
    .into_iter()
    .enumerate()
    {
        let passage = site.upstream.enter(0, limits).expect("a place");
        let tried = tokio::spawn(async move {
            let failed = passage.send(Request::new(full("")), &sending()).await.expect_err("no answer");
            failed.refused().code()
        });
        until(|| asked.load(Ordering::Relaxed) > number).await;
        settle().await;
        advance(lasts - Duration::from_millis(1)).await;
        settle().await;
        assert!(!tried.is_finished(), "{limits:?}");
        advance(Duration::from_millis(2)).await;
        settle().await;
        assert!(tried.is_finished(), "{limits:?}");
        assert_eq!(tried.await.expect("no panic"), Code::UpstreamTimedOut);
    }
}

/// The news of it and of the next request come at the same moment: nothing of that request was sent, and nobody is to blame.
#[tokio::test]
async fn a_service_that_closes_what_is_idle_is_not_blamed_for_it() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let (close, told) = std::sync::mpsc::channel();
    let (close_done, is_closed) = std::sync::mpsc::channel();
    let service = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut read = Vec::new();
            while !read.ends_with(b"body") {
                let mut octet = [0];
                stream.read_exact(&mut octet).expect("a request");
                read.extend(octet);
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
            stream.write_all(answer).expect("it is sent");
            let Ok(()) = told.recv() else { return };
            drop(stream);
            close_done.send(()).expect("the test waits");
        }
    });
    let site = Site::new(&format!("url: 'http://{address}'"));
    let post = || {
        let length = [("content-length", "4")];
        let site = &site;
        async move { site.send(Method::POST, &length, streamed([Bytes::from_static(b"body")])).await }
    };
    assert_eq!(Answer::read(post().await.expect("an answer")).await.body, "hello");
    assert_eq!(site.endpoint(0).idle_connections(), 1);
    close.send(()).expect("the service runs");
    is_closed.recv().expect("the service runs");
    // The runtime hears of it, and what goes on here goes on before anything else does.
    tokio::task::yield_now().await;
    assert_eq!(site.endpoint(0).idle_connections(), 1, "nobody knows yet");
    assert_eq!(Answer::read(post().await.expect("an answer")).await.body, "hello");
    assert_eq!((site.figures()[0].failures, site.upstreams.backend_figures()[0].repeats), (0, 0));
    drop(close);
    service.join().expect("no panic");
}

/// A route may allow less than its backend, and never more.
#[tokio::test(start_paused = true)]
async fn the_first_of_two_times_counts() {
    const TOTAL: Duration = Duration::from_secs(10);
    let site = Site::new("url: 'http://service.example', timeouts: { total: 10s }");
    let begun = tokio::time::Instant::now();
    for (route, lasts) in [(TOTAL / 2, TOTAL / 2), (2 * TOTAL, TOTAL)] {
        let limits = TimeLimits { whole: Some(route), ..TimeLimits::default() };
        let mut passage = site.upstream.enter(0, limits).expect("a place");
        passage.request_ended();
        assert_eq!(passage.deadline(), Some(begun + lasts), "{route:?}");
        drop(passage);
        let limits = TimeLimits { stream: Some(route), ..TimeLimits::default() };
        let passage = site.upstream.enter(0, limits).expect("a place");
        assert_eq!(passage.deadline(), Some(begun + lasts), "{route:?}");
    }
}

/// All of them may be: a request does not try one after the other.
#[tokio::test]
async fn of_the_connections_that_a_service_has_closed_only_a_few_are_tried() {
    const CONNECTIONS: usize = 2 * UPSTREAM_STALE_CONNECTIONS_MAX;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let (close, told) = std::sync::mpsc::channel();
    let (close_done, is_closed) = std::sync::mpsc::channel();
    let service = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let accept = || listener.accept().expect("a connection").0;
        let answer = |stream: &mut std::net::TcpStream| {
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") {
                let mut octet = [0];
                stream.read_exact(&mut octet).expect("a request");
                read.extend(octet);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("it is sent");
        };
        // Nobody is answered before all have connected.
        let mut streams = [(); CONNECTIONS].map(|()| accept());
        streams.iter_mut().for_each(answer);
        told.recv().expect("the test goes on");
        drop(streams);
        close_done.send(()).expect("the test waits");
        let mut last = accept();
        answer(&mut last);
        // To the end of the test.
        let _ = told.recv();
    });
    let site = Site::new(&format!("url: 'http://{address}'"));
    for answer in futures_util::future::join_all([(); CONNECTIONS].map(|()| site.get())).await {
        assert_eq!(answer.expect("an answer").body, "hello");
    }
    assert_eq!(site.endpoint(0).idle_connections(), CONNECTIONS);
    close.send(()).expect("the service runs");
    is_closed.recv().expect("the service runs");
    // Nobody knows yet, and the runtime looks at nothing before the next request is on its way.
    assert_eq!(site.post(full("")).await.expect("an answer").body, "hello");
    let kept = CONNECTIONS - UPSTREAM_STALE_CONNECTIONS_MAX + 1;
    assert_eq!(site.endpoint(0).idle_connections(), kept);
    assert_eq!((site.figures()[0].failures, site.upstreams.backend_figures()[0].repeats), (0, 0));
    drop(close);
    service.join().expect("no panic");
}

/// What an answer's head leaves of the time for the whole is for its body.
#[tokio::test(start_paused = true)]
async fn an_answer_has_to_be_over_in_the_time_of_its_route() {
    const WHOLE: Duration = Duration::from_secs(10);
    let _still = Still::stand();
    let origin = Origin::saying("hello").await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let limits = TimeLimits { whole: Some(WHOLE), ..TimeLimits::default() };
    let begun = tokio::time::Instant::now();
    let passage = site.upstream.enter(0, limits).expect("a place");
    let response = passage.send(Request::new(full("")), &sending()).await.expect("an answer");
    assert_eq!(response.body().deadline(), Some(begun + WHOLE));
}

/// Whatever the protocol, and however the length is told.
#[tokio::test]
async fn a_service_is_told_the_host_of_the_route_and_how_long_the_body_is() {
    for (protocol, length, expected) in [
        ("http1", None, "other.example:81 - chunked body"),
        ("http1", Some("4"), "other.example:81 4 - body"),
        ("h2c", None, "other.example:81 - - body"),
        ("h2c", Some("4"), "other.example:81 4 - body"),
    ] {
        let origin = Origin::answering(100, |request: Request<Incoming>| async move {
            let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
            let authority = request.uri().authority().map(http::uri::Authority::as_str);
            let host = header("host").or(authority).unwrap_or("-");
            let [length, chunks] =
                ["content-length", "transfer-encoding"].map(|name| header(name).unwrap_or("-"));
            let told = format!("{host} {length} {chunks} ");
            let body = request.into_body().collect().await.expect("a whole body").to_bytes();
            Response::new(full([told.as_bytes(), &body].concat()))
        })
        .await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
        let passage = site.upstream.enter(0, TimeLimits::default()).expect("a place");
        let mut request = Request::new(streamed([Bytes::from_static(b"body")]));
        if let Some(length) = length {
            request.headers_mut().insert("content-length", http::HeaderValue::from_static(length));
        }
        let host = Some("other.example:81".parse().expect("a host"));
        let answer = passage.send(request, &Sending { host, ..sending() }).await.expect("an answer");
        assert_eq!(Answer::read(answer).await.body, expected, "{protocol} {length:?}");
    }
}
