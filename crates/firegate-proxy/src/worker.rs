//! Workers: one thread and one single-threaded runtime per core, each with a listening socket of its own on the shared
//! port (`SO_REUSEPORT`), its client connections and its connections to the services. Nothing on a worker outlives it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::door::{Door, Shared};
use crate::limits::{
    CONNECTIONS_PER_WORKER_MAX, DRAIN_TIMEOUT, HTTP2_STREAMS_MAX, REQUEST_HEAD_BYTES_MAX,
    REQUEST_HEAD_TIMEOUT, REQUEST_HEADERS_MAX,
};
use crate::upstream::Tunnels;

/// How many connections may wait to be accepted.
const ACCEPT_BACKLOG: i32 = 1024;

/// Binds `count` sockets to one address; with port 0 the first one chooses the port of all.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<StdListener>> {
    let mut address = address;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count.max(1) {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // The first socket without SO_REUSEPORT's company shows whether the port is taken by another process.
        if listeners.is_empty() {
            let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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

/// Starts a worker on its listener.
pub(crate) fn start(
    index: usize,
    listener: StdListener,
    shared: Arc<Shared>,
    tls: Arc<rustls::ClientConfig>,
    stop: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        runtime.block_on(async move {
            let tunnels = Tunnels::default();
            let door = Door::new(shared, &tls, tunnels.clone());
            match TcpListener::from_std(listener) {
                Ok(listener) => accept(listener, door, stop, tunnels).await,
                Err(error) => tracing::error!(%error, "a worker could not listen"),
            }
        });
    };
    std::thread::Builder::new().name(format!("firegate-worker-{index}")).spawn(run)
}

async fn accept(listener: TcpListener, door: Door, stop: CancellationToken, tunnels: Tunnels) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_PER_WORKER_MAX));
    let graceful = GracefulShutdown::new();
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
                let connection = serve(stream, peer, door.clone(), &graceful);
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            // The client gave up in between, or there are no descriptors left: the next one may fare better.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::task::yield_now().await;
            }
        }
    }
    drop(listener);
    let drained = async { tokio::join!(graceful.shutdown(), tunnels.stop()) };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!("requests were still under way when the time to drain was over");
    }
}

fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // A socket that refuses is slower, not wrong.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let door = door.clone();
        async move { Ok::<_, std::convert::Infallible>(door.answer(request, peer.ip()).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_TIMEOUT)
        .max_headers(REQUEST_HEADERS_MAX)
        .max_buf_size(REQUEST_HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(REQUEST_HEAD_BYTES_MAX as u32);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, %peer, "a connection ended early");
        }
    }
}
