//! What the process is given from outside, read once at the start and passed down as values.

use std::path::PathBuf;

use anyhow::Context as _;

/// The environment variables that mean something to Firegate.
#[derive(Clone, Debug, Default)]
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
}

impl Environment {
    /// Reads the process's environment.
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    ///
    /// # Errors
    /// If a variable has a value that means nothing.
    pub fn read() -> anyhow::Result<Self> {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let port =
            text("PORT").map(|port| port.parse().with_context(|| format!("PORT is no port: {port:?}")));
        Ok(Self {
            port: port.transpose()?,
            on_cloud_run: text("K_SERVICE").is_some(),
            inline_configuration: text("FIREGATE_CONFIG"),
            log_filter: text("FIREGATE_LOG"),
            application_credentials: text("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from),
            home: text("HOME").map(PathBuf::from),
            metadata_host: text("GCE_METADATA_HOST"),
        })
    }
}
