//! `firegate serve`: the front door, for production.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use firegate_core::time::SharedClock;
use firegate_files::configuration::{self, Configuration};
use firegate_files::diagnostic::{Diagnostics, Style};
use firegate_google::credentials::METADATA_URL;
use firegate_google::http::Roots;
use firegate_proxy::limits::DRAIN_TIMEOUT;
use firegate_proxy::{FrontDoor, FrontDoorOptions};

use super::stop::StopRequests;
use crate::environment::Environment;

/// Where the front door listens if neither the configuration nor `$PORT` says.
const PORT_DEFAULT: u16 = 8080;

/// The arguments of `firegate serve`.
#[derive(Clone, Debug, clap::Args)]
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
    /// The address to listen on, instead of the configuration's.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// Runs the front door until the process is asked to stop.
///
/// # Errors
/// If the configuration is not usable or the front door cannot be started.
pub fn run(
    arguments: ServeArguments,
    environment: &Environment,
    clock: SharedClock,
) -> anyhow::Result<ExitCode> {
    let mut configuration = match load(&arguments, environment)? {
        Ok(configuration) => configuration,
        Err(diagnostics) => {
            eprint!("{}", diagnostics.render(style()));
            return Ok(ExitCode::from(2));
        }
    };
    if !configuration.warnings.is_empty() {
        eprint!("{}", configuration.warnings.render(style()));
    }
    let default_metadata =
        METADATA_URL.parse().is_ok_and(|default: url::Url| default == configuration.google.metadata);
    if let Some(host) = environment.metadata_host.as_ref().filter(|_| default_metadata) {
        configuration.google.metadata = format!("http://{host}")
            .parse()
            .with_context(|| format!("GCE_METADATA_HOST is no host: {host:?}"))?;
    }
    let port = environment.port.unwrap_or(PORT_DEFAULT);
    let default_listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let options = FrontDoorOptions {
        listen: arguments.listen.or(configuration.listen).unwrap_or(default_listen),
        on_cloud_run: environment.on_cloud_run,
        application_credentials: environment.application_credentials.clone(),
        home: environment.home.clone(),
        lookup_bearer: None,
        // There the disk is memory, and gone with the instance.
        keeps_data: !environment.on_cloud_run,
        roots: Roots::Platform,
        is_local: false,
        drain_timeout: DRAIN_TIMEOUT,
        workers: None,
        clock,
        configuration,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let door = FrontDoor::start(options)?;
    tracing::info!(address = %door.address(), "the front door listens");
    let ended = runtime.block_on(async {
        let mut requests = StopRequests::listen()?;
        requests.next().await;
        tracing::info!("stopping: requests under way are finished");
        let stopping = tokio::task::spawn_blocking(move || door.stop());
        anyhow::Ok(requests.unless_asked_again(async { drop(stopping.await) }).await)
    });
    // Whoever asked twice does not wait for what is still stopping.
    runtime.shutdown_background();
    ended
}

fn style() -> Style {
    if std::io::stderr().is_terminal() { Style::Coloured } else { Style::Plain }
}

/// Reads the configuration from where the arguments and the environment say.
fn load(
    arguments: &ServeArguments,
    environment: &Environment,
) -> anyhow::Result<Result<Configuration, Diagnostics>> {
    if let Some(file) = &arguments.config {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("the configuration {name} cannot be read"))?;
        return Ok(configuration::parse(&name, &text));
    }
    if let (Some(project), Some(backend)) = (&arguments.project, &arguments.backend) {
        return Ok(Configuration::minimal(project, backend, &arguments.allow));
    }
    match &environment.inline_configuration {
        Some(text) => Ok(configuration::parse("FIREGATE_CONFIG", text)),
        None => bail!(
            "there is no configuration\n\nhint: firegate serve --project my-project --backend https://api-abc123-uc.a.run.app \
             --allow allAuthenticatedUsers\nhint: or firegate serve -c firegate.yaml; on Cloud Run the text may be in FIREGATE_CONFIG\n\
             hint: to try it on this machine without any of that: firegate dev"
        ),
    }
}
