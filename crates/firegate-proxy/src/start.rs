//! Starting and stopping: the control thread, then the workers, and back.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use firegate_core::jose::{SelfTestError, self_test};
use firegate_core::limiter::MemoryCounters;
use firegate_core::time::SharedClock;
use firegate_files::configuration::Configuration;
use firegate_google::credentials::CredentialError;
use firegate_google::fault::FaultSource;
use firegate_google::http::{Roots, TlsSetupError};
use firegate_google::watch_clock;
use http::request::Parts;

use crate::admin::Admin;
use crate::assertions::AssertionKeyError;
use crate::control::{Control, ControlRuntime};
use crate::door::Shared;
use crate::files::FileReads;
use crate::generation::{Generation, ProcessOptions};
use crate::geography::GeographyError;
use crate::limits_store::LimitsStoreError;
use crate::listen::{CertificateError, Entrance, EntranceOptions, InheritedSockets, Listener};
use crate::metrics::{Decisions, Exposition, Figures, ProcessFigures, Source};
use crate::private_listener::Private;
use crate::telemetry::LogQueue;
use crate::upstream::{BackendError, SystemResolver, Upstreams};
use crate::{health, threads, worker};

/// What a front door is started with.
#[derive(Debug)]
pub struct FrontDoorOptions {
    /// The checked configuration.
    pub configuration: Configuration,
    /// The addresses to listen on, at least one; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Sockets that somebody else opened, instead of these addresses and of those in the configuration.
    pub inherited: InheritedSockets,
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
    /// Where the lines about requests go.
    pub log: LogQueue,
    /// Whom TLS towards Google and the services trusts.
    pub roots: Roots,
    /// `firegate dev`: pages of localhost and private addresses may call, and hosts that are not this machine's own are
    /// refused.
    pub is_local: bool,
    /// Names in lower case that are answered beside this machine's own, if `is_local`. Whoever owns one of them can let a
    /// page of theirs ask here.
    pub local_hosts: BTreeSet<String>,
    /// How long requests under way may take after a stop was asked for.
    pub drain_timeout: Duration,
    /// How long idle connections stay open after that, for a request that was on its way already.
    pub idle_connection_grace: Duration,
    /// How long a client's connection stays open that nobody uses.
    pub client_idle_timeout: Duration,
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
        "{address} cannot be listened on: {source}\nhint: {hint}", hint = listen_hint(source)
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// There is nothing to listen on.
    #[error("there is no address to listen on\nhint: give one, for example `--listen 127.0.0.1:8080`")]
    NoAddress,
    /// A socket was inherited for a listener that there is none of.
    #[error(
        "the inherited socket {name:?} is for `{name}`, which the configuration does not have\nhint: add \
         `{name}: {{ listen: 127.0.0.1:9902 }}`, or do not hand it over"
    )]
    InheritedInVain {
        /// The listener's name.
        name: &'static str,
    },
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// TLS towards the clients cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    ServerTls(#[source] rustls::Error),
    /// A thread or a runtime could not be started.
    #[error("a thread could not be started: {0}{hint}", hint = threads::hint(.0))]
    Thread(#[source] io::Error),
    /// Tests of the URL map fail.
    #[error("{0}")]
    UrlMapTests(String),
    /// The database of addresses cannot be used.
    #[error(transparent)]
    Geography(#[from] GeographyError),
    /// There is no usable assertion key.
    #[error(transparent)]
    AssertionKey(#[from] AssertionKeyError),
    /// There is no usable credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The only credential has no ID token for a service: a user's own, or a federated one that impersonates nobody.
    #[error("{0}")]
    NoIdTokens(FaultSource),
    /// Tokens are to be exchanged, and there is no key that every instance has.
    #[error(
        "`exchange.enabled` needs `assertion.key` on Cloud Run: every instance would sign with a key of its own, which the others \
         do not publish\nhint: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out assertion.pem; keep it as \
         a secret, mount it, and set `assertion: {{ key: /secrets/assertion.pem }}`"
    )]
    ExchangeWithoutKey,
    /// A backend cannot be called at all.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The store of rate limits cannot be used.
    #[error(transparent)]
    LimitsStore(#[from] LimitsStoreError),
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
    addresses: Vec<SocketAddr>,
    health_address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    pub(crate) control: Control,
    pub(crate) shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
    /// By which configurations are read while it runs.
    pub(crate) reads: FileReads,
}

impl FrontDoor {
    /// Opens a front door. It listens when this returns; it can decide about users once it is [ready](Self::ready).
    ///
    /// # Errors
    /// If the address is taken, or a key or credential that the configuration names cannot be used.
    pub fn start(mut options: FrontDoorOptions) -> Result<Self, StartError> {
        self_test()?;
        let inherited = std::mem::take(&mut options.inherited);
        let configuration = &options.configuration;
        let count =
            options.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let (entrance, unattended, incoming) = Entrance::open(EntranceOptions {
            addresses: &options.listen,
            inherited: inherited.public,
            tls: configuration.tls.as_ref(),
            limits: configuration.limits,
            workers: count,
            clock: Arc::clone(&options.clock),
        })?;
        let addresses = unattended.addresses();
        if addresses.is_empty() {
            return Err(StartError::NoAddress);
        }
        let health = private("health", configuration.health, inherited.health)?;
        let admin = private("admin", configuration.admin, inherited.admin)?;
        let [health_address, admin_address] =
            [&health, &admin].map(|private| private.as_ref().map(Private::address));
        let FrontDoorOptions { drain_timeout, idle_connection_grace, client_idle_timeout, .. } = options;
        // From here on threads run: what can be refused for a mistake of the operator's is refused before it listens.
        let control = Control::start(options.roots.clone())?;
        let shared = match shared(options, count, entrance, control.runtime()) {
            Ok(shared) => shared,
            Err(error) => {
                control.stop();
                return Err(error);
            }
        };
        if let Some(tls) = shared.entrance.tls() {
            control.runtime().spawn(Arc::clone(tls.certificates()).watch(control.runtime().stop_token()));
        }
        serve_private(control.runtime(), health, admin, &shared);
        let start = |(index, incoming)| {
            let shared = Arc::clone(&shared);
            worker::start(worker::Start {
                index,
                incoming,
                shared,
                drain_timeout,
                idle_connection_grace,
                client_idle_timeout,
            })
        };
        let workers = incoming.into_iter().enumerate().map(start).collect::<io::Result<_>>();
        let threads = workers.and_then(|workers| Ok((workers, shared.entrance.attend(unattended)?)));
        let (workers, acceptor) = match threads {
            Ok(threads) => threads,
            Err(error) => {
                // Those that did start end with the control thread's.
                shared.entrance.stop_token().cancel();
                control.stop();
                return Err(StartError::Thread(error));
            }
        };
        let reads = FileReads::default();
        Ok(Self { addresses, health_address, admin_address, control, shared, acceptor, workers, reads })
    }

    /// The first address that it listens on.
    pub fn address(&self) -> SocketAddr {
        // There is one at least, or it would not have started.
        self.addresses.first().copied().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// Every address that it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        self.shared.entrance.tls().is_some()
    }

    /// The address that probes are answered on.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health_address
    }

    /// The address that metrics are told on.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Waits until it can decide about users.
    pub async fn ready(&self) {
        self.shared.generation().control.ready().await;
    }

    /// Looks at the files of certificates now, instead of in a moment. Needs a runtime; files are read by a thread that may
    /// wait for them.
    pub fn reload_certificates(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            if let Some(tls) = shared.entrance.tls() {
                tls.certificates().reload_on_request().await;
            }
        }
    }

    /// Says that it is not ready, stops accepting, finishes the requests under way within the options' `drain_timeout`, and
    /// ends every thread. WebSockets end at once, because they would not by themselves. Requests under way may still need
    /// keys and tokens, so the control thread and the probes go last.
    pub fn stop(self) {
        self.shared.entrance.stop_token().cancel();
        // What it accepted goes to the workers, who end when they have served that.
        for thread in std::iter::once(self.acceptor).chain(self.workers) {
            // A thread that panicked has said so already, and the others have requests to finish.
            let _ = thread.join();
        }
        self.control.stop();
    }
}

