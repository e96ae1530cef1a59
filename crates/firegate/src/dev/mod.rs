//! Everything on one machine: the identity server, the Google parts, Cloud Run's front with a service behind it, and
//! the front door before it all. The parts are real servers on real sockets, and the front door is the one that
//! `firegate serve` runs; what is local about it is its configuration.

mod arguments;
mod expected;
mod google;
mod listeners;
mod setup;
mod welcome;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use firegate_core::time::SharedClock;
use firegate_emulator::cloud_run::{Arrival, CloudRunFront, CloudRunOptions};
use firegate_emulator::google::{APP_CHECK_DEBUG_TOKEN, GoogleParts};
use firegate_emulator::service::{EchoOptions, EchoService};
use firegate_files::configuration::Routing;
use firegate_files::diagnostic::Diagnostics;
use firegate_google::http::{ExchangeBounds, HttpClient, Roots};
use firegate_identity::{IdentityServer, NewAccount, Options as IdentityOptions, TokenSigning};
use firegate_proxy::limits::CLIENT_IDLE_TIMEOUT;
use firegate_proxy::{FrontDoor, FrontDoorOptions, InheritedSockets, LogQueue};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use arguments::{CloudRunSetting, DevArguments, HostName, Mapping, Signing};
use listeners::Listeners;
use setup::Setup;
pub use welcome::welcome;

/// The number of the local project.
pub const PROJECT_NUMBER: &str = "123456789012";

/// The user that is there from the start.
pub const SEEDED_EMAIL: &str = "ada@example.com";

/// The password of the user that is there from the start.
pub const SEEDED_PASSWORD: &str = "correct-horse-battery";

/// How long an emulator may take to say that it is there.
const EMULATOR_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How much of what it says is read.
const EMULATOR_PROBE_BYTES_MAX: usize = 64 * 1024;

/// How long requests under way may take after Ctrl-C.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long idle connections stay open after Ctrl-C. Whoever has pressed it waits for no client; the sample service keeps a
/// connection for its JWK set, and every browser and test some.
const IDLE_CONNECTION_GRACE: Duration = Duration::ZERO;

// What is under way gets most of the time that there is for a stop.
const _: () = assert!(IDLE_CONNECTION_GRACE.as_millis() * 4 <= DRAIN_TIMEOUT.as_millis());

/// What is not an argument.
#[derive(Debug)]
pub struct DevContext {
    /// The time, for every part.
    pub clock: SharedClock,
    /// Real application credentials are configured on this machine.
    pub has_application_credentials: bool,
    /// How many workers the front door has; `None` for one per core.
    pub workers: Option<usize>,
    /// Where the front door's lines about requests go.
    pub log: LogQueue,
}

/// The running stack.
#[derive(Debug)]
pub struct Dev {
    /// Where everything is.
    pub places: Places,
    /// What the configuration's author ought to look at.
    pub warnings: Diagnostics,
    door: FrontDoor,
    parts: JoinSet<io::Result<()>>,
    stop: CancellationToken,
    ready_file: Option<PathBuf>,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Places {
    /// The Firebase project's ID.
    pub project: String,
    /// The project's number.
    pub project_number: String,
    /// The front door.
    pub door: Url,
    /// Cloud Run's front.
    pub service: Url,
    /// The Google parts.
    pub google: Url,
    /// The identity server, or the emulator that it is replaced by.
    pub identity: Url,
    /// Who can sign in there.
    pub users: Users,
    /// Where users and keys are kept, if they outlive the process.
    pub data: Option<PathBuf>,
    /// The hosts that the front door answers to beside this machine's own.
    pub hosts: BTreeSet<String>,
    /// The configuration, if a URL map routes its requests.
    pub url_map_of: Option<PathBuf>,
    /// How a private service is called directly, if one stands behind the local Cloud Run front.
    pub direct: Option<Direct>,
    /// Whether door and identity server are open to the local network.
    pub is_lan: bool,
    /// The addresses of this machine in the local network, if it is open to it.
    pub lan_addresses: Vec<IpAddr>,
}

/// Who can sign in at the identity server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// The seeded user, with the password that they were made with.
    Seeded,
    /// The seeded user is among those that were kept, and has another password by now or is disabled.
    Kept,
    /// Those of an emulator that is not ours.
    OfEmulator,
}

/// A request that reaches a private service, directly or through the front door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct {
    /// The service's own host, if it is another than the local address.
    pub host: Option<String>,
    /// A path that is routed to it.
    pub path: String,
    /// What its answers are expected to be.
    pub expected: Expected,
}

