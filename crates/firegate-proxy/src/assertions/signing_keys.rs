//! The keys of one moment: the one that signs, and the JWK set that is published with it.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use firegate_core::jose::{EcdsaP256Signer, KeySet, KeySetError, encode_base64url};
use http::HeaderValue;
use serde_json::{Value, json};

use super::AssertionKeyError;
use super::rotation::HeldKeys;

/// Never changed; replaced as a whole, so that who signs and who publishes always agree.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    signer: Option<EcdsaP256Signer>,
    document: Bytes,
    entity_tag: HeaderValue,
    verifying: Arc<KeySet>,
}

impl SigningKeys {
    /// A key that somebody else rotates, or none.
    pub(super) fn mounted(
        signer: Option<EcdsaP256Signer>,
        previous: &[Value],
    ) -> Result<Self, AssertionKeyError> {
        let own = signer.as_ref().map(EcdsaP256Signer::public_jwk).transpose();
        let own = own.map_err(AssertionKeyError::Generate)?;
        Self::new(signer, own.into_iter().collect(), previous)
    }

    /// Generated keys.
    pub(super) fn generated(held: &HeldKeys, previous: &[Value]) -> Result<Self, AssertionKeyError> {
        let keys = held.chain().keys().iter().map(|key| key.signer.public_jwk());
        let keys = keys.collect::<Result<_, _>>().map_err(AssertionKeyError::Generate)?;
        Self::new(Some(held.signer().clone()), keys, previous)
    }

    fn new(
        signer: Option<EcdsaP256Signer>,
        mut keys: Vec<Value>,
        previous: &[Value],
    ) -> Result<Self, AssertionKeyError> {
        for key in previous {
            // While a key goes from `previous_keys` to `key` or back, it may be named in both.
            if !keys.iter().any(|own| own.get("kid") == key.get("kid")) {
                keys.push(key.clone());
            }
        }
        let document = Bytes::from(json!({"keys": keys}).to_string());
        let verifying = match KeySet::parse_es256(&document) {
            Ok(keys) => keys,
            // Nothing is signed and nothing published: then no token is Firegate's own.
            Err(KeySetError::NoKeys(0)) => KeySet::default(),
            Err(error) => return Err(AssertionKeyError::KeySet(error)),
        };
        let tag = format!("\"{}\"", encode_base64url(digest(&SHA256, &document).as_ref()));
        let entity_tag = HeaderValue::from_str(&tag).map_err(|_| AssertionKeyError::Unsettled)?;
        Ok(Self { signer, document, entity_tag, verifying: Arc::new(verifying) })
    }

    /// The key that signs, if any does.
    pub(crate) fn signer(&self) -> Option<&EcdsaP256Signer> {
        self.signer.as_ref()
    }

    /// The JWK set (RFC 7517, section 5) as it is published.
    pub(crate) fn document(&self) -> &Bytes {
        &self.document
    }

    /// The strong entity tag of the document (RFC 9110, section 8.8.3).
    pub(crate) fn entity_tag(&self) -> &HeaderValue {
        &self.entity_tag
    }

    /// The same keys, to verify with.
    pub(crate) fn verifying(&self) -> &Arc<KeySet> {
        &self.verifying
    }
}
