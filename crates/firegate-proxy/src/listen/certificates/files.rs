//! The PEM files of certificates and keys.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use firegate_core::time::UnixTime;
use firegate_files::configuration::Certificate;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::files::read_bounded;
use crate::limits::CERTIFICATE_FILE_BYTES_MAX;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error(
        "the file {} of `tls.certificates` cannot be read: {source}\nhint: name PEM files that firegate may read; a relative name \
         counts from the directory that it is started in",
        file.display()
    )]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is none of certificates.
    #[error(
        "the file {} has no certificate that can be read: {why}\nhint: `cert` names a PEM file with the certificate first and \
         those of its issuers after it",
        file.display()
    )]
    NoCertificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file has no private key.
    #[error(
        "the file {} has no private key that can be read: {why}\nhint: `key` names a PEM file with an unencrypted private key",
        file.display()
    )]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key is another certificate's.
    #[error(
        "the key {} is not the one of the certificate {}\nhint: `openssl x509 -pubkey -noout -in CERT` and \
         `openssl pkey -pubout -in KEY` have to say the same",
        key.display(), cert.display()
    )]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The key is of a kind that is not used.
    #[error(
        "the key {} cannot be used: {source}\nhint: use an ECDSA key on P-256 or P-384, an RSA key of 2048 bits or more, or \
         Ed25519",
        key.display()
    )]
    UnusableKey {
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// No client could ask for it.
    #[error(
        "the certificate {} is for no host name, and only the first one may be\nhint: have it issued for the names that \
         clients ask for (`subjectAltName`)",
        file.display()
    )]
    Nameless {
        /// The certificate's file.
        file: PathBuf,
    },
}

impl CertificateError {
    /// The file that is at fault.
    pub(crate) fn file(&self) -> &Path {
        match self {
            Self::Unreadable { file, .. }
            | Self::NoCertificate { file, .. }
            | Self::NoKey { file, .. }
            | Self::Nameless { file } => file,
            Self::Mismatch { key, .. } | Self::UnusableKey { key, .. } => key,
        }
    }
}

/// A certificate with its chain and key.
#[derive(Debug)]
pub(super) struct Pair {
    /// The file of the certificate.
    pub(super) file: PathBuf,
    pub(super) key: Arc<CertifiedKey>,
    /// The host names that it is for, in lower case.
    pub(super) names: Vec<String>,
    pub(super) expires_at: UnixTime,
}

/// What was in the files at one moment.
pub(super) struct Contents<'a>(Vec<(&'a Certificate, [io::Result<Vec<u8>>; 2])>);

/// By which two contents are told apart, and nobody learns a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<u8>);

impl<'a> Contents<'a> {
    pub(super) fn read(names: &'a [Certificate]) -> Self {
        let contents = |name: &'a Certificate| (name, [read(&name.cert), read(&name.key)]);
        Self(names.iter().map(contents).collect())
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut digest = Context::new(&SHA256);
        for contents in self.0.iter().flat_map(|(_, contents)| contents) {
            let (kind, bytes) = match contents {
                Ok(bytes) => (*b"r", bytes.as_slice()),
                Err(_) => (*b"u", &[][..]),
            };
            digest.update(&kind);
            digest.update(&bytes.len().to_be_bytes());
            digest.update(bytes);
        }
        Fingerprint(digest.finish().as_ref().to_vec())
    }

    /// The certificates.
    ///
    /// # Errors
    /// The first thing that is wrong with one of them.
    pub(super) fn pairs(self) -> Result<Vec<Pair>, CertificateError> {
        self.each().map(|pair| pair.map_err(|(error, _)| error)).collect()
    }

    /// Each certificate, or what is wrong with it: of its files both may be out of reach.
    pub(super) fn each(
        self,
    ) -> impl Iterator<Item = Result<Pair, (CertificateError, Option<Box<CertificateError>>)>> {
        let unreadable = |file: &Path| {
            let file = file.to_owned();
            move |source| CertificateError::Unreadable { file, source }
        };
        self.0.into_iter().map(move |(name, [cert, key])| {
            match (cert.map_err(unreadable(&name.cert)), key.map_err(unreadable(&name.key))) {
                (Ok(cert), Ok(key)) => Pair::new(name, &cert, &key).map_err(|error| (error, None)),
                (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err((error, None)),
                (Err(error), Err(further)) => Err((error, Some(Box::new(further)))),
            }
        })
    }
}

impl Pair {
    fn new(name: &Certificate, cert: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let no_certificate = |why: String| CertificateError::NoCertificate { file: name.cert.clone(), why };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(cert)
            .collect::<Result<_, pem::Error>>()
            .map_err(|error| no_certificate(in_words(&error)))?;
        let first = chain.first().ok_or_else(|| no_certificate("there is none in it".to_owned()))?;
        let (names, expires_at) = read_certificate(first).map_err(no_certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| CertificateError::NoKey { file: name.key.clone(), why: in_words(&error) })?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                CertificateError::Mismatch { cert: name.cert.clone(), key: name.key.clone() }
            }
            source => CertificateError::UnusableKey { key: name.key.clone(), source },
        })?;
        Ok(Self { file: name.cert.clone(), key: Arc::new(key), names, expires_at })
    }
}

/// What is wrong with a PEM file. The error's own words write out texts as lists of numbers.
fn in_words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let name = String::from_utf8_lossy(end_marker);
            format!("it ends before the line `-----END {name}-----`, as a file does that is cut off")
        }
        pem::Error::IllegalSectionStart { .. } => {
            "a line begins with `-----BEGIN ` and does not end with `-----`".to_owned()
        }
        error => error.to_string(),
    }
}

/// The host names of a certificate and when it expires, or what is wrong with it.
fn read_certificate(certificate: &CertificateDer<'_>) -> Result<(Vec<String>, UnixTime), String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let expires_at = UnixTime::from_seconds(certificate.validity().not_after.timestamp());
    let alternatives = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
    let names = alternatives.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Ok((names.collect(), expires_at))
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    read_bounded(file, CERTIFICATE_FILE_BYTES_MAX)
}
