//! A backend that everyone may call: whose tokens concern Firegate there, and what a failing one means.

use firegate_core::decision::Answer;
use firegate_core::reason::Code;
use firegate_core::token_source::TokenRemoval;
use http::Method;
use serde_json::json;

use crate::world::{
    NOW, Parts, Request, disabled, google_id_token, id_token, rsa, session_cookie, signed, valid_since,
};

fn open() -> Parts {
    Parts::new("allow: [allUsers], token_sources: [authorization, cookie]", "anonymous: deny")
}

fn check(request: &Request, expected: Result<Option<&str>, Code>, removal: TokenRemoval) {
    let verdict = open().at_once(request);
    match expected {
        Err(code) => assert_eq!(verdict.code(), Err(code), "{request:?}"),
        Ok(uid) => {
            let permit = verdict.permit();
            assert_eq!(permit.user().map(|user| user.uid.as_str()), uid, "{request:?}");
            assert_eq!(permit.removal(), removal, "{request:?}");
        }
    }
}

#[test]
fn a_failing_token_that_was_sent_on_purpose_is_refused() {
    let none = TokenRemoval::default();
    let expired = id_token(&json!({"exp": NOW - 1}));
    check(&Request::bearing(&expired), Err(Code::TokenExpired), none);
    // What lenient libraries would read as a Firebase token is one for this purpose too.
    let good = id_token(&json!({}));
    for bent in [format!("{good}="), good.replacen('.', "=.", 1), format!("{good}.x")] {
        check(&Request::bearing(&bent), Err(Code::TokenMalformed), none);
    }
    for foreign in ["a-webhooks-secret", "eyJhbGciOiJub25lIn0.e30", "a.b.c"] {
        check(&Request::bearing(foreign), Ok(None), none);
    }
}

#[test]
fn a_failing_cookie_is_nobodys_and_goes_no_further() {
    let cookie = |value: &str| Request::new().header("cookie", &format!("__session={value}; theme=dark"));
    let gone = TokenRemoval { cookie: true, ..TokenRemoval::default() };
    check(&cookie(&session_cookie(&json!({}))), Ok(Some("ada")), gone);
    check(&cookie(&session_cookie(&json!({"exp": NOW - 1}))), Ok(None), gone);
    check(&cookie(&format!("{}x", session_cookie(&json!({})))), Ok(None), gone);
    // A key that nobody publishes any more, after it was looked for; an account that is no longer one, after it was looked up.
    let stranger = signed(
        &rsa(),
        &json!({"alg": "RS256", "kid": "gone"}),
        &json!({
            "iss": "https://session.firebase.google.com/demo-project", "aud": "demo-project", "sub": "ada",
            "auth_time": NOW - 60, "iat": NOW - 60, "exp": NOW + 60, "firebase": {"sign_in_provider": "password"},
        }),
    );
    let permit = open().decide(&cookie(&stranger), |_, _| Answer::Keys).permit();
    assert_eq!((permit.user().is_none(), permit.removal()), (true, gone));
    let looked_up = "allow: [allUsers], token_sources: [authorization, cookie]";
    for account in [None, Some(disabled()), Some(valid_since(NOW))] {
        let mut parts = Parts::new(looked_up, "revocation: { check: required }");
        let verdict = parts.decide(&cookie(&session_cookie(&json!({}))), |_, _| Answer::Account(account));
        let permit = verdict.permit();
        assert_eq!((permit.user().is_none(), permit.removal()), (true, gone), "{account:?}");
        let bearer = Request::bearing(&session_cookie(&json!({})));
        assert!(parts.decide(&bearer, |_, _| Answer::Account(account)).code().is_err(), "{account:?}");
    }
    // An outage is no lost login.
    let mut parts = Parts::new(looked_up, "revocation: { check: required }");
    let verdict = parts.decide(&cookie(&session_cookie(&json!({}))), |_, _| Answer::Unavailable);
    assert_eq!(verdict.code(), Err(Code::UserStatusUnavailable));
    // Another framework's cookie of this name is the service's.
    check(&cookie("of-another-framework"), Ok(None), TokenRemoval::default());
    // With a good one, what changes something has to come from a page that may.
    let mut posted = cookie(&session_cookie(&json!({}))).header("origin", "https://evil.example");
    posted.method = Method::POST;
    check(&posted, Err(Code::CookieOriginNotAllowed), gone);
}

#[test]
fn google_accounts_that_no_member_names_are_nobody() {
    // Another backend may let the account in: its token is not this service's to see.
    let gone = TokenRemoval { authorization: true, ..TokenRemoval::default() };
    let bearing = Request::bearing(&google_id_token(&json!({})));
    check(&bearing, Ok(None), gone);
    let permit = open().at_once(&bearing).permit();
    assert!(permit.principal().is_none() && permit.token_source().is_none());
    let mut forwarding = Parts::new("allow: [allUsers], user_token: forward", "anonymous: deny");
    let permit = forwarding.at_once(&bearing).permit();
    assert!(permit.principal().is_none());
    assert_eq!(permit.removal(), TokenRemoval::default());
}

#[test]
fn a_person_with_a_google_account_is_no_caller() {
    let person = google_id_token(&json!({"email": "ada@example.com"}));
    let mut parts = Parts::new("allow: ['serviceAccount:ada@example.com']", "anonymous: deny");
    let verdict = parts.at_once(&Request::bearing(&person));
    assert_eq!(verdict.code(), Err(Code::TokenIsGoogleIdToken));
}
