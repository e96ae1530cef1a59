//! JSON Object Signing, as much of it as Firegate needs and not a line more: compact JWS with RS256 and ES256
//! (RFC 7515, RFC 7518), RSA and P-256 keys as JWK sets (RFC 7517) and as Google's map of X.509 certificates.
//!
//! The algorithm is never taken from a token. A verifier holds keys of one algorithm and checks with that one; the
//! header's `alg` is only compared with it.

mod compact;
mod jwk;
mod roca;
mod sign;
pub mod strict_json;

pub use compact::{CompactJws, CompactJwsError};
pub use jwk::{KeySet, KeySetError, PublicKey, RefusedKey};
pub use sign::{EcdsaP256Signer, RsaSigner, SignError, decode_base64url, encode_base64url, es256_public_jwk};

use aws_lc_rs::digest::{Context, SHA256};

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
