//! Signatures that are nearly good, and some that good mathematics makes out of other ones.

use firegate_core::jose::encode_base64url;
use num_bigint::BigUint;
use serde_json::json;

use super::case::{Corpus, Draft, Offered};
use super::keys::{EXPONENT_3_KEY_ID, KEYS, MODULUS_BYTES, Scheme, padded, sha256};

const INVALID: &str = "TOKEN_SIGNATURE_INVALID";

/// The DER prefix of a SHA-256 digest in PKCS #1 (RFC 8017, section 9.2, note 1).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

pub(crate) fn add(corpus: &mut Corpus) {
    bytes(corpus);
    others(corpus);
    arithmetic(corpus);
    encoded_messages(corpus);
    small_exponent(corpus);
}

fn bytes(corpus: &mut Corpus) {
    let corpus = corpus.class("signature-bytes", Offered::IdToken);
    let draft = Draft::id_token();
    let good = draft.signature();
    for at in [0, 1, 2, 3, 15, 16, 31, 32, 63, 64, 127, 128, 129, 191, 192, 223, 224, 239, 240, 253, 254, 255]
    {
        for (name, bits) in [("lowest", 0x01), ("highest", 0x80), ("all", 0xff)] {
            let mut signature = good.clone();
            signature[at] ^= bits;
            let how = format!("byte {at} of the signature, {name} bits flipped");
            corpus.refuse(&format!("flipped_{at}_{name}"), &how, draft.with_signature(&signature), INVALID);
        }
    }
    for length in [0, 1, 2, 31, 32, 64, 127, 128, 254, 255] {
        let how = format!("the first {length} bytes of the signature");
        corpus.refuse(&format!("cut_to_{length}"), &how, draft.with_signature(&good[..length]), INVALID);
    }
    for (name, how, signature) in [
        ("first_cut", "without the first byte", good[1..].to_vec()),
        ("zero_after", "with a zero byte after it", [good.clone(), vec![0]].concat()),
        ("zero_before", "with a zero byte before it", [vec![0], good.clone()].concat()),
        ("zeros_before", "with 256 zero bytes before it", [vec![0; 256], good.clone()].concat()),
        ("twice", "twice", [good.clone(), good.clone()].concat()),
        ("reversed", "backwards", good.iter().rev().copied().collect()),
        ("complement", "with all bits flipped", good.iter().map(|byte| !byte).collect()),
        ("zeros", "of zeros", vec![0; MODULUS_BYTES]),
        ("ones", "of ones", vec![0xff; MODULUS_BYTES]),
        ("one_zero", "of one zero byte", vec![0]),
        ("zeros_512", "of 512 zero bytes", vec![0; 512]),
        (
            "text",
            "in hexadecimal",
            good.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes(),
        ),
        ("base64_twice", "in base64url twice", encode_base64url(&good).into_bytes()),
        ("der", "wrapped as a DER octet string", [vec![0x04, 0x82, 0x01, 0x00], good.clone()].concat()),
        ("digest", "that is the message's SHA-256", sha256(draft.signing_input().as_bytes())),
        ("message", "that is the message itself", draft.signing_input().into_bytes()),
    ] {
        corpus.refuse(name, &format!("a signature {how}"), draft.with_signature(&signature), INVALID);
    }
    // One signature in 256 begins with a zero byte, and is as good as any.
    let drafts = (0..20_000).map(|number| Draft::id_token().claim("x", number));
    let (draft, signature) = drafts
        .map(|draft| (draft.signature(), draft))
        .find(|(signature, _)| signature[0] == 0)
        .map(|(signature, draft)| (draft, signature))
        .expect("one in 256");
    corpus.accept(
        "leading_zero",
        "a signature that begins with a zero byte",
        draft.with_signature(&signature),
    );
    corpus.refuse(
        "leading_zero_cut",
        "the same without that byte",
        draft.with_signature(&signature[1..]),
        INVALID,
    );
}

