//! Workers: one thread and one single-threaded runtime per core, each with a listening socket of its own on the shared
//! port (`SO_REUSEPORT`), its client connections and its connections to the services. Nothing on a worker outlives it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Arrival};
use crate::door::{Door, Shared};
use crate::limits::{ACCEPT_RETRY_PAUSE, CONNECTIONS_PER_WORKER_MAX, RUNTIME_SHUTDOWN_TIMEOUT};
use crate::stream::{OpenStreams, Tunnels};

/// How many connections may wait to be accepted.
const ACCEPT_BACKLOG: i32 = 1024;

/// Binds `count` sockets to one address; with port 0 the first one chooses the port of all.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<StdListener>> {
    let mut address = address;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count.max(1) {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
        // The first socket without SO_REUSEPORT's company shows whether the port is taken by another process.
        if listeners.is_empty() {
            let probe =
                Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
            probe.set_reuse_address(true)?;
            probe.bind(&address.into())?;
            address = probe.local_addr()?.as_socket().unwrap_or(address);
            drop(probe);
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(ACCEPT_BACKLOG)?;
        socket.set_nonblocking(true)?;
        listeners.push(StdListener::from(socket));
    }
    Ok(listeners)
}

/// What a worker is started with.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) listener: StdListener,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stop: CancellationToken,
    pub(crate) drain_timeout: Duration,
}

/// Starts a worker on its listener.
pub(crate) fn start(start: Start) -> io::Result<JoinHandle<()>> {
    let Start { index, listener, shared, stop, drain_timeout } = start;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A token of the worker's own: its connections look at it often, and wait for no other worker to do so.
    let stop = stop.child_token();
    let run = move || {
        runtime.block_on(async move {
            let tunnels = Tunnels::default();
            let door = Door::new(shared, index, tunnels.clone());
            match TcpListener::from_std(listener) {
                Ok(listener) => accept(listener, door, stop, &tunnels, drain_timeout).await,
                Err(error) => tracing::error!(%error, "a worker could not listen"),
            }
        });
        // A name look-up that hangs must not hold the process.
        runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    };
    std::thread::Builder::new().name(format!("firegate-worker-{index}")).spawn(run)
}

async fn accept(
    listener: TcpListener,
    door: Door,
    stop: CancellationToken,
    tunnels: &Tunnels,
    drain_timeout: Duration,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_PER_WORKER_MAX));
    let connections = TaskTracker::new();
    let open = OpenStreams::default();
    let watching = open.clone();
    tokio::spawn(async move { watching.watch().await });
    let mut refusing = false;
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                refusing = false;
                // A socket that refuses is slower, not wrong.
                let _ = stream.set_nodelay(true);
                let arrival = Arrival { peer, agreed: None };
                let watch = open.connection();
                let connection = connection::serve(stream, arrival, door.clone(), watch, stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            // The client gave up in between, or there are no descriptors left, which takes a moment to change.
            Err(error) => {
                if !refusing {
                    tracing::warn!(%error, "connections cannot be accepted");
                }
                refusing = true;
                tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    let drained = async { tokio::join!(connections.wait(), tunnels.stop()) };
    if tokio::time::timeout(drain_timeout, drained).await.is_err() {
        tracing::warn!("requests were still under way when the time to drain was over");
    }
}
