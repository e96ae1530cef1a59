//! The entrance: the public sockets, who may come in, and by which certificates. It is opened once, before any thread
//! runs, and outlives every reading of the configuration.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use firegate_core::forwarded::ForwardedTrust;
use firegate_core::time::SharedClock;
use firegate_files::configuration::{ConnectionLimits, Tls as TlsSettings};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::acceptor::{Acceptor, HandOver, Incoming};
use super::admission::Admission;
use super::{Certificates, ConnectionFigures, Listener, Tls, TlsFigures, bind};
use crate::start::StartError;

/// What an entrance is opened with.
#[derive(Debug)]
pub(crate) struct EntranceOptions<'a> {
    /// What to bind, if nothing is inherited; port 0 takes a free one.
    pub(crate) addresses: &'a [SocketAddr],
    /// What somebody else bound.
    pub(crate) inherited: Vec<Listener>,
    pub(crate) tls: Option<&'a TlsSettings>,
    pub(crate) limits: ConnectionLimits,
    pub(crate) workers: usize,
    pub(crate) clock: SharedClock,
}

/// The public side of the process.
#[derive(Debug)]
pub(crate) struct Entrance {
    admission: Arc<Admission>,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
}

/// What metrics tell of the entrance.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntranceFigures {
    /// Whether the process is stopping.
    pub(crate) is_stopping: bool,
    pub(crate) connections: ConnectionFigures,
    /// Where TLS is spoken.
    pub(crate) tls: Option<TlsFigures>,
}

/// The sockets of an entrance, which nobody accepts from yet.
#[derive(Debug)]
pub(crate) struct Unattended {
    listeners: Vec<Listener>,
    hand_over: HandOver,
}

impl Entrance {
    /// Binds every address and reads every certificate. Gives what the connections of each worker come by, too.
    ///
    /// # Errors
    /// If an address cannot be listened on, or a certificate cannot be used.
    pub(crate) fn open(
        options: EntranceOptions<'_>,
    ) -> Result<(Self, Unattended, Vec<mpsc::Receiver<Incoming>>), StartError> {
        let EntranceOptions { addresses, inherited, tls, limits, workers, clock } = options;
        let bound = |address: &SocketAddr| {
            bind(*address).map_err(|source| StartError::Listen { address: *address, source })
        };
        let listeners = match inherited.is_empty() {
            true => addresses.iter().map(bound).collect::<Result<_, _>>()?,
            false => inherited,
        };
        let tls = match tls {
            Some(settings) => {
                let certificates = Certificates::read(&settings.certificates, clock)?;
                Some(Arc::new(Tls::new(Arc::new(certificates)).map_err(StartError::ServerTls)?))
            }
            None => None,
        };
        let admission = Arc::new(Admission::new(limits, workers));
        let (hand_over, incoming) = HandOver::new(workers);
        let entrance = Self { admission, tls, stop: CancellationToken::new() };
        Ok((entrance, Unattended { listeners, hand_over }, incoming))
    }

    /// Begins to accept, on a thread that ends with the stop.
    pub(crate) fn attend(&self, unattended: Unattended) -> io::Result<JoinHandle<()>> {
        let Unattended { listeners, hand_over } = unattended;
        let acceptor =
            Acceptor { admission: Arc::clone(&self.admission), hand_over, stop: self.stop.clone() };
        acceptor.start(listeners)
    }

    /// Goes by these proxies, whose connections are not counted by their addresses.
    pub(crate) fn go_by(&self, proxies: Option<ForwardedTrust>) {
        self.admission.go_by(proxies);
    }

    /// What encrypts the connections, if they are encrypted.
    pub(crate) fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// What is cancelled when the process is to stop.
    pub(crate) fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether the process is stopping, and should get no more requests.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub(crate) fn figures(&self) -> EntranceFigures {
        EntranceFigures {
            is_stopping: self.is_stopping(),
            connections: self.admission.figures(),
            tls: self.tls.as_ref().map(|tls| tls.figures()),
        }
    }
}

impl Unattended {
    /// Where it listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(Listener::address).collect()
    }
}