/// What to do about an address that cannot be listened on.
fn listen_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 take a right: choose a higher one, or give it \
             (`AmbientCapabilities=CAP_NET_BIND_SERVICE` of systemd)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has that address; 0.0.0.0 and [::] stand for all that it has"
        }
        _ => "stop what listens there, or choose another address",
    }
}

/// Opens a listener that is not for the public.
fn private(
    name: &'static str,
    address: Option<SocketAddr>,
    inherited: Option<Listener>,
) -> Result<Option<Private>, StartError> {
    match (address, inherited) {
        (Some(address), inherited) => Private::open(address, inherited)
            .map(Some)
            .map_err(|source| StartError::Listen { address, source }),
        (None, Some(_)) => Err(StartError::InheritedInVain { name }),
        (None, None) => Ok(None),
    }
}

/// What the workers share: the process's own, and the first generation.
fn shared(
    options: FrontDoorOptions,
    workers: usize,
    entrance: Entrance,
    control: &ControlRuntime,
) -> Result<Arc<Shared>, StartError> {
    let process = ProcessOptions {
        on_cloud_run: options.on_cloud_run,
        application_credentials: options.application_credentials,
        home: options.home,
        lookup_bearer: options.lookup_bearer,
        keeps_data: options.keeps_data,
        is_local: options.is_local,
        local_hosts: options.local_hosts,
        counters: Arc::new(MemoryCounters::new(Arc::clone(&options.clock), limiter_secret())),
        clock: options.clock,
        log: options.log,
        upstreams: Upstreams::new(
            control.executor(),
            Arc::clone(control.panics()),
            Arc::new(SystemResolver),
            options.roots,
            workers,
        )?,
    };
    let generation = Generation::new(options.configuration, &process, control, None)?;
    control.spawn(watch_clock(Arc::clone(&process.clock), control.stop_token()));
    entrance.go_by(generation.forwarded_trust.clone());
    Ok(Arc::new(Shared::new(process, entrance, Arc::clone(control.panics()), generation)))
}

