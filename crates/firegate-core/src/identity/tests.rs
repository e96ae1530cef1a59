use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use firegate_files::configuration::{AcceptedToken, Anonymous, Revocation, Tenants};
use serde_json::{Value, json};

use super::*;
use crate::assertion::EXCHANGED_TOKEN_TYPE;
use crate::jose::{EcdsaP256Signer, KeySet, RsaSigner, encode_base64url};
use crate::reason::Code;

const NOW: i64 = 1_800_000_000;

/// The audience of the backend that requests are for.
const AUDIENCE: &str = "https://api.example.com";

static SIGNER: LazyLock<RsaSigner> = LazyLock::new(|| RsaSigner::generate().expect("a key"));

fn rules() -> Arc<IdentityRules> {
    Arc::new(IdentityRules {
        project: "demo".to_owned(),
        users: Users {
            accept: vec![AcceptedToken::IdToken],
            google_audiences: Vec::new(),
            tenants: Tenants::None,
            anonymous: Anonymous::Deny,
            identity_pool: "firebase".to_owned(),
            clock_skew: Duration::from_secs(10),
            revocation: Revocation::Off,
        },
        trust: Trust::Google,
        issuer: "urn:firegate:demo".to_owned(),
        has_local_keys: false,
    })
}

/// The rules with one change.
fn changed(change: impl FnOnce(&mut IdentityRules)) -> Arc<IdentityRules> {
    let mut rules = rules();
    change(Arc::make_mut(&mut rules));
    rules
}

/// What the issuer publishes whose key this is.
fn published(signer: &RsaSigner) -> KeyState {
    let document = json!({"keys": [signer.public_jwk()]}).to_string();
    KeyState::Usable(Arc::new(KeySet::parse_rs256(document.as_bytes()).expect("a key set")))
}

fn ring() -> KeyRing {
    KeyRing { id_token: published(&SIGNER), ..KeyRing::default() }
}

fn payload() -> Value {
    json!({
        "iss": "https://securetoken.google.com/demo", "aud": "demo", "sub": "ada", "user_id": "ada",
        "auth_time": NOW - 60, "iat": NOW - 60, "exp": NOW + 3540, "email": "ada@example.com", "email_verified": true,
        "role": "editor", "firebase": {"identities": {}, "sign_in_provider": "password"},
    })
}

/// The valid payload with some members replaced, or removed where the replacement is null.
fn payload_with(changes: Value) -> Value {
    let mut payload = payload();
    let members = payload.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    payload
}

fn judge(token: &str, rules: &Arc<IdentityRules>) -> Result<Identified, Obstacle> {
    identify(token, rules, AUDIENCE, &ring(), UnixTime::from_seconds(NOW))
}

fn user_of(identified: Identified) -> User {
    identified.principal.user().expect("a user").clone()
}

fn check(changes: Value, expected: Result<(), Code>) {
    let token = SIGNER.sign(&payload_with(changes.clone())).expect("a token");
    let found = match judge(&token, &rules()) {
        Ok(_) => Ok(()),
        Err(Obstacle::Denied(reason)) => Err(reason.code()),
        Err(obstacle) => panic!("{obstacle:?} for {changes}"),
    };
    assert_eq!(found, expected, "{changes}");
}

