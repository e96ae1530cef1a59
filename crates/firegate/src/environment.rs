//! What the process is given from outside, read once at the start and passed down as values.

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
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
    /// Why sockets that these variables tell of are not taken: they are another process's, or nobody's.
    pub sockets_left: Option<String>,
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
        let port = text("PORT").map(|port| {
            let why =
                "hint: set it to the number of the port to listen on, for example PORT=8080, or unset it";
            port.parse().with_context(|| format!("PORT is no port: {port:?}\n{why}"))
        });
        let (inherited_sockets, sockets_left) = match handed_over(text)? {
            HandedOver::Here(sockets) => (sockets, None),
            HandedOver::Elsewhere(why) => (Vec::new(), Some(why)),
        };
        Ok(Self {
            port: port.transpose()?,
            on_cloud_run: Self::is_on_cloud_run(),
            inline_configuration: text("FIREGATE_CONFIG"),
            log_filter: text("FIREGATE_LOG"),
            application_credentials: text("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from),
            home: text("HOME").map(PathBuf::from),
            metadata_host: text("GCE_METADATA_HOST"),
            inherited_sockets,
            sockets_left,
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

/// What was handed over, as the variables of sd_listen_fds(3) say it.
enum HandedOver {
    /// Sockets for this process, with their names; or none.
    Here(Vec<(String, TcpListener)>),
    /// The variables are not for this process, and its descriptors are others. Why that is so.
    Elsewhere(String),
}

/// The sockets that were handed over to this process (sd_listen_fds(3)). The variables say which process they are for: one
/// that only inherited them has the descriptors of another.
#[cfg(unix)]
fn handed_over(text: impl Fn(&str) -> Option<String>) -> anyhow::Result<HandedOver> {
    const LEAVE: &str = "whoever hands sockets over sets LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES; unset them if nobody does";
    let Some(count) = text("LISTEN_FDS") else { return Ok(HandedOver::Here(Vec::new())) };
    let own = std::process::id();
    match text("LISTEN_PID").map(|pid| pid.parse::<u32>().map_err(|_| pid)) {
        Some(Ok(pid)) if pid == own => {}
        Some(Ok(pid)) => {
            return Ok(HandedOver::Elsewhere(format!(
                "LISTEN_PID says that they are for process {pid}, and this is {own}; hint: a shell between systemd and firegate has to \
                 end with `exec firegate …`, and otherwise unset LISTEN_FDS"
            )));
        }
        Some(Err(pid)) => bail!("LISTEN_PID is no process's number: {pid:?}\nhint: {LEAVE}"),
        None => {
            return Ok(HandedOver::Elsewhere(
                "LISTEN_PID does not say for which process they are; hint: set it to this process's number, or unset LISTEN_FDS"
                    .to_owned(),
            ));
        }
    }
    let count = count
        .parse::<u16>()
        .with_context(|| format!("LISTEN_FDS is no number of sockets: {count:?}\nhint: {LEAVE}"))?;
    let names = text("LISTEN_FDNAMES").map(|names| names.split(':').map(str::to_owned).collect::<Vec<_>>());
    if let Some(names) = names.as_ref().filter(|names| names.len() != usize::from(count)) {
        bail!("LISTEN_FDNAMES names {} socket(s), and LISTEN_FDS says {count}\nhint: {LEAVE}", names.len());
    }
    let mut names = names.unwrap_or_default().into_iter();
    let mut descriptors = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..count {
        let name = names.next().unwrap_or_default();
        let socket = descriptors.take_tcp_listener(index.into()).with_context(|| {
            format!(
                "socket {} of the {count} that LISTEN_FDS hands over{} is none for TCP connections\nhint: hand over `ListenStream=` \
                 sockets with a port, as descriptors 3 and up",
                index + 1,
                if name.is_empty() { String::new() } else { format!(", {name:?},") },
            )
        })?;
        sockets.extend(socket.map(|socket| (name, socket)));
    }
    Ok(HandedOver::Here(sockets))
}

#[cfg(not(unix))]
fn handed_over(_: impl Fn(&str) -> Option<String>) -> anyhow::Result<HandedOver> {
    Ok(HandedOver::Here(Vec::new()))
}
