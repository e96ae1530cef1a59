//! Serves one connection, plain or encrypted: reads its first bytes under a deadline, and then speaks the protocol that they
//! begin. hyper's builder for HTTP/2 is used directly, because every bound of a connection has to be set here.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::drain::Drain;
use super::frames::MeteredStream;
use super::http1::{self, RequestBody};
use super::preface::{Preface, Protocol};
use super::resettable::Resettable;
use crate::door::Door;
use crate::limits::{
    HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_HEADER_TABLE_BYTES_MAX, HTTP2_LOCAL_RESETS_MAX,
    HTTP2_PENDING_RESETS_MAX, HTTP2_PING_INTERVAL, HTTP2_SEND_BUFFER_BYTES_MAX, HTTP2_STREAM_WINDOW_BYTES,
    HTTP2_STREAMS_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEAD_TIMEOUT,
};
use crate::moment;
use crate::panics::Panics;
use crate::requests::HeldBody;
use crate::stream::{
    ClientConnection, ClientUpgrade, ConnectionEnd, ConnectionStreams, ReceivedBody, Rewound, SentBody,
    SignsOfUse,
};
use crate::telemetry::ObservedBody;

/// How a client came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The other end of the connection.
    pub(crate) peer: SocketAddr,
    /// What both sides agreed on by ALPN. Without it the first bytes tell.
    pub(crate) agreed: Option<Protocol>,
    /// Whether the connection is encrypted.
    pub(crate) is_tls: bool,
    /// The version of TLS, if it is one of those that Google's load balancers name.
    pub(crate) tls_version: Option<&'static str>,
    /// This end of the connection, if the system says it.
    pub(crate) local: Option<SocketAddr>,
}

impl Arrival {
    /// The scheme of what is asked for on this connection.
    pub(crate) fn scheme(self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }
}

/// Serves a connection until it ends. Once `drain` has begun it ends as soon as the requests under way are answered; and at
/// once, if `watch` finds that its client holds something beyond its time.
pub(crate) async fn serve<S>(
    stream: S,
    arrival: Arrival,
    door: Arc<Door>,
    watch: ClientConnection,
    drain: Drain,
) where
    S: AsyncRead + AsyncWrite + Resettable + Unpin + Send + 'static,
{
    let mut stream = watch.watched(stream);
    let preface = tokio::time::timeout(REQUEST_HEAD_TIMEOUT, Preface::read(&mut stream));
    // A client that has just connected is about to send its request: it is waited for as long as an idle one is.
    let Some(Ok(Ok(preface))) = drain.idle_over().run_until_cancelled(preface).await else { return };
    if arrival.agreed.is_some_and(|agreed| agreed != preface.protocol) {
        return;
    }
    let Preface { bytes, protocol } = preface;
    let served = match protocol {
        Protocol::Http1 => {
            serve_http1(bytes, stream, arrival, &door, &watch, &drain).await.map_err(Into::into)
        }
        Protocol::Http2 => {
            let stream = Rewound::new(bytes, stream);
            let served = Box::pin(serve_http2(stream, arrival, &door, &watch, &drain)).await;
            served.unwrap_or(Ok(())).map_err(Into::into)
        }
    };
    if let Err::<_, Box<dyn Error + Send + Sync>>(error) = served {
        tracing::debug!(%error, peer = %arrival.peer, "a connection ended early");
    }
}

/// The door to the requests of one connection over HTTP/1.
struct AtDoor {
    door: Arc<Door>,
    arrival: Arrival,
    streams: Arc<ConnectionStreams>,
}

impl http1::Answer for AtDoor {
    type Body = HeldBody<ObservedBody>;

    fn answer(
        &self,
        request: Request<RequestBody>,
        upgrade: Option<ClientUpgrade>,
    ) -> BoxFuture<'static, Response<Self::Body>> {
        let request = request.map(SentBody::Http1);
        let (door, streams) = (Arc::clone(&self.door), Arc::clone(&self.streams));
        Door::answer(door, request, upgrade, self.arrival, streams).boxed()
    }
}

/// Serves a connection over HTTP/1 that begins with `bytes`.
async fn serve_http1<S>(
    bytes: Vec<u8>,
    stream: S,
    arrival: Arrival,
    door: &Arc<Door>,
    watch: &ClientConnection,
    drain: &Drain,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Resettable + Unpin + Send + 'static,
{
    let answer = AtDoor { door: Arc::clone(door), arrival, streams: Arc::new(watch.streams()) };
    let served = http1::Served { watch, drain, clock: &*door.shared.process.clock };
    let mut served = pin!(http1::serve(bytes, stream, answer, served));
    poll_fn(|context| moment::hold(|| served.as_mut().poll(context))).await
}

async fn serve_http2<S>(
    stream: Rewound<S>,
    arrival: Arrival,
    door: &Arc<Door>,
    watch: &ClientConnection,
    drain: &Drain,
) -> Option<hyper::Result<()>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = MeteredStream::new(stream, arrival.peer);
    let (streams, panics) = (Arc::new(watch.streams()), Arc::clone(&door.shared.panics));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let upgrade = request.extensions_mut().remove().map(ClientUpgrade::Http2);
        let request = request.map(|body| SentBody::Http2(ReceivedBody::new(body, Version::HTTP_2)));
        let answer = Door::answer(Arc::clone(door), request, upgrade, arrival, Arc::clone(&streams));
        answer.map(Ok::<_, Infallible>)
    });
    let connection = http2::Builder::new(StreamExecutor(panics))
        .timer(TokioTimer::new())
        // WebSockets over HTTP/2 (RFC 8441).
        .enable_connect_protocol()
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(HTTP2_LOCAL_RESETS_MAX)
        .max_header_list_size(REQUEST_HEAD_BYTES_MAX)
        .header_table_size(HTTP2_HEADER_TABLE_BYTES_MAX)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(HTTP2_SEND_BUFFER_BYTES_MAX)
        // A peer that does not answer is gone, whether or not its socket says so.
        .keep_alive_interval(Some(HTTP2_PING_INTERVAL))
        .keep_alive_timeout(REQUEST_HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    watch.end_without(SignsOfUse::Requests);
    drive(pin!(connection), watch, drain.begun(), http2::Connection::graceful_shutdown).await
}

/// Runs the streams of HTTP/2 connections. A panic in one is counted, and resets that stream alone.
#[derive(Clone, Debug)]
struct StreamExecutor(Arc<Panics>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        tokio::spawn(self.0.contain("a stream was given up", stream));
    }
}

/// Drives a connection to its end, and takes no new requests from it from `stop` on, or when nobody uses it. `None` if it was
/// cut.
async fn drive<C: Future>(
    mut connection: Pin<&mut C>,
    watch: &ClientConnection,
    stop: &CancellationToken,
    take_no_more: impl FnOnce(Pin<&mut C>),
) -> Option<C::Output> {
    tokio::select! {
        biased;
        served = connection.as_mut() => return Some(served),
        end = watch.end() => match end {
            ConnectionEnd::Cut => return None,
            ConnectionEnd::Unused => {}
        },
        () = stop.cancelled() => {}
    }
    take_no_more(connection.as_mut());
    finish(connection, watch).await
}

/// Drives a connection that takes no new requests to its end. `None` if it was cut.
pub(super) async fn finish<C: Future>(
    connection: Pin<&mut C>,
    watch: &ClientConnection,
) -> Option<C::Output> {
    tokio::select! {
        biased;
        served = connection => Some(served),
        () = watch.cut() => None,
    }
}
