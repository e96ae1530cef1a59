//! What `firegate dev` sets and no file can: trust in an emulator, and local stand-ins for backends.

use url::Url;

use super::google::is_loopback;
use super::model::{Backend, Configuration, Credential, Trust};
use super::names::BackendName;
use crate::suggestion::alternatives;

/// Why an emulator is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmulatorTrustError {
    /// One of the Google endpoints is not on this machine.
    #[error(
        "an emulator's tokens are not trusted beside a real Google endpoint: `google.{key}` is {url}; \
         let every endpoint be a local one"
    )]
    GoogleEndpoint {
        /// The endpoint's key.
        key: &'static str,
        /// Where it is.
        url: Url,
    },
    /// A backend is not on this machine.
    #[error(
        "an emulator's tokens are not trusted before a remote backend: `{name}` is at {url}; \
         give it a local address with --map {name}=http://localhost:PORT"
    )]
    Backend {
        /// The backend's name.
        name: BackendName,
        /// Where it is.
        url: Url,
    },
}

/// Why a backend cannot be reached through a local address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectThroughError {
    /// There is no such backend.
    #[error("there is no backend `{name}`; the backends are {known}")]
    UnknownBackend {
        /// The name that was given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The address is not the root of an HTTP server on this machine.
    #[error(
        "`{url}` is not the address of a server on this machine; write for example http://localhost:3000"
    )]
    NotLocal {
        /// What was given.
        url: Url,
    },
}

impl Configuration {
    /// Trusts the tokens of a local emulator, unsigned ones included. Only `firegate dev` calls this.
    ///
    /// # Errors
    ///
    /// If any Google endpoint or backend is not on this machine: then nothing is changed. Call it after the endpoints
    /// are set and the backends are mapped.
    pub fn trust_emulator(&mut self) -> Result<(), EmulatorTrustError> {
        if let Some((key, url)) = self.google.iter().find(|(_, url)| !is_loopback(url)) {
            return Err(EmulatorTrustError::GoogleEndpoint { key, url: url.clone() });
        }
        for (name, backend) in &self.backends {
            if let Some(url) = backend.addresses().find(|url| !is_loopback(url)) {
                return Err(EmulatorTrustError::Backend { name: name.clone(), url: url.clone() });
            }
        }
        self.trust = Trust::Emulator;
        Ok(())
    }

    /// Reaches a backend at a local address, while its `Host` and audience stay its own. Only `firegate dev` calls
    /// this.
    ///
    /// # Errors
    ///
    /// If there is no such backend, or the address is not an origin on this machine.
    pub fn connect_through(&mut self, backend: &str, local: Url) -> Result<(), ConnectThroughError> {
        let is_origin = matches!(local.scheme(), "http" | "https")
            && local.path() == "/"
            && local.query().is_none()
            && local.fragment().is_none()
            && local.username().is_empty()
            && local.password().is_none();
        if !is_origin || !is_loopback(&local) {
            return Err(ConnectThroughError::NotLocal { url: local });
        }
        let known = alternatives(self.backends.keys().map(BackendName::as_str));
        match self.backends.iter_mut().find(|(name, _)| name.as_str() == backend) {
            Some((_, found)) => {
                found.connect_through = Some(local);
                Ok(())
            }
            None => Err(ConnectThroughError::UnknownBackend { name: backend.to_owned(), known }),
        }
    }
}

impl Backend {
    /// Where connections to it really go.
    pub fn addresses(&self) -> impl Iterator<Item = &Url> {
        let endpoints = self.endpoints().map(|endpoint| &endpoint.url);
        let own = self.connect_through.is_none().then_some(endpoints);
        self.connect_through.iter().chain(own.into_iter().flatten())
    }

    /// Whether requests to it carry a Google token.
    pub fn has_credential(&self) -> bool {
        self.credential != Credential::None
    }
}
