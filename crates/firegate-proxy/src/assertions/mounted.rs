//! Keys in PEM files, which somebody else makes and changes.

use std::path::Path;

use firegate_core::jose::{EcdsaP256Signer, es256_public_jwk};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, PrivateSec1KeyDer, SubjectPublicKeyInfoDer};
use serde_json::Value;

use super::AssertionKeyError;
use crate::files::read_bounded;
use crate::limits::ASSERTION_KEY_FILE_BYTES_MAX;

/// Reads a key from a PEM file.
///
/// # Errors
/// If the file cannot be read or holds no P-256 key.
pub(crate) fn read_key(path: &Path) -> Result<EcdsaP256Signer, AssertionKeyError> {
    let file_error = |source| AssertionKeyError::File { path: path.to_owned(), source };
    let text = read_bounded(path, ASSERTION_KEY_FILE_BYTES_MAX).map_err(file_error)?;
    if PrivateSec1KeyDer::from_pem_slice(&text).is_ok() {
        return Err(AssertionKeyError::Sec1 { path: path.to_owned() });
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_form_of_ecparam_is_told_with_the_command_that_converts_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n";
        std::fs::write(&file, format!("{parameters}{key}")).unwrap();
        let refused = read_key(&file).map(drop).unwrap_err().to_string();
        let command =
            format!("hint: openssl pkcs8 -topk8 -nocrypt -in {} -out assertion.pem", file.display());
        assert!(refused.contains("SEC 1") && refused.ends_with(&command), "{refused}");
        std::fs::write(&file, parameters).unwrap();
        let refused = read_key(&file).map(drop).unwrap_err().to_string();
        assert!(refused.contains("no P-256 private key in PKCS #8 form"), "{refused}");
    }
}
