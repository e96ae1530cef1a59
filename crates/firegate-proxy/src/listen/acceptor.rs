//! The one thread that accepts. It owns the listening sockets and hands each connection to the worker that has the fewest
//! open ones. Sockets of each worker's own (`SO_REUSEPORT`) would leave that to a hash of addresses, and eight clients
//! with one long connection each would lie as they fall.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Listener;
use super::admission::{Admission, Full, Place};
use super::seldom::Seldom;
use crate::limits::{ACCEPT_BACKLOG, ACCEPT_RETRY_PAUSE, HAND_OVER_QUEUE_MAX};

/// A connection on its way to its worker.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) stream: StdStream,
    pub(crate) peer: SocketAddr,
    pub(crate) place: Place,
}

/// The way from the acceptor to the workers.
#[derive(Debug)]
pub(super) struct HandOver {
    workers: Vec<mpsc::Sender<Incoming>>,
    /// Who is asked first among those that have the same number.
    turn: Cell<usize>,
}

/// What accepts.
#[derive(Debug)]
pub(super) struct Acceptor {
    pub(super) admission: Arc<Admission>,
    pub(super) hand_over: HandOver,
    pub(super) stop: CancellationToken,
}

/// What there is a line of the log about, but not with every connection.
#[derive(Debug, Default)]
struct Lines {
    full: Seldom,
    full_client: Seldom,
    failed: Seldom,
}

impl HandOver {
    /// A way to each of so many workers, and the other ends.
    pub(super) fn new(workers: usize) -> (Self, Vec<mpsc::Receiver<Incoming>>) {
        let (senders, receivers) = (0..workers).map(|_| mpsc::channel(HAND_OVER_QUEUE_MAX)).unzip();
        (Self { workers: senders, turn: Cell::new(0) }, receivers)
    }

    /// Hands a connection to the worker with the fewest. A worker that has not taken those before is passed over; if none
    /// takes any, the connection waits for the one whose turn it is.
    async fn give(&self, admission: &Admission, stream: StdStream, peer: SocketAddr, place: Place) {
        let count = self.workers.len();
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let in_turn = (0..count).map(|index| turn.wrapping_add(index) % count);
        let alive = in_turn.filter_map(|index| {
            let worker = self.workers.get(index).filter(|worker| !worker.is_closed())?;
            Some((index, worker))
        });
        let ready = alive.clone().filter(|(_, worker)| worker.capacity() > 0);
        let fewest = ready.min_by_key(|(index, _)| admission.open_on(*index));
        let Some((index, worker)) = fewest.or_else(|| alive.clone().next()) else { return };
        // If the worker ends meanwhile, so does its connection.
        if let Ok(way) = worker.reserve().await {
            way.send(Incoming { stream, peer, place: place.on_worker(index) });
        }
    }
}

