//! WebSockets: after both sides have switched, bytes are copied until one side ends, nothing has moved for the idle time,
//! the user's lease is over, or the worker stops. What Firegate ends, it ends with a Close frame to both sides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::boundary::Boundary;
use super::lease::{Lease, LeaseEnd};
use super::web_socket::{CloseCode, WebSocketFraming, close_to_client, close_to_service};
use crate::limits::{STREAM_ENDING_GRACE, WEB_SOCKET_CLOSE_TIMEOUT};
use crate::telemetry::RequestRecord;
use crate::upstream::Passage;

/// How much is read at once in each direction.
const TUNNEL_BUFFER_BYTES: usize = 16 * 1024;

/// The tunnels of a worker. hyper forgets a connection once it is upgraded, so they are tracked here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunnels {
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Why Firegate ends a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TunnelEnd {
    Idle,
    LeaseOver(LeaseEnd),
    Stopping,
}

impl TunnelEnd {
    const fn code(self) -> CloseCode {
        match self {
            Self::Idle | Self::Stopping => CloseCode::GoingAway,
            Self::LeaseOver(_) => CloseCode::PolicyViolation,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Idle => "nothing was sent for too long",
            Self::LeaseOver(end) => end.as_str(),
            Self::Stopping => "the proxy is stopping",
        }
    }
}

/// What went through a tunnel, in bytes, and why it was ended.
#[derive(Clone, Copy, Debug, Default)]
struct TunnelRun {
    to_service: u64,
    to_client: u64,
    /// `None` if one of the sides ended it.
    cut: Option<&'static str>,
}

impl Tunnels {
    /// Joins two connections as soon as both have switched, and lets go of `passage` when the tunnel ends. Its record is told
    /// then too, by whatever comes by the channel.
    pub(crate) fn join(
        &self,
        client: OnUpgrade,
        service: OnUpgrade,
        idle: Duration,
        lease: Lease,
        passage: Passage,
        record: oneshot::Receiver<Box<RequestRecord>>,
    ) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            // It counts as under way for as long as it lasts.
            let _passage = passage;
            let switched = tokio::select! {
                switched = async { tokio::try_join!(client, service) } => switched.ok(),
                () = stop.cancelled() => None,
            };
            let run = match switched {
                Some((client, service)) => {
                    let tunnel = Tunnel::between(TokioIo::new(client), TokioIo::new(service));
                    tunnel.run(idle, &lease, &stop).await
                }
                // If either side does not switch after all, both connections close.
                None => TunnelRun { cut: Some("the connections did not switch"), ..TunnelRun::default() },
            };
            // Whoever left before the answer's head was told of otherwise.
            if let Ok(mut record) = record.await {
                record.tunnelled(run.to_service, run.to_client, run.cut);
            }
        });
    }

    /// Ends every tunnel and waits until all have.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
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
    async fn run(mut self, idle: Duration, lease: &Lease, stop: &CancellationToken) -> TunnelRun {
        let moved = AtomicBool::new(false);
        let both = async { tokio::join!(self.to_client.copy(&moved), self.to_service.copy(&moved)) };
        let lease_over = async {
            match lease.over() {
                Some(over) => over.await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            _ = both => return self.so_far(None),
            () = idleness(&moved, idle) => TunnelEnd::Idle,
            end = lease_over => TunnelEnd::LeaseOver(end),
            () = stop.cancelled() => TunnelEnd::Stopping,
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
