//! The certificates of the public listener: read from PEM files, chosen by the name that a client asks for, and read
//! again when the files change. A pair of files that do not fit together replaces nothing.

mod files;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use firegate_core::time::{SharedClock, UnixTime};
use firegate_files::configuration::Certificate;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

pub use self::files::CertificateError;
use self::files::{Contents, Fingerprint, Pair};
use crate::files::{FileReads, FileWatch, Hang};

/// The certificates in use, and the files that they come from.
#[derive(Debug)]
pub(crate) struct Certificates {
    chosen: ArcSwap<Choice>,
    names: Vec<Certificate>,
    seen: Mutex<Seen>,
    /// How often it was begun to read them again.
    readings: AtomicU64,
    /// Where the reading hangs that was begun last, if it does.
    hanging: Mutex<Option<Hang>>,
    reads: FileReads,
    /// Whether the files, as they are now, are what is used.
    are_current: AtomicBool,
    clock: SharedClock,
}

/// What metrics tell of certificates.
#[derive(Clone, Debug, Default)]
pub(crate) struct CertificateFigures {
    /// Whether the files, as they are now, are what is used.
    pub(crate) are_current: bool,
    /// The files' names, and when their certificates expire.
    pub(crate) expiries: Vec<(String, UnixTime)>,
}

/// Certificates by the names that they are for.
#[derive(Debug)]
struct Choice {
    pairs: Vec<Pair>,
    /// The places of those that have a name, in the order of the configuration. `*.example.com` is a name.
    by_name: HashMap<String, Vec<usize>>,
}

/// What was in the files when they were last read, whether or not it could be used.
#[derive(Debug)]
struct Seen {
    contents: Fingerprint,
    /// Which reading that was.
    number: u64,
}

impl Certificates {
    /// Reads the certificates.
    ///
    /// # Errors
    /// If one of the files cannot be used.
    pub(crate) fn read(names: &[Certificate], clock: SharedClock) -> Result<Self, CertificateError> {
        let contents = Contents::read(names);
        let read = contents.fingerprint();
        let choice = Choice::new(contents.pairs()?)?;
        choice.warn_of_expired(clock.now());
        Ok(Self {
            chosen: ArcSwap::from_pointee(choice),
            names: names.to_vec(),
            seen: Mutex::new(Seen { contents: read, number: 0 }),
            readings: AtomicU64::new(0),
            hanging: Mutex::new(None),
            reads: FileReads::default(),
            are_current: AtomicBool::new(true),
            clock,
        })
    }

    /// Everything that keeps the certificates from being used, each with the place of its pair. What cannot be chosen is told
    /// once all of them can be read.
    pub(crate) fn faults(names: &[Certificate]) -> Vec<(usize, CertificateError)> {
        let (mut pairs, mut faults) = (Vec::new(), Vec::new());
        for (place, read) in Contents::read(names).each().enumerate() {
            match read {
                Ok(pair) => pairs.push(pair),
                Err((error, further)) => {
                    faults.extend(
                        [Some(error), further.map(|further| *further)]
                            .into_iter()
                            .flatten()
                            .map(|error| (place, error)),
                    );
                }
            }
        }
        if faults.is_empty()
            && let Err(error) = Choice::new(pairs)
        {
            let place = names.iter().position(|name| name.cert == error.file());
            faults.push((place.unwrap_or(0), error));
        }
        faults
    }

    /// Reads the files again because somebody asks for it, but not beside a reading that hangs: what it waits for is waited for
    /// once, and that a file was put in its place is noticed.
    pub(crate) async fn reload_on_request(&self) {
        let hanging = self.hanging().clone();
        match hanging {
            Some(hang) => {
                tracing::error!(
                    "the certificates are not read again; the former ones stay in use, and a reading is still under way: {hang}"
                );
            }
            None => self.reload().await,
        }
    }