#[test]
fn claims_are_required_typed_and_exact() {
    check(json!({}), Ok(()));
    check(json!({"email": null, "email_verified": null}), Ok(()));
    check(json!({"iss": "https://securetoken.google.com/other"}), Err(Code::TokenWrongProject));
    check(json!({"iss": "https://securetoken.google.com/demo/"}), Err(Code::TokenWrongProject));
    check(json!({"iss": "http://securetoken.google.com/demo"}), Err(Code::TokenIssuerUnknown));
    check(json!({"iss": null}), Err(Code::TokenIssuerUnknown));
    check(json!({"iss": "https://session.firebase.google.com/demo"}), Err(Code::TokenIsSessionCookie));
    check(json!({"iss": "https://accounts.google.com"}), Err(Code::TokenIsGoogleIdToken));
    check(json!({"iss": "https://firebaseappcheck.googleapis.com/1"}), Err(Code::TokenIsAppCheckToken));
    check(
        json!({"iss": "a@b.iam.gserviceaccount.com", "aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"}),
        Err(Code::TokenIsCustomToken),
    );
    check(json!({"aud": "other"}), Err(Code::TokenWrongProject));
    check(json!({"aud": ["demo"]}), Err(Code::TokenClaimInvalid));
    check(json!({"aud": null}), Err(Code::TokenClaimInvalid));
    check(json!({"sub": "", "user_id": null}), Err(Code::TokenClaimInvalid));
    check(json!({"sub": 7, "user_id": null}), Err(Code::TokenClaimInvalid));
    check(json!({"sub": null, "user_id": null}), Err(Code::TokenClaimInvalid));
    check(json!({"sub": "a\nb", "user_id": null}), Err(Code::TokenClaimInvalid));
    check(json!({"sub": "é".repeat(128), "user_id": null}), Ok(()));
    check(json!({"sub": "a".repeat(129), "user_id": null}), Err(Code::TokenClaimInvalid));
    check(json!({"user_id": "eve"}), Err(Code::TokenClaimInvalid));
    check(json!({"email_verified": "true"}), Err(Code::TokenClaimInvalid));
    check(json!({"email": 1}), Err(Code::TokenClaimInvalid));
    check(json!({"firebase": null}), Err(Code::TokenClaimInvalid));
    check(json!({"firebase": {"sign_in_provider": "password", "tenant": 1}}), Err(Code::TokenClaimInvalid));
    check(json!({"firebase": {"sign_in_provider": "password", "tenant": "t"}}), Err(Code::TenantNotAccepted));
    check(json!({"firebase": {"sign_in_provider": "anonymous"}}), Err(Code::AnonymousUserNotAccepted));
}

#[test]
fn the_future_is_judged_with_the_skew_and_the_past_without() {
    check(json!({"exp": NOW + 1, "iat": NOW - 3000, "auth_time": NOW - 3000}), Ok(()));
    check(json!({"exp": NOW, "iat": NOW - 3000, "auth_time": NOW - 3000}), Err(Code::TokenExpired));
    check(json!({"iat": NOW + 10}), Ok(()));
    check(json!({"iat": NOW + 11}), Err(Code::TokenNotYetValid));
    check(json!({"iat": NOW + 10, "auth_time": NOW + 11}), Err(Code::TokenNotYetValid));
    check(json!({"nbf": NOW}), Ok(()));
    check(json!({"nbf": NOW + 1}), Err(Code::TokenNotYetValid));
    check(json!({"nbf": "soon"}), Err(Code::TokenClaimInvalid));
    check(json!({"auth_time": NOW - 59}), Err(Code::TokenClaimInvalid));
    check(json!({"exp": NOW + 3541}), Err(Code::TokenClaimInvalid));
    check(json!({"iat": NOW - 60, "exp": NOW - 60}), Err(Code::TokenExpired));
    for name in ["exp", "iat", "auth_time"] {
        check(json!({name: null}), Err(Code::TokenClaimInvalid));
        check(json!({name: NOW.to_string()}), Err(Code::TokenClaimInvalid));
        check(json!({name: NOW as f64 + 0.5}), Err(Code::TokenClaimInvalid));
    }
    check(json!({"exp": u64::MAX}), Err(Code::TokenClaimInvalid));
}

