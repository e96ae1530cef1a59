//! As whom Google's APIs are called.

use std::sync::Arc;

use http::HeaderValue;

use crate::credentials::Credential;
use crate::fault::{CredentialFault, Step};
use crate::tokens::bearer;

/// As whom an API is called.
#[derive(Clone, Debug)]
pub enum Caller {
    /// By a word that an emulator knows an administrator by, as
    /// [`EMULATOR_BEARER`](crate::accounts::EMULATOR_BEARER).
    Fixed(&'static str),
    /// With access tokens of Firegate's own identity.
    Own(Arc<Credential>),
}

impl PartialEq for Caller {
    /// Whether both are the same word, or the same credential and not only an equal one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(word), Self::Fixed(other)) => word == other,
            (Self::Own(credential), Self::Own(other)) => Arc::ptr_eq(credential, other),
            _ => false,
        }
    }
}

impl Eq for Caller {}

impl Caller {
    /// `Bearer …` for the next call; marked sensitive.
    ///
    /// # Errors
    /// If there is no access token that is alive and none can be got in time.
    pub(crate) async fn bearer(&self) -> Result<HeaderValue, CredentialFault> {
        match self {
            Self::Fixed(word) => {
                bearer(word).map_err(|source| CredentialFault { step: Step::Waiting, source })
            }
            Self::Own(credential) => Ok(credential.access_token().await?.bearer().clone()),
        }
    }
}
