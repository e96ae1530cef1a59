//! Keys in PEM files, which somebody else makes and changes.

use std::path::Path;

use firegate_core::jose::{EcdsaP256Signer, es256_public_jwk};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde_json::Value;

use super::AssertionKeyError;
use crate::limits::ASSERTION_KEY_FILE_BYTES_MAX;
use crate::reload::read_bounded;

/// Reads a key from a PEM file.
///
/// # Errors
/// If the file cannot be read or holds no P-256 key.
pub(crate) fn read_key(path: &Path) -> Result<EcdsaP256Signer, AssertionKeyError> {
    let file_error = |source| AssertionKeyError::File { path: path.to_owned(), source };
    let text = read_bounded(path, ASSERTION_KEY_FILE_BYTES_MAX).map_err(file_error)?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text).ok();
    let signer = key.and_then(|key| EcdsaP256Signer::from_pkcs8(key.secret_pkcs8_der()).ok());
    signer.ok_or_else(|| AssertionKeyError::Key { path: path.to_owned() })
}

/// Reads the public part of a former key from a PEM file that holds a private or a public key.
///
/// # Errors
/// If the file cannot be read or holds no P-256 key.
pub(crate) fn read_public_key(path: &Path) -> Result<Value, AssertionKeyError> {
    let text = read_bounded(path, ASSERTION_KEY_FILE_BYTES_MAX)
        .map_err(|source| AssertionKeyError::File { path: path.to_owned(), source })?;
    let jwk = match SubjectPublicKeyInfoDer::from_pem_slice(&text) {
        Ok(public) => es256_public_jwk(&public),
        Err(_) => read_key(path)?.public_jwk(),
    };
    jwk.map_err(|_| AssertionKeyError::Key { path: path.to_owned() })
}
