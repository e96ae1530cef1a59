//! What holds for every token: the explanation is the front door's own decision, fits a terminal, and keeps the
//! signature to itself.

use firegate::explain::{CheckVerdict, DoorVerdict, Explanation, explain, render_text};
use firegate_core::decision::{Answer, Decision, Need, Outcome, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{CHECKS, KeyRing, NoKnownAccounts, Obstacle, identify};
use firegate_core::jose::{RsaSigner, encode_base64url};
use firegate_core::limiter::NoCounters;
use firegate_core::path::NormalPath;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use firegate_files::Configuration;
use firegate_files::configuration::Enforce;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    DOOR, NOW, SERVICE, SIGNER, claims, custom_token, explained, file, firegates_own, google_token, input,
    minimal, ring, signed, unsigned,
};

/// Tokens of every kind, good and bad.
fn corpus() -> Vec<String> {
    let stranger = RsaSigner::generate().expect("a key");
    let impostor = RsaSigner::from_pkcs8(SIGNER.key_id(), stranger.pkcs8()).expect("a key");
    let mut tokens = vec![
        stranger.sign(&claims(json!({}))).expect("a token"),
        impostor.sign(&claims(json!({}))).expect("a token"),
        unsigned(json!({})),
        custom_token(),
        google_token(SERVICE),
        google_token("https://other.example.com"),
        firegates_own("firegate-exchanged+jwt", json!({})),
        firegates_own("firegate-exchanged+jwt", json!({"aud": "other"})),
        firegates_own("firegate-assertion+jwt", json!({})),
        "hello".to_owned(),
        "ya29.x".to_owned(),
        "a b, c".to_owned(),
    ];
    let changes = [
        json!({}),
        json!({"exp": NOW - 10, "iat": NOW - 3000, "auth_time": NOW - 3000}),
        json!({"iat": NOW + 11}),
        json!({"aud": "other"}),
        json!({"aud": ["my-project"]}),
        json!({"iss": "https://securetoken.google.com/other"}),
        json!({"iss": "https://session.firebase.google.com/my-project"}),
        json!({"iss": "https://example.com"}),
        json!({"iss": "https://firebaseappcheck.googleapis.com/1"}),
        json!({"sub": "", "user_id": null}),
        json!({"email": "eve@example.com"}),
        json!({"firebase": null}),
        json!({"firebase": {"sign_in_provider": "anonymous"}}),
        json!({"firebase": {"sign_in_provider": "password", "tenant": "blue-x1y2z"}}),
    ];
    tokens.extend(changes.into_iter().map(signed));
    tokens
}

/// Every kind of token counts, and one member of each sort does.
fn accepting_every_kind() -> Configuration {
    file(&format!(
        "project: my-project\nbackends: {{ api: {SERVICE} }}\nassertion: {{ issuer: '{DOOR}' }}\n\
         allow: ['user:ada@example.com', 'serviceAccount:caller@my-project.iam.gserviceaccount.com']\n\
         users: {{ accept: [id_token, session_cookie, google_id_token, exchanged_token], google_audiences: ['{SERVICE}'] }}\n"
    ))
}

/// A backend that refuses nobody.
fn observing() -> Configuration {
    file(&format!(
        "project: my-project\nbackends: {{ api: {{ url: {SERVICE}, credential: none, enforce: observe }} }}\n\
         allow: ['user:ada@example.com']\n"
    ))
}

#[test]
fn without_keys_nothing_passes_and_no_good_token_is_refused() {
    let configuration = accepting_every_kind();
    let mut conditional = 0;
    for token in corpus() {
        let [with, without] =
            [ring(), KeyRing::default()].map(|keys| explain(input(&token, &configuration, &keys)));
        assert!(!without.passes(), "{token}");
        match with.firegate.code {
            None | Some("TOKEN_SIGNATURE_INVALID" | "TOKEN_KEY_UNKNOWN") => {
                assert_eq!(without.firegate.verdict, DoorVerdict::Depends, "{token}");
                conditional += 1;
            }
            code => assert_eq!(without.firegate.code, code, "no signature would change that: {token}"),
        }
    }
    assert!(conditional >= 5, "an ID token, two that are forged, a Google ID token and an exchanged one");
}

/// What the front door's own machine says, driven here by hand.
fn decided(token: &str, snapshot: &Snapshot, keys: &KeyRing) -> Option<&'static str> {
    let headers =
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().expect("a value"))]);
    let path = NormalPath::parse("/").expect("a path");
    let facts = RequestFacts::of(&Method::GET, path, &headers);
    let world = World {
        snapshot,
        keys,
        accounts: &NoKnownAccounts,
        counters: &NoCounters,
        now: UnixTime::from_seconds(NOW),
    };
    let mut step = Decision::start(&facts, &world);
    loop {
        step = match step {
            Step::Done(Outcome::Permit(_) | Outcome::Respond(_)) => return None,
            Step::Done(Outcome::Observed(observed)) => return Some(observed.refusal().code().entry().name),
            Step::Done(Outcome::Denial(denial)) => return Some(denial.reason.code().entry().name),
            Step::Done(Outcome::Fault(fault)) => return Some(fault.code.entry().name),
            Step::Need(Need::KeyRefresh { .. }, decision) => decision.resume(Answer::Keys, &world),
            Step::Need(need, _) => panic!("{need:?} is not needed with Google's trust"),
        };
    }
}

