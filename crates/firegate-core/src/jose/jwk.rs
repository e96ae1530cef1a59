//! Key sets as issuers publish them: a JWK set (RFC 7517, section 5) or Google's map from key id to X.509 certificate,
//! told apart by their content. A key that is not acceptable is refused by itself and never takes the good ones along.

use std::fmt;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use serde_json::{Map, Value};

use super::base64url::decode_base64url;
use super::compact::CompactJws;
use super::roca::is_roca_modulus;
use super::rs256::Rs256Key;
use super::sha256;
use super::strict_json;
use crate::limits::{KEY_SET_KEYS_MAX, RSA_MODULUS_BITS_MIN};

/// A public key with the one algorithm it verifies.
#[derive(Clone)]
pub struct PublicKey {
    key_id: Box<str>,
    key: Key,
}

/// Both algorithms sign a SHA-256.
#[derive(Clone)]
enum Key {
    Rs256(Rs256Key),
    Es256(ParsedPublicKey),
}

/// The public keys of one issuer, all of one algorithm.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
    refused: Vec<RefusedKey>,
    /// The SHA-256 of the document: which keys these are.
    fingerprint: [u8; 32],
}

/// A published key that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedKey {
    /// The key's id, if it has one.
    pub key_id: Option<String>,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Why a document is no usable key set. Keys that were in use stay in use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Neither a JWK set nor a map of certificates.
    #[error("the document is neither a JWK set nor a map of X.509 certificates")]
    Format,
    /// No key of the document is acceptable.
    #[error("the document holds no acceptable key ({0} refused)")]
    NoKeys(usize),
    /// More keys than [`KEY_SET_KEYS_MAX`].
    #[error("the document holds more than {KEY_SET_KEYS_MAX} keys")]
    TooManyKeys,
}

impl KeySet {
    /// Reads RS256 keys from a JWK set or a map of certificates.
    ///
    /// # Errors
    /// If the document has neither form or not one acceptable key.
    pub fn parse_rs256(document: &[u8]) -> Result<Self, KeySetError> {
        Self::parse(document, PublicKey::rs256_from_jwk)
    }

    /// Reads ES256 keys from a JWK set: the keys of Firegate's own assertion.
    ///
    /// # Errors
    /// If the document has neither form or not one acceptable key.
    pub fn parse_es256(document: &[u8]) -> Result<Self, KeySetError> {
        Self::parse(document, PublicKey::es256_from_jwk)
    }

    fn parse(
        document: &[u8],
        read_jwk: fn(&str, &Map<String, Value>) -> Result<PublicKey, &'static str>,
    ) -> Result<Self, KeySetError> {
        let object = strict_json::parse_object(document).map_err(|_| KeySetError::Format)?;
        let mut set = Self { fingerprint: sha256(document), ..Self::default() };
        if let Some(keys) = object.get("keys").and_then(Value::as_array) {
            if keys.len() > KEY_SET_KEYS_MAX {
                return Err(KeySetError::TooManyKeys);
            }
            for key in keys {
                let key_id = key.get("kid").and_then(Value::as_str).filter(|key_id| !key_id.is_empty());
                let read = match (key.as_object(), key_id) {
                    (Some(members), Some(key_id)) => read_jwk(key_id, members),
                    _ => Err("it has no key id"),
                };
                set.take(key_id, read);
            }
        } else {
            if object.len() > KEY_SET_KEYS_MAX {
                return Err(KeySetError::TooManyKeys);
            }
            let certificate = |value: &Value| -> Option<String> {
                value.as_str().filter(|text| text.contains("-----BEGIN CERTIFICATE-----")).map(str::to_owned)
            };
            if !object.values().any(|value| certificate(value).is_some()) {
                return Err(KeySetError::Format);
            }
            for (key_id, value) in &object {
                let read = match certificate(value) {
                    Some(pem) => PublicKey::rs256_from_certificate(key_id, &pem),
                    None => Err("it is no certificate"),
                };
                set.take(Some(key_id), read);
            }
        }
        if set.keys.is_empty() { Err(KeySetError::NoKeys(set.refused.len())) } else { Ok(set) }
    }

    fn take(&mut self, key_id: Option<&str>, read: Result<PublicKey, &'static str>) {
        let refused = match read {
            Ok(key) if self.find(&key.key_id).is_none() => return self.keys.push(key),
            Ok(_) => "its key id is repeated",
            Err(why) => why,
        };
        self.refused.push(RefusedKey { key_id: key_id.map(str::to_owned), why: refused });
    }

    /// The key with this id.
    pub fn find(&self, key_id: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|key| &*key.key_id == key_id)
    }

    /// The ids of the accepted keys.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &*key.key_id)
    }

    /// Names a token together with these very keys: a verdict about its signature is valid under this name alone, and under
    /// another one as soon as the keys are others.
    pub fn digest_of(&self, token: &CompactJws<'_>) -> [u8; 32] {
        let name = || {
            let mut both = [0; 64];
            both[..32].copy_from_slice(&self.fingerprint);
            both[32..].copy_from_slice(token.digest());
            sha256(&both)
        };
        let (fingerprint, known) = token.named.get_or_init(|| (self.fingerprint, name()));
        if *fingerprint == self.fingerprint { *known } else { name() }
    }

    /// The keys that were not taken.
    pub fn refused(&self) -> &[RefusedKey] {
        &self.refused
    }
}