impl Acceptor {
    /// Starts the thread. It accepts until the stop.
    pub(super) fn start(self, listeners: Vec<Listener>) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let lines = Lines::default();
            runtime.block_on(join_all(listeners.into_iter().map(|listener| self.accept(listener, &lines))));
        };
        std::thread::Builder::new().name("firegate-acceptor".to_owned()).spawn(run)
    }

    async fn accept(&self, listener: Listener, lines: &Lines) {
        let (address, is_inherited) = (listener.address(), listener.is_inherited());
        let listener = match TcpListener::from_std(listener.into_socket()) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, %address, "a listener failed");
                return;
            }
        };
        let mut stopped = pin!(self.stop.cancelled());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stopped => break,
            };
            let accepted = accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer)));
            match accepted {
                Ok((stream, peer)) => self.take_in(stream, peer, lines).await,
                Err(error) if is_of_one_connection(&error) => {}
                // There are no descriptors left, or no memory, which takes a moment to change.
                Err(error) => {
                    if let Some(times) = lines.failed.due(Instant::now()) {
                        tracing::warn!(
                            %error, %address, times,
                            "connections cannot be accepted; hint: raise what the system gives, `LimitNOFILE=` of systemd or `ulimit -n` \
                             of a shell if it is descriptors"
                        );
                    }
                    tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
                }
            }
        }
        // Whoever inherits the socket takes what is queued at it. Nobody else would.
        if !is_inherited && let Ok(socket) = listener.into_std() {
            self.take_in_rest(&socket, lines).await;
        }
    }

    /// Takes in what came before the stop: what is queued at a socket is reset when it closes. More than fits in the queue
    /// has come after it.
    async fn take_in_rest(&self, socket: &StdListener, lines: &Lines) {
        for _ in 0..ACCEPT_BACKLOG {
            let Ok((stream, peer)) = socket.accept() else { return };
            if stream.set_nonblocking(true).is_ok() {
                self.take_in(stream, peer, lines).await;
            }
        }
    }

    async fn take_in(&self, stream: StdStream, peer: SocketAddr, lines: &Lines) {
        let full = match self.admission.admit(peer.ip()) {
            Ok(place) => return self.hand_over.give(&self.admission, stream, peer, place).await,
            Err(full) => full,
        };
        drop(stream);
        match full {
            Full::Connections => {
                if let Some(times) = lines.full.due(Instant::now()) {
                    let connections_max = self.admission.connections_max();
                    tracing::warn!(
                        times,
                        connections_max,
                        "connections were refused: as many are open as may be; hint: raise `limits.connections_max`, and the \
                         process's descriptors if it said at its start that they are too few"
                    );
                }
            }
            Full::Client => {
                if let Some(times) = lines.full_client.due(Instant::now()) {
                    tracing::warn!(
                        times,
                        %peer,
                        "connections were refused: one client has `limits.connections_per_address_max` open; hint: if its address is a \
                         load balancer's or a proxy's, set `behind`"
                    );
                }
            }
        }
    }
}

/// Whether an error is about the connection that would have been accepted, and says nothing of the next one: its client
/// has left already, or the network reported something of it (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
        TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use firegate_files::configuration::ConnectionLimits;

    /// A place in each worker's queue, and what it took.
    struct Site {
        admission: Arc<Admission>,
        hand_over: HandOver,
        workers: Vec<mpsc::Receiver<Incoming>>,
        listener: StdListener,
    }

    impl Site {
        fn open() -> Self {
            let limits =
                ConnectionLimits { connections_max: Some(10_000), connections_per_address_max: 10_000 };
            let (hand_over, workers) = HandOver::new(2);
            let listener = StdListener::bind(("127.0.0.1", 0)).expect("a port");
            Self { admission: Arc::new(Admission::new(limits, 2)), hand_over, workers, listener }
        }

        async fn give(&self) {
            let peer = self.listener.local_addr().expect("an address");
            let stream = StdStream::connect(peer).expect("a connection");
            let place = self.admission.admit(IpAddr::V4(Ipv4Addr::LOCALHOST)).expect("a place");
            self.hand_over.give(&self.admission, stream, peer, place).await;
            drop(self.listener.accept().expect("the other end"));
        }

        fn open_on(&self) -> [usize; 2] {
            [0, 1].map(|worker| self.admission.open_on(worker))
        }
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_worker_with_the_fewest() {
        let mut site = Site::open();
        for _ in 0..6 {
            site.give().await;
        }
        assert_eq!(site.open_on(), [3, 3]);
        while site.workers[1].try_recv().is_ok() {}
        for _ in 0..2 {
            site.give().await;
        }
        assert_eq!(site.open_on(), [3, 2]);
        // Among those with the same number it is not always the first.
        let mut alone = [[0; 2]; 2];
        for open in &mut alone {
            site.workers.iter_mut().for_each(|worker| while worker.try_recv().is_ok() {});
            site.give().await;
            *open = site.open_on();
        }
        assert_ne!(alone[0], alone[1]);
    }

    #[test]
    fn only_what_one_connection_failed_by_says_nothing_of_the_next() {
        let check = |kind: io::ErrorKind, expected| {
            assert_eq!(is_of_one_connection(&io::Error::from(kind)), expected, "{kind}");
        };
        check(io::ErrorKind::ConnectionAborted, true);
        check(io::ErrorKind::NetworkUnreachable, true);
        check(io::ErrorKind::OutOfMemory, false);
        const EMFILE: i32 = 24;
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(EMFILE)));
    }
}
