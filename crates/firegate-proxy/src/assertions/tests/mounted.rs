//! Keys that somebody else makes: what is too long for one is not read to its end, which a device does not have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::mounted::{read_key, read_public_key};
use super::*;
use crate::limits::ASSERTION_KEY_FILE_BYTES_MAX;

#[test]
fn a_file_that_is_longer_than_a_key_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("assertion.pem");
    let signer = EcdsaP256Signer::generate().expect("a key");
    let key = STANDARD.encode(signer.pkcs8());
    let mut pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n").into_bytes();
    fs::write(&file, &pem).expect("written");
    assert_eq!(read_key(&file).expect("a key").key_id(), signer.key_id());
    assert!(read_public_key(&file).is_ok());
    pem.extend(vec![b'\n'; usize::try_from(ASSERTION_KEY_FILE_BYTES_MAX).expect("a length")]);
    fs::write(&file, &pem).expect("written");
    assert!(matches!(read_key(&file), Err(AssertionKeyError::File { .. })));
    assert!(matches!(read_public_key(&file), Err(AssertionKeyError::File { .. })));
}
