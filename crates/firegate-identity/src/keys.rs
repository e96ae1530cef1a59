//! The server's two RSA keys, one for ID tokens and one for session cookies, and the documents that publish them.

use std::fs;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use firegate_core::jose::{CompactJws, KeySet, KeySetError, RsaSigner, SignError};
use firegate_core::time::{SharedClock, UnixTime};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::limits::{CERTIFICATE_BACKDATE, CERTIFICATE_LIFETIME, KEY_FILE_BYTES_MAX};

/// The common name in the certificates, as in Google's.
const CERTIFICATE_NAME: &str = "securetoken.system.gserviceaccount.com";

/// Why a key could not be made, read or published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("cannot read or write the key file {0}: {1}; check the permissions of the data directory")]
    File(PathBuf, std::io::Error),
    #[error("{0} is not an RSA private key in PKCS #8 form; remove the file to get a new key")]
    Content(PathBuf),
    #[error("cannot make an RSA key: {0}")]
    Sign(#[from] SignError),
    #[error("cannot make the key's certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot publish the key: {0}")]
    Publish(#[from] KeySetError),
    #[error("the task that makes the key ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// An RSA key that signs, verifies and is published.
#[derive(Debug)]
pub(crate) struct SigningKey {
    signer: RsaSigner,
    verifier: KeySet,
    jwk_set: String,
    certificates: String,
}

impl SigningKey {
    fn new(signer: RsaSigner, now: UnixTime) -> Result<Self, KeyError> {
        let jwk_set = json!({ "keys": [signer.public_jwk()] }).to_string();
        let certificates = json!({ signer.key_id(): certificate(&signer, now)? }).to_string();
        let verifier = KeySet::parse_rs256(jwk_set.as_bytes())?;
        Ok(Self { signer, verifier, jwk_set, certificates })
    }

    /// A compact JWS of `payload`.
    pub(crate) fn sign(&self, payload: &Value) -> Result<String, SignError> {
        self.signer.sign(payload)
    }

    /// Whether this key signed the token, with RS256 and under its own id.
    pub(crate) fn verifies(&self, token: &CompactJws<'_>) -> bool {
        token.header_text("alg") == Some("RS256")
            && token
                .header_text("kid")
                .and_then(|key_id| self.verifier.find(key_id))
                .is_some_and(|key| key.verifies(token))
    }

    /// The public key as JWK set (RFC 7517, section 5).
    pub(crate) fn jwk_set(&self) -> &str {
        &self.jwk_set
    }

    /// The public key as Google's map from key id to X.509 certificate in PEM form.
    pub(crate) fn certificates(&self) -> &str {
        &self.certificates
    }
}

/// A key that is made in the background and awaited by whoever needs it first.
#[derive(Debug)]
pub(crate) struct KeySlot {
    key: OnceCell<Arc<SigningKey>>,
    file: Option<PathBuf>,
    clock: SharedClock,
}

impl KeySlot {
    /// A slot whose key is kept in `file`, or nowhere without one.
    pub(crate) fn new(file: Option<PathBuf>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { key: OnceCell::new(), file, clock })
    }

    /// The key. The first caller makes it, the others wait; after a failure the next caller tries again.
    pub(crate) async fn get(&self) -> Result<Arc<SigningKey>, KeyError> {
        let make = || async {
            let (file, now) = (self.file.clone(), self.clock.now());
            tokio::task::spawn_blocking(move || load_or_generate(file.as_deref(), now).map(Arc::new)).await?
        };
        self.key.get_or_try_init(make).await.cloned()
    }

    /// Has the key ready soon: a kept one is read at once, so that a broken file is an error of the start; a new one
    /// is made in the background.
    pub(crate) async fn warm_up(self: &Arc<Self>) -> Result<(), KeyError> {
        if self.file.as_ref().is_some_and(|file| file.exists()) {
            return self.get().await.map(drop);
        }
        let slot = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = slot.get().await {
                tracing::error!(%error, "no signing key");
            }
        });
        Ok(())
    }
}

