//! Where a rule's requests go: to one service, or to the one that their own URL names by the mask of a serverless network
//! endpoint group. Which services there are is known, and a URL that names none of them goes nowhere.

use std::collections::HashMap;
use std::sync::Arc;

use firegate_files::configuration::MaskedBackend;
use firegate_files::load_balancer::UrlMask;

use crate::snapshot::Backend;

/// One service of a rule.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    /// A backend.
    Backend(Arc<Backend>),
    /// The backend that a request's URL names.
    Masked(Arc<MaskedBackends>),
}

/// The backends that requests name.
#[derive(Debug)]
pub(super) struct MaskedBackends {
    name: String,
    mask: UrlMask,
    backends: HashMap<Box<str>, Arc<Backend>>,
}

/// Every backend, and those that requests name, by their names.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    backends: HashMap<String, Arc<Backend>>,
    masked: HashMap<String, Arc<MaskedBackends>>,
}

impl Destinations {
    /// These backends, to which these names lead by a mask.
    pub fn new<'a>(
        backends: &[Arc<Backend>],
        masked: impl IntoIterator<Item = (&'a str, &'a MaskedBackend)>,
    ) -> Self {
        let backends: HashMap<_, _> =
            backends.iter().map(|backend| (backend.name.clone(), Arc::clone(backend))).collect();
        let masked = masked.into_iter().map(|(name, masked)| {
            let named = masked.backends.iter().filter_map(|(key, backend)| {
                Some((key.as_str().into(), Arc::clone(backends.get(backend.as_str())?)))
            });
            let found = MaskedBackends {
                name: name.to_owned(),
                mask: masked.mask.clone(),
                backends: named.collect(),
            };
            (name.to_owned(), Arc::new(found))
        });
        let masked = masked.collect();
        Self { backends, masked }
    }

    pub(super) fn find(&self, name: &str) -> Option<Destination> {
        let backend = self.backends.get(name).map(|backend| Destination::Backend(Arc::clone(backend)));
        backend.or_else(|| self.masked.get(name).map(|masked| Destination::Masked(Arc::clone(masked))))
    }

    pub(super) fn backend(&self, name: &str) -> Option<Arc<Backend>> {
        self.backends.get(name).cloned()
    }
}

impl Destination {
    /// The backend of a request; none if its URL names none.
    pub(super) fn backend(&self, host: &str, path: &str) -> Option<&Arc<Backend>> {
        match self {
            Self::Backend(backend) => Some(backend),
            Self::Masked(masked) => masked.backends.get(masked.mask.key_of(host, path)?.as_str()),
        }
    }

    /// The name that the configuration and the URL map have for it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Backend(backend) => &backend.name,
            Self::Masked(masked) => &masked.name,
        }
    }

    /// Every backend that it may lead to.
    pub(super) fn backends(&self) -> Box<dyn Iterator<Item = &Arc<Backend>> + '_> {
        match self {
            Self::Backend(backend) => Box::new(std::iter::once(backend)),
            Self::Masked(masked) => Box::new(masked.backends.values()),
        }
    }

    /// Any of the backends that it may lead to: in what the backend service says they are alike.
    pub(super) fn representative(&self) -> Option<&Arc<Backend>> {
        match self {
            Self::Backend(backend) => Some(backend),
            Self::Masked(masked) => masked.backends.values().next(),
        }
    }
}
