use aws_lc_rs::digest::{SHA256, SHA512_256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use num_bigint::BigUint;

use super::*;

const SIGNED: &[u8] = b"what is signed";

/// A new key, its modulus, and what it signed.
fn key_and_signature(size: KeySize) -> (Rs256Key, BigUint, Vec<u8>) {
    let pair = RsaKeyPair::generate(size).expect("a key");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), SIGNED, &mut signature).expect("a signature");
    let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let key = Rs256Key::new(&components.n, &components.e).expect("a good key");
    (key, BigUint::from_bytes_be(&components.n), signature)
}

fn verifies(key: &Rs256Key, signature: &[u8]) -> bool {
    key.verifies(&digest(&SHA256, SIGNED), signature)
}

#[test]
fn a_signature_verifies_and_none_that_differs_by_a_bit() {
    let (key, _, signature) = key_and_signature(KeySize::Rsa2048);
    assert!(verifies(&key, &signature));
    assert!(!key.verifies(&digest(&SHA256, b"something else"), &signature));
    for bit in 0..8 * signature.len() {
        let mut other = signature.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!verifies(&key, &other), "bit {bit}");
    }
}

/// The sum has the same power, so that one token would have many signatures.
#[test]
fn a_signature_to_which_the_modulus_was_added_verifies_nothing() {
    let mut tried = 0;
    while tried < 3 {
        let (key, modulus, signature) = key_and_signature(KeySize::Rsa2048);
        let sum = (BigUint::from_bytes_be(&signature) + modulus).to_bytes_be();
        tried += usize::from(sum.len() == signature.len());
        assert!(!verifies(&key, &sum));
    }
}

#[test]
fn a_signature_of_another_length_verifies_nothing() {
    let (key, modulus, signature) = key_and_signature(KeySize::Rsa2048);
    let (with_zero, without_last) =
        ([&[0], signature.as_slice()].concat(), &signature[..signature.len() - 1]);
    for other in [&[], with_zero.as_slice(), without_last, &signature.repeat(2), &modulus.to_bytes_be()] {
        assert!(!verifies(&key, other), "{} bytes", other.len());
    }
    for number in [0_u8, 1] {
        let mut bytes = [0; NUMBER_BYTES];
        bytes[NUMBER_BYTES - 1] = number;
        assert!(!verifies(&key, &bytes), "{number} is its own power");
    }
}

/// What is signed is compared whole: no padding is read, so that none can be read wrongly.
#[test]
fn the_encoding_is_the_rfcs() {
    let encoded = encoded(&digest(&SHA256, b"abc")).expect("a SHA-256");
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let expected = format!("0001{}003031300d060960864801650304020105000420{hash}", "ff".repeat(202));
    let number = encoded.0.iter().rev().fold(BigUint::default(), |number, limb| (number << 52) + limb);
    assert_eq!(number.to_str_radix(16), expected.trim_start_matches('0'));
}

/// Whose hash that would be says the encoding, and no signature was made over it.
#[test]
fn a_hash_of_the_same_length_is_no_sha_256() {
    assert!(encoded(&digest(&SHA512_256, b"abc")).is_none());
    let (key, _, signature) = key_and_signature(KeySize::Rsa2048);
    assert!(!key.verifies(&digest(&SHA512_256, SIGNED), &signature));
}

#[test]
fn a_key_of_another_size_or_exponent_is_the_librarys() {
    let (key, _, signature) = key_and_signature(KeySize::Rsa3072);
    assert!(key.power.is_none() && verifies(&key, &signature));
    let (key, modulus, _) = key_and_signature(KeySize::Rsa2048);
    assert_eq!(key.power.is_some(), fearless_simd::Level::new().as_avx512().is_some());
    let other = Rs256Key::new(&modulus.to_bytes_be(), &[3]).expect("a good key");
    assert!(other.power.is_none());
}
