//! RS256 signatures: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2; RFC 7518, section 3.3).
//!
//! The cryptographic library verifies them. Where the processor multiplies eight pairs of 52 bits at once, a key of the kind
//! that Google's are raises a signature to its power here, which takes a third of the time: of all that a forged token costs,
//! that is most. Nothing in it is secret, for the key is public and the signature is whoever's sent it, so it may take as long
//! as it takes. Builds with debug assertions ask the library as well, and stop where the two do not agree.

mod montgomery;
#[cfg(target_arch = "x86_64")]
mod vectors;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

use self::montgomery::{Modulus, NUMBER_BYTES, Number};
#[cfg(target_arch = "x86_64")]
use self::vectors::Power;

/// The exponent of nearly every RSA key, 65537, in big-endian bytes.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// What a hash is put behind before it is signed (RFC 8017, section 9.2): the padding, and the name of SHA-256 in DER.
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// The length of a SHA-256.
const DIGEST_BYTES: usize = 32;

/// A public key for RS256.
#[derive(Clone)]
pub(super) struct Rs256Key {
    library: ParsedPublicKey,
    power: Option<Box<Power>>,
}

impl Rs256Key {
    /// The key of these numbers, big-endian and without leading zeros; `None` if the library refuses them. The modulus is odd.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let components = RsaPublicKeyComponents { n: modulus, e: exponent };
        let library = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        let modulus = Some(modulus).filter(|_| exponent == EXPONENT).and_then(Modulus::new);
        let power = modulus.and_then(Power::new).map(Box::new);
        Some(Self { library, power })
    }

    /// Whether this key made `signature` over what `signed` is the SHA-256 of.
    pub(super) fn verifies(&self, signed: &Digest, signature: &[u8]) -> bool {
        let Some(power) = &self.power else { return self.library_verifies(signed, signature) };
        let verifies = is_encoding_of(power, signed, signature);
        debug_assert_eq!(verifies, self.library_verifies(signed, signature), "the library disagrees");
        verifies
    }

    fn library_verifies(&self, signed: &Digest, signature: &[u8]) -> bool {
        self.library.verify_digest_sig(signed, signature).is_ok()
    }
}

/// Whether the power of `signature` is the one encoding that `signed` has (RFC 8017, section 8.2.2). The two are compared
/// whole, and nothing is read out of what a stranger sent.
fn is_encoding_of(power: &Power, signed: &Digest, signature: &[u8]) -> bool {
    let Ok(signature) = <&[u8; NUMBER_BYTES]>::try_from(signature) else { return false };
    let signature = Number::of(signature);
    // With the modulus added it would have the same power, and be another signature.
    signature.is_below(power.modulus())
        && encoded(signed).is_some_and(|encoded| power.of(&signature) == encoded)
}

/// What is signed for a hash (RFC 8017, section 9.2); `None` if it is no SHA-256.
fn encoded(digest: &Digest) -> Option<Number> {
    // Others are as long.
    let digest = Some(digest).filter(|digest| digest.algorithm() == &SHA256)?;
    let digest = <&[u8; DIGEST_BYTES]>::try_from(digest.as_ref()).ok()?;
    let mut bytes = [0xff; NUMBER_BYTES];
    let (padding, rest) = bytes.split_at_mut(NUMBER_BYTES - DIGEST_INFO.len() - DIGEST_BYTES);
    let (name, hash) = rest.split_at_mut(DIGEST_INFO.len());
    if let [first, second, .., last] = padding {
        (*first, *second, *last) = (0, 1, 0);
    }
    name.copy_from_slice(&DIGEST_INFO);
    hash.copy_from_slice(digest);
    Some(Number::of(&bytes))
}

/// No other processor is known on which the library is the slower one.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone)]
enum Power {}

#[cfg(not(target_arch = "x86_64"))]
impl Power {
    fn new(_: Modulus) -> Option<Self> {
        None
    }

    fn modulus(&self) -> &Number {
        match *self {}
    }

    fn of(&self, _: &Number) -> Number {
        match *self {}
    }
}

#[cfg(test)]
mod tests;
