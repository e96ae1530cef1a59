//! A connection as its client sees it, whatever the pieces in which everything comes.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firegate_core::time::SystemClock;
use futures_util::{FutureExt as _, poll, stream};
use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::io::{AsyncReadExt as _, DuplexStream, ReadBuf, duplex};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::connection::framing::Violation;
use crate::limits::{
    CLIENT_IDLE_TIMEOUT, HTTP1_READ_BUFFER_BYTES_MAX, REQUEST_HEAD_TIMEOUT, UNWANTED_BODY_TIMEOUT,
};
use crate::stream::{CutConnections, OpenStreams};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\n\r\nbody";
const ANSWER: &str = "answered";

/// A stream that keeps what is written until it is flushed, as TLS does.
struct Keeping {
    stream: DuplexStream,
    kept: Vec<u8>,
}

impl AsyncRead for Keeping {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Keeping {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, kept } = &mut *self;
        while !kept.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(context, kept))?;
            kept.drain(..count);
        }
        Pin::new(stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Resettable for Keeping {
    fn reset_when_dropped(&self) {}
}

/// What answers the requests of a test's connection.
struct By<F>(F);

impl<F, B> Answer for By<F>
where
    F: Fn(Request<RequestBody>, Option<ClientUpgrade>) -> BoxFuture<'static, Response<B>>,
{
    type Body = B;

    fn answer(
        &self,
        request: Request<RequestBody>,
        upgrade: Option<ClientUpgrade>,
    ) -> BoxFuture<'static, Response<B>> {
        (self.0)(request, upgrade)
    }
}

/// A connection that is served, and its client. Time passes when everybody waits.
struct Site {
    client: DuplexStream,
    stop: CancellationToken,
    serving: JoinHandle<bool>,
}

/// Serves a connection with so much room for each direction.
fn serve_by<F, B>(room: usize, answer: F) -> Site
where
    F: Fn(Request<RequestBody>, Option<ClientUpgrade>) -> BoxFuture<'static, Response<B>> + Unpin + 'static,
    B: Body<Data = Bytes> + Unpin + 'static,
{
    let (client, stream) = duplex(room);
    let open = OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::<CutConnections>::default());
    let (stop, watch) = (CancellationToken::new(), open.connection());
    let drain = Drain::new(&stop);
    tokio::task::spawn_local(async move { open.watch().await });
    let (ending, stopped) = (drain.clone(), stop.clone());
    tokio::task::spawn_local(async move {
        stopped.cancelled().await;
        ending.close_idle_after(Duration::from_secs(1)).await;
    });
    let serving = tokio::task::spawn_local(async move {
        let stream = watch.watched(Keeping { stream, kept: Vec::new() });
        let served = Served { watch: &watch, drain: &drain, clock: &SystemClock };
        serve(Vec::new(), stream, By(answer), served).await.is_ok()
    });
    Site { client, stop, serving }
}

/// What answers without a look at the body, which it hands on.
struct Taking<T>(T);

impl<T: Fn(RequestBody)> Answer for Taking<T> {
    type Body = Full<Bytes>;

    fn answer(
        &self,
        request: Request<RequestBody>,
        _: Option<ClientUpgrade>,
    ) -> BoxFuture<'static, Response<Full<Bytes>>> {
        (self.0)(request.into_body());
        async { Response::new(Full::from("")) }.boxed()
    }
}

/// A client of somebody who answers without a look at the body, which `take` gets.
pub(crate) fn served_by(room: usize, take: impl Fn(RequestBody) + Send + Unpin + 'static) -> DuplexStream {
    let (client, stream) = duplex(room);
    let open = OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::<CutConnections>::default());
    let (watch, drain) = (open.connection(), Drain::new(&CancellationToken::new()));
    tokio::spawn(async move {
        let stream = watch.watched(Keeping { stream, kept: Vec::new() });
        let served = Served { watch: &watch, drain: &drain, clock: &SystemClock };
        serve(Vec::new(), stream, Taking(take), served).await
    });
    client
}

