//! What stands in `Authorization`, or elsewhere, and is no token that counts: it is told as what it is.

use firegate_core::decision::Outcome;
use firegate_core::reason::Code;
use http::Method;
use serde_json::json;

use crate::outcome::{allowing, outcome, snapshot, token, told};

#[test]
fn one_broken_authorization_is_told_as_what_it_is_and_refused_everywhere() {
    let good = token(json!({}));
    let check = |value: &str, code, evidence: &str, hint: &str| {
        let value = value.replace("TOKEN", &good);
        let usual = allowing("allAuthenticatedUsers");
        let by_cookie = snapshot(
            "project: demo-project\nallow: [allUsers]\nusers: { accept: [session_cookie, id_token] }\n\
             backends: { api: { url: 'https://api.example.com', token_sources: [cookie] } }\n",
        );
        // A cookie of somebody's makes nothing of it good, and who may pass without a token may not pass with this.
        let cookie = format!("__session={good}");
        let pairs = [("authorization", value.as_str()), ("cookie", cookie.as_str())];
        for (snapshot, pairs) in
            [(usual, &pairs[..1]), (allowing("allUsers"), &pairs[..1]), (by_cookie, &pairs[..])]
        {
            let (found, told, advice) = told(&snapshot, Method::GET, pairs);
            assert_eq!(found, code, "{value}");
            assert!(told.contains(evidence), "{value}: {told}");
            assert!(advice.contains(hint), "{value}: {advice}");
            assert!(!told.contains(&good) && !advice.contains(&good), "{told} {advice}");
        }
    };
    let (missing, malformed) = (Code::TokenMissing, Code::TokenMalformed);
    check("Bearer", missing, "`Bearer` with nothing behind it", "is empty, or was never set");
    check("Bearer ", missing, "`Bearer` with nothing behind it", "is empty, or was never set");
    check("Bearer [object Promise]", malformed, "was `await` forgotten?", "write `await` before");
    check("Bearer [object Object]", malformed, "was `await` forgotten?", "write `await` before");
    check("Bearer Bearer TOKEN", malformed, "`Bearer` stands in front of the token twice", "`Bearer ` once");
    check("Bearer TOKEN TOKEN", malformed, "there are blanks in the token", "unchanged");
    check("Bearer t\u{f6}ken", malformed, "no visible ASCII", "unchanged");
    check("Bearer TOKEN,TOKEN", Code::CredentialAmbiguous, "holds more than one credential", "exactly one");
}

#[test]
fn quotes_and_brackets_around_a_token_are_told() {
    let good = token(json!({}));
    for value in [format!("Bearer \"{good}\""), format!("Bearer '{good}'"), format!("Bearer <{good}>")] {
        let (code, told, advice) =
            told(&allowing("allAuthenticatedUsers"), Method::GET, &[("authorization", &value)]);
        let expected = "there are quotes or brackets around the token";
        assert_eq!((code, told.as_str()), (Code::TokenMalformed, expected));
        assert!(advice.contains("JSON.stringify"), "{advice}");
    }
}

#[test]
fn a_token_where_cloud_runs_front_looks_for_one_is_told_and_counts_for_nothing() {
    let good = format!("Bearer {}", token(json!({})));
    let headers = [("x-serverless-authorization", good.as_str())];
    let (code, told, advice) = told(&allowing("allAuthenticatedUsers"), Method::GET, &headers);
    assert_eq!(code, Code::TokenMissing);
    assert!(told.starts_with("there is a token in `X-Serverless-Authorization`"), "{told}");
    assert!(advice.starts_with("send it as `Authorization: Bearer <ID token>`"), "{advice}");
}

#[test]
fn what_stands_in_the_place_of_a_token_is_told_and_is_no_secret() {
    let good = token(json!({}));
    let check = |value: &str, evidence: &str, hint: &str| {
        let value = value.replace("TOKEN", &good);
        let (code, told, advice) =
            told(&allowing("allAuthenticatedUsers"), Method::GET, &[("authorization", &value)]);
        assert_eq!((code, told.as_str()), (Code::TokenMissing, evidence), "{value}");
        assert!(advice.contains(hint), "{value}: {advice}");
        let passes = outcome(&allowing("allUsers"), Method::GET, "/", &[("authorization", &value)]);
        assert!(matches!(passes, Outcome::Permit(_)), "{value}: {passes:?}");
    };
    let scheme = "`Authorization` has the scheme \"Basic\", and an ID token stands behind `Bearer`";
    check("Basic YTpi", scheme, "send `Authorization: Bearer <ID token>`");
    let bare = "`Authorization` holds what looks like a token, without `Bearer ` in front of it";
    check("TOKEN", bare, "write `Bearer ` in front of it");
    check(
        "aws4-hmac-sha256 Credential=a",
        &scheme.replace("Basic", "AWS4-HMAC-SHA256"),
        "send `Authorization",
    );
    check("JWT TOKEN", &scheme.replace("Basic", "JWT"), "send `Authorization: Bearer <ID token>`");
    let without = "`Authorization` holds no `Bearer`; what stands there is no scheme that is known, may be a secret, and is not told";
    for secret in
        ["ya29.a0AfH6SMBx", "hunter2", "5f4dcc3b5aa765d61d83 x", "s3cr.et x", "correct horse battery staple"]
    {
        check(secret, without, "send `Authorization: Bearer <ID token>`");
    }
}

#[test]
fn a_bearer_token_where_none_is_read_is_told() {
    let snapshot = snapshot(
        "project: demo-project\nallow: [allAuthenticatedUsers]\nusers: { accept: [session_cookie, id_token] }\n\
         backends: { api: { url: 'https://api.example.com', token_sources: [cookie] } }\n",
    );
    let bearer = format!("Bearer {}", token(json!({})));
    let (code, evidence, hint) = told(&snapshot, Method::GET, &[("authorization", &bearer)]);
    assert_eq!(code, Code::TokenMissing);
    assert_eq!(
        evidence,
        "there is a bearer token in `Authorization`, where this backend looks for none (`token_sources`)"
    );
    assert!(hint.contains("`token_sources`"), "{hint}");
}
