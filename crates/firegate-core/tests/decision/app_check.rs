//! App Check: which app a request comes from. Every rule of its token, and where it stands among the others.

use firegate_core::decision::{Answer, Need, Outcome};
use firegate_core::exchange::{ExchangeRequest, RequestedToken};
use firegate_core::identity::{KeyState, TokenKind};
use firegate_core::reason::{Code, Reason};
use serde_json::{Value, json};

use crate::world::{
    API, APP, APP_CHECK, ID_TOKENS, NOW, Parts, Request, app_check_claims, app_check_token, disabled,
    google_id_token, id_token, rsa, rsa_keys, session_cookie, signed, valid_since,
};

const HEADER: &str = "x-firebase-appcheck";

fn requiring(app_check: &str) -> Parts {
    Parts::new(&format!("allow: [allAuthenticatedUsers], app_check: {app_check}"), "clock_skew: 30s")
}

fn user() -> Request {
    Request::bearing(&id_token(&json!({})))
}

/// A request with this App Check token and a user's.
fn with(token: &str) -> Request {
    user().header(HEADER, token)
}

/// The part of the App Check token that was at fault, or else the code.
fn found(parts: &mut Parts, token: &str) -> Result<(), String> {
    let verdict = parts.at_once(&with(token));
    match &verdict.outcome {
        Outcome::Denial(denial) => match &denial.reason {
            Reason::AppCheckTokenInvalid { part, .. } => Err((*part).to_owned()),
            reason => Err(reason.code().to_string()),
        },
        _ => verdict.code().map_err(|code| code.to_string()),
    }
}

fn check_claims(changes: Value, expected: Result<(), &str>) {
    let token = app_check_token(&json!({}), &changes);
    let found = found(&mut requiring("required"), &token);
    assert_eq!(found, expected.map_err(str::to_owned), "{changes}");
}

#[test]
fn what_is_no_token_is_told_in_a_sentence() {
    let check = |token: &str, expected: &str| {
        let verdict = requiring("required").at_once(&with(token));
        let Outcome::Denial(denial) = &verdict.outcome else { panic!("{:?}", verdict.outcome) };
        assert_eq!(denial.reason.to_string(), expected);
    };
    let form = "the App Check token's form is wrong: the token does not have three parts separated by dots";
    check("foo", form);
    check(
        &app_check_token(&json!({}), &json!({"iss": 42})),
        "the App Check token's `iss` is not App Check's for this project's number",
    );
}

#[test]
fn every_claim_is_judged() {
    check_claims(json!({}), Ok(()));
    for issuer in [
        json!(null),
        json!(42),
        json!(""),
        json!("https://firebaseappcheck.googleapis.com/"),
        json!("https://firebaseappcheck.googleapis.com/43"),
        json!("https://firebaseappcheck.googleapis.com/42/"),
        json!("https://firebaseappcheck.googleapis.com/demo-project"),
        json!("http://firebaseappcheck.googleapis.com/42"),
        json!("https://securetoken.google.com/42"),
        json!("https://evil.example/42"),
    ] {
        check_claims(json!({"iss": issuer}), Err("`iss`"));
    }
    check_claims(json!({"aud": ["projects/demo-project"]}), Ok(()));
    for audience in [
        json!(null),
        json!("projects/demo-project"),
        json!([]),
        json!(["projects/42"]),
        json!(["demo-project"]),
        json!(["projects/demo-projects", "projects/demo"]),
        json!(["projects/demo-project", 42]),
        json!([["projects/demo-project"]]),
        json!({"projects/demo-project": true}),
    ] {
        check_claims(json!({"aud": audience}), Err("`aud`"));
    }
    for subject in [json!(null), json!(""), json!(7), json!("1:42:web:\u{0}"), json!("a".repeat(257))] {
        check_claims(json!({"sub": subject}), Err("`sub`"));
    }
    check_claims(json!({"sub": "1:42:ios:fedcba"}), Ok(()));
}

