//! Firegate's signed assertion about the user: its key, the published JWK set, and the assertions that are kept so that
//! signing is not paid for with every request.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use firegate_core::assertion::AssertionForm;
use firegate_core::identity::User;
use firegate_core::jose::{EcdsaP256Signer, SignError, es256_public_jwk};
use firegate_core::time::UnixTime;
use http::HeaderValue;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};

use crate::limits::{ASSERTION_CACHE_BYTES_MAX, ASSERTION_REMAINING_MIN};

/// The generated key's file in the data directory.
const KEY_FILE: &str = "assertion-key.pk8";

/// The size of a kept assertion that is typical, for the cache's first allocation.
const ASSERTION_BYTES_TYPICAL: usize = 1024;

/// Why there is no assertion key.
#[derive(Debug, thiserror::Error)]
pub enum AssertionKeyError {
    /// The file cannot be read or written.
    #[error("the assertion key {path} cannot be read or written: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds no P-256 key.
    #[error(
        "{path} is no P-256 private key in PKCS #8 form\nhint: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out assertion.pem"
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// A key could not be made.
    #[error("an assertion key could not be made: {0}")]
    Generate(SignError),
}

/// What a kept assertion depends on: every input is here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AssertionKey {
    token_digest: [u8; 32],
    audience: Box<str>,
    form_is_iap: bool,
}

#[derive(Clone)]
struct KeptAssertion {
    value: HeaderValue,
    expires_at: UnixTime,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<AssertionKey, KeptAssertion> for ByBytes {
    fn weight(&self, key: &AssertionKey, kept: &KeptAssertion) -> u64 {
        (key.audience.len() + kept.value.len() + 128) as u64
    }
}

/// Signs assertions and keeps them.
pub(crate) struct Assertions {
    signer: Option<EcdsaP256Signer>,
    issuer: String,
    key_set: String,
    kept: Cache<AssertionKey, KeptAssertion, ByBytes>,
    random: SystemRandom,
}

impl Assertions {
    /// Signs with `signer` as `issuer` and publishes its public key, and those of `previous`, which backends may still
    /// have assertions of. Without a signer no assertion is sent.
    ///
    /// # Errors
    /// If a public key cannot be written as JWK.
    pub(crate) fn new(
        signer: Option<EcdsaP256Signer>,
        previous: Vec<Value>,
        issuer: String,
    ) -> Result<Self, AssertionKeyError> {
        let own = signer
            .as_ref()
            .map(EcdsaP256Signer::public_jwk)
            .transpose()
            .map_err(AssertionKeyError::Generate)?;
        let key_set = json!({"keys": own.into_iter().chain(previous).collect::<Vec<_>>()}).to_string();
        let items =
            usize::try_from(ASSERTION_CACHE_BYTES_MAX).unwrap_or(usize::MAX) / ASSERTION_BYTES_TYPICAL;
        let kept = Cache::with_weighter(items, ASSERTION_CACHE_BYTES_MAX, ByBytes);
        Ok(Self { signer, issuer, key_set, kept, random: SystemRandom::new() })
    }

    /// The JWK set at `/.well-known/firegate/jwks.json`.
    pub(crate) fn key_set(&self) -> &str {
        &self.key_set
    }

    /// The assertion about a user for an audience; `None` if there is no key to sign with.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub(crate) fn assertion(
        &self,
        form: AssertionForm,
        user: &User,
        audience: &str,
        now: UnixTime,
    ) -> Result<Option<HeaderValue>, SignError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let key = AssertionKey {
            token_digest: user.token_digest,
            audience: audience.into(),
            form_is_iap: form == AssertionForm::IdentityAwareProxy,
        };
        if let Some(kept) = self.kept.get(&key) {
            let left = kept.expires_at.since(now);
            // One that ends with the user's token cannot be made any longer by signing again.
            if left >= ASSERTION_REMAINING_MIN
                || (left > Duration::ZERO && kept.expires_at == user.expires_at)
            {
                return Ok(Some(kept.value));
            }
        }
        let claims = form.claims(user, &self.issuer, audience, now);
        let expires_at = claims.get("exp").and_then(serde_json::Value::as_i64).map(UnixTime::from_seconds);
        let token = signer.sign(form.type_name(), &claims, &self.random)?;
        let mut value = HeaderValue::from_str(&token).map_err(|_| SignError::Operation)?;
        value.set_sensitive(true);
        self.kept.insert(key, KeptAssertion { value: value.clone(), expires_at: expires_at.unwrap_or(now) });
        Ok(Some(value))
    }
}

impl std::fmt::Debug for Assertions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Assertions").field("signer", &self.signer).finish_non_exhaustive()
    }
}

/// Reads a key from a PEM file.
///
/// # Errors
/// If the file cannot be read or holds no P-256 key.
pub(crate) fn read_key(path: &Path) -> Result<EcdsaP256Signer, AssertionKeyError> {
    let file_error = |source| AssertionKeyError::File { path: path.to_owned(), source };
    let text = fs::read(path).map_err(file_error)?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text).ok();
    let signer = key.and_then(|key| EcdsaP256Signer::from_pkcs8(key.secret_pkcs8_der()).ok());
    signer.ok_or_else(|| AssertionKeyError::Key { path: path.to_owned() })
}

/// Reads the public part of a former key from a PEM file that holds a private or a public key.
///
/// # Errors
/// If the file cannot be read or holds no P-256 key.
pub(crate) fn read_public_key(path: &Path) -> Result<Value, AssertionKeyError> {
    let text = fs::read(path).map_err(|source| AssertionKeyError::File { path: path.to_owned(), source })?;
    let jwk = match SubjectPublicKeyInfoDer::from_pem_slice(&text) {
        Ok(public) => es256_public_jwk(&public),
        Err(_) => read_key(path)?.public_jwk(),
    };
    jwk.map_err(|_| AssertionKeyError::Key { path: path.to_owned() })
}

/// The key kept in the data directory; made and kept there the first time.
///
/// # Errors
/// If it cannot be read, made or kept.
pub(crate) fn kept_key(data_dir: &Path) -> Result<EcdsaP256Signer, AssertionKeyError> {
    let path = data_dir.join(KEY_FILE);
    let file_error = |source| AssertionKeyError::File { path: path.clone(), source };
    match fs::read(&path) {
        Ok(der) => {
            EcdsaP256Signer::from_pkcs8(&der).map_err(|_| AssertionKeyError::Key { path: path.clone() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let signer = EcdsaP256Signer::generate().map_err(AssertionKeyError::Generate)?;
            fs::create_dir_all(data_dir).map_err(file_error)?;
            write_secret(&path, signer.pkcs8()).map_err(file_error)?;
            Ok(signer)
        }
        Err(error) => Err(file_error(error)),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let partial = path.with_extension("partial");
    let mut file = options.open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

/// Shared between workers.
pub(crate) type SharedAssertions = Arc<Assertions>;