fn others(corpus: &mut Corpus) {
    let corpus = corpus.class("signature-others", Offered::IdToken);
    let draft = Draft::id_token;
    let eve = || draft().claim("sub", "eve").claim("user_id", "eve");
    corpus.refuse(
        "of_another_token",
        "another user's good signature",
        draft().with_signature(&eve().signature()),
        INVALID,
    );
    corpus.refuse(
        "claims_changed",
        "a role changed under the signature",
        draft().claim("role", "owner").with_signature(&draft().signature()),
        INVALID,
    );
    corpus.refuse(
        "header_changed",
        "a header member added under the signature",
        draft().header("cty", "JWT").with_signature(&draft().signature()),
        INVALID,
    );
    corpus.refuse(
        "reserialised",
        "the same claims with a space, under the signature",
        draft().payload_replaced("{", "{ ").with_signature(&draft().signature()),
        INVALID,
    );
    corpus.refuse(
        "header_reordered",
        "the same header in another order, under the signature",
        {
            let header = json!({"typ": "JWT", "kid": KEYS.id_token.id(), "alg": "RS256"}).to_string();
            draft().header_bytes(header).with_signature(&draft().signature())
        },
        INVALID,
    );
    corpus.refuse(
        "next_key",
        "signed with the issuer's other key",
        draft().secretly_signed_by(&KEYS.id_token_next).sign(),
        INVALID,
    );
    corpus.refuse(
        "session_cookies_key",
        "signed with the key of session cookies",
        draft().secretly_signed_by(&KEYS.session_cookie).sign(),
        INVALID,
    );
    corpus.refuse(
        "google_key",
        "signed with Google's key of ID tokens",
        draft().secretly_signed_by(&KEYS.google).sign(),
        INVALID,
    );
    corpus.refuse(
        "strangers_key",
        "signed with a stranger's key",
        draft().secretly_signed_by(&KEYS.stranger).sign(),
        INVALID,
    );
    for (name, how, message) in [
        ("payload_alone", "over the payload alone", draft().segments()[1].clone()),
        ("header_alone", "over the header alone", draft().segments()[0].clone()),
        ("decoded", "over the decoded payload", draft().payload.to_string()),
        ("no_dot", "over header and payload without the dot", draft().segments().concat()),
        ("dot_after", "over header and payload and a dot", format!("{}.", draft().signing_input())),
        ("nothing", "over nothing", String::new()),
    ] {
        let signature = KEYS.id_token.sign(&Scheme::Rs256, message.as_bytes());
        corpus.refuse(name, &format!("a signature {how}"), draft().with_signature(&signature), INVALID);
    }
    corpus.refuse(
        "digest_twice",
        "a signature over the message's SHA-256",
        {
            let signature = KEYS.id_token.sign(&Scheme::Rs256, &sha256(draft().signing_input().as_bytes()));
            draft().with_signature(&signature)
        },
        INVALID,
    );
}