#[test]
fn every_time_is_judged() {
    let week = 7 * 24 * 3600;
    check_claims(json!({"exp": NOW}), Err("APP_CHECK_TOKEN_EXPIRED"));
    check_claims(json!({"exp": NOW - 3600, "iat": NOW - 7200}), Err("APP_CHECK_TOKEN_EXPIRED"));
    check_claims(json!({"exp": NOW + 1}), Ok(()));
    check_claims(json!({"exp": NOW - 60 + week}), Ok(()));
    check_claims(json!({"exp": NOW - 59 + week}), Err("`exp`"));
    check_claims(json!({"exp": NOW + 10, "iat": NOW + 10}), Err("`exp`"));
    check_claims(json!({"iat": NOW + 30}), Ok(()));
    check_claims(json!({"iat": NOW + 31}), Err("`iat`"));
    check_claims(json!({"nbf": NOW}), Ok(()));
    check_claims(json!({"nbf": NOW + 1}), Err("`nbf`"));
    for (claim, part) in [("exp", "`exp`"), ("iat", "`iat`")] {
        check_claims(json!({claim: null}), Err(part));
    }
    for (claim, part) in [("exp", "`exp`"), ("iat", "`iat`"), ("nbf", "`nbf`")] {
        for wrong in [json!("1800000100"), json!(1_800_000_100.5), json!(true), json!(1e30), json!([NOW])] {
            check_claims(json!({claim: wrong}), Err(part));
        }
    }
}

#[test]
fn the_header_is_exactly_app_checks() {
    let check = |changes: Value, expected: Result<(), &str>| {
        let found = found(&mut requiring("required"), &app_check_token(&changes, &json!({})));
        assert_eq!(found, expected.map_err(str::to_owned), "{changes}");
    };
    check(json!({}), Ok(()));
    for algorithm in
        [json!(null), json!("none"), json!("HS256"), json!("RS384"), json!("ES256"), json!("rs256"), json!(7)]
    {
        check(json!({"alg": algorithm}), Err("`alg`"));
    }
    for typ in [json!(null), json!("jwt"), json!("at+jwt"), json!(""), json!(["JWT"])] {
        check(json!({"typ": typ}), Err("`typ`"));
    }
    for key_id in [json!(null), json!(""), json!(7)] {
        check(json!({"kid": key_id}), Err("`kid`"));
    }
    for member in ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"] {
        check(json!({member: "x"}), Err("header"));
    }
}

#[test]
fn what_is_no_token_or_not_app_checks_is_refused() {
    let mut parts = requiring("required");
    let good = app_check_token(&json!({}), &json!({}));
    let unsigned = good.rsplit_once('.').map(|(input, _)| format!("{input}.")).expect("three parts");
    let other = app_check_token(&json!({}), &json!({"sub": "1:42:web:other"}));
    let swapped = format!("{unsigned}{}", other.rsplit_once('.').expect("three parts").1);
    for (token, expected) in [
        ("", "form"),
        ("a.b.c", "form"),
        (good.as_str(), ""),
        (&format!("Bearer {good}"), "form"),
        (&format!("{good}="), "form"),
        (&unsigned, "signature"),
        (&swapped, "signature"),
        (&id_token(&json!({})), "`iss`"),
    ] {
        let found = found(&mut parts, token);
        assert_eq!(found.err().unwrap_or_default(), expected, "{token}");
    }
    // Signed by the project's other issuer, under the key that App Check does publish.
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": APP_CHECK.key_id()});
    let forged = signed(&ID_TOKENS, &header, &app_check_claims(&json!({})));
    assert_eq!(found(&mut parts, &forged), Err("signature".to_owned()));
}

#[test]
fn there_is_exactly_one_token_where_it_is_required_and_none_is_read_elsewhere() {
    let good = app_check_token(&json!({}), &json!({}));
    let check = |setting: &str, request: Request, expected: Result<(), Code>| {
        assert_eq!(requiring(setting).at_once(&request).code(), expected, "{setting} {request:?}");
    };
    check("required", user(), Err(Code::AppCheckTokenMissing));
    check("required", with(&good).header(HEADER, &good), Err(Code::CredentialAmbiguous));
    check("required", Request::bearing(&good), Err(Code::TokenIsAppCheckToken));
    check("required", Request::new().header(HEADER, &good), Err(Code::TokenMissing));
    check("off", user(), Ok(()));
    check("off", with("rubbish").header(HEADER, "more"), Ok(()));
    // Nobody has to sign in on an open backend, and the app is asked for all the same.
    let mut open = Parts::new("allow: [allUsers], app_check: required", "anonymous: deny");
    assert_eq!(open.at_once(&Request::new()).code(), Err(Code::AppCheckTokenMissing));
    assert_eq!(open.at_once(&Request::new().header(HEADER, &good)).code(), Ok(()));
}