#[test]
fn the_explanation_agrees_with_the_decision_and_with_its_own_checks() {
    let keys = ring();
    let members = [&["allAuthenticatedUsers"][..], &["user:ada@example.com"], &["allUsers"]];
    for configuration in members.map(minimal).into_iter().chain([accepting_every_kind(), observing()]) {
        let members = &configuration.backends;
        let snapshot = Snapshot::compile(&configuration);
        for token in corpus() {
            let explanation = explain(input(&token, &configuration, &keys));
            let pasted = token.replace(' ', "");
            assert_eq!(explanation.firegate.code, decided(&pasted, &snapshot, &keys), "{members:?} {token}");
            let observes = members.values().all(|backend| backend.enforce == Enforce::Observe);
            let passes = observes || explanation.firegate.code.is_none();
            assert_eq!(explanation.passes(), passes, "{members:?} {token}");
            let failed = explanation.checks.iter().find(|check| check.verdict == CheckVerdict::Failed);
            let refused =
                match identify(&pasted, &snapshot.identity, SERVICE, &keys, UnixTime::from_seconds(NOW)) {
                    Ok(_) => None,
                    Err(Obstacle::KeyUnknown { .. }) => Some("TOKEN_KEY_UNKNOWN"),
                    Err(Obstacle::KeysMissing { .. }) => panic!("the keys are there"),
                    Err(Obstacle::Denied(reason)) => Some(reason.code().entry().name),
                };
            if !explanation.checks.is_empty() {
                assert_eq!(failed.and_then(|check| check.code), refused, "{token}");
                assert_eq!(explanation.checks.len(), CHECKS.len(), "all run, whatever the first say");
            }
        }
    }
}

#[test]
fn the_text_is_narrow_and_says_the_same_without_colours() {
    let configuration =
        minimal(&["allAuthenticatedUsers", "user:someone.with.a.long.name@subdomain.example.com"]);
    for token in corpus() {
        let explanation = explained(&token, &configuration);
        let plain = render_text(&explanation, false);
        assert!(!plain.contains('\u{1b}'));
        for line in plain.lines() {
            assert!(line.chars().count() <= 100, "{} characters: {line}", line.chars().count());
            assert_eq!(line.trim_end(), line, "no trailing space");
        }
        let coloured = render_text(&explanation, true);
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }
}

/// No piece of this many characters of a signature may be shown.
const SIGNATURE_PIECE: usize = 12;

fn assert_signature_is_hidden(token: &str, explanation: &Explanation) {
    let Some((_, signature)) = token.rsplit_once('.') else { return };
    let outputs = [
        render_text(explanation, false),
        render_text(explanation, true),
        serde_json::to_string(explanation).expect("JSON"),
        format!("{explanation:?}"),
    ];
    // Wrapping must not hide a leak from this test.
    let outputs = outputs.map(|output| output.split_whitespace().collect::<String>());
    for start in 0..signature.len().saturating_sub(SIGNATURE_PIECE - 1) {
        let piece = &signature[start..start + SIGNATURE_PIECE];
        assert!(outputs.iter().all(|output| !output.contains(piece)), "{piece} of {token}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_of_the_signature_is_ever_shown(
        signature in prop::collection::vec(any::<u8>(), 0..300),
        header in prop_oneof![
            Just(json!({"alg": "RS256", "kid": "9bb16f3ce2d1a7b6", "typ": "JWT"})),
            Just(json!({"alg": "RS256", "kid": "unknown"})),
            Just(json!({"alg": "none"})),
            Just(json!({})),
        ],
        issuer in prop_oneof![
            Just("https://securetoken.google.com/my-project"),
            Just("https://session.firebase.google.com/my-project"),
            Just("https://accounts.google.com"),
            Just("https://example.com"),
        ],
        prefix in prop_oneof![Just(""), Just("Bearer "), Just("\"")],
        cut in prop_oneof![Just(0_usize), 0..60_usize],
        has_keys in any::<bool>(),
    ) {
        let [header, claims] = [header, claims(json!({"iss": issuer}))]
            .map(|part| encode_base64url(part.to_string().as_bytes()));
        let signature = encode_base64url(&signature);
        let kept = signature.len().saturating_sub(cut);
        let token = format!("{prefix}{header}.{claims}.{}", &signature[..kept]);
        let configuration = minimal(&["allAuthenticatedUsers"]);
        let keys = if has_keys { ring() } else { KeyRing::default() };
        let explanation = explain(input(&token, &configuration, &keys));
        assert_signature_is_hidden(&token, &explanation);
    }
}
