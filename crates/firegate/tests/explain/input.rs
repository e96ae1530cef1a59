//! What people paste instead of a token, or around it, and the path that they ask for.

use firegate::explain::{ExplainInput, TokenForm, explain, render_text};
use serde_json::json;

use crate::{SERVICE, explained, file, input, minimal, ring, signed};

#[test]
fn what_is_no_token_gets_an_advice_of_its_own() {
    let configuration = minimal(&["allAuthenticatedUsers"]);
    let token = signed(json!({}));
    let (unsigned_part, signature) = token.rsplit_once('.').expect("a signature");
    let check = |text: &str, form: TokenForm, advice: &str| {
        let explanation = explained(text, &configuration);
        assert_eq!(explanation.token.form, form, "{text}");
        assert_eq!(explanation.firegate.status, Some(401), "{text}");
        assert!(explanation.advice.contains(advice), "{text}: {}", explanation.advice);
    };
    check("ya29.a0AfB_byC-not-a-jwt", TokenForm::GoogleAccessToken, "access token");
    check("ya29.c.b0Aaekm1K", TokenForm::GoogleAccessToken, "access token");
    check("AIzaSyD-example-api-key", TokenForm::ApiKey, "API key");
    check(unsigned_part, TokenForm::Cut, "not whole");
    check(&token[..200], TokenForm::Cut, "not whole");
    check(&format!("{unsigned_part}.{}", &signature[..100]), TokenForm::Cut, "not whole");
    check(&format!("{unsigned_part}.{}", &signature[..101]), TokenForm::Cut, "not whole");
    check(
        &format!("{unsigned_part}.SIGNATURE_REMOVED_BY_GOOGLE"),
        TokenForm::SignatureRemoved,
        "Cloud Run service",
    );
    check("eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d", TokenForm::Encrypted, "encrypted");
    check(&format!("{token}{token}"), TokenForm::Several, "send one of them alone");
    check(&format!("{token} {token}"), TokenForm::Several, "send one of them alone");
    check(&token.repeat(3), TokenForm::Several, "send one of them alone");
    check("[object Promise]", TokenForm::Unreadable, "Write `await` before `getIdToken()`");
    check("hello", TokenForm::Unreadable, "getIdToken()");
    check("{\"a\":1}", TokenForm::Unreadable, "getIdToken()");
    check("a.b.c", TokenForm::Unreadable, "getIdToken()");
    check(&"a".repeat(40_000), TokenForm::Unreadable, "getIdToken()");
    let explanation = explained("\u{1}", &configuration);
    assert_eq!(explanation.firegate.code, Some("REQUEST_MALFORMED"), "no header can carry it");
}

/// What the door refuses wherever it is sent, it also refuses where everyone may call.
#[test]
fn an_object_as_a_text_passes_nowhere() {
    for members in ["allAuthenticatedUsers", "allUsers"] {
        let explanation = explained("Bearer [object Promise]", &minimal(&[members]));
        assert!(!explanation.passes(), "{members}");
        assert_eq!(explanation.firegate.code, Some("TOKEN_MALFORMED"), "{members}");
        let evidence = explanation.firegate.evidence.unwrap_or_default();
        assert!(evidence.contains("was `await` forgotten?"), "{evidence}");
    }
}

#[test]
fn garbage() {
    insta::assert_snapshot!(
        render_text(&explained("hello", &minimal(&["allAuthenticatedUsers"])), false),
        @r#"
    Text that is no token

    Checks, in Firegate's order
      none could be made: the text cannot be taken apart as a JSON Web Token

    Members that may call "backend"
      not checked  allAuthenticatedUsers
                   the token did not pass its checks, so that there is no user to compare with

    Answers to GET / with this token
      Firegate     401       TOKEN_MALFORMED: the token is not a JSON Web Token (action: SIGN_IN)
                   because   the token does not have three parts separated by dots
      Cloud Run    401       MALFORMED: the credential is no JSON Web Token: the token does not have
                             three parts separated by dots
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`

    Advice
      Send the whole result of `getIdToken()`, unchanged; an OAuth access token (`ya29.…`), a refresh
      token (`AMf-…`) or an API key is no ID token.
    "#
    );
}

#[test]
fn what_was_pasted_along_is_taken_off_and_said_so() {
    let configuration = minimal(&["allAuthenticatedUsers"]);
    let explanation = explained(&format!("\"Bearer {}\"\n", signed(json!({}))), &configuration);
    assert!(explanation.passes());
    assert_eq!(explanation.notes.len(), 3, "{:?}", explanation.notes);
}

#[test]
fn a_path_has_a_backend_or_none() {
    let configuration = file(&format!(
        "project: my-project\nallow: [allAuthenticatedUsers]\n\
         backends: {{ api: {SERVICE}, open: {{ url: 'http://127.0.0.1:9000', allow: [allUsers] }} }}\n\
         routes: [{{ path: /public/*, backend: open }}, {{ path: /api/*, backend: api }}]\n"
    ));
    let keys = ring();
    let check = |token: &str, path: &str, backend: Option<&str>, code: Option<&str>| {
        let explanation = explain(ExplainInput { path, ..input(token, &configuration, &keys) });
        assert_eq!((explanation.backend.as_deref(), explanation.firegate.code), (backend, code), "{path}");
        assert_eq!(explanation.cloud_run.is_some(), backend.is_some(), "{path}");
    };
    let token = signed(json!({}));
    check(&token, "/api/x", Some("api"), None);
    check(&token, "/elsewhere", None, Some("ROUTE_NOT_FOUND"));
    check(&token, "/api/%2f", None, Some("REQUEST_MALFORMED"));
    check("hello", "/api/x", Some("api"), Some("TOKEN_MALFORMED"));
    check("hello", "/public/x", Some("open"), None);
}