/// What a request comes to, for whoever sends it: a status and whose it is, or that it is up to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// With a Firebase token, sent to the service's own address.
    pub direct: String,
    /// With the same token, sent to the front door.
    pub through: String,
    /// Without a token, sent to the service's own address.
    pub without: String,
}

impl Dev {
    /// Starts everything and waits until the front door can decide.
    ///
    /// # Errors
    /// If a port is taken, the configuration is not usable, or something that must stay local is not.
    pub async fn start(arguments: DevArguments, context: DevContext) -> anyhow::Result<Self> {
        arguments.check(&context)?;
        if let Some(file) = &arguments.ready_file {
            remove_ready_file(file)?;
        }
        if let Some(identity) = &arguments.identity {
            probe_emulator(identity).await?;
        }
        let listeners = Listeners::bind(&arguments).await?;
        let stop = CancellationToken::new();
        let mut parts = JoinSet::new();
        let clock = Arc::clone(&context.clock);
        let mut places = listeners.places(&arguments)?;
        let (mut identity, mut user_id) = (None, None);
        if let Some(listener) = listeners.identity {
            let (server, seeded) = open_identity(&arguments, &clock).await?;
            (identity, user_id) = (Some(server.clone()), Some(seeded));
            if !server.signs_in(SEEDED_EMAIL, SEEDED_PASSWORD).await? {
                places.users = Users::Kept;
            }
            parts.spawn(server.serve(listener, stop.clone().cancelled_owned()));
        }
        let setup = setup::prepare(&arguments, &places)?;
        let warnings = setup.configuration.warnings.clone();
        places.learn(&setup, &arguments);
        // A kept account may have claims by now that nobody asks it for here, and that a configuration can go by.
        let is_known =
            places.users == Users::Seeded && (arguments.data.is_none() || arguments.config.is_none());
        let user_id = user_id.filter(|_| is_known);
        places.direct = expected::direct(&setup, &arguments, user_id.as_deref(), clock.now())?;
        let google = GoogleParts::new(google::options(&setup, &places, &clock)?)?;
        let keys = google.keys();
        let cloud_run = CloudRunFront::new(CloudRunOptions {
            services: setup.services(&arguments, &listeners.container_url),
            statuses: setup::statuses(&arguments),
            keys: keys.clone(),
            clock: Arc::clone(&clock),
        });
        if let Some(container) = listeners.container {
            let jwks_url = places.door.join(".well-known/firegate/jwks.json")?;
            let options = EchoOptions { jwks_url, audiences: setup.audiences(), clock: Arc::clone(&clock) };
            parts.spawn(EchoService::new(options).serve(container, stop.clone().cancelled_owned()));
        }
        parts.spawn(google.serve(listeners.google, stop.clone().cancelled_owned()));
        parts.spawn(cloud_run.serve(listeners.service, Arrival::Internet, stop.clone().cancelled_owned()));
        let options = front_door(setup, listeners.door, &places, context)?;
        let door = tokio::task::spawn_blocking(|| FrontDoor::start(options)).await??;
        door.ready().await;
        // A request waits for Google's parts only so long, and here their keys are made while it does.
        keys.key_set().await?;
        if let Some(identity) = identity {
            identity.keys_made().await?;
        }
        let dev = Self { places, warnings, door, parts, stop, ready_file: arguments.ready_file };
        dev.write_ready_file()?;
        Ok(dev)
    }

    /// Waits until a part ends by itself, which none should.
    pub async fn part_failed(&mut self) -> anyhow::Error {
        match self.parts.join_next().await {
            Some(Ok(Err(error))) => anyhow::Error::from(error).context("a part of the stack failed"),
            Some(Err(error)) => anyhow::Error::from(error).context("a part of the stack failed"),
            Some(Ok(Ok(()))) | None => anyhow::anyhow!("a part of the stack ended by itself"),
        }
    }

