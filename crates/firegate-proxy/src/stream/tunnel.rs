//! WebSockets: after both sides have switched, bytes are copied until one side ends, nothing has moved for the idle time,
//! the user's lease is over, or the worker stops. What Firegate ends, it ends with a Close frame to both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryFutureExt as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::boundary::Boundary;
use super::lease::{Lease, LeaseEnd};
use super::overdue::RequestOnConnection;
use super::web_socket::{CloseCode, WebSocketFraming, close_to_client, close_to_service};
use crate::limits::{STREAM_ENDING_GRACE, WEB_SOCKET_CLOSE_TIMEOUT};
use crate::panics::Panics;
use crate::telemetry::RequestRecord;
use crate::upstream::{Passage, ServiceTunnel};

/// How much is read at once in each direction.
const TUNNEL_BUFFER_BYTES: usize = 16 * 1024;

/// The tunnels of a worker. A connection is forgotten once it has switched, so they are tracked here.
#[derive(Clone, Debug)]
pub(crate) struct Tunnels {
    tasks: TaskTracker,
    stop: CancellationToken,
    panics: Arc<Panics>,
}

/// Why Firegate ends a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TunnelEnd {
    Idle,
    LeaseOver(LeaseEnd),
    Stopping,
    Panicked,
}

impl TunnelEnd {
    const fn code(self) -> CloseCode {
        match self {
            Self::Idle | Self::Stopping => CloseCode::GoingAway,
            Self::LeaseOver(_) => CloseCode::PolicyViolation,
            Self::Panicked => CloseCode::InternalError,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Idle => "nothing was sent for too long",
            Self::LeaseOver(end) => end.as_str(),
            Self::Stopping => "the proxy is stopping",
            Self::Panicked => "a fault of the proxy's own",
        }
    }
}

/// Why there was no tunnel.
const NOT_SWITCHED: &str = "the connections did not switch";

/// What went through a tunnel, in bytes, and why it was ended.
#[derive(Clone, Copy, Debug, Default)]
struct TunnelRun {
    to_service: u64,
    to_client: u64,
    /// `None` if one of the sides ended it.
    cut: Option<&'static str>,
}

/// A client's connection, or one stream of it, that has switched.
pub(crate) type SwitchedStream = Box<dyn Switched>;

/// Bytes both ways.
pub(crate) trait Switched: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Switched for S {}

/// How a client's bytes are had once it has switched.
pub(crate) enum ClientUpgrade {
    Http1(oneshot::Receiver<SwitchedStream>),
    Http2(OnUpgrade),
}

impl ClientUpgrade {
    /// Waits until the client has switched.
    ///
    /// # Errors
    /// If it has not after all.
    async fn switched(self) -> Result<SwitchedStream, ()> {
        match self {
            Self::Http1(switched) => switched.await.map_err(drop),
            Self::Http2(upgrade) => Ok(Box::new(TokioIo::new(upgrade.await.map_err(drop)?))),
        }
    }
}

/// A client that switches.
pub(crate) struct TunnelClient {
    pub(crate) upgrade: ClientUpgrade,
    /// Its connection is in use for as long as the tunnel lasts.
    pub(crate) request: RequestOnConnection,
}

impl Tunnels {
    /// None yet.
    pub(crate) fn new(panics: Arc<Panics>) -> Self {
        Self { tasks: TaskTracker::new(), stop: CancellationToken::new(), panics }
    }

    /// Joins two connections as soon as both have switched, and lets go of `passage` when the tunnel ends. Its record is told
    /// then too, by whatever comes by the channel.
    pub(crate) fn join(
        &self,
        client: TunnelClient,
        service: ServiceTunnel,
        idle: Duration,
        lease: Lease,
        passage: Passage,
        record: oneshot::Receiver<Box<RequestRecord>>,
    ) {
        let (stop, panics) = (self.stop.clone(), Arc::clone(&self.panics));
        self.tasks.spawn(self.panics.contain("a tunnel was given up", async move {
            // It counts as under way for as long as it lasts.
            let _under_way = (passage, client.request);
            let client = client.upgrade.switched();
            let run = run_switched(client, service.open().map_err(drop), idle, &lease, &stop, &panics).await;
            // Whoever left before the answer's head was told of otherwise.
            if let Ok(mut record) = record.await {
                record.tunnelled(run.to_service, run.to_client, run.cut);
            }
        }));
    }

    /// Ends every tunnel and waits until all have.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Waits until both connections have switched, and runs the tunnel between them.
async fn run_switched<C, S, E>(
    client: impl Future<Output = Result<C, E>>,
    service: impl Future<Output = Result<S, E>>,
    idle: Duration,
    lease: &Lease,
    stop: &CancellationToken,
    panics: &Panics,
) -> TunnelRun
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let switched = tokio::select! {
        switched = async { tokio::try_join!(client, service) } => switched.ok(),
        () = stop.cancelled() => None,
    };
    match switched {
        Some((client, service)) => Tunnel::between(client, service).run(idle, lease, stop, panics).await,
        // If either side does not switch after all, both connections close.
        None => TunnelRun { cut: Some(NOT_SWITCHED), ..TunnelRun::default() },
    }
}

/// Two connections that are joined.
struct Tunnel<C, S> {
    to_client: Direction<S, C>,
    to_service: Direction<C, S>,
}

