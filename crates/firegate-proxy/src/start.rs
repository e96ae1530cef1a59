//! Starting and stopping: the control thread, then the workers, and back.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use firegate_core::jose::{SelfTestError, self_test};
use firegate_core::time::SharedClock;
use firegate_files::configuration::Configuration;
use firegate_google::credentials::CredentialError;
use firegate_google::fault::FaultSource;
use firegate_google::http::{Roots, TlsSetupError, client_tls};
use http::request::Parts;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::assertions::AssertionKeyError;
use crate::control::{Control, ControlRuntime};
use crate::door::Shared;
use crate::generation::{Generation, ProcessOptions};
use crate::metrics::{Decisions, Exposition, Figures, Source};
use crate::private_listener::Private;
use crate::{health, worker};

/// What a front door is started with.
#[derive(Debug)]
pub struct FrontDoorOptions {
    /// The checked configuration.
    pub configuration: Configuration,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether this is Cloud Run, whose own front always stands before the listener.
    pub on_cloud_run: bool,
    /// `GOOGLE_APPLICATION_CREDENTIALS`.
    pub application_credentials: Option<PathBuf>,
    /// The home directory, under which gcloud keeps credentials.
    pub home: Option<PathBuf>,
    /// What the look-up of accounts is authorised with instead of Firegate's own credential: the word that a local
    /// identity server takes.
    pub lookup_bearer: Option<&'static str>,
    /// Whether key sets and the assertion key are kept in the configuration's `data_dir`.
    pub keeps_data: bool,
    /// Whom TLS towards Google and the services trusts.
    pub roots: Roots,
    /// `firegate dev`: pages of localhost and private addresses may call, and hosts that are not this machine's own are
    /// refused.
    pub is_local: bool,
    /// How long requests under way may take after a stop was asked for.
    pub drain_timeout: Duration,
    /// How many workers there are; `None` for one per core.
    pub workers: Option<usize>,
    /// The clock that tokens are judged by.
    pub clock: SharedClock,
}

/// Why a front door does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error(
        "{address} cannot be listened on: {source}\nhint: stop what listens there, or choose another address"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A thread or a runtime could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[source] io::Error),
    /// There is no usable assertion key.
    #[error(transparent)]
    AssertionKey(#[from] AssertionKeyError),
    /// There is no usable credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The only credential is a user's own, which cannot be for a service.
    #[error("{0}")]
    UserCredentials(FaultSource),
    /// Tokens are to be exchanged, and there is no key that every instance has.
    #[error(
        "`exchange.enabled` needs `assertion.key` on Cloud Run: every instance would sign with a key of its own, which the others \
         do not publish\nhint: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out assertion.pem; keep it as \
         a secret, mount it, and set `assertion: {{ key: /secrets/assertion.pem }}`"
    )]
    ExchangeWithoutKey,
    /// The cryptographic library does not work.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    /// TLS towards others cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// A front door that is open.
#[derive(Debug)]
pub struct FrontDoor {
    address: SocketAddr,
    health_address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    stop: CancellationToken,
    pub(crate) control: Control,
    pub(crate) shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl FrontDoor {
    /// Opens a front door. It listens when this returns; it can decide about users once it [is
    /// ready](Self::is_ready).
    ///
    /// # Errors
    /// If the address is taken, or a key or credential that the configuration names cannot be used.
    pub fn start(options: FrontDoorOptions) -> Result<Self, StartError> {
        self_test()?;
        let (listen, count) = (options.listen, options.workers);
        let count = count.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let listen_error = |address| move |source| StartError::Listen { address, source };
        let listeners = worker::bind(listen, count).map_err(listen_error(listen))?;
        let address = listeners.first().and_then(|listener| listener.local_addr().ok()).unwrap_or(listen);
        let private = |address: Option<SocketAddr>| match address {
            Some(address) => Private::bind(address).map(Some).map_err(listen_error(address)),
            None => Ok(None),
        };
        let health = private(options.configuration.health)?;
        let admin = private(options.configuration.admin)?;
        let [health_address, admin_address] =
            [&health, &admin].map(|private| private.as_ref().map(Private::address));
        let drain_timeout = options.drain_timeout;
        let control = Control::start(options.roots.clone())?;
        let shared = match shared(options, listeners.len(), control.runtime()) {
            Ok(shared) => shared,
            Err(error) => {
                control.stop();
                return Err(error);
            }
        };
        serve_private(control.runtime(), health, admin, &shared);
        let stop = CancellationToken::new();
        let start = |(index, listener)| {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            worker::start(worker::Start { index, listener, shared, stop, drain_timeout })
        };
        let workers = match listeners.into_iter().enumerate().map(start).collect::<io::Result<_>>() {
            Ok(workers) => workers,
            Err(error) => {
                // Those that did start end with the control thread's.
                stop.cancel();
                control.stop();
                return Err(StartError::Thread(error));
            }
        };
        Ok(Self { address, health_address, admin_address, stop, control, shared, workers })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that probes are answered on.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health_address
    }

    /// The address that metrics are told on.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Whether it can decide about users: it has the keys of their tokens.
    pub fn is_ready(&self) -> bool {
        self.shared.generation().control.is_ready()
    }

    /// Waits until it can decide about users.
    pub async fn ready(&self) {
        self.shared.generation().control.ready().await;
    }

    /// Stops accepting, finishes the requests under way within the options' `drain_timeout`, and ends every thread. WebSockets
    /// end at once, because they would not by themselves. Requests under way may still need keys and tokens, so the control
    /// thread and the probes go last.
    pub fn stop(self) {
        self.stop.cancel();
        for worker in self.workers {
            // A worker that panicked has said so already, and the others have requests to finish.
            let _ = worker.join();
        }
        self.control.stop();
    }
}

/// What the workers share: the process's own, and the first generation.
fn shared(
    options: FrontDoorOptions,
    workers: usize,
    control: &ControlRuntime,
) -> Result<Arc<Shared>, StartError> {
    let process = ProcessOptions {
        on_cloud_run: options.on_cloud_run,
        application_credentials: options.application_credentials,
        home: options.home,
        lookup_bearer: options.lookup_bearer,
        keeps_data: options.keeps_data,
        is_local: options.is_local,
        clock: options.clock,
        tls: client_tls(options.roots)?,
        workers,
    };
    let generation = Generation::new(options.configuration, &process, control, None)?;
    Ok(Arc::new(Shared::new(process, generation)))
}

/// Serves the listeners that are not for the public.
fn serve_private(
    control: &ControlRuntime,
    health: Option<Private>,
    admin: Option<Private>,
    shared: &Arc<Shared>,
) {
    if let Some(listener) = health {
        let shared = Arc::clone(shared);
        let answer = move |parts: &Parts| health::answer(parts, &shared);
        control.spawn(listener.serve(control.stop_token(), answer));
    }
    if let Some(listener) = admin {
        let exposition = Exposition::new(InForce(Arc::clone(shared)));
        let admin = Admin::new(exposition, listener.address().ip().is_loopback());
        control.spawn(listener.serve(control.stop_token(), move |parts: &Parts| admin.answer(parts)));
    }
}

/// What the metrics are read from: whatever is in force when they are read.
#[derive(Debug)]
struct InForce(Arc<Shared>);

impl Source for InForce {
    fn figures(&self) -> Figures {
        let generation = self.0.generation();
        generation.control.figures(self.0.reloads.figures(), &generation.snapshot.backends)
    }

    fn decisions(&self) -> Arc<Decisions> {
        Arc::clone(&self.0.generation().decisions)
    }
}
