//! What the server is opened with, and why it cannot be.

use std::path::PathBuf;

use firegate_core::jose::KeySet;
use firegate_core::time::SharedClock;

use crate::error::ApiError;
use crate::keys::KeyError;
use crate::tokens::TokenSigning;

/// What the server is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Firebase project's id, to which every API key belongs.
    pub project: String,
    /// The project's number, which the token endpoint and `getProjectConfig` give.
    pub project_number: String,
    /// How ID tokens and session cookies are signed.
    pub token_signing: TokenSigning,
    /// Where accounts and keys are kept. Without it nothing outlives the process.
    pub data_dir: Option<PathBuf>,
    /// What tells the time.
    pub clock: SharedClock,
    /// The public keys of the service accounts whose custom tokens count. Without them the signature of custom tokens
    /// is not checked, as in the reference emulator, and they are taken from this machine alone.
    pub custom_token_keys: Option<KeySet>,
}

impl Options {
    /// The defaults: signed tokens, nothing kept, custom tokens unchecked.
    pub fn new(project: impl Into<String>, clock: SharedClock) -> Self {
        Self {
            project: project.into(),
            project_number: "123456789012".to_owned(),
            token_signing: TokenSigning::Rs256,
            data_dir: None,
            clock,
            custom_token_keys: None,
        }
    }
}

/// Why the server cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The project's id is none.
    #[error("{0:?} is no project id; use 1 to 128 letters, digits, hyphens, colons, dots or underscores")]
    Project(String),
    /// The data directory cannot be made.
    #[error("cannot make the data directory {0}: {1}; choose another one")]
    DataDirectory(PathBuf, std::io::Error),
    /// The accounts cannot be opened.
    #[error("cannot open the accounts in {0}: {1}\nhint: remove the file to begin without accounts")]
    Accounts(PathBuf, String),
    /// The signing keys cannot be read.
    #[error("{0}")]
    Keys(String),
    /// The system gives no randomness, or the runtime is going away.
    #[error("the system failed: {0}")]
    System(String),
}

/// An account that is to exist.
#[derive(Clone, Default)]
pub struct NewAccount {
    /// The user id; one is made up without it.
    pub local_id: Option<String>,
    /// The e-mail address.
    pub email: String,
    /// The password, at least 6 characters.
    pub password: String,
    /// Whether the address counts as verified.
    pub email_verified: bool,
    /// The name that becomes the `name` claim.
    pub display_name: Option<String>,
    /// Custom claims as a serialised JSON object of at most 1000 characters.
    pub custom_attributes: Option<String>,
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("NewAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

/// Why an account cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot make the account: {0}")]
pub struct CreateAccountError(pub(super) ApiError);

/// Why an account cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the account: {0}")]
pub struct ReadAccountError(pub(super) ApiError);

impl From<KeyError> for OpenError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error.to_string())
    }
}
