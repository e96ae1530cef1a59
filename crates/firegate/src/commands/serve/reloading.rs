//! Reloading the configuration while the front door is open: when its file or a file that it names changes, and on SIGHUP.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;

use firegate_files::diagnostic::Style;
use firegate_proxy::limits::FILE_READ_TIMEOUT;
use firegate_proxy::{FileWatch, FrontDoor};

use super::origin::Origin;
use crate::commands::stop::StopRequests;

/// What is reloaded, and what has to happen for it.
#[derive(Debug)]
pub(super) struct Reloading {
    origin: Origin,
    /// Where a credential file is, or may come.
    credentials: Vec<PathBuf>,
    watch: FileWatch,
    hangups: Hangups,
}

/// The signals that ask for a reload. Listened for from the beginning, as those that ask for a stop: by one that nobody listens
/// for the process ends, and whoever sends it does not know how far the start is.
#[derive(Debug)]
pub(super) struct Hangups {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangups {
    /// Begins to listen. Needs a runtime.
    ///
    /// # Errors
    /// If the system does not let the process listen.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        #[cfg(unix)]
        if self.signal.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}

impl Reloading {
    /// Watches the configuration's file, those that it names, which have just been read, and those of credentials. Needs a
    /// runtime.
    pub(super) async fn new(
        origin: Origin,
        credentials: Vec<PathBuf>,
        named_files: Vec<PathBuf>,
        hangups: Hangups,
    ) -> Self {
        let mut reloading = Self { origin, credentials, watch: FileWatch::default(), hangups };
        reloading.watch(named_files).await;
        reloading
    }

    /// Reloads whenever there is reason to, until the process is asked to stop.
    pub(super) async fn until_stopped(mut self, door: &mut FrontDoor, requests: &mut StopRequests) {
        tokio::select! {
            () = requests.next() => {}
            () = self.run(door) => {}
        }
    }

    async fn run(&mut self, door: &mut FrontDoor) {
        self.reason().await;
        loop {
            // They are looked at now and then anyway; whoever sends a SIGHUP need not wait for that. Nor does the rest wait for
            // them.
            tokio::spawn(door.reload_certificates());
            if self.origin.file().is_none() {
                tracing::warn!(
                    "SIGHUP: there is nothing to reload, because the configuration is no file; hint: restart, or use firegate serve -c \
                     firegate.yaml"
                );
                self.reason().await;
                continue;
            }
            self.watch.acknowledge().await;
            let (origin, (told, read)) = (self.origin.clone(), mpsc::channel());
            let reload = door.reload(move || {
                let (configuration, named_files) = origin.read();
                // They are watched whether or not it is put in force: what is missing may come, what is wrong be mended.
                let _ = told.send(named_files);
                let configuration = configuration?;
                if !configuration.warnings.is_empty() {
                    let warnings = configuration.warnings.render(Style::Plain);
                    tracing::warn!("{}", warnings.trim_end());
                }
                Ok(configuration)
            });
            let another_reason = async {
                tokio::time::sleep(FILE_READ_TIMEOUT).await;
                self.reason().await;
            };
            let is_over = tokio::select! {
                // The door has logged and counted what came of it.
                _ = reload => true,
                // What hangs may be another file by now.
                () = another_reason => false,
            };
            if let Ok(named_files) = read.try_recv() {
                self.watch(named_files).await;
            }
            if is_over {
                self.reason().await;
            }
        }
    }

    /// Waits until a file has changed or a SIGHUP has come.
    async fn reason(&mut self) {
        tokio::select! {
            () = self.watch.changed() => tracing::info!("a file of the configuration has changed"),
            () = self.hangups.next() => {}
        }
    }

    async fn watch(&mut self, named_files: Vec<PathBuf>) {
        let Some(file) = self.origin.file() else { return };
        let files = [file.to_owned()].into_iter().chain(named_files).chain(self.credentials.clone());
        self.watch.watch(files.collect()).await;
    }
}
