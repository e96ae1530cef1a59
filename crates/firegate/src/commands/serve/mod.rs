//! `firegate serve`: the front door, for production.

pub(super) mod origin;
mod reloading;

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use firegate_core::time::SharedClock;
use firegate_files::configuration::{self, Configuration, NameError};
use firegate_google::http::Roots;
use firegate_proxy::limits::{CLIENT_IDLE_TIMEOUT, DRAIN_TIMEOUT, IDLE_CONNECTION_GRACE};
use firegate_proxy::{
    FrontDoor, FrontDoorOptions, InheritedSockets, LogQueue, ReloadError, StartError, read_at_start, threads,
};

use self::origin::Origin;
use self::reloading::{Hangups, Reloading};
use super::stop::StopRequests;
use crate::environment::Environment;
use crate::logging::log_findings;

/// Where the front door listens if neither the configuration nor `$PORT` says.
const PORT_DEFAULT: u16 = 8080;

/// The arguments of `firegate serve`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        firegate serve --project my-project --backend https://api-abc123-uc.a.run.app \\\n    \
          --allow allAuthenticatedUsers\n  \
        firegate serve -c firegate.yaml --listen 127.0.0.1:8080\n\n\
        Exit codes: 0 after a stop that was asked for; 2 if it cannot start; 130 if it was interrupted twice.")]
pub struct ServeArguments {
    /// The configuration file. On Cloud Run the text may come in FIREGATE_CONFIG instead.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["project", "backend", "allow"])]
    pub config: Option<PathBuf>,
    /// The Firebase project's ID.
    #[arg(long, requires = "backend")]
    pub project: Option<String>,
    /// The private service's URL, for example https://api-abc123-uc.a.run.app.
    #[arg(long, value_name = "URL", requires = "project")]
    pub backend: Option<String>,
    /// Who may call it, for example allAuthenticatedUsers: every signed-in user of the project. May be repeated.
    #[arg(long, value_name = "MEMBER")]
    pub allow: Vec<String>,
    /// The address to listen on, instead of the configuration's. May be repeated.
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    pub listen: Vec<SocketAddr>,
}

/// Runs the front door until the process is asked to stop.
///
/// # Errors
/// If the configuration is not usable or the front door cannot be started.
pub fn run(
    arguments: ServeArguments,
    environment: Environment,
    clock: SharedClock,
    log: &LogQueue,
) -> anyhow::Result<ExitCode> {
    let origin = Origin::of(&arguments, &environment)?;
    if let Some(why) = &environment.sockets_left {
        tracing::warn!("the sockets that LISTEN_FDS tells of are not taken: {why}");
    }
    let runtime = threads::runtime().map_err(StartError::Thread)?;
    // Whoever reads that it listens may ask it to stop, and whoever starts it to reload.
    let listening = async { io::Result::Ok((StopRequests::listen()?, Hangups::listen()?)) };
    let (mut requests, hangups) = runtime.block_on(listening)?;
    let reading = origin.clone();
    // A disk may take its time, and whoever asks for a stop meanwhile does not wait for it.
    let read = runtime.block_on(async { requests.unless_asked(read_at_start(move || reading.read())).await });
    let Some(read) = read else {
        runtime.shutdown_background();
        return Ok(ExitCode::SUCCESS);
    };
    let (configuration, named_files) = read?;
    let configuration = match configuration {
        Ok(configuration) => configuration,
        Err(ReloadError::Check(diagnostics)) => {
            log_findings(&diagnostics, log);
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(error.into()),
    };
    if !configuration.warnings.is_empty() {
        log_findings(&configuration.warnings, log);
    }
    let credentials = environment.credentials();
    let options = options(arguments.listen, environment, configuration, clock, log)?;
    let starting = async {
        // Before the files of keys are read: what changes after that is noticed.
        let reloading = Reloading::new(origin, credentials.files(), named_files, hangups).await;
        let door = read_at_start(move || FrontDoor::start(options)).await??;
        anyhow::Ok((reloading, door))
    };
    // That may take as long.
    let started = runtime.block_on(async { requests.unless_asked(starting).await });
    let Some(started) = started else {
        runtime.shutdown_background();
        return Ok(ExitCode::SUCCESS);
    };
    let (reloading, mut door) = started?;
    tell_addresses(&door);
    let ended = runtime.block_on(async {
        reloading.until_stopped(&mut door, &mut requests).await;
        tracing::info!("stopping: requests under way are finished");
        let stopping = tokio::task::spawn_blocking(move || door.stop());
        requests.unless_asked_again(async { drop(stopping.await) }).await
    });
    // Whoever asked twice does not wait for what is still stopping.
    runtime.shutdown_background();
    Ok(ended)
}

/// What the front door is started with.
fn options(
    listen: Vec<SocketAddr>,
    environment: Environment,
    configuration: Configuration,
    clock: SharedClock,
    log: &LogQueue,
) -> anyhow::Result<FrontDoorOptions> {
    let port = environment.port.unwrap_or(PORT_DEFAULT);
    Ok(FrontDoorOptions {
        listen: [listen, configuration.listen.clone()]
            .into_iter()
            .find(|addresses| !addresses.is_empty())
            .unwrap_or_else(|| vec![(Ipv4Addr::UNSPECIFIED, port).into()]),
        inherited: InheritedSockets::of(environment.inherited_sockets)?,
        on_cloud_run: environment.on_cloud_run,
        application_credentials: environment.application_credentials,
        home: environment.home,
        lookup_bearer: None,
        // There the disk is memory, and gone with the instance.
        keeps_data: !environment.on_cloud_run,
        log: log.clone(),
        roots: Roots::Platform,
        is_local: false,
        local_hosts: BTreeSet::new(),
        drain_timeout: DRAIN_TIMEOUT,
        idle_connection_grace: IDLE_CONNECTION_GRACE,
        client_idle_timeout: CLIENT_IDLE_TIMEOUT,
        workers: None,
        clock,
        configuration,
    })
}

/// Says where the door is open. Last comes where it listens: whoever waits for that line may call every address.
fn tell_addresses(door: &FrontDoor) {
    if let Some(address) = door.admin_address() {
        tracing::info!(url = %format_args!("http://{address}/metrics"), "the metrics are told");
    }
    if let Some(address) = door.health_address() {
        let [liveness, readiness] = ["livez", "readyz"].map(|path| format!("http://{address}/{path}"));
        tracing::info!(%liveness, %readiness, "probes are answered");
    }
    let scheme = if door.is_tls() { "https://" } else { "" };
    for address in door.addresses() {
        tracing::info!(address = %format_args!("{scheme}{address}"), "the front door listens");
    }
}

/// An address, or what to write instead of it.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    configuration::listen_address(text)
        .map_err(|NameError { message, hint }| format!("{message}\nhint: {hint}"))
}
