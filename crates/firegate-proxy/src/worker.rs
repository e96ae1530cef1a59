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
use crate::limits::{RUNTIME_SHUTDOWN_TIMEOUT, WORKER_EVENTS_PER_TURN};
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

/// A worker's connections, and what they are served with.
struct Worker {
    door: Arc<Door>,
    tls: Option<Arc<Tls>>,
    open: OpenStreams,
    connections: TaskTracker,
    drain: Drain,
}

/// Starts a worker.
pub(crate) fn start(start: Start) -> io::Result<JoinHandle<()>> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_io_events_per_tick(WORKER_EVENTS_PER_TURN).build()?;
    let thread = std::thread::Builder::new().name(format!("firegate-worker-{}", start.index));
    thread.spawn(move || {
        runtime.block_on(run(start));
        // A name look-up that hangs must not hold the process.
        runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    })
}

/// Serves every connection that comes until the acceptor has ended, and then those that are open until they end, or their time
/// to drain is over.
async fn run(start: Start) {
    let Start { index, incoming, shared, drain_timeout, idle_connection_grace, client_idle_timeout } = start;
    let panics = Arc::clone(&shared.panics);
    let (tunnels, telemetry) =
        (Tunnels::new(Arc::clone(&panics)), Arc::new(Telemetry::new(&shared.process, Arc::clone(&panics))));
    let handing_over = Arc::clone(&telemetry);
    tokio::spawn(panics.keep(RUN_AGAIN, move || {
        let telemetry = Arc::clone(&handing_over);
        async move { telemetry.run().await }
    }));
    let open = OpenStreams::new(client_idle_timeout, Arc::clone(&shared.cut_connections));
    let watching = open.clone();
    tokio::spawn(panics.keep(RUN_AGAIN, move || {
        let open = watching.clone();
        async move { open.watch().await }
    }));
    let drain = Drain::new(shared.entrance.stop_token());
    let worker = Worker {
        tls: shared.entrance.tls().cloned(),
        door: Arc::new(Door::new(shared, index, &drain, tunnels.clone(), Arc::clone(&telemetry))),
        drain,
        open,
        connections: TaskTracker::new(),
    };
    worker.serve_all(incoming).await;
    worker.connections.close();
    tokio::select! {
        () = tokio::time::sleep(drain_timeout) => {
            tell_of_the_unfinished(&worker.door.shared.requests);
            telemetry.give_up();
        }
        _ = async { tokio::join!(worker.connections.wait(), tunnels.stop()) } => {}
        () = worker.drain.close_idle_after(idle_connection_grace) => {}
    }
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

impl Worker {
    /// Begins to serve every connection that comes, until the acceptor has ended.
    async fn serve_all(&self, mut incoming: mpsc::Receiver<Incoming>) {
        while let Some(incoming) = incoming.recv().await {
            let peer = incoming.peer;
            if let Err(error) = self.serve(incoming) {
                tracing::debug!(%error, %peer, "a connection could not be served");
            }
        }
    }

    /// Begins to serve a connection. A panic ends it alone.
    fn serve(&self, incoming: Incoming) -> io::Result<()> {
        let Incoming { stream, peer, place } = incoming;
        let stream = TcpStream::from_std(stream)?;
        // A socket that refuses is slower, not wrong.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().ok();
        let panics = &self.door.shared.panics;
        let (door, watch, drain) = (Arc::clone(&self.door), self.open.connection(), self.drain.clone());
        match self.tls.clone() {
            Some(tls) => self.connections.spawn(panics.contain(GIVEN_UP, async move {
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
                self.connections.spawn(panics.contain(GIVEN_UP, served))
            }
        };
        Ok(())
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
