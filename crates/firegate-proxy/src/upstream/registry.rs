//! Every endpoint that the process knows. A generation of the configuration opens its backends here, and what the one
//! before already knew of an unchanged endpoint (its connections, its failures, what is under way) goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use firegate_core::snapshot::Backend;
use firegate_google::http::{Roots, TlsSetupError, client_tls};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::Handle;

use super::endpoint::{Endpoint, EndpointSettings};
use super::health;
use super::load::Load;
use super::passage::{Member, Upstream};
use super::resolve::Resolve;
use crate::files::read_bounded;
use crate::limits::{CERTIFICATE_FILE_BYTES_MAX, UPSTREAM_TEND_INTERVAL};
use crate::panics::Panics;

/// Why a backend cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The file of `ca_certificates` cannot be read.
    #[error("{}, the `ca_certificates` of backend {backend}, cannot be read: {source}\nhint: name a readable PEM file", file.display())]
    Roots {
        /// The backend.
        backend: String,
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of `ca_certificates` has no certificate.
    #[error(
        "{}, the `ca_certificates` of backend {backend}, has no certificate that can be read\nhint: name a PEM file with \
         the certificates of the authorities that the service's certificate comes from", file.display()
    )]
    NoRoots {
        /// The backend.
        backend: String,
        /// The file.
        file: PathBuf,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// A URL cannot be called by HTTP.
    #[error("backend {backend}: {what}")]
    Url {
        /// The backend.
        backend: String,
        /// What cannot be called.
        what: String,
    },
}

/// What the endpoints of a process have in common.
#[derive(Debug)]
pub(crate) struct Upstreams {
    /// The control runtime, on which names are looked up and services checked.
    runtime: Handle,
    panics: Arc<Panics>,
    resolver: Arc<dyn Resolve>,
    tls: ClientConfig,
    workers: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    endpoints: Vec<Weak<Endpoint>>,
    loads: Vec<(String, Weak<Load>)>,
}

impl Upstreams {
    /// Knows no endpoint yet. `roots` are trusted where a backend names none of its own.
    ///
    /// # Errors
    /// If the roots cannot be loaded.
    pub(crate) fn new(
        runtime: Handle,
        panics: Arc<Panics>,
        resolver: Arc<dyn Resolve>,
        roots: Roots,
        workers: usize,
    ) -> Result<Self, TlsSetupError> {
        let tls = client_tls(roots)?;
        Ok(Self { runtime, panics, resolver, tls, workers, known: Mutex::default() })
    }

    /// The way to a backend.
    ///
    /// # Errors
    /// If it cannot be called at all.
    pub(crate) fn open(&self, backend: &Backend) -> Result<Arc<Upstream>, BackendError> {
        let settings = &backend.settings;
        let roots =
            settings.ca_certificates.as_deref().map(|file| read_roots(&backend.name, file)).transpose()?;
        let mut members = Vec::new();
        for endpoint in settings.endpoints() {
            let endpoint_settings = EndpointSettings {
                backend: backend.name.clone(),
                url: endpoint.url.clone(),
                connect_through: settings.connect_through.clone(),
                protocol: settings.protocol,
                roots: roots.clone(),
                health_check: settings.health_check.clone(),
                connect_timeout: settings.timeouts.connect,
            };
            members.push(Member {
                endpoint: self.endpoint(endpoint_settings)?,
                audience: endpoint.audience.as_str().into(),
                origin: endpoint.url.origin().ascii_serialization().into(),
            });
        }
        let load = self.load(&backend.name);
        Ok(Arc::new(Upstream::new(backend, members, load)))
    }

    /// The endpoints that are in use, in the order in which they became known.
    pub(super) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.known().endpoints.iter().filter_map(Weak::upgrade).collect()
    }

    /// What is under way to each backend.
    pub(super) fn loads(&self) -> Vec<(String, Arc<Load>)> {
        let known = self.known();
        known.loads.iter().filter_map(|(name, load)| Some((name.clone(), load.upgrade()?))).collect()
    }

    fn endpoint(&self, settings: EndpointSettings) -> Result<Arc<Endpoint>, BackendError> {
        let mut known = self.known();
        known.endpoints.retain(|endpoint| endpoint.strong_count() > 0);
        let same = known.endpoints.iter().filter_map(Weak::upgrade).find(|known| known.settings == settings);
        if let Some(endpoint) = same {
            return Ok(endpoint);
        }
        let tls = match &settings.roots {
            Some(pem) => client_tls(Roots::Given(certificates(pem)))?,
            None => self.tls.clone(),
        };
        let backend = settings.backend.clone();
        let endpoint = Endpoint::new(settings, &tls, self.workers, Arc::clone(&self.panics));
        let endpoint =
            Arc::new(endpoint.map_err(|error| BackendError::Url { backend, what: error.to_string() })?);
        known.endpoints.push(Arc::downgrade(&endpoint));
        let (tended, resolver) = (Arc::downgrade(&endpoint), Arc::clone(&self.resolver));
        self.keep(move || tend(Weak::clone(&tended), Arc::clone(&resolver)));
        if let Some(check) = endpoint.settings.health_check.clone() {
            let checked = Arc::downgrade(&endpoint);
            self.keep(move || health::check(Weak::clone(&checked), check.clone()));
        }
        Ok(endpoint)
    }

    /// Runs what an endpoint needs for as long as it is in use: after a panic too, or nobody would look its name up again.
    fn keep<W: Future<Output = ()> + Send + 'static>(&self, work: impl Fn() -> W + Send + 'static) {
        self.runtime.spawn(self.panics.keep("a task of the control runtime is run again", work));
    }

    fn load(&self, backend: &str) -> Arc<Load> {
        let mut known = self.known();
        known.loads.retain(|(_, load)| load.strong_count() > 0);
        let same = known.loads.iter().find(|(name, _)| name == backend).and_then(|(_, load)| load.upgrade());
        same.unwrap_or_else(|| {
            let load = Arc::default();
            known.loads.push((backend.to_owned(), Arc::downgrade(&load)));
            load
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tends an endpoint for as long as a generation of the configuration has it.
async fn tend(endpoint: Weak<Endpoint>, resolver: Arc<dyn Resolve>) {
    while let Some(endpoint) = endpoint.upgrade() {
        endpoint.tend(&*resolver).await;
        drop(endpoint);
        tokio::time::sleep(UPSTREAM_TEND_INTERVAL).await;
    }
}

/// Reads the certificates of the authorities that a backend's certificate comes from.
///
/// # Errors
/// If the file cannot be read, or has none.
pub(crate) fn read_roots(backend: &str, file: &Path) -> Result<Vec<u8>, BackendError> {
    let (backend, file) = (backend.to_owned(), file.to_owned());
    match read_bounded(&file, CERTIFICATE_FILE_BYTES_MAX) {
        Ok(pem) if certificates(&pem).is_empty() => Err(BackendError::NoRoots { backend, file }),
        Ok(pem) => Ok(pem),
        Err(source) => Err(BackendError::Roots { backend, file, source }),
    }
}

/// The certificates of a PEM text; none if one of them cannot be read.
fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap_or_default()
}
