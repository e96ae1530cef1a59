//! Upgraded connections (WebSocket): after both sides have switched, bytes are copied until one side ends, nothing has
//! moved for the idle time, or the user's lease is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lease::Lease;

/// How much is read at once in each direction.
const TUNNEL_BUFFER_BYTES: usize = 16 * 1024;

/// The tunnels of a worker. hyper forgets a connection once it is upgraded, so they are tracked here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunnels {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Tunnels {
    /// Joins two connections as soon as both have switched.
    pub(crate) fn join(&self, client: OnUpgrade, service: OnUpgrade, idle: Duration, lease: &Lease) {
        let lease_over = lease.over();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let moved = AtomicBool::new(false);
            let both = async {
                // If either side does not switch after all, both connections close.
                let Ok((client, service)) = tokio::try_join!(client, service) else { return };
                let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
                let (from_service, to_service) = tokio::io::split(TokioIo::new(service));
                tokio::join!(copy(from_client, to_service, &moved), copy(from_service, to_client, &moved));
            };
            let lease = async {
                match lease_over {
                    Some(over) => over.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = both => {}
                () = idleness(&moved, idle) => {}
                end = lease => tracing::info!(why = end.as_str(), "a tunnel ended with its user's lease"),
                () = stop.cancelled() => {}
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

/// Ends when nothing has moved, in either direction, for `idle` at least and for twice that at most.
async fn idleness(moved: &AtomicBool, idle: Duration) {
    loop {
        tokio::time::sleep(idle).await;
        if !moved.swap(false, Ordering::Relaxed) {
            return;
        }
    }
}

/// Copies until the source ends, then closes the sink's direction.
async fn copy<S>(mut source: ReadHalf<S>, mut sink: WriteHalf<S>, moved: &AtomicBool)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite,
{
    let mut buffer = vec![0; TUNNEL_BUFFER_BYTES];
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        let Some(piece) = buffer.get(..count) else { break };
        moved.store(true, Ordering::Relaxed);
        if sink.write_all(piece).await.is_err() {
            break;
        }
    }
    // The other side may be gone already; there is nobody left to tell.
    let _ = sink.shutdown().await;
}
