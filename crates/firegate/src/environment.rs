//! What the process is given from outside, read once at the start and passed down as values.

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::Context as _;
use firegate_google::credentials::Environment as Credentials;

/// The environment variables that mean something to Firegate.
#[derive(Debug, Default)]
pub struct Environment {
    /// `PORT`: where Cloud Run wants a container to listen.
    pub port: Option<u16>,
    /// `K_SERVICE` is set: this is Cloud Run.
    pub on_cloud_run: bool,
    /// `FIREGATE_CONFIG`: the configuration's text.
    pub inline_configuration: Option<String>,
    /// `FIREGATE_LOG`: which log lines are written, as `tracing-subscriber` filters them.
    pub log_filter: Option<String>,
    /// `GOOGLE_APPLICATION_CREDENTIALS`: a credential file.
    pub application_credentials: Option<PathBuf>,
    /// `HOME`, under which gcloud keeps credentials.
    pub home: Option<PathBuf>,
    /// `GCE_METADATA_HOST`: the metadata server's address, as Google's own libraries read it.
    pub metadata_host: Option<String>,
    /// `LISTEN_FDS` and its companions: sockets that systemd, or whoever acts as it does, hands over, with their names.
    pub inherited_sockets: Vec<(String, TcpListener)>,
}

impl Environment {
    /// Whether this is Cloud Run, whatever else the environment says: how errors look that are in the environment itself.
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    pub fn is_on_cloud_run() -> bool {
        std::env::var("K_SERVICE").is_ok_and(|service| !service.is_empty())
    }

    /// Reads the process's environment.
    ///
    /// # Errors
    /// If a variable has a value that means nothing.
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    pub fn read() -> anyhow::Result<Self> {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let port =
            text("PORT").map(|port| port.parse().with_context(|| format!("PORT is no port: {port:?}")));
        Ok(Self {
            port: port.transpose()?,
            on_cloud_run: Self::is_on_cloud_run(),
            inline_configuration: text("FIREGATE_CONFIG"),
            log_filter: text("FIREGATE_LOG"),
            application_credentials: text("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from),
            home: text("HOME").map(PathBuf::from),
            metadata_host: text("GCE_METADATA_HOST"),
            inherited_sockets: inherited_sockets(text)?,
        })
    }

    /// What of it says where application default credentials are.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            google_application_credentials: self.application_credentials.clone(),
            home: self.home.clone(),
            app_data: None,
        }
    }
}

/// The sockets that were handed over to this process (sd_listen_fds(3)). The variables say which process they are for: one
/// that only inherited them has the descriptors of another.
#[cfg(unix)]
fn inherited_sockets(text: impl Fn(&str) -> Option<String>) -> anyhow::Result<Vec<(String, TcpListener)>> {
    if text("LISTEN_PID").and_then(|pid| pid.parse().ok()) != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let names = text("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut descriptors = listenfd::ListenFd::from_env();
    let mut sockets = Vec::with_capacity(descriptors.len());
    for index in 0..descriptors.len() {
        let name = names.next().unwrap_or_default().to_owned();
        let socket = descriptors.take_tcp_listener(index).with_context(|| {
            format!("the socket {name:?} that LISTEN_FDS hands over is none for TCP connections\nhint: hand over `ListenStream=` sockets with a port")
        })?;
        sockets.extend(socket.map(|socket| (name, socket)));
    }
    Ok(sockets)
}

#[cfg(not(unix))]
fn inherited_sockets(_: impl Fn(&str) -> Option<String>) -> anyhow::Result<Vec<(String, TcpListener)>> {
    Ok(Vec::new())
}
