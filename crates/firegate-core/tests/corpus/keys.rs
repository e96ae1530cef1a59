//! The issuers' keys, made anew in each run, and every kind of signature that a forger may try with or without them.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use aws_lc_rs::{digest, hmac};
use firegate_core::jose::{EcdsaP256Signer, KeySet, RsaSigner, decode_base64url, encode_base64url};
use num_bigint::BigUint;
use serde_json::{Value, json};
use x509_parser::der_parser::parse_der;

use super::judge::PublishedKeys;

/// The bytes of an RSA-2048 modulus, and of its signatures.
pub(crate) const MODULUS_BYTES: usize = 256;

/// A public key with the exponent 3 (PKCS #1, DER, base64url), which nobody has the private key to. Google's issuers
/// publish none like it; it stands among the keys of ID tokens because such keys once made signatures forgeable.
const EXPONENT_3_KEY: &str = "MIIBCAKCAQEArNZZU3yPH4H1E3LU9TMspnmocHOZAwQlMaBC3nlxbYC1s9K8s1f_OOBkTvdOy7WZFJCyj3cuSUMCFDabVHS7jvq00D336WMXz_q1-cv3dHciurSTNdYGDWO-Ufvz6k3miG8vcQoWmZ5SXEFupN_l8yuKA7BKheNXoVt0-DD7sRZfTqLNBJTml4gn5hMe8cfPUb6xFsck9HinzdMyPAc0kj_3CnKdQHMKOabM8jeX_YTBuWmhVBQtYjs6JclY4eexON10iwQs7TwAB-x5AOkhxSXF9VDVOzvGonWWxV5mw7Cx6-x_m0ooUhzsDb867tzLbUfRe1BUPLBFIepd2g8TXwIBAw";

/// The id under which it is published.
pub(crate) const EXPONENT_3_KEY_ID: &str = "exponent-3";

pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(Keys::generate);

/// Everybody's keys.
pub(crate) struct Keys {
    pub(crate) id_token: RsaKey,
    /// The issuer of ID tokens has two keys at a time.
    pub(crate) id_token_next: RsaKey,
    pub(crate) session_cookie: RsaKey,
    pub(crate) google: RsaKey,
    pub(crate) app_check: RsaKey,
    /// Published by nobody.
    pub(crate) stranger: RsaKey,
    pub(crate) firegate: EcdsaP256Signer,
    pub(crate) ed25519: Ed25519KeyPair,
}

/// A private key that signs as it is told.
pub(crate) struct RsaKey {
    signer: RsaSigner,
    pair: RsaKeyPair,
}

/// How a token is signed.
#[derive(Clone)]
pub(crate) enum Scheme {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    /// With this secret.
    Hs256(Vec<u8>),
    Hs384(Vec<u8>),
    Hs512(Vec<u8>),
    Ed25519,
    /// ES256 with Firegate's own key.
    Es256,
    /// Not at all: these bytes stand in for it.
    Bytes(Vec<u8>),
}

impl Keys {
    fn generate() -> Self {
        Self {
            id_token: RsaKey::generate(),
            id_token_next: RsaKey::generate(),
            session_cookie: RsaKey::generate(),
            google: RsaKey::generate(),
            app_check: RsaKey::generate(),
            stranger: RsaKey::generate(),
            firegate: EcdsaP256Signer::generate().expect("a key"),
            ed25519: Ed25519KeyPair::generate().expect("a key"),
        }
    }

    fn published(&self) -> [(&'static str, Vec<&RsaKey>); 4] {
        [
            ("id_token", vec![&self.id_token, &self.id_token_next]),
            ("session_cookie", vec![&self.session_cookie]),
            ("google_id_token", vec![&self.google]),
            ("app_check", vec![&self.app_check]),
        ]
    }

    /// What the issuers publish, as JWK sets.
    pub(crate) fn jwk_sets(&self) -> Value {
        let mut sets = serde_json::Map::new();
        for (issuer, keys) in self.published() {
            let mut jwks = keys.iter().map(|key| key.signer.public_jwk()).collect::<Vec<_>>();
            if issuer == "id_token" {
                jwks.push(exponent_3_jwk());
            }
            sets.insert(issuer.to_owned(), json!({ "keys": jwks }));
        }
        let firegate = self.firegate.public_jwk().expect("a JWK");
        sets.insert("exchanged_token".to_owned(), json!({ "keys": [firegate] }));
        Value::Object(sets)
    }

    /// What the issuers publish, as maps from key id to certificate.
    pub(crate) fn certificate_maps(&self) -> Value {
        let mut maps = serde_json::Map::new();
        for (issuer, keys) in self.published() {
            let mut map = serde_json::Map::new();
            for key in keys {
                map.insert(key.id().to_owned(), json!(certificate(key.pair.public_key().as_ref())));
            }
            if issuer == "id_token" {
                let key = decode_base64url(EXPONENT_3_KEY).expect("base64url");
                map.insert(EXPONENT_3_KEY_ID.to_owned(), json!(certificate(&key)));
            }
            maps.insert(issuer.to_owned(), Value::Object(map));
        }
        Value::Object(maps)
    }
}

impl PublishedKeys {
    /// Takes one document for each issuer of RS256 tokens; Firegate's own keys are always a JWK set.
    pub(crate) fn new(documents: &Value, firegate: &Value) -> Self {
        Self {
            id_token: documents["id_token"].to_string(),
            session_cookie: documents["session_cookie"].to_string(),
            google_id_token: documents["google_id_token"].to_string(),
            app_check: documents["app_check"].to_string(),
            exchanged_token: firegate["exchanged_token"].to_string(),
        }
    }
}

impl RsaKey {
    fn generate() -> Self {
        let signer = RsaSigner::generate().expect("a key");
        let pair = RsaKeyPair::from_pkcs8(signer.pkcs8()).expect("a key");
        Self { signer, pair }
    }

