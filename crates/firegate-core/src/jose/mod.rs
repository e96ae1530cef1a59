//! JSON Object Signing, as much of it as Firegate needs and not a line more: compact JWS with RS256 and ES256
//! (RFC 7515, RFC 7518), RSA and P-256 keys as JWK sets (RFC 7517) and as Google's map of X.509 certificates.
//!
//! The algorithm is never taken from a token. A verifier holds keys of one algorithm and checks with that one; the
//! header's `alg` is only compared with it.

mod base64url;
mod compact;
mod jwk;
mod roca;
mod rs256;
mod self_test;
mod sign;
pub mod strict_json;

pub(crate) use base64url::decode_base64_freely;
pub use base64url::{decode_base64url, encode_base64url};
pub use compact::{CompactJws, CompactJwsError};
pub use jwk::{KeySet, KeySetError, PublicKey, RefusedKey};
pub use self_test::{SelfTestError, self_test};
pub use sign::{EcdsaP256Signer, RsaSigner, SignError, es256_public_jwk};
pub use strict_json::{JsonDocument, JsonObject, JsonValue};

use aws_lc_rs::digest::{SHA256, digest};

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}
