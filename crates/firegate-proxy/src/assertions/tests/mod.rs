//! What Firegate signs, and what is published of its keys.

mod files;
mod mounted;
mod rotation;

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use firegate_core::jose::CompactJws;
use firegate_core::time::Clock;
use serde_json::json;
use tempfile::TempDir;

use super::key_file::{FORMER_KEY_FILE, KEY_FILE};
use super::rotation::{KeyChain, KeyUse, RotatingKey};
use super::*;
use crate::limits::{
    ASSERTION_KEY_KEPT_AFTER, ASSERTION_KEY_PERIOD, ASSERTION_KEY_PUBLISHED_AHEAD, JWK_SET_MAX_AGE,
};

const START: i64 = 1_800_000_000;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).expect("few seconds")
}

fn open(folder: &TempDir, now: i64) -> Assertions {
    try_open(folder, now).expect("keys")
}

fn try_open(folder: &TempDir, now: i64) -> Result<Assertions, AssertionKeyError> {
    let source = KeySource::Generated(Some(folder.path()));
    Assertions::new(source, Vec::new(), "https://door.example".to_owned(), at(now))
}

fn signs_with(assertions: &Assertions) -> String {
    assertions.keys().signer().expect("a key").key_id().to_owned()
}

fn published(assertions: &Assertions) -> Vec<String> {
    assertions.verifying_keys().key_ids().map(str::to_owned).collect()
}

fn is_verified(token: &str, keys: &KeySet) -> bool {
    let token = CompactJws::parse(token).expect("a token");
    let key_id = token.header_text("kid").expect("a key id");
    keys.find(key_id).is_some_and(|key| key.verifies(&token))
}

/// A service that keeps every JWK set it has fetched for as long as it may, and a door that signs. The true time runs by
/// the hour; the door's clock is what it is told.
#[derive(Default)]
struct Service {
    fetched: VecDeque<(i64, Arc<SigningKeys>)>,
    /// The keys that tokens were signed with.
    tokens: VecDeque<(i64, String)>,
    /// What was seen to verify a signature really.
    verified: HashSet<String>,
}

impl Service {
    /// Fetches and gets a token at a true time: every set that may still be kept verifies it, and the new set verifies every
    /// token that still lives.
    fn meets(&mut self, doors: &[&Assertions], true_time: i64) {
        self.fetched.retain(|(when, _)| true_time - when <= seconds(JWK_SET_MAX_AGE));
        self.tokens.retain(|(when, _)| true_time - when <= seconds(ASSERTION_LIFETIME_MAX) + 300);
        for door in doors {
            self.fetched.push_back((true_time, door.keys()));
            let signer = signs_with(door);
            // Once for each key: that a set with this key verifies its tokens does not change with the time.
            if self.verified.insert(signer.clone()) {
                let token = door.sign("t", &json!({})).expect("signed").expect("a key");
                assert!(is_verified(&token, &door.verifying_keys()));
            }
            self.tokens.push_back((true_time, signer));
        }
        for (signed, signer) in &self.tokens {
            for (fetched, keys) in &self.fetched {
                assert!(
                    keys.verifying().find(signer).is_some(),
                    "signed at {} and refused by the set of {}",
                    signed - START,
                    fetched - START
                );
            }
        }
    }
}

/// The file holds what the process holds, and exactly one of its keys signs.
fn assert_one_signs(assertions: &Assertions) {
    let rotating = assertions.rotating.as_ref().expect("generated").lock().expect("not poisoned");
    let keys = rotating.held.chain().keys();
    assert_eq!(keys.iter().filter(|key| key.key_use == KeyUse::Signing).count(), 1, "{keys:?}");
    assert!(keys.len() <= 4, "{keys:?}");
    assert!(KeyChain::of(keys.to_vec()).is_some());
}

#[test]
fn the_key_set_names_each_key_by_its_thumbprint_and_verifies_what_is_signed() {
    let mounted = EcdsaP256Signer::generate().expect("a key");
    let previous = EcdsaP256Signer::generate().expect("a key").public_jwk().expect("a JWK");
    let twice = mounted.public_jwk().expect("a JWK");
    let source = KeySource::Mounted(mounted.clone());
    let door =
        Assertions::new(source, vec![previous.clone(), twice], "i".to_owned(), at(START)).expect("keys");
    let document: Value = serde_json::from_slice(door.keys().document()).expect("JSON");
    let keys = document["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 2, "none is there twice");
    for key in keys {
        let text = |name: &str| key[name].as_str().expect("text").to_owned();
        assert_eq!(
            (text("kty"), text("crv"), text("use"), text("alg")),
            ("EC".into(), "P-256".into(), "sig".into(), "ES256".into())
        );
        assert_eq!(key["d"], Value::Null);
        // RFC 7638, section 3.2: the required members alone, in the order of their names, without white space.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y"));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        assert_eq!(text("kid"), firegate_core::jose::encode_base64url(digest.as_ref()));
    }
    let token = door.sign("exchanged+jwt", &json!({"sub": "ada"})).expect("signed").expect("a key");
    assert!(is_verified(&token, &door.verifying_keys()));
    let parsed = CompactJws::parse(&token).expect("a token");
    assert_eq!(
        Value::Object(parsed.header().into()),
        json!({"alg": "ES256", "kid": mounted.key_id(), "typ": "exchanged+jwt"})
    );
    let stranger = EcdsaP256Signer::generate().expect("a key");
    let forged = stranger.sign("exchanged+jwt", &json!({}), &SystemRandom::new()).expect("signed");
    assert!(!is_verified(&forged, &door.verifying_keys()));
    door.check(at(START + 1000 * DAY));
    assert_eq!(signs_with(&door), mounted.key_id(), "a mounted key is somebody else's to change");
}

#[test]
fn without_a_key_nothing_is_signed_and_no_token_is_firegates_own() {
    let door = Assertions::new(KeySource::None, Vec::new(), "i".to_owned(), at(START)).expect("no keys");
    assert_eq!(door.sign("t", &json!({})).expect("nothing"), None);
    assert_eq!(door.keys().document().as_ref(), br#"{"keys":[]}"#);
    assert_eq!(published(&door), Vec::<String>::new());
}

#[test]
fn another_document_has_another_tag() {
    let folder = tempfile::tempdir().expect("a folder");
    let door = open(&folder, START);
    let tag = door.keys().entity_tag().clone();
    door.check(at(START + HOUR));
    assert_eq!(door.keys().entity_tag(), &tag);
    door.check(at(START + 90 * DAY));
    assert_ne!(door.keys().entity_tag(), &tag);
    assert!(tag.to_str().expect("text").starts_with('"'), "strong");
}