impl<C, S> Tunnel<C, S>
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    fn between(client: C, service: S) -> Self {
        let (from_client, to_client) = tokio::io::split(client);
        let (from_service, to_service) = tokio::io::split(service);
        Self {
            to_client: Direction::new(from_service, to_client),
            to_service: Direction::new(from_client, to_service),
        }
    }

    /// Copies until one side ends or Firegate does.
    async fn run(
        mut self,
        idle: Duration,
        lease: &Lease,
        stop: &CancellationToken,
        panics: &Panics,
    ) -> TunnelRun {
        let moved = AtomicBool::new(false);
        let both = async { tokio::join!(self.to_client.copy(&moved), self.to_service.copy(&moved)) };
        let lease_over = async {
            match lease.over() {
                Some(over) => over.await,
                None => std::future::pending().await,
            }
        };
        let copied = panics.catch(async {
            tokio::select! {
                _ = both => None,
                () = idleness(&moved, idle) => Some(TunnelEnd::Idle),
                end = lease_over => Some(TunnelEnd::LeaseOver(end)),
                () = stop.cancelled() => Some(TunnelEnd::Stopping),
            }
        });
        let end = match copied.await {
            Ok(None) => return self.so_far(None),
            Ok(Some(end)) => end,
            Err(panicked) => {
                tracing::error!(%panicked, "a WebSocket was given up");
                TunnelEnd::Panicked
            }
        };
        if let TunnelEnd::LeaseOver(end) = end {
            tracing::info!(why = end.as_str(), "a WebSocket ended with its user's lease");
        }
        let (code, reason) = (end.code(), end.reason());
        let (to_client, to_service) = (close_to_client(code, reason), close_to_service(code, reason));
        let closing =
            async { tokio::join!(self.to_client.close(&to_client), self.to_service.close(&to_service)) };
        // Whoever is in the middle of a frame for longer, or does not read, is cut off.
        let _ = tokio::time::timeout(STREAM_ENDING_GRACE, closing).await;
        self.so_far(Some(reason))
    }

    fn so_far(&self, cut: Option<&'static str>) -> TunnelRun {
        TunnelRun { to_service: self.to_service.written, to_client: self.to_client.written, cut }
    }
}

/// One direction of a tunnel. It says at any time what was written, so that copying can be interrupted.
struct Direction<A, B> {
    source: ReadHalf<A>,
    sink: WriteHalf<B>,
    frames: Boundary<WebSocketFraming>,
    buffer: Box<[u8]>,
    /// Of what was read, the part that is not written yet.
    unwritten: std::ops::Range<usize>,
    /// How many bytes went through.
    written: u64,
}

impl<A: AsyncRead, B: AsyncWrite> Direction<A, B> {
    fn new(source: ReadHalf<A>, sink: WriteHalf<B>) -> Self {
        let buffer = vec![0; TUNNEL_BUFFER_BYTES].into_boxed_slice();
        Self { source, sink, frames: Boundary::default(), buffer, unwritten: 0..0, written: 0 }
    }

    /// Copies until the source ends, then closes the sink's direction.
    async fn copy(&mut self, moved: &AtomicBool) {
        while self.fill().await {
            moved.store(true, Ordering::Relaxed);
            while !self.unwritten.is_empty() {
                if !self.write(self.unwritten.len()).await {
                    return self.shut_down().await;
                }
                moved.store(true, Ordering::Relaxed);
            }
            if self.sink.flush().await.is_err() {
                break;
            }
        }
        self.shut_down().await;
    }

    /// Ends the direction with a last frame, after the one that is under way.
    async fn close(&mut self, last_frame: &[u8]) {
        while !self.frames.is_between_frames() {
            if self.unwritten.is_empty() && !self.fill().await {
                break;
            }
            let piece = self.buffer.get(self.unwritten.clone()).unwrap_or_default();
            if !self.write(self.frames.rest_of_frame(piece)).await {
                break;
            }
        }
        // A side that has said goodbye already is not told twice.
        if self.frames.is_between_frames() && !self.frames.has_ended() {
            // It may be gone already; there is nobody left to tell.
            let _ = self.sink.write_all(last_frame).await;
        }
        self.shut_down().await;
        // What is still coming is read, or the system would tell the peer of it by a reset, which takes the goodbye away.
        let rest = async { while let Ok(1..) = self.source.read(&mut self.buffer).await {} };
        let _ = tokio::time::timeout(WEB_SOCKET_CLOSE_TIMEOUT, rest).await;
    }

    /// Reads the next piece. False if there is none.
    async fn fill(&mut self) -> bool {
        let Ok(count @ 1..) = self.source.read(&mut self.buffer).await else { return false };
        self.unwritten = 0..count;
        true
    }

    /// Writes up to so many bytes of the piece, at least one. False if they are no longer wanted.
    async fn write(&mut self, bytes_max: usize) -> bool {
        let start = self.unwritten.start;
        let piece = self.buffer.get(start..start + bytes_max).unwrap_or_default();
        let Ok(written @ 1..) = self.sink.write(piece).await else { return false };
        self.frames.pass(piece.get(..written).unwrap_or_default());
        self.unwritten.start += written;
        self.written += written as u64;
        true
    }

    async fn shut_down(&mut self) {
        // The other side may be gone already; there is nobody left to tell.
        let _ = self.sink.shutdown().await;
    }
}

/// Ends when nothing has moved, in either direction, for `idle` at least and for twice that at most.
async fn idleness(moved: &AtomicBool, idle: Duration) {
    loop {
        tokio::time::sleep(idle).await;
        if !moved.swap(false, Ordering::Relaxed) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