    pub(crate) fn id(&self) -> &str {
        self.signer.key_id()
    }

    pub(crate) fn jwk(&self) -> Value {
        self.signer.public_jwk()
    }

    /// The public key as PEM text and as DER, which a careless verifier takes for an HMAC secret.
    pub(crate) fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public_der())
    }

    pub(crate) fn public_der(&self) -> Vec<u8> {
        self.pair.public_key().as_der().expect("DER").as_ref().to_vec()
    }

    pub(crate) fn certificate(&self) -> String {
        certificate(self.pair.public_key().as_ref())
    }

    pub(crate) fn sign(&self, scheme: &Scheme, message: &[u8]) -> Vec<u8> {
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.pair.public_modulus_len()];
            self.pair.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("a signature");
            signature
        };
        let hmac = |algorithm, secret: &[u8]| {
            hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec()
        };
        match scheme {
            Scheme::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Scheme::Rs384 => rsa(&RSA_PKCS1_SHA384),
            Scheme::Rs512 => rsa(&RSA_PKCS1_SHA512),
            Scheme::Ps256 => rsa(&RSA_PSS_SHA256),
            Scheme::Ps384 => rsa(&RSA_PSS_SHA384),
            Scheme::Ps512 => rsa(&RSA_PSS_SHA512),
            Scheme::Hs256(secret) => hmac(hmac::HMAC_SHA256, secret),
            Scheme::Hs384(secret) => hmac(hmac::HMAC_SHA384, secret),
            Scheme::Hs512(secret) => hmac(hmac::HMAC_SHA512, secret),
            Scheme::Ed25519 => KEYS.ed25519.sign(message).as_ref().to_vec(),
            Scheme::Es256 => es256(message),
            Scheme::Bytes(bytes) => bytes.clone(),
        }
    }

    pub(crate) fn modulus(&self) -> BigUint {
        let components = RsaPublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        BigUint::from_bytes_be(&components.n)
    }

    /// The private operation on a whole encoded message, whatever stands in it.
    pub(crate) fn sign_encoded(&self, encoded: &[u8]) -> Vec<u8> {
        let (_, info) = parse_der(self.signer.pkcs8()).expect("PKCS #8");
        let octets = info.as_sequence().expect("a sequence")[2].as_slice().expect("octets").to_vec();
        let (_, key) = parse_der(&octets).expect("PKCS #1");
        let exponent = key.as_sequence().expect("a sequence")[3].as_slice().expect("an integer");
        let signature =
            BigUint::from_bytes_be(encoded).modpow(&BigUint::from_bytes_be(exponent), &self.modulus());
        padded(&signature)
    }
}

/// Firegate's own signer takes a payload and not bytes: the key is used directly.
fn es256(message: &[u8]) -> Vec<u8> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, KEYS.firegate.pkcs8());
    pair.expect("a key").sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
}

/// A number as long as a signature is.
pub(crate) fn padded(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let mut padded = vec![0; MODULUS_BYTES.saturating_sub(bytes.len())];
    padded.extend(bytes);
    padded
}

pub(crate) fn sha256(message: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, message).as_ref().to_vec()
}

pub(crate) fn ed25519_jwk() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(KEYS.ed25519.public_key().as_ref())})
}

fn exponent_3_jwk() -> Value {
    let der = decode_base64url(EXPONENT_3_KEY).expect("base64url");
    let (_, key) = parse_der(&der).expect("PKCS #1");
    let modulus = key.as_sequence().expect("a sequence")[0].as_slice().expect("an integer").to_vec();
    json!({
        "kty": "RSA", "alg": "RS256", "use": "sig", "kid": EXPONENT_3_KEY_ID,
        "n": encode_base64url(&modulus[1..]), "e": encode_base64url(&[3]),
    })
}

/// An RSA public key in the DER form of PKCS #1, to be certified.
struct Pkcs1(Vec<u8>);

impl rcgen::PublicKeyData for Pkcs1 {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// A certificate of the key, signed by an authority that nobody knows: only the key in it counts.
fn certificate(pkcs1: &[u8]) -> String {
    let authority = rcgen::KeyPair::generate().expect("a key");
    let parameters = || rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
    let issuer = rcgen::Issuer::new(parameters(), authority);
    parameters().signed_by(&Pkcs1(pkcs1.to_vec()), &issuer).expect("a certificate").pem()
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

#[test]
fn what_is_no_certificate_is_refused_by_itself() {
    let key = decode_base64url(EXPONENT_3_KEY).expect("base64url");
    let good = certificate(&key);
    let map = json!({"good": good, "not-pem": "-----BEGIN CERTIFICATE-----", "word": "x", "number": 1, "object": {}});
    let keys = KeySet::parse_rs256(map.to_string().as_bytes()).expect("a key set");
    assert_eq!(keys.key_ids().collect::<Vec<_>>(), ["good"]);
    assert_eq!(keys.refused().len(), 4, "{:?}", keys.refused());
    // Without a single certificate it is no map of them.
    let none = json!({"word": "x", "number": 1}).to_string();
    assert!(KeySet::parse_rs256(none.as_bytes()).is_err());
}
