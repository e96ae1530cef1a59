//! Requests over HTTP/2 that a service gives up without an answer: which of them are sent once more, and what is said of it.

use firegate_files::url_map::{RetryCondition, RetryPolicy};
use futures_util::stream::{StreamExt, iter, once, pending};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::tls::Authority;
use super::*;
use crate::limits::{UPSTREAM_ATTEMPTS_MAX, UPSTREAM_HTTP2_CONNECTIONS_MAX};
use crate::stream::{BoundedBody, Bounds, Side};
use crate::upstream::Retries;
use crate::upstream::retries::Miss;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 1;
const END_HEADERS: u8 = 4;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;

/// What a client says before its first frame.
const PREFACE_BYTES: usize = 24;

/// `:status: 200`, in HPACK.
const OK: [u8; 1] = [0x88];

/// A service's side of an HTTP/2 connection, frame by frame: it says what no library would.
struct Frames(Box<dyn Wire>);

/// In the clear or in TLS.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

struct Received {
    kind: u8,
    flags: u8,
    stream: u32,
    bytes: Vec<u8>,
}

impl Frames {
    async fn begin(stream: impl Wire + 'static, settings: &[u8]) -> Self {
        let (mut frames, mut preface) = (Self(Box::new(stream)), [0; PREFACE_BYTES]);
        frames.0.read_exact(&mut preface).await.expect("a preface");
        frames.say(SETTINGS, 0, 0, settings).await;
        frames
    }

    async fn say(&mut self, kind: u8, flags: u8, stream: u32, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("it is short").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes(), bytes].concat();
        self.0.write_all(&head).await.expect("it is sent");
        self.0.flush().await.expect("it is sent");
    }

    /// The next frame; `None` when there is none any more.
    async fn next(&mut self) -> Option<Received> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut bytes = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut bytes).await.ok()?;
        Some(Received { kind, flags, stream: u32::from_be_bytes(stream), bytes })
    }

    /// The stream of the next request; `None` when there is none any more.
    async fn request(&mut self) -> Option<Received> {
        loop {
            let frame = self.next().await?;
            if frame.kind == HEADERS {
                return Some(frame);
            }
        }
    }

    /// The body of a request, to its end.
    async fn body(&mut self, request: &Received) -> Vec<u8> {
        let (mut body, mut is_over) = (Vec::new(), request.flags & END_STREAM != 0);
        while !is_over {
            let frame = self.next().await.expect("the rest of the body");
            if (frame.kind, frame.stream) == (DATA, request.stream) {
                is_over = frame.flags & END_STREAM != 0;
                body.extend(frame.bytes);
            }
        }
        body
    }

    async fn answer(&mut self, stream: u32) {
        self.say(HEADERS, END_STREAM | END_HEADERS, stream, &OK).await;
    }

    async fn say_goodbye(&mut self, last_stream: u32, reason: u32) {
        self.say(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), reason.to_be_bytes()].concat()).await;
    }

    async fn until_it_ends(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// How a service gives a request up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    /// It says goodbye, and that it did nothing with this request.
    Goodbye,
    /// It says goodbye because something is wrong, that it had begun with this one, and closes the connection.
    GoodbyeAfterIt,
    /// It refuses the stream.
    Refused,
    /// It closes the connection and says nothing.
    Closed,
}

/// How far a request's body is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyThen {
    Without,
    /// Nothing of it has come from the client.
    ToCome,
    /// Its first piece was taken, together with the head.
    Begun,
    /// The same, and it was the last one.
    AtOnce,
    /// Another piece was taken.
    FurtherOn,
}

/// Gives up what comes by its first connection, and answers what comes by others; `released` says that a body may come then.
async fn giving_up(how: GivenUp, released: watch::Sender<bool>, expected: &'static str) -> Origin {
    Origin::start(move |stream, number| {
        let released = released.clone();
        async move {
            let mut frames = Frames::begin(stream, &[]).await;
            let Some(request) = frames.request().await else { return };
            match how {
                _ if number > 0 => {
                    released.send_replace(true);
                    assert_eq!(frames.body(&request).await, expected.as_bytes());
                    frames.answer(request.stream).await;
                }
                GivenUp::Goodbye => frames.say_goodbye(0, NO_ERROR).await,
                GivenUp::GoodbyeAfterIt => return frames.say_goodbye(request.stream, INTERNAL_ERROR).await,
                GivenUp::Refused => {
                    frames.say(RST_STREAM, 0, request.stream, &REFUSED_STREAM.to_be_bytes()).await;
                }
                GivenUp::Closed => return,
            }
            frames.until_it_ends().await;
        }
    })
    .await
}

fn site(origin: &Origin) -> Site {
    Site::new(&format!("url: '{}', protocol: h2c", origin.url()))
}