#[test]
fn only_listed_apps_pass_and_a_forger_is_not_told_which() {
    let setting = format!("{{ apps: ['{APP}', '1:42:ios:fedcba'] }}");
    let check = |app: &str, expected: Result<(), &str>| {
        let found = found(&mut requiring(&setting), &app_check_token(&json!({}), &json!({"sub": app})));
        assert_eq!(found, expected.map_err(str::to_owned), "{app}");
    };
    check(APP, Ok(()));
    check("1:42:ios:fedcba", Ok(()));
    for other in ["1:42:web:0123456789abcde", "1:42:web:0123456789ABCDEF", "1:43:web:0123456789abcdef"] {
        check(other, Err("APP_CHECK_APP_NOT_ALLOWED"));
    }
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": APP_CHECK.key_id()});
    let forged = signed(&ID_TOKENS, &header, &app_check_claims(&json!({"sub": "1:42:web:other"})));
    assert_eq!(found(&mut requiring(&setting), &forged), Err("signature".to_owned()));
}

#[test]
fn keys_are_asked_for_once_and_their_absence_is_an_outage() {
    let request = with(&app_check_token(&json!({}), &json!({})));
    let need = |unknown_key_id: Option<&str>| Need::KeyRefresh {
        kind: TokenKind::AppCheck,
        unknown_key_id: unknown_key_id.map(str::to_owned),
    };
    let stranger = rsa_keys(&rsa());
    for (keys, unknown_key_id, useless) in [
        (KeyState::Missing, None, Code::AppCheckUnavailable),
        (stranger, Some(APP_CHECK.key_id()), Code::AppCheckTokenInvalid),
    ] {
        let start = || {
            let mut parts = requiring("required");
            parts.keys.app_check = keys.clone();
            parts
        };
        let verdict = start().decide(&request, |_, parts| {
            parts.keys.app_check = rsa_keys(&APP_CHECK);
            Answer::Keys
        });
        assert_eq!((verdict.code(), verdict.needs), (Ok(()), vec![need(unknown_key_id)]));
        let verdict = start().decide(&request, |_, _| Answer::Keys);
        assert_eq!((verdict.code(), verdict.needs), (Err(useless), vec![need(unknown_key_id)]));
        let verdict = start().decide(&request, |_, _| Answer::Unavailable);
        assert_eq!(verdict.code(), Err(Code::AppCheckUnavailable));
        assert_eq!(verdict.needs, [need(unknown_key_id)]);
    }
}

#[test]
fn a_user_and_an_app_may_both_have_to_wait_for_keys() {
    let mut parts = requiring("required");
    parts.keys.id_token = KeyState::Missing;
    parts.keys.app_check = KeyState::Missing;
    let request = with(&app_check_token(&json!({}), &json!({})));
    let verdict = parts.decide(&request, |need, parts| {
        match need {
            Need::KeyRefresh { kind: TokenKind::IdToken, .. } => parts.keys.id_token = rsa_keys(&ID_TOKENS),
            _ => parts.keys.app_check = rsa_keys(&APP_CHECK),
        }
        Answer::Keys
    });
    assert_eq!((verdict.code(), verdict.needs.len()), (Ok(()), 2));
}

#[test]
fn a_token_is_consumed_at_last_and_what_that_says_decides() {
    let token = app_check_token(&json!({}), &json!({}));
    let consume = Need::AppCheckConsume { token: token.clone() };
    for (answer, expected) in [
        (Answer::AppCheckConsumed { already: false }, Ok(())),
        (Answer::AppCheckConsumed { already: true }, Err(Code::AppCheckTokenConsumed)),
        (Answer::AppCheckRefused, Err(Code::AppCheckTokenInvalid)),
        (Answer::Unavailable, Err(Code::AppCheckUnavailable)),
        (Answer::Account(Some(valid_since(0))), Err(Code::Internal)),
        (Answer::Keys, Err(Code::Internal)),
    ] {
        let verdict = requiring("{ consume: true }").decide(&with(&token), |_, _| answer.clone());
        assert_eq!(verdict.code(), expected, "{answer:?}");
        assert_eq!(verdict.needs, std::slice::from_ref(&consume));
    }
    assert!(requiring("required").at_once(&with(&token)).needs.is_empty());
}