/// Numbers that are the same or the opposite modulo the key.
fn arithmetic(corpus: &mut Corpus) {
    let corpus = corpus.class("signature-arithmetic", Offered::IdToken);
    let modulus = KEYS.id_token.modulus();
    let one = BigUint::from(1_u32);
    // A signature that, with the modulus added, still fits into as many bytes.
    let limit = BigUint::from(1_u32) << (MODULUS_BYTES * 8);
    let drafts = (0..20_000).map(|number| Draft::id_token().claim("x", number));
    let fitting = drafts
        .map(|draft| (BigUint::from_bytes_be(&draft.signature()), draft))
        .find(|(signature, _)| signature + &modulus < limit)
        .map(|(signature, draft)| (draft, signature));
    if let Some((draft, signature)) = fitting {
        corpus.refuse(
            "plus_modulus",
            "a good signature plus the modulus, as long as before",
            draft.with_signature(&padded(&(signature + &modulus))),
            INVALID,
        );
    }
    let draft = Draft::id_token();
    let signature = BigUint::from_bytes_be(&draft.signature());
    for (name, how, number) in [
        ("plus_modulus_longer", "a good signature plus 256 times the modulus", &signature + (&modulus << 8)),
        ("negative", "the modulus minus a good signature", &modulus - &signature),
        ("squared", "a good signature squared", &signature * &signature % &modulus),
        ("doubled", "a good signature doubled", &signature * 2_u32 % &modulus),
        ("incremented", "a good signature plus one", &signature + 1_u32),
        ("one", "1", one.clone()),
        ("two", "2", BigUint::from(2_u32)),
        ("modulus", "the modulus", modulus.clone()),
        ("modulus_minus_1", "the modulus minus 1", &modulus - 1_u32),
        ("modulus_plus_1", "the modulus plus 1", &modulus + 1_u32),
        ("half_modulus", "half of the modulus", &modulus >> 1),
        ("exponent", "the exponent", BigUint::from(65_537_u32)),
    ] {
        corpus.refuse(name, &format!("as signature {how}"), draft.with_signature(&padded(&number)), INVALID);
    }
}

/// `00 01 FF … FF 00` and `info`, as long as the modulus.
fn encoded(info: &[u8]) -> Vec<u8> {
    let filling = vec![0xff; MODULUS_BYTES - 3 - info.len()];
    [vec![0, 1], filling, vec![0], info.to_vec()].concat()
}

/// What a careless reader of the decrypted signature takes for a digest. Each is raised with the private key, so that only
/// the encoding is wrong.
fn encoded_messages(corpus: &mut Corpus) {
    let corpus = corpus.class("signature-encoding", Offered::IdToken);
    let draft = Draft::id_token();
    let digest = sha256(draft.signing_input().as_bytes());
    let info = [SHA256_PREFIX.to_vec(), digest.clone()].concat();
    let good = encoded(&info);
    let token = |encoded: &[u8]| draft.with_signature(&KEYS.id_token.sign_encoded(encoded));
    corpus.accept("as_it_should_be", "made by hand as the standard says", token(&good));

    let changed = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at] = byte;
        changed
    };
    let with_info = |prefix: &[u8]| encoded(&[prefix, &digest].concat());
    let garbage = |padding: usize, before: &[u8], after: usize| {
        [vec![0, 1], vec![0xff; padding], vec![0], before.to_vec(), vec![0xaa; after]].concat()
    };
    let room = MODULUS_BYTES - 3 - info.len();
    for (name, how, encoded) in [
        ("block_type_0", "block type 0", changed(1, 0)),
        ("block_type_2", "block type 2, that of encryption", changed(1, 2)),
        ("first_byte_1", "a first byte that is not zero", changed(0, 1)),
        ("padding_changed", "a byte of the padding that is not FF", changed(10, 0xfe)),
        ("padding_last_changed", "a last byte of the padding that is not FF", changed(2 + room - 1, 0)),
        ("no_separator", "no zero byte after the padding", changed(2 + room, 0xff)),
        ("padding_zeros", "padding of zeros", [vec![0, 1], vec![0; room], vec![0], info.clone()].concat()),
        ("garbage_after", "8 bytes of padding and garbage after the digest", garbage(8, &info, room - 8)),
        ("no_padding_garbage_after", "no padding and garbage after the digest", garbage(0, &info, room)),
        ("byte_after", "one byte after the digest", garbage(room - 1, &info, 1)),
        ("bytes_after", "20 bytes after the digest", garbage(room - 20, &info, 20)),
        ("garbage_before", "garbage before the digest's prefix", {
            [vec![0, 1], vec![0xff; 8], vec![0], vec![0xaa; room - 8], info.clone()].concat()
        }),
        ("digest_alone", "the digest without its prefix", encoded(&digest)),
        ("no_null", "no NULL in the algorithm", {
            with_info(&[
                0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
                0x04, 0x20,
            ])
        }),
        ("long_length", "a length in the long form", {
            with_info(&[&[0x30, 0x81, 0x31], &SHA256_PREFIX[2..]].concat())
        }),
        ("indefinite_length", "an indefinite length", {
            crate::signature::encoded(&[&[0x30, 0x80], &SHA256_PREFIX[2..], &digest, &[0, 0]].concat())
        }),
        ("parameters_garbage", "garbage in the place of the algorithm's NULL", {
            let mut prefix = vec![0x30, 0x31 + 8, 0x30, 0x0d + 8];
            prefix.extend(&SHA256_PREFIX[4..15]);
            prefix.extend([0x04, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x04, 0x20]);
            with_info(&prefix)
        }),
        ("sha384_name", "the name of SHA-384 before a digest of SHA-256", {
            let mut prefix = SHA256_PREFIX;
            prefix[14] = 2;
            with_info(&prefix)
        }),
        ("sha224_name", "the name of SHA-224 before a digest of SHA-256", {
            let mut prefix = SHA256_PREFIX;
            prefix[14] = 4;
            with_info(&prefix)
        }),
        ("sha1_name", "the name of SHA-1 before a digest of SHA-256", {
            with_info(&[
                0x30, 0x2d, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x20,
            ])
        }),
        ("digest_cut", "a digest without its last byte", {
            let mut prefix = SHA256_PREFIX;
            (prefix[1], prefix[18]) = (0x30, 0x1f);
            crate::signature::encoded(&[prefix.as_slice(), &digest[..31]].concat())
        }),
        ("digest_of_nothing", "no digest", {
            let mut prefix = SHA256_PREFIX;
            (prefix[1], prefix[18]) = (0x11, 0);
            crate::signature::encoded(&prefix)
        }),
        ("digest_reversed", "the digest backwards", {
            let reversed = digest.iter().rev().copied().collect::<Vec<_>>();
            crate::signature::encoded(&[SHA256_PREFIX.as_slice(), &reversed].concat())
        }),
        ("digest_in_front", "the digest in the place of the padding", {
            [vec![0, 1], info.clone(), vec![0xff; room], vec![0]].concat()
        }),
        ("zeros", "zeros", vec![0; MODULUS_BYTES]),
    ] {
        corpus.refuse(name, &format!("a decrypted signature of {how}"), token(&encoded), INVALID);
    }
}