/// RFC 9113, sections 6.8 and 8.7: a goodbye says which requests were not processed, and so does a refused stream. Of a
/// connection that just ends nobody can tell.
#[tokio::test]
async fn what_a_service_did_nothing_with_is_sent_again_if_its_body_is_still_whole() {
    use BodyThen::{AtOnce, Begun, FurtherOn, ToCome, Without};
    use GivenUp::{Closed, Goodbye, GoodbyeAfterIt, Refused};
    let mut wrong = Vec::new();
    for (how, method, then, is_sent_again) in [
        (Goodbye, Method::GET, Without, true),
        (Goodbye, Method::POST, Without, true),
        (Goodbye, Method::POST, ToCome, true),
        (Goodbye, Method::POST, Begun, true),
        (Goodbye, Method::POST, AtOnce, true),
        (Goodbye, Method::POST, FurtherOn, false),
        (GoodbyeAfterIt, Method::GET, Without, true),
        (GoodbyeAfterIt, Method::POST, Without, false),
        (GoodbyeAfterIt, Method::POST, ToCome, false),
        (GoodbyeAfterIt, Method::POST, Begun, false),
        (GoodbyeAfterIt, Method::POST, AtOnce, false),
        (Refused, Method::GET, Without, true),
        (Refused, Method::POST, Without, true),
        (Refused, Method::POST, ToCome, true),
        (Refused, Method::POST, Begun, true),
        (Refused, Method::POST, AtOnce, true),
        (Refused, Method::POST, FurtherOn, false),
        (Closed, Method::GET, Without, true),
        (Closed, Method::POST, Without, false),
        (Closed, Method::PUT, ToCome, false),
        (Closed, Method::PUT, Begun, false),
        (Closed, Method::PUT, AtOnce, false),
    ] {
        let (released, mut told) = watch::channel(false);
        let expected = if then == Without { "" } else { "body" };
        let origin = giving_up(how, released, expected).await;
        let piece = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
        let later = |text| async move {
            told.wait_for(|released| *released).await.expect("the service runs");
            piece(text)
        };
        let body = match then {
            Without => full(""),
            ToCome => StreamBody::new(Box::pin(once(later("body")))).streamed(),
            Begun => StreamBody::new(Box::pin(iter([piece("bo")]).chain(once(later("dy"))))).streamed(),
            AtOnce => full("body"),
            FurtherOn => StreamBody::new(iter([piece("bo"), piece("dy")]).chain(pending())).streamed(),
        };
        let site = site(&origin);
        let sent = tokio::time::timeout(PATIENCE, site.send(method.clone(), &[], body)).await;
        let outcome = sent.unwrap_or_else(|_| panic!("{how:?} {method} {then:?}: it hangs"));
        let expected = (!is_sent_again).then_some(Code::UpstreamBrokeOff);
        let told = outcome.as_ref().err().map(|refused| refused.code());
        if (told, origin.connections()) != (expected, 1 + usize::from(is_sent_again)) {
            wrong.push(format!("{how:?} {method} {then:?} {}: {outcome:?}", origin.connections()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The service that is sent the request next has a piece to take: nobody waits for the client before it has.
#[tokio::test]
async fn a_piece_that_was_had_back_is_the_next_services_to_take() {
    let (released, _told) = watch::channel(false);
    let origin = giving_up(GivenUp::Refused, released, "").await;
    let site = site(&origin);
    let progress = BodyProgress::default();
    let bounds = Bounds { side: Side::Request, progress: progress.clone(), ..Bounds::default() };
    let first = iter([Ok::<_, hyper::Error>(Frame::data(Bytes::from_static(b"bo")))]);
    let body = BoundedBody::new(StreamBody::new(first.chain(pending())), bounds).streamed();
    let passage = site.upstream.enter(0, TimeLimits::default()).expect("a place");
    let sending = Sending { progress: progress.clone(), ..sending() };
    let failed = passage.send(Request::new(body), &sending).await.expect_err("it is refused");
    let _again = failed.again().expect("its body is whole");
    assert!(!progress.awaits_client());
}

/// A body that is held back for the service's word was asked for by nobody.
#[tokio::test]
async fn so_is_one_that_waits_to_be_asked_for() {
    let (released, _told) = watch::channel(false);
    let origin = giving_up(GivenUp::Refused, released, "body").await;
    let expecting = [("expect", "100-continue"), ("content-length", "4")];
    let body = streamed([Bytes::from_static(b"body")]);
    let site = site(&origin);
    let sent = tokio::time::timeout(PATIENCE, site.send(Method::POST, &expecting, body));
    assert!(sent.await.expect("it does not hang").is_ok());
}

/// A service that has had a connection for long enough lets go of it, whatever is under way, and is well all the same.
#[tokio::test]
async fn a_goodbye_fails_none_of_those_that_come_too_late_for_it() {
    const REQUESTS: usize = 60;
    let origin = Origin::start(|stream, number| async move {
        let mut frames = Frames::begin(stream, &[]).await;
        let mut answered = 0;
        while let Some(request) = frames.request().await {
            answered += 1;
            if number == 0 && answered > 1 {
                // All are there before it goes.
                for _ in 1..REQUESTS {
                    frames.request().await.expect("a request");
                }
                frames.say_goodbye(1, NO_ERROR).await;
                return frames.until_it_ends().await;
            }
            frames.answer(request.stream).await;
        }
    })
    .await;
    let site = site(&origin);
    site.get().await.expect("an answer");
    let requests = (0..REQUESTS).map(|_| site.post(full("")));
    for outcome in futures_util::future::join_all(requests).await {
        assert_eq!(outcome.expect("an answer").status, StatusCode::OK);
    }
    assert_eq!(origin.connections(), 2);
    assert_eq!(
        (site.figures()[0].failures, site.upstreams.backend_figures()[0].unaffordable_repeats),
        (0, 0)
    );
}

/// Nor does it use up what a route allows to be tried again.
#[tokio::test]
async fn who_comes_too_late_for_a_goodbye_has_all_tries_left() {
    let origin = Origin::start(|stream, number| async move {
        let mut frames = Frames::begin(stream, &[]).await;
        while let Some(request) = frames.request().await {
            if number == 0 && request.stream > 1 {
                frames.say_goodbye(1, NO_ERROR).await;
            } else {
                frames.answer(request.stream).await;
            }
        }
    })
    .await;
    let site = site(&origin);
    site.get().await.expect("an answer");
    let policy = RetryPolicy { retries: 1, per_try_timeout: None, conditions: vec![RetryCondition::Any5xx] };
    let mut retries = Retries::new(&policy);
    let passage = site.upstream.enter(0, TimeLimits::default()).expect("a place");
    let failed = passage.send(Request::new(full("")), &sending()).await.expect_err("it says goodbye");
    let (passage, body) = failed.again_by(&mut retries).await.expect("it is sent by another connection");
    assert!(retries.cover(Miss::Broken));
    assert!(passage.send(Request::new(body), &sending()).await.is_ok());
}

/// One that says goodbye to whatever it is sent is none that is well.
#[tokio::test]
async fn a_service_that_only_says_goodbye_fails() {
    let origin = Origin::start(|stream, _| async move {
        let mut frames = Frames::begin(stream, &[]).await;
        if frames.request().await.is_some() {
            frames.say_goodbye(0, NO_ERROR).await;
        }
        frames.until_it_ends().await;
    })
    .await;
    let site = site(&origin);
    assert_eq!(code(site.post(full("")).await), Code::UpstreamBrokeOff);
    assert_eq!(origin.connections(), UPSTREAM_ATTEMPTS_MAX);
    assert_eq!(site.figures()[0].failures, UPSTREAM_ATTEMPTS_MAX as u64);
}

/// There are as many connections as there may be, and as many streams on them as the service allows: one more request waits
/// for a stream when the service lets go of its connections.
#[tokio::test]
async fn a_request_that_waits_for_a_stream_is_not_its_clients_fault() {
    const CONNECTIONS: usize = UPSTREAM_HTTP2_CONNECTIONS_MAX;
    /// SETTINGS_MAX_CONCURRENT_STREAMS is one.
    const ONE_STREAM: [u8; 6] = [0, 3, 0, 0, 0, 1];
    // hyper tells of it as if it had been sent, perhaps.
    for (method, is_sent_again) in [(Method::GET, true), (Method::POST, false)] {
        let (came, go) = (Arc::new(AtomicUsize::new(0)), watch::channel(false).0);
        let (count, told) = (Arc::clone(&came), go.subscribe());
        let origin = Origin::start(move |stream, number| {
            let (count, mut told) = (Arc::clone(&count), told.clone());
            async move {
                let mut frames = Frames::begin(stream, &ONE_STREAM).await;
                while let Some(request) = frames.request().await {
                    count.fetch_add(1, Ordering::Relaxed);
                    if number < CONNECTIONS {
                        told.wait_for(|told| *told).await.expect("the test goes on");
                        frames.say_goodbye(request.stream, NO_ERROR).await;
                    }
                    frames.answer(request.stream).await;
                }
            }
        })
        .await;
        let site = site(&origin);
        let requests = (0..=CONNECTIONS).map(|number| {
            let (site, came, method) = (&site, &came, method.clone());
            async move {
                until(|| came.load(Ordering::Relaxed) >= number).await;
                settle().await;
                site.send(method, &[], full("")).await
            }
        });
        let release = async {
            until(|| site.endpoint(0).requests.count() > CONNECTIONS).await;
            settle().await;
            go.send_replace(true);
        };
        let (mut outcomes, ()) = tokio::join!(futures_util::future::join_all(requests), release);
        let last = outcomes.pop().expect("an outcome");
        assert_eq!(last.is_ok(), is_sent_again, "{method} {last:?}");
        assert!(outcomes.iter().all(Result::is_ok), "{method} {outcomes:?}");
        assert_eq!(site.figures()[0].failures, 1, "{method}");
    }
}

/// The service closes a connection that nobody uses, and says nothing. Its news and the next request come at the same moment,
/// or the news has come and the runtime has not looked. Nothing of that request was sent, and nobody is to blame.
async fn closes_what_is_idle(is_heard: bool, tls: Option<Authority>) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let [(close, told), (close_done, is_closed)] = [(); 2].map(|()| std::sync::mpsc::channel());
    let acceptor = tls.as_ref().map(|authority| TlsAcceptor::from(authority.config()));
    let service = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for _ in 0..2 {
            let (stream, _) = listener.accept().expect("a connection");
            stream.set_nonblocking(true).expect("a socket");
            let mut frames = runtime.block_on(async {
                let stream = TcpStream::from_std(stream).expect("a socket");
                let stream: Box<dyn Wire> = match &acceptor {
                    Some(acceptor) => Box::new(acceptor.accept(stream).await.expect("TLS")),
                    None => Box::new(stream),
                };
                let mut frames = Frames::begin(stream, &[]).await;
                let request = frames.request().await.expect("a request");
                assert_eq!(frames.body(&request).await, b"body");
                frames.answer(request.stream).await;
                frames
            });
            let Ok(()) = told.recv() else { return };
            runtime.block_on(frames.0.shutdown()).expect("it is open");
            drop(frames);
            close_done.send(()).expect("the test waits");
        }
    });
    let site = match &tls {
        Some(authority) => authority.site(address, "protocol: h2"),
        None => Site::new(&format!("url: 'http://{address}', protocol: h2c")),
    };
    let post = || site.post(streamed([Bytes::from_static(b"body")]));
    post().await.expect("an answer");
    settle().await;
    assert_eq!(site.endpoint(0).idle_connections(), 1);
    close.send(()).expect("the service runs");
    is_closed.recv().expect("the service runs");
    if is_heard {
        // The runtime hears of it, and what goes on here goes on before anything else does.
        tokio::task::yield_now().await;
    }
    assert_eq!(site.endpoint(0).idle_connections(), 1, "nobody knows yet");
    post().await.expect("an answer");
    assert_eq!((site.figures()[0].failures, site.upstreams.backend_figures()[0].repeats), (0, 0));
    drop(close);
    service.join().expect("no panic");
}

#[tokio::test]
async fn a_service_that_closes_what_is_idle_is_not_blamed_for_it() {
    for is_heard in [true, false] {
        closes_what_is_idle(is_heard, None).await;
        // In TLS it says that it closes, in a record: the end is not the next thing to be read.
        closes_what_is_idle(is_heard, Some(Authority::new(&[b"h2"]))).await;
    }
}

/// gRPC's servers take more than one ping in five minutes for abuse while they have nothing to say: they close the connection,
/// and with it all that is under way.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_silent_for_long_is_seldom_asked_whether_it_is_there() {
    const ALLOWED: Duration = Duration::from_secs(5 * 60);
    const SECOND: Duration = Duration::from_secs(1);
    let _still = Still::stand();
    let pings = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pings);
    let origin = Origin::start(move |stream, _| {
        let count = Arc::clone(&count);
        async move {
            let mut frames = Frames::begin(stream, &[]).await;
            let request = frames.request().await.expect("a request");
            frames.say(HEADERS, END_HEADERS, request.stream, &OK).await;
            while let Some(frame) = frames.next().await {
                if frame.kind == PING && frame.flags & ACKNOWLEDGEMENT == 0 {
                    count.fetch_add(1, Ordering::Relaxed);
                    frames.say(PING, ACKNOWLEDGEMENT, 0, &frame.bytes).await;
                }
            }
        }
    })
    .await;
    let answer = site(&origin).send(Method::GET, &[], full("")).await.expect("an answer");
    for (period, expected) in [(ALLOWED, 0), (ALLOWED / 2, 1), (ALLOWED / 2, 1)] {
        for _ in 0..period.as_secs() {
            tokio::time::advance(SECOND).await;
            settle().await;
        }
        assert_eq!(pings.load(Ordering::Relaxed), expected);
    }
    drop(answer);
}
