//! Signing: ES256 for Firegate's own assertion, RS256 for service-account assertions and for the local issuers of
//! `firegate dev`.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
    RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use x509_parser::prelude::FromDer;

use super::{encode_base64url, sha256};

/// Why a key could not be made, read or used. Nothing of the key is in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The bytes are no PKCS #8 private key of the expected kind.
    #[error("not a PKCS #8 private key of the expected kind")]
    Key,
    /// The cryptographic library refused to sign or to generate a key.
    #[error("the cryptographic library refused the operation")]
    Operation,
}

fn signing_input(header: &Value, payload: &Value) -> String {
    format!(
        "{}.{}",
        encode_base64url(header.to_string().as_bytes()),
        encode_base64url(payload.to_string().as_bytes())
    )
}

/// An RSA private key that signs with RS256 (RFC 7518, section 3.3).
#[derive(Clone)]
pub struct RsaSigner {
    key_id: Arc<str>,
    key: Arc<RsaKeyPair>,
    pkcs8: Arc<[u8]>,
}

impl RsaSigner {
    /// Makes a new RSA-2048 key, which takes 0.1 to 0.5 seconds of one core. Its id is the SHA-1-like 40 hex digits
    /// that Google's key ids are, cut from the SHA-256 of the modulus.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn generate() -> Result<Self, SignError> {
        let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).map_err(|_| SignError::Operation)?;
        let document = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| SignError::Operation)?;
        let hash = sha256(key.public_key().as_ref());
        let key_id = hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(Self { key_id: key_id.into(), pkcs8: document.as_ref().into(), key: Arc::new(key) })
    }

    /// Reads a PKCS #8 key in DER form and names it `key_id`.
    ///
    /// # Errors
    /// If the bytes are no RSA private key.
    pub fn from_pkcs8(key_id: &str, der: &[u8]) -> Result<Self, SignError> {
        let key = RsaKeyPair::from_pkcs8(der).map_err(|_| SignError::Key)?;
        Ok(Self { key_id: key_id.into(), key: Arc::new(key), pkcs8: der.into() })
    }

    /// The `kid` that its tokens carry.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The private key as PKCS #8 DER, to be kept or to make a certificate with.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key as JWK (RFC 7517).
    pub fn public_jwk(&self) -> Value {
        let components = RsaPublicKeyComponents::<Vec<u8>>::from(self.key.public_key());
        json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": &*self.key_id,
            "n": encode_base64url(&components.n), "e": encode_base64url(&components.e),
        })
    }

    /// A compact JWS of `payload` with the header `{"alg":"RS256","kid":…,"typ":"JWT"}`.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn sign(&self, payload: &Value) -> Result<String, SignError> {
        let input = signing_input(&json!({"alg": "RS256", "kid": &*self.key_id, "typ": "JWT"}), payload);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &aws_lc_rs::rand::SystemRandom::new(), input.as_bytes(), &mut signature)
            .map_err(|_| SignError::Operation)?;
        Ok(format!("{input}.{}", encode_base64url(&signature)))
    }
}

impl fmt::Debug for RsaSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RsaSigner").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A P-256 private key that signs with ES256 (RFC 7518, section 3.4).
#[derive(Clone)]
pub struct EcdsaP256Signer {
    key_id: Arc<str>,
    key: Arc<EcdsaKeyPair>,
    pkcs8: Arc<[u8]>,
}

impl EcdsaP256Signer {
    /// Makes a new key.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn generate() -> Result<Self, SignError> {
        let key =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| SignError::Operation)?;
        let document = key.to_pkcs8v1().map_err(|_| SignError::Operation)?;
        Self::from_pkcs8(document.as_ref())
    }

    /// Reads a PKCS #8 key in DER form; its id is the JWK thumbprint of RFC 7638.
    ///
    /// # Errors
    /// If the bytes are no P-256 private key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SignError> {
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| SignError::Key)?;
        let (x, y) = coordinates(&key)?;
        Ok(Self { key_id: thumbprint(&x, &y).into(), key: Arc::new(key), pkcs8: der.into() })
    }

    /// The `kid` that its tokens carry.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The private key as PKCS #8 DER, to be kept.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key as JWK (RFC 7517).
    ///
    /// # Errors
    /// Never for a key that could be read.
    pub fn public_jwk(&self) -> Result<Value, SignError> {
        let (x, y) = coordinates(&self.key)?;
        Ok(public_jwk(&self.key_id, &x, &y))
    }

    /// A compact JWS of `payload` with the header `{"alg":"ES256","kid":…,"typ":type_name}`.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn sign(
        &self,
        type_name: &str,
        payload: &Value,
        random: &dyn SecureRandom,
    ) -> Result<String, SignError> {
        let input = signing_input(&json!({"alg": "ES256", "kid": &*self.key_id, "typ": type_name}), payload);
        let signature = self.key.sign(random, input.as_bytes()).map_err(|_| SignError::Operation)?;
        Ok(format!("{input}.{}", encode_base64url(signature.as_ref())))
    }
}

impl fmt::Debug for EcdsaP256Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EcdsaP256Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The JWK of a P-256 public key in the DER form of RFC 5480, section 2: what `openssl pkey -pubout` writes.
///
/// # Errors
/// If the bytes are no such key.
pub fn es256_public_jwk(spki_der: &[u8]) -> Result<Value, SignError> {
    let (_, spki) =
        x509_parser::x509::SubjectPublicKeyInfo::from_der(spki_der).map_err(|_| SignError::Key)?;
    let point = match spki.parsed() {
        Ok(x509_parser::public_key::PublicKey::EC(point)) => point.data().to_owned(),
        _ => return Err(SignError::Key),
    };
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(|_| SignError::Key)?;
    let (x, y) = point_coordinates(&point)?;
    Ok(public_jwk(&thumbprint(&x, &y), &x, &y))
}

fn public_jwk(key_id: &str, x: &str, y: &str) -> Value {
    json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": key_id, "x": x, "y": y})
}

/// The JWK thumbprint of RFC 7638.
fn thumbprint(x: &str, y: &str) -> String {
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    encode_base64url(&sha256(canonical.as_bytes()))
}

fn coordinates(key: &EcdsaKeyPair) -> Result<(String, String), SignError> {
    point_coordinates(key.public_key().as_ref())
}

fn point_coordinates(point: &[u8]) -> Result<(String, String), SignError> {
    // The uncompressed point of SEC 1, section 2.3.3: 0x04, then 32 bytes of x and 32 of y.
    match point {
        [0x04, point @ ..] if point.len() == 64 => {
            Ok((encode_base64url(&point[..32]), encode_base64url(&point[32..])))
        }
        _ => Err(SignError::Key),
    }
}