fn check_header(header: Value, expected: Code) {
    let [header, payload] = [header, payload()].map(|part| encode_base64url(part.to_string().as_bytes()));
    let token = format!("{header}.{payload}.{}", encode_base64url(b"signature"));
    match judge(&token, &rules()) {
        Err(Obstacle::Denied(reason)) => assert_eq!(reason.code(), expected, "{header}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_header_is_exactly_that_of_an_id_token() {
    check_header(json!({"alg": "RS256", "typ": "JWT"}), Code::TokenHeaderNotAllowed);
    check_header(json!({"alg": "RS256", "kid": ""}), Code::TokenHeaderNotAllowed);
    check_header(json!({"alg": "RS256", "kid": 1}), Code::TokenHeaderNotAllowed);
    check_header(json!({"alg": "RS256", "kid": "k", "typ": "at+jwt"}), Code::TokenHeaderNotAllowed);
    check_header(json!({"alg": "RS256", "kid": "k", "crit": ["exp"]}), Code::TokenHeaderNotAllowed);
    check_header(
        json!({"alg": "RS256", "kid": "k", "jku": "https://evil.example"}),
        Code::TokenHeaderNotAllowed,
    );
    check_header(json!({"alg": "none"}), Code::TokenUnsigned);
    check_header(json!({"alg": "HS256", "kid": "k"}), Code::TokenAlgorithmNotAllowed);
    check_header(json!({"alg": "rs256", "kid": "k"}), Code::TokenAlgorithmNotAllowed);
    check_header(json!({"kid": "k"}), Code::TokenAlgorithmNotAllowed);
    check_header(json!({"alg": "RS256", "kid": SIGNER.key_id()}), Code::TokenSignatureInvalid);
}

#[test]
fn keys_decide_and_their_absence_is_not_the_tokens_fault() {
    let token = SIGNER.sign(&payload()).expect("a token");
    let missing = identify(&token, &rules(), AUDIENCE, &KeyRing::default(), UnixTime::from_seconds(NOW));
    assert_eq!(missing.map(drop), Err(Obstacle::KeysMissing { kind: TokenKind::IdToken }));

    let stranger = RsaSigner::generate().expect("a key");
    let unknown = judge(&stranger.sign(&payload()).expect("a token"), &rules());
    let key_id = stranger.key_id().to_owned();
    assert_eq!(unknown.map(drop), Err(Obstacle::KeyUnknown { kind: TokenKind::IdToken, key_id }));

    let impostor = RsaSigner::from_pkcs8(SIGNER.key_id(), stranger.pkcs8()).expect("a key");
    let forged = judge(&impostor.sign(&payload()).expect("a token"), &rules());
    assert_eq!(forged.map(drop), Err(Obstacle::Denied(Reason::TokenSignatureInvalid)));
}

#[test]
fn a_session_cookie_has_its_own_keys() {
    let cookie =
        payload_with(json!({"iss": "https://session.firebase.google.com/demo", "exp": NOW + 86_400}));
    let cookie = SIGNER.sign(&cookie).expect("a token");
    let rules = changed(|rules| rules.users.accept.push(AcceptedToken::SessionCookie));
    // The ring holds the right key, pinned to the wrong issuer.
    assert_eq!(
        judge(&cookie, &rules).map(drop),
        Err(Obstacle::KeysMissing { kind: TokenKind::SessionCookie })
    );
    let KeyState::Usable(keys) = ring().id_token else { panic!("keys") };
    let ring = KeyRing { session_cookie: KeyState::Usable(keys), ..KeyRing::default() };
    let identified = identify(&cookie, &rules, AUDIENCE, &ring, UnixTime::from_seconds(NOW)).expect("a user");
    assert_eq!(user_of(identified).kind, TokenKind::SessionCookie);
}

#[test]
fn unsigned_tokens_count_under_emulator_trust_alone_and_ask_for_the_account() {
    let [header, body] = [json!({"alg": "none", "typ": "JWT"}), payload()]
        .map(|part| encode_base64url(part.to_string().as_bytes()));
    let token = format!("{header}.{body}.");
    assert_eq!(judge(&token, &rules()).map(drop), Err(Obstacle::Denied(Reason::TokenUnsigned)));
    let emulator = changed(|rules| rules.trust = Trust::Emulator);
    assert!(judge(&token, &emulator).expect("a user").is_unsigned);
    let signed = format!("{token}{}", encode_base64url(b"x"));
    assert_eq!(judge(&signed, &emulator).map(drop), Err(Obstacle::Denied(Reason::TokenUnsigned)));
}

#[test]
fn the_user_is_what_the_token_says() {
    let token = SIGNER.sign(&payload()).expect("a token");
    let user = user_of(judge(&token, &rules()).expect("a user"));
    assert_eq!((user.uid.as_str(), user.project.as_str()), ("ada", "demo"));
    assert_eq!(user.verified_email(), Some("ada@example.com"));
    assert_eq!(Value::Object(user.claims.own().clone()), json!({"role": "editor"}));
    assert_eq!(user.expires_at, UnixTime::from_seconds(NOW + 3540));
}

#[test]
fn an_account_is_judged_by_when_the_user_signed_in() {
    let token = SIGNER.sign(&payload()).expect("a token");
    let user = user_of(judge(&token, &rules()).expect("a user"));
    let account =
        |disabled, valid_since| AccountStatus { disabled, valid_since: UnixTime::from_seconds(valid_since) };
    assert_eq!(judge_account(&user, Some(&account(false, NOW - 60))), Ok(()));
    assert!(matches!(
        judge_account(&user, Some(&account(false, NOW - 59))),
        Err(Reason::TokenRevoked { .. })
    ));
    assert_eq!(judge_account(&user, Some(&account(true, 0))), Err(Reason::UserDisabled));
    assert_eq!(judge_account(&user, None), Err(Reason::UserNotFound));
}

/// Remembers, and counts how often it was asked in vain.
#[derive(Debug, Default)]
struct Memory {
    digests: Mutex<HashSet<[u8; 32]>>,
    misses: AtomicUsize,
}

impl VerifiedSignatures for Memory {
    fn contains(&self, digest: &[u8; 32]) -> bool {
        let found = self.digests.lock().expect("a lock").contains(digest);
        self.misses.fetch_add(usize::from(!found), Ordering::SeqCst);
        found
    }

    fn insert(&self, digest: [u8; 32], _expires_at: UnixTime) {
        self.digests.lock().expect("a lock").insert(digest);
    }
}

#[test]
fn a_good_signature_is_remembered_for_this_very_token_and_these_very_keys() {
    let memory = Arc::new(Memory::default());
    let remembering = |ring: KeyRing| KeyRing { verified: Some(Arc::clone(&memory) as _), ..ring };
    let at = |token: &str, ring: &KeyRing, now| {
        identify(token, &rules(), AUDIENCE, ring, UnixTime::from_seconds(now)).map(drop)
    };
    let known = || memory.digests.lock().expect("a lock").len();
    let (ring, token) = (remembering(ring()), SIGNER.sign(&payload()).expect("a token"));

    assert_eq!(at(&token, &ring, NOW), Ok(()));
    assert_eq!(at(&token, &ring, NOW), Ok(()));
    assert_eq!((known(), memory.misses.load(Ordering::SeqCst)), (1, 1));

    // Everything but the signature is judged anew.
    assert!(matches!(at(&token, &ring, NOW + 3600), Err(Obstacle::Denied(Reason::TokenExpired { .. }))));
    let strict = changed(|rules| rules.project = "other".to_owned());
    assert!(identify(&token, &strict, AUDIENCE, &ring, UnixTime::from_seconds(NOW)).is_err());

    // Another signature under the same words is another token, and a refusal is not kept.
    let (words, _) = token.rsplit_once('.').expect("three parts");
    let forged = format!("{words}.{}", encode_base64url(&[7; 256]));
    assert_eq!(at(&forged, &ring, NOW), Err(Obstacle::Denied(Reason::TokenSignatureInvalid)));
    assert_eq!(known(), 1);

    // Another key under the same id is another set: what was good with the old one counts for nothing.
    let replaced =
        RsaSigner::from_pkcs8(SIGNER.key_id(), RsaSigner::generate().expect("a key").pkcs8()).expect("a key");
    let rotated = remembering(KeyRing { id_token: published(&replaced), ..KeyRing::default() });
    assert_eq!(at(&token, &rotated, NOW), Err(Obstacle::Denied(Reason::TokenSignatureInvalid)));
}

/// Tokens that are remembered, and how often one was found.
#[derive(Debug, Default)]
struct Tokens {
    tokens: Mutex<Vec<Arc<ReadToken>>>,
    found: AtomicUsize,
}

impl ReadTokens for Tokens {
    fn get(&self, text: &str) -> Option<Arc<ReadToken>> {
        let found = self.tokens.lock().expect("a lock").iter().find(|token| token.text() == text).cloned();
        self.found.fetch_add(usize::from(found.is_some()), Ordering::Relaxed);
        found
    }

    fn insert(&self, token: Arc<ReadToken>) {
        self.tokens.lock().expect("a lock").push(token);
    }
}

/// A ring that keeps what was verified and read, and what it keeps of the latter.
fn remembering_ring() -> (Arc<Tokens>, KeyRing) {
    let tokens = Arc::new(Tokens::default());
    let read = Some(Arc::clone(&tokens) as Arc<dyn ReadTokens>);
    (tokens, KeyRing { verified: Some(Arc::new(Memory::default())), read, ..ring() })
}

#[test]
fn a_token_that_was_read_before_is_judged_anew_by_the_moment_and_by_other_rules() {
    let (memory, remembering) = remembering_ring();
    let token = SIGNER.sign(&payload()).expect("a token");
    let rules = rules();
    let judge = |rules: &Arc<IdentityRules>, keys: &KeyRing, at: i64| {
        let judged = identify(&token, rules, AUDIENCE, keys, UnixTime::from_seconds(at));
        judged.map(|identified| identified.principal)
    };
    let first = judge(&rules, &remembering, NOW).expect("a user");
    assert!(memory.tokens.lock().expect("a lock").is_empty(), "whoever comes once is not kept");
    assert_eq!(judge(&rules, &remembering, NOW).as_ref(), Ok(&first));
    assert_eq!(judge(&rules, &remembering, NOW).as_ref(), Ok(&first));
    assert_eq!(memory.found.load(Ordering::Relaxed), 1);

    let expired = judge(&rules, &remembering, NOW + 3600);
    assert!(matches!(expired, Err(Obstacle::Denied(Reason::TokenExpired { .. }))), "{expired:?}");
    let other = changed(|rules| rules.project = "other".to_owned());
    let elsewhere = judge(&other, &remembering, NOW);
    assert!(matches!(elsewhere, Err(Obstacle::Denied(Reason::TokenWrongProject { .. }))), "{elsewhere:?}");
    let strict = changed(|rules| rules.users.accept = vec![AcceptedToken::SessionCookie]);
    assert!(judge(&strict, &remembering, NOW).is_err());
    let without_keys = KeyRing { id_token: KeyState::Missing, ..remembering.clone() };
    assert!(matches!(judge(&rules, &without_keys, NOW), Err(Obstacle::KeysMissing { .. })));
    let stranger = RsaSigner::generate().expect("a key");
    let rotated = KeyRing { id_token: published(&stranger), ..remembering.clone() };
    assert!(matches!(judge(&rules, &rotated, NOW), Err(Obstacle::KeyUnknown { .. })));
    // Also if another key has the same id now: the signature was good with the one before.
    let namesake = RsaSigner::from_pkcs8(SIGNER.key_id(), stranger.pkcs8()).expect("a key");
    let replaced = KeyRing { id_token: published(&namesake), ..remembering.clone() };
    assert_eq!(judge(&rules, &replaced, NOW), Err(Obstacle::Denied(Reason::TokenSignatureInvalid)));
    assert_eq!(judge(&rules, &remembering, NOW).as_ref(), Ok(&first));
    assert_eq!(memory.found.load(Ordering::Relaxed), 8, "each time it was read from memory, and judged");
}

#[test]
fn an_exchanged_token_that_was_read_before_is_for_its_own_audience_still() {
    let (memory, remembering) = remembering_ring();
    let signer = EcdsaP256Signer::generate().expect("a key");
    let own = json!({"keys": [signer.public_jwk().expect("a key")]}).to_string();
    let own = KeySet::parse_es256(own.as_bytes()).expect("a key set");
    let keys = KeyRing { exchanged_token: KeyState::Usable(Arc::new(own)), ..remembering };
    let rules = changed(|rules| rules.users.accept = vec![AcceptedToken::ExchangedToken]);
    let claims = json!({"iss": rules.issuer, "aud": AUDIENCE, "user_id": null, "exp": NOW + 200});
    let random = aws_lc_rs::rand::SystemRandom::new();
    let token = signer.sign(EXCHANGED_TOKEN_TYPE, &payload_with(claims), &random).expect("a token");
    for seen in 0..4 {
        let judge = |audience: &str| identify(&token, &rules, audience, &keys, UnixTime::from_seconds(NOW));
        assert!(judge(AUDIENCE).is_ok(), "{seen}");
        let elsewhere = judge("https://admin.example.com");
        assert!(
            matches!(elsewhere, Err(Obstacle::Denied(Reason::TokenWrongAudience { .. }))),
            "{seen}: {elsewhere:?}"
        );
    }
    assert_eq!(memory.tokens.lock().expect("a lock").len(), 1, "it is kept");
}

#[test]
fn a_token_that_was_read_is_spent_when_it_expires_and_when_its_key_retires() {
    let (memory, remembering) = remembering_ring();
    let token = SIGNER.sign(&payload()).expect("a token");
    for _ in 0..2 {
        let judged = identify(&token, &rules(), AUDIENCE, &remembering, UnixTime::from_seconds(NOW));
        assert!(judged.is_ok());
    }
    let kept = memory.get(&token).expect("it is kept");
    let is_spent = |keys: &KeyRing, at| kept.is_spent(keys, UnixTime::from_seconds(at));
    let expiry = payload()["exp"].as_i64().expect("a time");
    assert!(!is_spent(&ring(), expiry - 1) && is_spent(&ring(), expiry));
    let stranger = RsaSigner::generate().expect("a key");
    assert!(is_spent(&KeyRing { id_token: published(&stranger), ..KeyRing::default() }, NOW));
    assert!(!is_spent(&KeyRing::default(), NOW), "an outage retires no key");
}

#[test]
fn a_forged_token_is_never_kept() {
    let (memory, remembering) = remembering_ring();
    let (good, other) =
        (SIGNER.sign(&payload()), SIGNER.sign(&payload_with(json!({"sub": "eve", "user_id": "eve"}))));
    let (good, other) = (good.expect("a token"), other.expect("a token"));
    let ((_, signature), (words, _)) =
        (good.rsplit_once('.').expect("parts"), other.rsplit_once('.').expect("parts"));
    let forged = format!("{words}.{signature}");
    let rules = rules();
    for _ in 0..3 {
        assert!(identify(&good, &rules, AUDIENCE, &remembering, UnixTime::from_seconds(NOW)).is_ok());
        let judged = identify(&forged, &rules, AUDIENCE, &remembering, UnixTime::from_seconds(NOW));
        assert_eq!(judged.map(drop), Err(Obstacle::Denied(Reason::TokenSignatureInvalid)));
    }
    assert_eq!(memory.tokens.lock().expect("a lock").len(), 1);
}
