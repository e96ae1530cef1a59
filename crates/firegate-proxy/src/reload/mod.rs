//! Putting another configuration in force while the door is open. One that cannot be used changes nothing: what is in force
//! stays, and that it was refused is logged and counted.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use firegate_core::time::UnixTime;
use firegate_files::configuration::{Configuration, unreadable_hint};
use firegate_files::diagnostic::{Diagnostics, Style};

use crate::files::{FileReadError, Hang};
use crate::generation::Generation;
use crate::start::{FrontDoor, StartError};

/// Why a configuration is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file cannot be read.
    #[error(
        "the configuration {path} cannot be read: {source}{hint}",
        path = path.display(),
        hint = unreadable_hint(source).map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration does not check.
    #[error("{}", .0.render(Style::Plain).trim_end())]
    Check(Diagnostics),
    /// Something differs that belongs to the process.
    #[error(
        "`{key}` differs from what the front door was started with, and cannot be changed while it runs\nhint: restart it, or \
         set `{key}` back"
    )]
    NeedsRestart {
        /// The key.
        key: &'static str,
    },
    /// Its files cannot be read at all.
    #[error(transparent)]
    Files(#[from] FileReadError),
    /// A key or a credential that it names cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What became of the configurations of this process.
#[derive(Debug)]
pub(crate) struct Reloads {
    successes: AtomicU64,
    failures: AtomicU64,
    /// The last one was refused.
    is_failed: AtomicBool,
    /// When the one in force was put in force, in seconds.
    in_force_since: AtomicI64,
}

/// What became of the configurations that were read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigurationFigures {
    /// How many were put in force after the first one.
    pub(crate) successes: u64,
    /// How many could not be used.
    pub(crate) failures: u64,
    /// Whether the last one could not.
    pub(crate) is_failed: bool,
    /// Since when the one in force is.
    pub(crate) in_force_since: UnixTime,
}

impl Reloads {
    /// None yet: what is in force was put in force at the start, `now`.
    pub(crate) fn new(now: UnixTime) -> Self {
        Self {
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            is_failed: AtomicBool::new(false),
            in_force_since: AtomicI64::new(now.as_seconds()),
        }
    }

    pub(crate) fn figures(&self) -> ConfigurationFigures {
        ConfigurationFigures {
            successes: self.successes.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            is_failed: self.is_failed.load(Ordering::Relaxed),
            in_force_since: UnixTime::from_seconds(self.in_force_since.load(Ordering::Relaxed)),
        }
    }

    fn count(&self, is_failed: bool, now: UnixTime) {
        if is_failed {
            self.failures.fetch_add(1, Ordering::Relaxed);
        } else {
            self.successes.fetch_add(1, Ordering::Relaxed);
            self.in_force_since.store(now.as_seconds(), Ordering::Relaxed);
        }
        self.is_failed.store(is_failed, Ordering::Relaxed);
    }
}

impl FrontDoor {
    /// Puts what `read` reads in force for the requests that come from now on; those under way end as they began. Keys that are
    /// new are fetched before, for as long as a request would wait for them. Files that hang are waited for until this is
    /// dropped, and count as a failure before.
    ///
    /// # Errors
    /// If it cannot be put in force. Then nothing has changed.
    pub async fn reload<R>(&mut self, read: R) -> Result<(), ReloadError>
    where
        R: FnOnce() -> Result<Configuration, ReloadError> + Send + 'static,
    {
        let reloaded = self.replace(read).await;
        self.shared.reloads.count(reloaded.is_err(), self.shared.now());
        match &reloaded {
            Ok(()) => tracing::info!("another configuration is in force"),
            Err(error) => {
                tracing::error!(%error, "the configuration is not reloaded; the one in force stays")
            }
        }
        reloaded
    }

    async fn replace<R>(&mut self, read: R) -> Result<(), ReloadError>
    where
        R: FnOnce() -> Result<Configuration, ReloadError> + Send + 'static,
    {
        let (shared, control) = (Arc::clone(&self.shared), self.control.runtime().clone());
        let former = shared.generation();
        let make = move || {
            let (configuration, former) = (read()?, shared.generation());
            match belongs_to_process(&former.configuration, &configuration) {
                Some(key) => Err(ReloadError::NeedsRestart { key }),
                None => Ok(Generation::new(configuration, &shared.process, &control, Some(&former))?),
            }
        };
        // A disk may take its time, and whoever waits here has signals to heed.
        let tell_that_it_hangs = |hang: Hang| {
            self.shared.reloads.count(true, self.shared.now());
            tracing::error!("the configuration is not reloaded yet; the one in force stays: {hang}");
        };
        let generation = self.reads.read(make, tell_that_it_hangs).await??;
        generation.control.new_keys_arrive(&former.control).await;
        self.shared.replace(generation);
        Ok(())
    }
}

/// The first key whose value belongs to the process and differs. The sockets are bound once. The data directory holds what this
/// process writes. And whose users are let in is what the door stands for: another project in the file is a mistaken file more
/// often than a change.
fn belongs_to_process(in_force: &Configuration, next: &Configuration) -> Option<&'static str> {
    let differences = [
        ("project", in_force.project != next.project),
        ("listen", in_force.listen != next.listen),
        ("health", in_force.health != next.health),
        ("admin", in_force.admin != next.admin),
        ("tls", in_force.tls != next.tls),
        ("limits", in_force.limits != next.limits),
        ("data_dir", in_force.data_dir != next.data_dir),
    ];
    differences.into_iter().find(|(_, differs)| *differs).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_in_force_from_the_reload_that_put_it_there() {
        let [start, refused, replaced] = [1, 2, 3].map(UnixTime::from_seconds);
        let reloads = Reloads::new(start);
        reloads.count(true, refused);
        let figures = reloads.figures();
        assert_eq!((figures.successes, figures.failures, figures.is_failed), (0, 1, true));
        assert_eq!(figures.in_force_since, start, "what was refused changes nothing");
        reloads.count(false, replaced);
        let figures = reloads.figures();
        assert_eq!((figures.successes, figures.failures, figures.is_failed), (1, 1, false));
        assert_eq!(figures.in_force_since, replaced);
    }
}