/// A secret of this process alone. The system's randomness is behind it, which [`RandomState`] asks for.
fn limiter_secret() -> [u8; 16] {
    let random = RandomState::new();
    let mut secret = [0; 16];
    let halves = [0_u8, 1].map(|half| random.hash_one(half).to_ne_bytes());
    secret.iter_mut().zip(halves.as_flattened()).for_each(|(to, from)| *to = *from);
    secret
}

/// Serves the listeners that are not for the public. They go on while requests under way are finished, unless another
/// process listens on the same socket: then that one's answers are the ones to give.
fn serve_private(
    control: &ControlRuntime,
    health: Option<Private>,
    admin: Option<Private>,
    shared: &Arc<Shared>,
) {
    let stop = |listener: &Private| match listener.is_inherited() {
        true => shared.entrance.stop_token().clone(),
        false => control.stop_token(),
    };
    let (end, panics) = (control.stop_token(), Arc::clone(control.panics()));
    if let Some(listener) = health {
        let (shared, stop) = (Arc::clone(shared), stop(&listener));
        let answer = move |parts: &Parts| health::answer(parts, &shared);
        control.spawn(listener.serve(stop, end.clone(), Arc::clone(&panics), answer));
    }
    if let Some(listener) = admin {
        let exposition = Exposition::new(InForce(Arc::clone(shared)));
        let admin = Admin::new(exposition, listener.address().ip().is_loopback());
        let stop = stop(&listener);
        control.spawn(listener.serve(stop, end, panics, move |parts: &Parts| admin.answer(parts)));
    }
}

/// What the metrics are read from: whatever is in force when they are read.
#[derive(Debug)]
struct InForce(Arc<Shared>);

impl Source for InForce {
    fn figures(&self) -> Figures {
        let generation = self.0.generation();
        let Shared { reloads, entrance, panics, requests, cut_connections, process, .. } = &*self.0;
        let own = ProcessFigures {
            configuration: reloads.figures(),
            entrance: entrance.figures(),
            panics: panics.count(),
            requests_in_flight: requests.count(),
            cut_connections: cut_connections.figures(),
            log_lines_dropped: process.log.lines_dropped(),
            mirrors_dropped: self.0.mirrors_dropped(),
        };
        generation.figures(own, &process.upstreams)
    }

    fn decisions(&self) -> Arc<Decisions> {
        Arc::clone(&self.0.generation().decisions)
    }
}