impl PublicKey {
    /// Whether this key made the token's signature.
    pub fn verifies(&self, token: &CompactJws<'_>) -> bool {
        self.verifies_digest(token.signed_digest(), token.signature())
    }

    /// Whether this key made `signature` over `signed`, whatever the bytes mean.
    pub fn verifies_bytes(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.verifies_digest(&digest(&SHA256, signed), signature)
    }

    fn verifies_digest(&self, signed: &Digest, signature: &[u8]) -> bool {
        match &self.key {
            Key::Rs256(key) => key.verifies(signed, signature),
            Key::Es256(key) => key.verify_digest_sig(signed, signature).is_ok(),
        }
    }

    fn rs256_from_jwk(key_id: &str, jwk: &Map<String, Value>) -> Result<Self, &'static str> {
        require_member(jwk, "kty", "RSA", "its type is not RSA")?;
        compare_member(jwk, "alg", "RS256", "its algorithm is not RS256")?;
        compare_member(jwk, "use", "sig", "it is not for signatures")?;
        expect_verify_operation(jwk)?;
        let component = |name| {
            jwk.get(name)
                .and_then(Value::as_str)
                .and_then(decode_base64url)
                .ok_or("its numbers are not base64url")
        };
        Self::rs256(key_id, &component("n")?, &component("e")?)
    }

    fn rs256_from_certificate(key_id: &str, pem: &str) -> Result<Self, &'static str> {
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| "its PEM text cannot be read")?;
        let certificate = pem.parse_x509().map_err(|_| "its certificate cannot be read")?;
        match certificate.public_key().parsed() {
            Ok(x509_parser::public_key::PublicKey::RSA(key)) => {
                Self::rs256(key_id, key.modulus, key.exponent)
            }
            _ => Err("its type is not RSA"),
        }
    }

    fn rs256(key_id: &str, modulus: &[u8], exponent: &[u8]) -> Result<Self, &'static str> {
        let modulus = without_leading_zeros(modulus);
        let exponent = without_leading_zeros(exponent);
        let modulus_bits =
            modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if modulus_bits < RSA_MODULUS_BITS_MIN {
            return Err("it is shorter than 2048 bits");
        }
        // The product of two odd primes is odd. The cryptographic library would take the key and then verify nothing with it.
        if modulus.last().is_none_or(|byte| byte % 2 == 0) {
            return Err("its modulus is even");
        }
        // An exponent of 1 lets anyone sign; an even one is no RSA key.
        if exponent.len() > 4 || exponent == [1] || exponent.last().is_none_or(|byte| byte % 2 == 0) {
            return Err("its exponent is not acceptable");
        }
        if is_roca_modulus(modulus) {
            return Err("its private key can be computed (CVE-2017-15361)");
        }
        let key = Rs256Key::new(modulus, exponent).ok_or("the cryptographic library refuses it")?;
        Ok(Self { key_id: key_id.into(), key: Key::Rs256(key) })
    }

    fn es256_from_jwk(key_id: &str, jwk: &Map<String, Value>) -> Result<Self, &'static str> {
        require_member(jwk, "kty", "EC", "its type is not EC")?;
        require_member(jwk, "crv", "P-256", "its curve is not P-256")?;
        compare_member(jwk, "alg", "ES256", "its algorithm is not ES256")?;
        compare_member(jwk, "use", "sig", "it is not for signatures")?;
        expect_verify_operation(jwk)?;
        let mut point = vec![0x04];
        for name in ["x", "y"] {
            let coordinate = jwk.get(name).and_then(Value::as_str).and_then(decode_base64url);
            match coordinate {
                Some(bytes) if bytes.len() == 32 => point.extend(bytes),
                _ => return Err("its coordinates are not 32 bytes of base64url"),
            }
        }
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .map_err(|_| "the cryptographic library refuses it")?;
        Ok(Self { key_id: key_id.into(), key: Key::Es256(key) })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PublicKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A member that a key has to have.
fn require_member(
    jwk: &Map<String, Value>,
    name: &str,
    expected: &str,
    why: &'static str,
) -> Result<(), &'static str> {
    if jwk.contains_key(name) { compare_member(jwk, name, expected, why) } else { Err(why) }
}

/// A member that a key may have.
fn compare_member(
    jwk: &Map<String, Value>,
    name: &str,
    expected: &str,
    why: &'static str,
) -> Result<(), &'static str> {
    match jwk.get(name) {
        None => Ok(()),
        Some(Value::String(found)) if found == expected => Ok(()),
        Some(_) => Err(why),
    }
}

/// A key that names its operations (RFC 7517, section 4.3) has to name this one.
fn expect_verify_operation(jwk: &Map<String, Value>) -> Result<(), &'static str> {
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(_) => Err("it is not for verifying"),
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}