    /// Ends everything and waits until it has ended.
    pub async fn stop(mut self) {
        if let Some(Err(error)) = self.ready_file.as_deref().map(remove_ready_file) {
            tracing::warn!("{error:#}");
        }
        let door = self.door;
        // The front door first: it finishes requests that still need the parts.
        if let Err(error) = tokio::task::spawn_blocking(move || door.stop()).await {
            tracing::error!(%error, "the front door did not stop cleanly");
        }
        self.stop.cancel();
        while let Some(ended) = self.parts.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a part failed"),
                Err(error) => tracing::error!(%error, "a part did not stop cleanly"),
            }
        }
    }

    /// All addresses as JSON, for programs that start `firegate dev`.
    pub fn ready_document(&self) -> Value {
        let Places { project, project_number, door, service, google, identity, users, .. } = &self.places;
        let origin = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        let account = |name| google::service_account(project, name);
        json!({
            "project": project, "project_number": project_number, "door": origin(door), "service": origin(service), "google": origin(google),
            "identity": origin(identity), "app_check_debug_token": APP_CHECK_DEBUG_TOKEN,
            "user": (*users == Users::Seeded).then(|| json!({"email": SEEDED_EMAIL, "password": SEEDED_PASSWORD})),
            "service_accounts": {
                "door": account(google::DOOR), "caller": account(google::CALLER), "stranger": account(google::STRANGER),
            },
        })
    }

    /// Writes the file whole or not at all: whoever waits for it may read it as soon as it is there.
    fn write_ready_file(&self) -> anyhow::Result<()> {
        let Some(file) = &self.ready_file else { return Ok(()) };
        let partial = file.with_extension("partial");
        std::fs::write(&partial, format!("{:#}\n", self.ready_document()))
            .and_then(|()| std::fs::rename(&partial, file))
            .with_context(|| format!("--ready-file {} cannot be written", file.display()))
    }
}

impl Places {
    /// Takes up what only the front door's configuration says.
    fn learn(&mut self, setup: &Setup, arguments: &DevArguments) {
        self.project = setup.configuration.project.to_string();
        self.hosts = setup.hosts(arguments);
        let has_url_map = matches!(setup.configuration.routing, Routing::UrlMap(_));
        self.url_map_of = arguments.config.clone().filter(|_| has_url_map);
    }
}

/// What the front door is started with.
fn front_door(
    setup: Setup,
    listener: TcpListener,
    places: &Places,
    context: DevContext,
) -> anyhow::Result<FrontDoorOptions> {
    Ok(FrontDoorOptions {
        // It is bound already: a port that is let go of may be somebody else's a moment later.
        listen: Vec::new(),
        inherited: InheritedSockets::of(vec![("public".to_owned(), listener.into_std()?)])?,
        on_cloud_run: false,
        // Only local parts are called; a real credential of this machine must not be sent to them.
        application_credentials: None,
        home: None,
        lookup_bearer: setup.trusts_emulator.then_some(firegate_google::accounts::EMULATOR_BEARER),
        keeps_data: places.data.is_some(),
        log: context.log,
        // A machine without certificates is no less able to talk to itself.
        roots: Roots::Given(Vec::new()),
        is_local: true,
        local_hosts: places.hosts.clone(),
        drain_timeout: DRAIN_TIMEOUT,
        idle_connection_grace: IDLE_CONNECTION_GRACE,
        client_idle_timeout: CLIENT_IDLE_TIMEOUT,
        workers: context.workers,
        clock: context.clock,
        configuration: setup.configuration,
    })
}

/// Removes the file of a stack that is not there: an old one would send whoever waits for it to dead addresses.
fn remove_ready_file(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("--ready-file {} cannot be removed", file.display()))
        }
        _ => Ok(()),
    }
}

/// Makes sure that something answers where the emulator is said to be.
async fn probe_emulator(identity: &Url) -> anyhow::Result<()> {
    let http = HttpClient::new(tokio::runtime::Handle::current(), Roots::Given(Vec::new()))?;
    let bounds = ExchangeBounds { timeout: EMULATOR_PROBE_TIMEOUT, body_bytes_max: EMULATOR_PROBE_BYTES_MAX };
    let answer = http.get(identity, bounds).await;
    answer.map(drop).with_context(|| {
        let at = identity.as_str().trim_end_matches('/');
        format!("no emulator answers at --identity {at}\nhint: start it, or leave --identity out: `dev` brings a server of its own")
    })
}

/// Opens the identity server, with the user who is there from the start, and says by which id.
async fn open_identity(
    arguments: &DevArguments,
    clock: &SharedClock,
) -> anyhow::Result<(IdentityServer, String)> {
    let server = IdentityServer::open(IdentityOptions {
        token_signing: match arguments.token_signing {
            Signing::None => TokenSigning::None,
            Signing::Rs256 => TokenSigning::Rs256,
        },
        data_dir: arguments.data.as_ref().map(|data| data.join("identity")),
        project_number: setup::project_number(arguments)?,
        ..IdentityOptions::new(setup::project(arguments)?, Arc::clone(clock))
    })
    .await?;
    let seeded = NewAccount {
        email: SEEDED_EMAIL.to_owned(),
        password: SEEDED_PASSWORD.to_owned(),
        email_verified: true,
        display_name: Some("Ada".to_owned()),
        ..NewAccount::default()
    };
    let user_id = server.seed_account(seeded).await?;
    Ok((server, user_id))
}
