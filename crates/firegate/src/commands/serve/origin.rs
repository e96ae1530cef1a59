//! Where a configuration comes from, and comes from again when it is reloaded.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use firegate_files::configuration::{self, CONFIGURATION_VARIABLE, Configuration};
use firegate_google::credentials::METADATA_URL;
use firegate_proxy::ReloadError;
use url::Url;

use super::ServeArguments;
use crate::environment::Environment;
use crate::named_files::{DiskFiles, read_text};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Origin {
    source: Source,
    /// The metadata server, unless the configuration names another.
    metadata: Option<Url>,
}

#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    /// The text of an environment variable.
    Inline(String),
    Flags {
        project: String,
        backend: String,
        allow: Vec<String>,
    },
}

impl Origin {
    /// What the arguments say, and else the environment.
    pub(in crate::commands) fn of(
        arguments: &ServeArguments,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let source = match (&arguments.config, &arguments.project, &arguments.backend) {
            (Some(file), _, _) => Source::File(file.clone()),
            (None, Some(project), Some(backend)) => Source::Flags {
                project: project.clone(),
                backend: backend.clone(),
                allow: arguments.allow.clone(),
            },
            _ => match &environment.inline_configuration {
                Some(text) => Source::Inline(text.clone()),
                None => bail!(
                    "there is no configuration\n\nhint: firegate serve --project my-project --backend \
                     https://api-abc123-uc.a.run.app --allow allAuthenticatedUsers\nhint: or firegate serve -c firegate.yaml; on \
                     Cloud Run the text may be in FIREGATE_CONFIG\nhint: to try it on this machine without any of that: \
                     firegate dev"
                ),
            },
        };
        Ok(Self { source, metadata: metadata(environment)? })
    }

    /// The file, if it is one: nothing else changes while the process runs.
    pub(in crate::commands) fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(file) => Some(file),
            Source::Inline(_) | Source::Flags { .. } => None,
        }
    }

    /// Reads the configuration, and says which files it names, whether or not it checks.
    pub(in crate::commands) fn read(&self) -> (Result<Configuration, ReloadError>, Vec<PathBuf>) {
        let files = DiskFiles::default();
        let configuration = self.configuration(&files);
        let mut named = files.into_names();
        if let Ok(configuration) = &configuration {
            named.extend(configuration.key_files().map(PathBuf::from));
        }
        (configuration, named)
    }

    /// The configuration.
    ///
    /// # Errors
    /// If it cannot be read, or does not check.
    fn configuration(&self, files: &DiskFiles) -> Result<Configuration, ReloadError> {
        let read = match &self.source {
            Source::File(path) => {
                let text = read_text(path)?;
                configuration::parse_with_files(&path.display().to_string(), &text, files)
            }
            Source::Inline(text) => configuration::parse_with_files(CONFIGURATION_VARIABLE, text, files),
            Source::Flags { project, backend, allow } => Configuration::minimal(project, backend, allow),
        };
        let mut configuration = read.map_err(ReloadError::Check)?;
        let default = METADATA_URL.parse().is_ok_and(|url: Url| url == configuration.google.metadata);
        if let Some(metadata) = self.metadata.as_ref().filter(|_| default) {
            configuration.google.metadata = metadata.clone();
        }
        Ok(configuration)
    }
}

/// The metadata server that the environment names, if it names one.
///
/// # Errors
/// If it is no host.
pub(in crate::commands) fn metadata(environment: &Environment) -> anyhow::Result<Option<Url>> {
    let Some(host) = &environment.metadata_host else { return Ok(None) };
    let url = format!("http://{host}").parse();
    url.map(Some).with_context(|| {
        format!("GCE_METADATA_HOST is no host: {host:?}\nhint: write a host and a port, or unset it")
    })
}
