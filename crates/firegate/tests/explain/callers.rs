//! Google's callers, such as Cloud Scheduler, where their ID tokens are accepted.

use firegate::explain::{DoorVerdict, Explanation, render_text};
use firegate_files::Configuration;
use serde_json::json;

use crate::{NOW, SERVICE, SIGNER, explained_by_file, explained_without_keys, file, google_token, outline};

const CALLER: &str = "serviceAccount:caller@my-project.iam.gserviceaccount.com";
const EXPECTED: &str = "https://scheduled.example.com";

/// A configuration that accepts what Cloud Scheduler sends, for one audience.
fn accepting(member: &str) -> Configuration {
    file(&format!(
        "project: my-project\nbackends: {{ api: {SERVICE} }}\nallow: ['{member}']\n\
         users: {{ accept: [id_token, google_id_token], google_audiences: ['{EXPECTED}'] }}\n"
    ))
}

fn without_keys(token: &str, member: &str) -> Explanation {
    let problem = "no keys from https://www.googleapis.com/x: no connection";
    explained_without_keys(token, &accepting(member), problem)
}

#[test]
fn a_scheduled_call_of_the_member() {
    let explanation = explained_by_file(&google_token(EXPECTED), &accepting(CALLER));
    assert!(explanation.passes());
    let text = render_text(&explanation, false);
    assert!(text.starts_with("Google ID token, account \"108\" (caller@my-project"), "{text}");
    insta::assert_snapshot!(outline(&explanation), @r#"
    serviceAccount:caller@my-project.iam.gserviceaccount.com Some(true): the caller is the Google account "caller@my-project.iam.gserviceaccount.com", which only `serviceAccount:` names
    Answers to GET / with this token
      Firegate     passes    goes on to https://my-service-abc-uc.a.run.app as the Google account
                             "caller@my-project.iam.gserviceaccount.com", with Firegate's own Google ID
                             token for https://my-service-abc-uc.a.run.app in X-Serverless-Authorization
      Cloud Run    401       AUDIENCE: the token is for the audience "https://scheduled.example.com",
                             and the service answers to ["https://my-service-abc-uc.a.run.app"]; fetch a
                             token for one of these, exactly as written
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`

    Advice
      Keep the service private, run Firegate before it, and let the job that sends this token call
      Firegate instead; on the service, grant roles/run.invoker to Firegate's service account alone, not
      to allUsers.

        firegate serve \
          --config firegate.yaml
    "#);
}

#[test]
fn a_scheduled_call_that_no_member_names() {
    let other = "serviceAccount:other@my-project.iam.gserviceaccount.com";
    insta::assert_snapshot!(outline(&explained_by_file(&google_token(EXPECTED), &accepting(other))), @r#"
    serviceAccount:other@my-project.iam.gserviceaccount.com Some(false): the caller is the Google account "caller@my-project.iam.gserviceaccount.com", which only `serviceAccount:` names
    Answers to GET / with this token
      Firegate     403       NO_INVOKER_BINDING: the user is not allowed to call this service
                   because   none of the members names the caller, who is
                             serviceAccount:caller@my-project.iam.gserviceaccount.com
      Cloud Run    401       AUDIENCE: the token is for the audience "https://scheduled.example.com",
                             and the service answers to ["https://my-service-abc-uc.a.run.app"]; fetch a
                             token for one of these, exactly as written
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`

    Advice
      Add `serviceAccount:caller@my-project.iam.gserviceaccount.com` to the backend's `allow` for this
      caller; `allAuthenticatedUsers` does not name it.
    "#);
    let everyone = explained_by_file(&google_token(EXPECTED), &accepting("allAuthenticatedUsers"));
    assert_eq!(everyone.firegate.code, Some("NO_INVOKER_BINDING"), "anyone can make a service account");
    let without = without_keys(&google_token(EXPECTED), other);
    assert_eq!(without.firegate.code, Some("NO_INVOKER_BINDING"), "no signature would change that");
}

#[test]
fn a_scheduled_call_without_googles_keys() {
    let explanation = without_keys(&google_token(EXPECTED), CALLER);
    assert!(!explanation.passes());
    insta::assert_snapshot!(outline(&explanation), @r#"
    signature NotChecked -: found not checked: no keys from https://www.googleapis.com/x: no connection
    serviceAccount:caller@my-project.iam.gserviceaccount.com Some(true): the caller is the Google account "caller@my-project.iam.gserviceaccount.com", which only `serviceAccount:` names
    Answers to GET / with this token
      Firegate     depends   if the signature is valid, which was not checked (no keys from
                             https://www.googleapis.com/x: no connection): goes on to
                             https://my-service-abc-uc.a.run.app as the Google account
                             "caller@my-project.iam.gserviceaccount.com", with Firegate's own Google ID
                             token for https://my-service-abc-uc.a.run.app in X-Serverless-Authorization
      Cloud Run    401       AUDIENCE: the token is for the audience "https://scheduled.example.com",
                             and the service answers to ["https://my-service-abc-uc.a.run.app"]; fetch a
                             token for one of these, exactly as written
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`

    Advice
      Run this again where the keys can be fetched.
    "#);
}

#[test]
fn a_googles_callers_token_that_is_not_accepted_is_told_why() {
    let check = |token: &str, code: &str, advice: &str| {
        for explanation in [explained_by_file(token, &accepting(CALLER)), without_keys(token, CALLER)] {
            assert_eq!(explanation.firegate.verdict, DoorVerdict::Refused, "{code}");
            assert_eq!(explanation.firegate.code, Some(code));
            assert!(explanation.advice.contains(advice), "{}", explanation.advice);
        }
    };
    let token = |email: &str, exp: i64| {
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": EXPECTED, "sub": "108", "iat": NOW - 3600, "exp": exp,
            "email": email, "email_verified": true,
        });
        SIGNER.sign(&claims).expect("a token")
    };
    check(&google_token(SERVICE), "TOKEN_WRONG_AUDIENCE", "`users.google_audiences`");
    check(&token("caller@my-project.iam.gserviceaccount.com", NOW - 1), "TOKEN_EXPIRED", "lives one hour");
    check(&token("ada@example.com", NOW), "TOKEN_IS_GOOGLE_ID_TOKEN", "sign in to Firebase");
}