fn load_or_generate(file: Option<&Path>, now: UnixTime) -> Result<SigningKey, KeyError> {
    let Some(file) = file else {
        return SigningKey::new(RsaSigner::generate()?, now);
    };
    match read(file) {
        Ok(der) => SigningKey::new(read_key(&der).ok_or_else(|| KeyError::Content(file.to_owned()))?, now),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let signer = RsaSigner::generate()?;
            write_private(file, signer.pkcs8()).map_err(|error| KeyError::File(file.to_owned(), error))?;
            SigningKey::new(signer, now)
        }
        Err(error) => Err(KeyError::File(file.to_owned(), error)),
    }
}

/// What a file holds, if that is no longer than a key: a device in its place has no end.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX {
        let why = format!("it is too large: more than {KEY_FILE_BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// A kept key under the id that it had when it was made: cut from the SHA-256 of the public key.
fn read_key(der: &[u8]) -> Option<RsaSigner> {
    let key = RsaKeyPair::from_pkcs8(der).ok()?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.public_key().as_ref());
    let key_id = digest.as_ref().iter().take(20).map(|byte| format!("{byte:02x}")).collect::<String>();
    RsaSigner::from_pkcs8(&key_id, der).ok()
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let unfinished = file.with_extension("unfinished");
    // A leftover of a start that was cut off would keep its own mode.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut output = options.open(&unfinished)?;
    output.write_all(content)?;
    output.sync_all()?;
    fs::rename(&unfinished, file)
}

fn certificate(signer: &RsaSigner, now: UnixTime) -> Result<String, KeyError> {
    let key_pair = KeyPair::try_from(signer.pkcs8())?;
    let moment = |moment: UnixTime| {
        time::OffsetDateTime::from_unix_timestamp(moment.as_seconds())
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, CERTIFICATE_NAME);
    params.not_before = moment(now.minus(CERTIFICATE_BACKDATE));
    params.not_after = moment(now.plus(CERTIFICATE_LIFETIME));
    Ok(params.self_signed(&key_pair)?.pem())
}

#[cfg(test)]
mod tests {
    use firegate_core::time::SystemClock;

    use super::*;

    #[tokio::test]
    async fn a_kept_key_survives_with_its_id_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("id-token-key.pk8");
        let slot = || KeySlot::new(Some(file.clone()), Arc::new(SystemClock));
        let token = slot().get().await.unwrap().sign(&json!({ "sub": "alice" })).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }

        let again = slot();
        again.warm_up().await.unwrap();
        let key = again.get().await.unwrap();
        assert!(key.verifies(&CompactJws::parse(&token).unwrap()));

        fs::write(&file, "no key").unwrap();
        assert!(matches!(slot().warm_up().await, Err(KeyError::Content(_))));
        // What is no key because of its length is not read to its end, which a device does not have.
        fs::write(&file, vec![0; usize::try_from(KEY_FILE_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(slot().warm_up().await, Err(KeyError::File(..))));
    }

    #[tokio::test]
    async fn both_documents_publish_the_key_and_no_other_key_verifies() {
        let key = KeySlot::new(None, Arc::new(SystemClock)).get().await.unwrap();
        let other = KeySlot::new(None, Arc::new(SystemClock)).get().await.unwrap();
        let token = key.sign(&json!({ "sub": "alice" })).unwrap();
        let token = CompactJws::parse(&token).unwrap();
        assert!(key.verifies(&token));
        assert!(!other.verifies(&token));
        for document in [key.jwk_set(), key.certificates()] {
            let published = KeySet::parse_rs256(document.as_bytes()).unwrap();
            let key_id = token.header_text("kid").unwrap();
            assert!(published.find(key_id).unwrap().verifies(&token), "{document}");
        }
    }
}
