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
use crate::respond::full;
use crate::stream::Body;

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