#[test]
fn nothing_is_consumed_for_a_request_that_is_refused() {
    let token = app_check_token(&json!({}), &json!({}));
    let check = |members: &str, user: &str, app: &str, expected: Code| {
        let mut parts =
            Parts::new(&format!("allow: [{members}], app_check: {{ consume: true }}"), "anonymous: deny");
        let verdict = parts.at_once(&Request::bearing(user).header(HEADER, app));
        assert_eq!(verdict.code(), Err(expected));
    };
    let (good, expired) = (id_token(&json!({})), app_check_token(&json!({}), &json!({"exp": NOW})));
    check("allAuthenticatedUsers", &id_token(&json!({"exp": NOW})), &token, Code::TokenExpired);
    check("'user:eve@example.com'", &good, &token, Code::NoInvokerBinding);
    check("allAuthenticatedUsers", &good, &expired, Code::AppCheckTokenExpired);

    let users = "revocation: { check: required, on_failure: deny }";
    for (answer, expected) in [
        (Answer::Account(Some(disabled())), Code::UserDisabled),
        (Answer::Account(None), Code::UserNotFound),
        (Answer::Unavailable, Code::UserStatusUnavailable),
    ] {
        let mut parts = Parts::new("allow: [allAuthenticatedUsers], app_check: { consume: true }", users);
        let verdict = parts.decide(&with(&token), |need, _| match need {
            Need::AccountStatus { .. } => answer.clone(),
            need => panic!("{need:?} is needed"),
        });
        assert_eq!(verdict.code(), Err(expected));
    }
    let mut parts = Parts::new("allow: [allAuthenticatedUsers], app_check: { consume: true }", users);
    let verdict = parts.decide(&with(&token), |need, _| match need {
        Need::AccountStatus { .. } => Answer::Account(Some(valid_since(0))),
        _ => Answer::AppCheckConsumed { already: false },
    });
    assert_eq!(verdict.code(), Ok(()));
    assert!(matches!(verdict.needs[..], [Need::AccountStatus { .. }, Need::AppCheckConsume { .. }]));
}

/// `on_failure: allow` is about accounts alone.
#[test]
fn a_user_who_is_let_in_unchecked_still_needs_an_app() {
    let users = "revocation: { check: required, on_failure: allow }";
    let mut parts = Parts::new("allow: [allAuthenticatedUsers], app_check: { consume: true }", users);
    let token = app_check_token(&json!({}), &json!({}));
    let verdict = parts.decide(&with(&token), |_, _| Answer::Unavailable);
    assert_eq!((verdict.code(), verdict.needs.len()), (Err(Code::AppCheckUnavailable), 2));
}

#[test]
fn googles_accounts_run_on_no_phone() {
    let robot = "'serviceAccount:robot@demo-project.iam.gserviceaccount.com'";
    for setting in ["required", "{ consume: true }", "{ apps: ['1:42:web:none'] }"] {
        let mut parts = Parts::new(&format!("allow: [{robot}], app_check: {setting}"), "anonymous: deny");
        assert_eq!(
            parts.at_once(&Request::bearing(&google_id_token(&json!({})))).code(),
            Ok(()),
            "{setting}"
        );
    }
}

#[test]
fn an_exchange_needs_the_app_that_the_backend_needs() {
    let (mut parts, user) = (requiring("{ consume: true }"), id_token(&json!({})));
    let verdict = parts.exchange(&Request::new(), &user, |need, _| panic!("{need:?} is needed"));
    assert_eq!(verdict.code(), Err(Code::AppCheckTokenMissing));
    let request = Request::new().header(HEADER, &app_check_token(&json!({}), &json!({})));
    let verdict = parts.exchange(&request, &user, |_, _| Answer::AppCheckConsumed { already: true });
    assert_eq!(verdict.code(), Err(Code::AppCheckTokenConsumed));
    let verdict = parts.exchange(&request, &user, |_, _| Answer::AppCheckConsumed { already: false });
    assert_eq!(verdict.code(), Ok(()));
}

#[test]
fn an_exchange_of_the_wrong_kind_of_token_uses_no_app_check_token_up() {
    let mut parts = requiring("{ consume: true }");
    let request = Request::new().header(HEADER, &app_check_token(&json!({}), &json!({})));
    let asked = |subject_token: String| ExchangeRequest {
        subject_token,
        subject_is_id_token: true,
        audience: API.to_owned(),
        requested: RequestedToken::Firegate,
    };
    let cookie = asked(session_cookie(&json!({})));
    let verdict = parts.exchange_of(&request, &cookie, |need, _| panic!("{need:?} is needed"));
    assert_eq!(verdict.code(), Err(Code::TokenIsSessionCookie));
    let id_token = asked(id_token(&json!({})));
    let verdict = parts.exchange_of(&request, &id_token, |_, _| Answer::AppCheckConsumed { already: false });
    assert_eq!((verdict.code(), verdict.needs.len()), (Ok(()), 1));
}
