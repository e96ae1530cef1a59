//! Workers: one thread and one single-threaded runtime per core, each with the client connections that the acceptor gave
//! it and its own connections to the services. A connection stays on its worker, and nothing on a worker outlives it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Arrival, Drain};
use crate::door::{Door, Shared};
use crate::limits::RUNTIME_SHUTDOWN_TIMEOUT;
use crate::listen::{ClientStream, Incoming, Tls};
use crate::requests::RequestsUnderWay;
use crate::stream::{OpenStreams, Tunnels};
use crate::telemetry::Telemetry;

/// What is logged when serving a connection panics: the connection is closed, and the worker goes on.
const GIVEN_UP: &str = "a connection was given up";

/// What the log says of a task that panicked.
const RUN_AGAIN: &str = "a task of a worker is run again";

/// What a worker is started with.
pub(crate) struct Start {
    pub(crate) index: usize,
    /// Its connections, until there will be no more.
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) drain_timeout: Duration,
    pub(crate) idle_connection_grace: Duration,
    pub(crate) client_idle_timeout: Duration,
}

/// Starts a worker.
pub(crate) fn start(start: Start) -> io::Result<JoinHandle<()>> {
    let Start { index, incoming, shared, drain_timeout, idle_connection_grace, client_idle_timeout } = start;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        runtime.block_on(async move {
            let tunnels = Tunnels::new(Arc::clone(&shared.panics));
            let (connections, drain) = (TaskTracker::new(), Drain::new(shared.entrance.stop_token()));
            let tls = shared.entrance.tls().cloned();
            let telemetry = Arc::new(Telemetry::new(&shared.process, Arc::clone(&shared.panics)));
            let handing_over = Arc::clone(&telemetry);
            let hand_over = move || {
                let telemetry = Arc::clone(&handing_over);
                async move { telemetry.run().await }
            };
            tokio::spawn(shared.panics.keep(RUN_AGAIN, hand_over));
            let open = OpenStreams::new(client_idle_timeout, Arc::clone(&shared.cut_connections));
            let door = Arc::new(Door::new(shared, index, tunnels.clone(), Arc::clone(&telemetry)));
            take(incoming, &connections, &door, &open, tls.as_ref(), &drain).await;
            connections.close();
            tokio::select! {
                () = tokio::time::sleep(drain_timeout) => {
                    tell_of_the_unfinished(&door.shared.requests);
                    telemetry.give_up();
                }
                _ = async { tokio::join!(connections.wait(), tunnels.stop()) } => {}
                () = drain.close_idle_after(idle_connection_grace) => {}
            }
        });
        // A name look-up that hangs must not hold the process.
        runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    };
    std::thread::Builder::new().name(format!("firegate-worker-{index}")).spawn(run)
}

/// The time to drain is over. A connection may be open without a request, and nobody misses its answer.
fn tell_of_the_unfinished(requests: &RequestsUnderWay) {
    match requests.unfinished() {
        None => {}
        Some(0) => tracing::debug!("connections were still open when the time to drain was over"),
        Some(requests) => {
            tracing::warn!(requests, "requests were still under way when the time to drain was over");
        }
    }
}

/// Serves every connection that comes, until the acceptor has ended.
async fn take(
    mut incoming: mpsc::Receiver<Incoming>,
    connections: &TaskTracker,
    door: &Arc<Door>,
    open: &OpenStreams,
    tls: Option<&Arc<Tls>>,
    drain: &Drain,
) {
    let panics = &door.shared.panics;
    let watching = open.clone();
    let watch = move || {
        let open = watching.clone();
        async move { open.watch().await }
    };
    tokio::spawn(panics.keep(RUN_AGAIN, watch));
    while let Some(Incoming { stream, peer, place }) = incoming.recv().await {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, %peer, "a connection could not be served");
                continue;
            }
        };
        // A socket that refuses is slower, not wrong.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().ok();
        let (door, watch, drain) = (Arc::clone(door), open.connection(), drain.clone());
        match tls.cloned() {
            Some(tls) => connections.spawn(panics.contain(GIVEN_UP, async move {
                // A handshake's state is large, and gone when it is over. Who has not ended it asks for nothing yet.
                let accepting = drain.idle_over().run_until_cancelled(Box::pin(tls.accept(stream)));
                let Some(Some((stream, protocol))) = accepting.await else { return };
                let tls_version = tls_version(stream.get_ref().1);
                let arrival = Arrival { peer, agreed: Some(protocol), is_tls: true, tls_version, local };
                connection::serve(ClientStream::tls(stream, place), arrival, door, watch, drain).await;
            })),
            None => {
                let arrival = Arrival { peer, agreed: None, is_tls: false, tls_version: None, local };
                let stream = ClientStream::plain(stream, place);
                let served = connection::serve(stream, arrival, door, watch, drain);
                connections.spawn(panics.contain(GIVEN_UP, served))
            }
        };
    }
}

/// The version that was agreed on, in the words of Google's `{tls_version}`.
fn tls_version(connection: &rustls::ServerConnection) -> Option<&'static str> {
    match connection.protocol_version()? {
        rustls::ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
        rustls::ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
        _ => None,
    }
}
