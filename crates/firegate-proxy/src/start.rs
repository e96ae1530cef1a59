//! Starting and stopping: the control thread, then the workers, and back.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use firegate_core::jose::{SelfTestError, self_test};
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_core::time::SharedClock;
use firegate_files::configuration::{Behind, Configuration, IdentityHeaders};
use firegate_google::credentials::CredentialError;
use firegate_google::fault::FaultSource;
use firegate_google::http::{Roots, TlsSetupError, client_tls};
use http::request::Parts;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::assertions::{AssertionKeyError, Assertions, KeySource, read_key, read_public_key};
use crate::client_address::ForwardedTrust;
use crate::control::{Control, ControlFigures, ControlHandle, ControlOptions};
use crate::door::{Hints, Shared};
use crate::limits::EXCHANGES_MAX;
use crate::metrics::{Decisions, Exposition};
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
    control: Control,
    handle: ControlHandle,
    workers: Vec<JoinHandle<()>>,
}

impl FrontDoor {
    /// Opens a front door. It listens when this returns; it can decide about users once it [is
    /// ready](Self::is_ready).
    ///
    /// # Errors
    /// If the address is taken, or a key or credential that the configuration names cannot be used.
    pub fn start(options: FrontDoorOptions) -> Result<Self, StartError> {
        let FrontDoorOptions { configuration, listen, on_cloud_run, clock, .. } = &options;
        self_test()?;
        let count =
            options.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let listen_error = |address| move |source| StartError::Listen { address, source };
        let listeners = worker::bind(*listen, count).map_err(listen_error(*listen))?;
        let address = listeners.first().and_then(|listener| listener.local_addr().ok()).unwrap_or(*listen);
        let private = |address: Option<SocketAddr>| match address {
            Some(address) => Private::bind(address).map(Some).map_err(listen_error(address)),
            None => Ok(None),
        };
        let (health, admin) = (private(configuration.health)?, private(configuration.admin)?);
        let mut snapshot = Snapshot::compile(configuration);
        if options.is_local {
            snapshot = snapshot.with_local_network_origins();
        }
        let assertions = Arc::new(assertions(&options, &snapshot)?);
        let tls = Arc::new(client_tls(options.roots.clone())?);
        let stop = CancellationToken::new();
        // From here on threads run: what can be refused was refused before.
        let control = Control::start(ControlOptions {
            configuration,
            application_credentials: options.application_credentials.clone(),
            home: options.home.clone(),
            lookup_bearer: options.lookup_bearer,
            keeps_data: options.keeps_data,
            roots: options.roots.clone(),
            clock: Arc::clone(clock),
            assertions: Arc::clone(&assertions),
        })?;
        control.spawn(Arc::clone(&assertions).run(Arc::clone(clock), control.stop_token()));
        let handle = control.handle();
        let [health_address, admin_address] =
            [&health, &admin].map(|private| private.as_ref().map(Private::address));
        let decisions = Arc::new(Decisions::new(&snapshot.backends));
        serve_private(&control, health, admin, &decisions, &snapshot.backends);
        let behind = configuration.behind.clone().unwrap_or(if *on_cloud_run {
            Behind::CloudRun
        } else {
            Behind::Direct
        });
        let shared = Arc::new(Shared {
            snapshot,
            clock: Arc::clone(clock),
            control: handle.clone(),
            assertions,
            forwarded_trust: ForwardedTrust::of(&behind, *on_cloud_run),
            is_local: options.is_local,
            hints: Hints::default(),
            decisions,
            exchanges: Semaphore::new(EXCHANGES_MAX),
        });
        let start = |(index, listener)| {
            worker::start(worker::Start {
                index,
                listener,
                shared: Arc::clone(&shared),
                tls: Arc::clone(&tls),
                stop: stop.clone(),
                drain_timeout: options.drain_timeout,
            })
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
        Ok(Self { address, health_address, admin_address, stop, control, handle, workers })
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
        self.handle.is_ready()
    }

    /// Waits until it can decide about users.
    pub async fn ready(&self) {
        self.handle.ready().await;
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

/// Serves the listeners that are not for the public.
fn serve_private(
    control: &Control,
    health: Option<Private>,
    admin: Option<Private>,
    decisions: &Arc<Decisions>,
    backends: &[Arc<Backend>],
) {
    if let Some(listener) = health {
        let handle = control.handle();
        let answer = move |parts: &Parts| health::answer(parts, &handle);
        control.spawn(listener.serve(control.stop_token(), answer));
    }
    if let Some(listener) = admin {
        let figures = ControlFigures { control: control.handle(), backends: backends.to_vec() };
        let exposition = Exposition::new(Arc::clone(decisions), figures);
        let admin = Admin::new(exposition, listener.address().ip().is_loopback());
        control.spawn(listener.serve(control.stop_token(), move |parts: &Parts| admin.answer(parts)));
    }
}

/// Makes what signs the assertions.
fn assertions(options: &FrontDoorOptions, snapshot: &Snapshot) -> Result<Assertions, StartError> {
    let settings = &options.configuration.assertion;
    let data_dir = options.keeps_data.then_some(options.configuration.data_dir.as_path());
    let source = match &settings.key {
        Some(path) => KeySource::Mounted(read_key(path)?),
        None if options.on_cloud_run => KeySource::None,
        None => KeySource::Generated(data_dir),
    };
    if matches!(source, KeySource::None) && snapshot.exchanges_tokens {
        return Err(StartError::ExchangeWithoutKey);
    }
    let sends = |backend: &Arc<Backend>| {
        matches!(backend.identity_headers(), IdentityHeaders::Firegate | IdentityHeaders::Iap)
    };
    if matches!(source, KeySource::None) && snapshot.backends.iter().any(sends) {
        tracing::warn!(
            "no assertion about the user is sent: every instance would sign with a key of its own\nhint: openssl genpkey \
             -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out assertion.pem; gcloud secrets create firegate-assertion \
             --data-file=assertion.pem; mount it, and set `assertion: {{ key: /secrets/assertion.pem }}`"
        );
    }
    let previous =
        settings.previous_keys.iter().map(|path| read_public_key(path)).collect::<Result<_, _>>()?;
    let issuer = snapshot.identity.issuer.clone();
    Ok(Assertions::new(source, previous, issuer, options.clock.now())?)
}