/// With the exponent 3, a cube root makes a signature that only begins well (D. Bleichenbacher, CRYPTO 2006).
fn small_exponent(corpus: &mut Corpus) {
    let corpus = corpus.class("signature-exponent-3", Offered::IdToken);
    let draft = Draft::id_token().header("kid", EXPONENT_3_KEY_ID);
    let info = [SHA256_PREFIX.to_vec(), sha256(draft.signing_input().as_bytes())].concat();
    let cube_root = |before: Vec<u8>| {
        let free = (MODULUS_BYTES - before.len()) * 8;
        let lowest = BigUint::from_bytes_be(&before) << free;
        let root = lowest.cbrt() + 1_u32;
        let cube = padded(&(&root * &root * &root));
        assert_eq!(cube[..before.len()], before, "the root's cube begins as it should");
        draft.with_signature(&padded(&root))
    };
    let start = |padding: usize| [vec![0, 1], vec![0xff; padding], vec![0], info.clone()].concat();
    corpus.refuse(
        "garbage_after",
        "a cube root: 8 bytes of padding, the digest, garbage",
        cube_root(start(8)),
        INVALID,
    );
    corpus.refuse("no_padding", "a cube root: no padding, the digest, garbage", cube_root(start(0)), INVALID);
    corpus.refuse(
        "exact_cube",
        "the cube root of 1",
        draft.with_signature(&padded(&BigUint::from(1_u32))),
        INVALID,
    );
    corpus.refuse("other_key", "signed with the issuer's good key", draft.sign(), INVALID);
}