/// Tells what a request was, in the body of its answer.
async fn tell(request: Request<RequestBody>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let fields = parts.headers.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>();
    let body = match body.collect().await {
        Ok(body) => {
            let trailers = body.trailers().map(|trailers| format!("{trailers:?}"));
            format!("{:?} {trailers:?}", body.to_bytes())
        }
        Err(error) => error.to_string(),
    };
    let violation = parts.extensions.get::<Violation>();
    let text = format!("{} {} {:?} {fields:?} {body} {violation:?}\n", parts.method, parts.uri, parts.version);
    Response::new(Full::from(text))
}

fn telling(room: usize) -> Site {
    serve_by(room, |request, _| tell(request).boxed())
}

fn answering(room: usize) -> Site {
    serve_by(room, |request, _| {
        async {
            let body = request.into_body().collect().await.expect("a whole body").to_bytes();
            assert!(body.is_empty() || body == "body");
            Response::new(Full::from(ANSWER))
        }
        .boxed()
    })
}

impl Site {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.write_all(bytes.as_ref()).await.expect("it is open");
    }

    async fn answer(&mut self) {
        let mut read = Vec::new();
        while !read.ends_with(ANSWER.as_bytes()) {
            assert_ne!(self.client.read_buf(&mut read).await.expect("an answer"), 0, "it was closed");
        }
        assert!(read.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&read));
    }

    /// What comes until the connection ends.
    async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        self.client.read_to_end(&mut read).await.expect("an end");
        String::from_utf8(read).expect("text")
    }
}

async fn a_moment() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

fn test(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime"), future);
}

/// The bodies that [`tell`] made.
fn told(answers: &str) -> Vec<String> {
    let bodies = answers.split("HTTP/1.").skip(1).filter_map(|answer| answer.split_once("\r\n\r\n"));
    bodies.map(|(_, body)| body.trim_end().to_owned()).collect()
}

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

const SEQUENCES: [&str; 8] = [
    "GET /a?b=c HTTP/1.1\r\nHost: d\r\nx:\t a \t b\u{fc} \r\nY:\r\ny: 2\r\n\r\nHEAD / HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhelloPUT /b HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00a;x=\"y\";z\r\n0123456789\r\n0;\t\r\nA: b\r\nC:\r\n\r\nGET / HTTP/1.1\r\nConnection: x, Close\r\nHost: d\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /c HTTP/1.0\r\n\r\n",
    "GET http://door/a HTTP/1.1\r\nHost: door\r\n\r\nGET / HTTP/1.1\r\nA b: c\r\n\r\nGET /never HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\nGET /never HTTP/1.1\r\nHost: d\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: d\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nGET /b HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
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

/// hyper reads the same requests in what the scanner lets through.
#[test]
fn requests_are_read_as_hyper_reads_them() {
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    test(async {
        for sequence in SEQUENCES.iter().filter(|sequence| !sequence.contains("/never")) {
            let (mut client, stream) = duplex(64 * 1024);
            let service = service_fn(|request: Request<hyper::body::Incoming>| async {
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
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let mut read = String::new();
            let (served, _) = tokio::join!(serving, client.read_to_string(&mut read));
            served.expect("no error");
            assert_eq!(exchange([sequence.as_bytes()]).await, told(&read), "{sequence:?}");
        }
    });
}

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
                true => pieces().fold(String::new(), |body, piece| {
                    format!("{body}{:X}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(&piece))
                }) + "0\r\n\r\n",
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
            site.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
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
        assert!(idle >= CLIENT_IDLE_TIMEOUT && idle < CLIENT_IDLE_TIMEOUT + Duration::from_secs(4), "{idle:?}");
    });
}

/// What stands before the fault, in whatever pieces it comes, and behind other requests too.
#[test]
fn of_a_refused_head_the_page_is_known_that_was_named_before_the_fault() {
    const BEFORE: &str = "POST / HTTP/1.1\r\nhost: d\r\norigin: https://before.example\r\ncontent-length: 3\r\n\r\nabc";
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
            if let Some(ClientUpgrade::Http1(switched)) = upgrade.filter(|_| request.headers().contains_key("x-yes")) {
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