    /// Reads the files again, and uses what is in them if it changed. What is said about them is logged. Files that hang are
    /// waited for until this is dropped; who reads them meanwhile does not wait.
    async fn reload(&self) {
        *self.hanging() = None;
        let number = self.readings.fetch_add(1, Ordering::Relaxed) + 1;
        let names = self.names.clone();
        let read = move || {
            let contents = Contents::read(&names);
            (contents.fingerprint(), contents.pairs().and_then(Choice::new))
        };
        let is_last = || self.readings.load(Ordering::Relaxed) == number;
        let tell_that_it_hangs = |hang: Hang| {
            if self.seen().number < number {
                self.are_current.store(false, Ordering::Relaxed);
                tracing::error!(
                    "the certificates are not read again yet; the former ones stay in use: {hang}"
                );
            }
            if is_last() {
                *self.hanging() = Some(hang);
            }
        };
        let read = self.reads.read(read, tell_that_it_hangs).await;
        if is_last() {
            *self.hanging() = None;
        }
        let mut seen = self.seen();
        // Whoever began later has seen what is newer.
        if number < seen.number {
            return;
        }
        let (found, choice) = match read {
            Ok(read) => read,
            Err(error) => {
                self.are_current.store(false, Ordering::Relaxed);
                tracing::error!(%error, "the certificates are not read again; the former ones stay in use");
                return;
            }
        };
        seen.number = number;
        self.are_current.store(choice.is_ok(), Ordering::Relaxed);
        // What cannot be used is told once, and not with every look.
        if std::mem::replace(&mut seen.contents, found) == seen.contents {
            return;
        }
        match choice {
            Ok(choice) => {
                choice.warn_of_expired(self.clock.now());
                self.chosen.store(Arc::new(choice));
                tracing::info!("the certificates were read again, and new connections get the new ones");
            }
            Err(error) => {
                tracing::error!(%error, "the certificates changed and cannot be used; the former ones stay in use");
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hanging(&self) -> MutexGuard<'_, Option<Hang>> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the files until the stop.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let files = self.names.iter().flat_map(|name| [name.cert.clone(), name.key.clone()]).collect();
        let watching = async {
            let mut watch = FileWatch::default();
            watch.watch(files).await;
            // What has changed before they were watched is seen, too.
            loop {
                tokio::select! {
                    () = self.reload() => watch.changed().await,
                    // What hangs may be another file by now.
                    () = watch.changed() => {}
                }
            }
        };
        let _: Option<()> = stop.run_until_cancelled(watching).await;
    }

    pub(crate) fn figures(&self) -> CertificateFigures {
        let choice = self.chosen.load();
        let expiry = |pair: &Pair| (pair.file.display().to_string(), pair.expires_at);
        CertificateFigures {
            are_current: self.are_current.load(Ordering::Relaxed),
            expiries: choice.pairs.iter().map(expiry).collect(),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let choice = self.chosen.load();
        let mut named = choice.of(hello.server_name()).peekable();
        let first = named.peek().copied();
        // A name may have a certificate for each kind of key.
        let fits = |pair: &&Pair| pair.key.key.choose_scheme(hello.signature_schemes()).is_some();
        named.find(fits).or(first).map(|pair| Arc::clone(&pair.key))
    }
}

impl Choice {
    /// # Errors
    /// If a certificate beside the first one is for no name, and could never be chosen.
    fn new(pairs: Vec<Pair>) -> Result<Self, CertificateError> {
        let mut by_name = HashMap::<String, Vec<usize>>::new();
        for (place, pair) in pairs.iter().enumerate() {
            if place > 0 && pair.names.is_empty() {
                return Err(CertificateError::Nameless { file: pair.file.clone() });
            }
            for name in &pair.names {
                by_name.entry(name.clone()).or_default().push(place);
            }
        }
        Ok(Self { pairs, by_name })
    }

    /// The certificates for a name: its own, else those of the wildcard above it, else the first one of all.
    fn of(&self, server_name: Option<&str>) -> impl Iterator<Item = &Pair> {
        let named = server_name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            self.by_name.get(&name).or_else(|| {
                // A wildcard stands for one label (RFC 9525, section 6.3).
                let (_, parent) = name.split_once('.')?;
                self.by_name.get(&format!("*.{parent}"))
            })
        });
        let places = named.map_or(&[0][..], Vec::as_slice);
        places.iter().filter_map(|place| self.pairs.get(*place))
    }

    fn warn_of_expired(&self, now: UnixTime) {
        for pair in self.pairs.iter().filter(|pair| pair.expires_at <= now) {
            tracing::warn!(
                file = %pair.file.display(),
                "the certificate has expired, and clients refuse it; hint: renew it, the new one is used at once"
            );
        }
    }
}

#[cfg(test)]
mod tests;
