use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::CredentialSource;
use crate::limits::CREDENTIAL_FILE_BYTES_MAX;

/// What the environment says about credentials, as values.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `GOOGLE_APPLICATION_CREDENTIALS`: a credential file. Empty counts as not set.
    pub google_application_credentials: Option<PathBuf>,
    /// `HOME`, where gcloud keeps `.config/gcloud/application_default_credentials.json`.
    pub home: Option<PathBuf>,
    /// `APPDATA`, where it keeps `gcloud/application_default_credentials.json` on Windows.
    pub app_data: Option<PathBuf>,
}

impl Environment {
    /// The files that [`discover`] looks for, in its order. The first one that is there is the identity.
    pub fn files(&self) -> Vec<PathBuf> {
        const FILE: &str = "application_default_credentials.json";
        if let Some(named) = self.named() {
            return vec![named.to_owned()];
        }
        let of_home = self.home.as_ref().map(|home| home.join(".config/gcloud").join(FILE));
        let of_app_data = self.app_data.as_ref().map(|app_data| app_data.join("gcloud").join(FILE));
        [of_home, of_app_data].into_iter().flatten().collect()
    }

    fn named(&self) -> Option<&Path> {
        self.google_application_credentials.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

/// Why a credential file is no identity.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file could not be read. A file that the environment names has to be there.
    #[error(
        "{path}: the credential file could not be read ({source}); correct GOOGLE_APPLICATION_CREDENTIALS or unset it"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than [`CREDENTIAL_FILE_BYTES_MAX`].
    #[error("{path}: larger than {CREDENTIAL_FILE_BYTES_MAX} bytes; this is no credential file")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what its `type` should be. Nothing of its content is quoted but the member's name.
    #[error("{path}: {why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: ContentError,
    },
}

/// What is wrong with the content of a credential file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not a JSON object.
    #[error("not a JSON object; create the file anew with gcloud")]
    Json,
    /// Its `type` is none that Firegate knows.
    #[error(
        "credentials of this `type` are not supported; service_account, external_account and impersonated_service_account are, and \
         authorized_user with `credential: impersonate`"
    )]
    Type,
    /// It has no `type`, as every file has that gcloud writes.
    #[error("this is no credential file: it has no `type`; create the file anew with gcloud")]
    NoType,
    /// A member is missing or wrong.
    #[error("`{0}` is missing or not what it should be; create the file anew with gcloud")]
    Member(&'static str),
    /// A part that Firegate does not support.
    #[error("`{0}` is not supported; use credentials with a `file` or `url` as credential_source")]
    Unsupported(&'static str),
}

/// Finds Firegate's own identity in the order of Application Default Credentials (AIP-4110): the file that the environment
/// names, else the file that `gcloud auth application-default login` wrote, else the metadata server.
///
/// # Errors
/// If the named file is missing, or a file is no credential file that is supported.
pub fn discover(environment: &Environment) -> Result<CredentialSource, CredentialError> {
    if let Some(path) = environment.named() {
        return CredentialSource::from_file(path);
    }
    for path in environment.files() {
        match CredentialSource::from_file(&path) {
            Err(CredentialError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
    }
    Ok(CredentialSource::Metadata)
}

impl CredentialSource {
    /// Reads a credential file.
    ///
    /// # Errors
    /// If it cannot be read, or is no credential file that is supported.
    pub fn from_file(path: &Path) -> Result<Self, CredentialError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(CREDENTIAL_FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|source| CredentialError::Read { path: path.to_owned(), source })?;
        if bytes.len() as u64 > CREDENTIAL_FILE_BYTES_MAX {
            return Err(CredentialError::TooLarge { path: path.to_owned() });
        }
        Self::from_json(&bytes).map_err(|why| CredentialError::Content { path: path.to_owned(), why })
    }
}
