//! The listeners that are not for the public: probes and metrics. HTTP/1 alone, one request for each connection, which
//! has its bounds as a whole: whoever dawdles is gone soon, and makes room for the next.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::limits::{
    ACCEPT_RETRY_PAUSE, PRIVATE_CONNECTION_TIMEOUT, PRIVATE_CONNECTIONS_MAX, PRIVATE_HEAD_BYTES_MAX,
    PRIVATE_HEADERS_MAX, REQUEST_HEAD_TIMEOUT,
};
use crate::listen::{Listener, bind};
use crate::panics::Panics;
use crate::stream::{Body, full};

/// A listener that is bound, before any thread runs.
#[derive(Debug)]
pub(crate) struct Private(Listener);

impl Private {
    /// Takes the inherited socket, or binds the address; port 0 takes a free one.
    pub(crate) fn open(address: SocketAddr, inherited: Option<Listener>) -> io::Result<Self> {
        inherited.map_or_else(|| bind(address), Ok).map(Self)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Whether another process may go on listening on its socket.
    pub(crate) fn is_inherited(&self) -> bool {
        self.0.is_inherited()
    }

    /// Gives `answer` to every request. Accepts until `stop`; what it accepted it serves until `end`.
    pub(crate) async fn serve<A>(
        self,
        stop: CancellationToken,
        end: CancellationToken,
        panics: Arc<Panics>,
        answer: A,
    ) where
        A: Fn(&Parts) -> Response<Body> + Send + Sync + 'static,
    {
        let (address, is_inherited) = (self.address(), self.is_inherited());
        match TcpListener::from_std(self.0.into_socket()) {
            Ok(listener) => accept(listener, stop, end, panics, answer).await,
            Err(error) => tracing::error!(%error, %address, "a private listener failed"),
        }
        if is_inherited {
            tracing::info!(%address, "a private listener is left to whoever else listens on its socket");
        }
    }
}

async fn accept<A>(
    listener: TcpListener,
    stop: CancellationToken,
    end: CancellationToken,
    panics: Arc<Panics>,
    answer: A,
) where
    A: Fn(&Parts) -> Response<Body> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let places = Arc::new(Semaphore::new(PRIVATE_CONNECTIONS_MAX));
    loop {
        let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await else {
            return;
        };
        // What waits to be accepted when the stop comes is for whoever inherits the socket.
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            continue;
        };
        let (answer, counter) = (Arc::clone(&answer), Arc::clone(&panics));
        let service = service_fn(move |request: Request<Incoming>| {
            let (parts, _) = request.into_parts();
            let response = counter.catch_now(|| answer(&parts)).unwrap_or_else(|panicked| {
                tracing::error!(%panicked, "a private listener gave a request up");
                text(StatusCode::INTERNAL_SERVER_ERROR, "a fault of Firegate's own; its log says more\n")
            });
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_HEAD_TIMEOUT)
            .max_headers(PRIVATE_HEADERS_MAX)
            .max_buf_size(PRIVATE_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let bounded = tokio::time::timeout(PRIVATE_CONNECTION_TIMEOUT, connection);
        let end = end.clone();
        tokio::spawn(panics.contain("a connection of a private listener was given up", async move {
            // A client that breaks off, or is too slow, has itself to blame.
            let _ = end.run_until_cancelled(bounded).await;
            drop(place);
        }));
    }
}

/// A short text.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    response(status, "text/plain; charset=utf-8", text.to_owned())
}

/// An answer that nobody keeps.
pub(crate) fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The refusal of every method that changes something, where nothing can be changed.
pub(crate) fn refuse_method(method: &Method) -> Option<Response<Body>> {
    if [Method::GET, Method::HEAD].contains(method) {
        return None;
    }
    let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n");
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(refused)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::Instant;
    use tokio_util::sync::DropGuard;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// More than the system keeps for whoever does not read.
    const LONG: usize = 16 * 1024 * 1024;

    /// A listener that gives a long answer, until what is returned is dropped.
    fn open() -> (SocketAddr, DropGuard) {
        let listener = Private::open((Ipv4Addr::LOCALHOST, 0).into(), None).expect("a port");
        let (address, stop) = (listener.address(), CancellationToken::new());
        let answer = |_: &Parts| response(StatusCode::OK, "text/plain", "x".repeat(LONG));
        tokio::spawn(listener.serve(stop.clone(), stop.clone(), Arc::default(), answer));
        (address, stop.drop_guard())
    }

    async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(bytes).await.expect("it is sent");
        stream
    }

    async fn status(stream: &mut TcpStream) -> String {
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.expect("an answer");
        String::from_utf8_lossy(&line).into_owned()
    }

    /// How much comes before the connection ends, well or not.
    async fn rest(stream: &mut TcpStream) -> usize {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        bytes.len()
    }

    #[tokio::test]
    async fn beyond_so_many_connections_the_next_waits_for_one_that_ends() {
        let (address, _open) = open();
        let mut held = Vec::new();
        for _ in 0..PRIVATE_CONNECTIONS_MAX {
            held.push(send(address, b"GET / HTTP/1.1\r\n").await);
        }
        let mut next = send(address, REQUEST).await;
        let early = tokio::time::timeout(Duration::from_millis(200), status(&mut next)).await;
        assert!(early.is_err(), "{early:?}");
        drop(held.pop());
        assert_eq!(status(&mut next).await, "HTTP/1.1 200");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_half_a_head_or_does_not_read_is_gone_in_time() {
        let (address, _open) = open();
        let began = Instant::now();
        rest(&mut send(address, b"GET / HTTP/1.1\r\n").await).await;
        let took = began.elapsed();
        assert!((REQUEST_HEAD_TIMEOUT..PRIVATE_CONNECTION_TIMEOUT).contains(&took), "{took:?}");
        let mut stream = send(address, REQUEST).await;
        assert_eq!(status(&mut stream).await, "HTTP/1.1 200");
        tokio::time::sleep(PRIVATE_CONNECTION_TIMEOUT + Duration::from_secs(1)).await;
        assert!(rest(&mut stream).await < LONG, "it was cut off");
    }

    #[tokio::test]
    async fn a_head_has_so_many_fields_and_no_more() {
        let (address, _open) = open();
        for (fields, expected) in
            [(PRIVATE_HEADERS_MAX, "HTTP/1.1 200"), (PRIVATE_HEADERS_MAX + 1, "HTTP/1.1 431")]
        {
            let fields = "a: b\r\n".repeat(fields);
            let mut stream = send(address, format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes()).await;
            assert_eq!(status(&mut stream).await, expected);
        }
    }
}
