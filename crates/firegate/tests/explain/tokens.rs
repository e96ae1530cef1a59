//! Tokens of the wrong kind, project or time, and where keys are missing.

use firegate::explain::{DoorVerdict, ExplainInput, explain};
use firegate_core::identity::KeyRing;
use serde_json::json;

use crate::{NOW, SERVICE, custom_token, explained, google_token, input, minimal, outline, signed, unsigned};

#[test]
fn an_expired_token() {
    let token = signed(json!({"auth_time": NOW - 7200, "iat": NOW - 7200, "exp": NOW - 3600}));
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    times Failed TOKEN_EXPIRED: found auth_time 2027-01-15T06:00:00Z, iat 2027-01-15T06:00:00Z, exp 2027-01-15T07:00:00Z
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     401       TOKEN_EXPIRED: the token has expired (action: REFRESH_TOKEN)
                   because   expired at 2027-01-15T07:00:00Z, 1 h before 2027-01-15T08:00:00Z
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found
                             https://securetoken.google.com/my-project
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      Call `getIdToken()` for every request instead of keeping the token: the SDK renews it when needed;
      if fresh tokens are refused too, the clock of the machine that runs Firegate is fast.
    "#);
}

#[test]
fn a_token_of_another_project() {
    let token = signed(json!({"iss": "https://securetoken.google.com/other", "aud": "other"}));
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    kind of token Failed TOKEN_WRONG_PROJECT: found "https://securetoken.google.com/other"
    audience Failed TOKEN_WRONG_PROJECT: found "other"
    times NotChecked -: found auth_time 2027-01-15T07:59:00Z, iat 2027-01-15T07:59:00Z, exp 2027-01-15T08:59:00Z
    signature NotChecked -: found not checked: no accepted issuer's keys belong to it
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     401       TOKEN_WRONG_PROJECT: the token belongs to another Firebase project (action:
                             SIGN_IN)
                   because   expected project "my-project", found "other"
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found https://securetoken.google.com/other
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      Check `projectId` of the app's Firebase configuration against `project` of Firegate's; it is the
      project's ID, not its number.
    "#);
}

#[test]
fn a_session_cookie() {
    let token = signed(json!({"iss": "https://session.firebase.google.com/my-project", "exp": NOW + 86_400}));
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    kind of token Failed TOKEN_IS_SESSION_COOKIE: found "https://session.firebase.google.com/my-project"
    times NotChecked -: found auth_time 2027-01-15T07:59:00Z, iat 2027-01-15T07:59:00Z, exp 2027-01-16T08:00:00Z
    signature NotChecked -: found not checked: no accepted issuer's keys belong to it
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     401       TOKEN_IS_SESSION_COOKIE: the token is a session cookie, not an ID token
                             (action: SIGN_IN)
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found
                             https://session.firebase.google.com/my-project
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      Send the user's `getIdToken()`, or add `session_cookie` to `users.accept`.
    "#);
}

#[test]
fn a_google_id_token_for_the_service() {
    let explanation = explained(&google_token(SERVICE), &minimal(&["allAuthenticatedUsers"]));
    assert_eq!(explanation.cloud_run.as_ref().map(|answer| answer.verdict), Some(DoorVerdict::Depends));
    insta::assert_snapshot!(outline(&explanation), @r#"
    kind of token Failed TOKEN_IS_GOOGLE_ID_TOKEN: found "https://accounts.google.com"
    audience Failed TOKEN_WRONG_PROJECT: found "https://my-service-abc-uc.a.run.app"
    claims Failed TOKEN_CLAIM_INVALID: found another type
    times Failed TOKEN_CLAIM_INVALID: found auth_time nothing, iat 2027-01-15T07:59:00Z, exp 2027-01-15T08:59:00Z
    signature NotChecked -: found not checked: no accepted issuer's keys belong to it
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     401       TOKEN_IS_GOOGLE_ID_TOKEN: the token is a Google ID token, not a Firebase ID
                             token (action: SIGN_IN)
      Cloud Run    depends   if "caller@my-project.iam.gserviceaccount.com" has roles/run.invoker on the
                             service it passes, else it is 403; issuer, audience and expiry are in order
                   asked at  https://my-service-abc-uc.a.run.app
                   - who has the role is not known here: `gcloud run services get-iam-policy SERVICE`
                     lists the bindings

    Advice
      This token is a machine's: send it to the service itself. Users of the app go through Firegate
      with the Firebase user's `getIdToken()`.
    "#);
}

#[test]
fn a_google_id_token_without_googles_keys_and_for_another_audience() {
    let configuration = minimal(&["allAuthenticatedUsers"]);
    let ring = KeyRing::default();
    let check = |audience: &str, problem: Option<&str>, expected: DoorVerdict, words: &str| {
        let token = google_token(audience);
        let keys_problem = problem.map(str::to_owned);
        let explanation = explain(ExplainInput { keys_problem, ..input(&token, &configuration, &ring) });
        let answer = explanation.cloud_run.expect("an answer");
        assert_eq!(answer.verdict, expected, "{audience}");
        assert!(answer.message.contains(words), "{audience}: {}", answer.message);
        assert_eq!(explanation.notes, problem.map(str::to_owned).into_iter().collect::<Vec<_>>());
    };
    check(SERVICE, Some("no keys"), DoorVerdict::Depends, "if the signature is Google's");
    check("https://api.example.com", None, DoorVerdict::Refused, "the token is for the audience");
    check(&format!("{SERVICE}/path"), None, DoorVerdict::Refused, "the token is for the audience");
}

#[test]
fn a_custom_token() {
    insta::assert_snapshot!(outline(&explained(&custom_token(), &minimal(&["allAuthenticatedUsers"]))), @r#"
    kind of token Failed TOKEN_IS_CUSTOM_TOKEN: found "firebase-adminsdk@my-project.iam.gserviceaccount.com"
    header Failed TOKEN_HEADER_NOT_ALLOWED: found members ["alg", "typ"], typ "JWT"
    audience Failed TOKEN_WRONG_PROJECT: found "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"
    claims Failed TOKEN_CLAIM_INVALID: found another type
    times Failed TOKEN_CLAIM_INVALID: found auth_time nothing, iat 2027-01-15T08:00:00Z, exp 2027-01-15T09:00:00Z
    signature NotChecked -: found not checked: no accepted issuer's keys belong to it
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     401       TOKEN_IS_CUSTOM_TOKEN: the token is a custom token, not an ID token
                             (action: SIGN_IN)
      Cloud Run    401       FOREIGN_ISSUER: the token is from
                             "firebase-adminsdk@my-project.iam.gserviceaccount.com", and Cloud Run
                             accepts tokens of https://accounts.google.com alone
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`

    Advice
      Exchange it in the app with `signInWithCustomToken(auth, token)` and send the user's
      `getIdToken()`.
    "#);
}

#[test]
fn an_unsigned_token_of_an_emulator() {
    insta::assert_snapshot!(outline(&explained(&unsigned(json!({})), &minimal(&["allAuthenticatedUsers"]))), @r#"
    algorithm Failed TOKEN_UNSIGNED: found "none"
    header Failed TOKEN_HEADER_NOT_ALLOWED: found members ["alg", "typ"], typ "JWT"
    signature Failed TOKEN_KEY_UNKNOWN: found no signature
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     401       TOKEN_UNSIGNED: the token is not signed (action: SIGN_IN)
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found
                             https://securetoken.google.com/my-project
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      The app is connected to an Auth emulator: for local work put `firegate dev` behind it; for
      production take `connectAuthEmulator` out of the app's build.
    "#);
}

#[test]
fn without_keys_the_answer_says_what_it_depends_on() {
    let (token, configuration, ring) =
        (signed(json!({})), minimal(&["allAuthenticatedUsers"]), KeyRing::default());
    let keys_problem = Some("no keys from https://www.googleapis.com/x: no connection".to_owned());
    let explanation = explain(ExplainInput { keys_problem, ..input(&token, &configuration, &ring) });
    assert!(!explanation.passes());
    insta::assert_snapshot!(outline(&explanation), @r#"
    signature NotChecked -: found not checked: no keys from https://www.googleapis.com/x: no connection
    allAuthenticatedUsers Some(true): every user of the Firebase project "my-project" whom `users` admits
    Answers to GET / with this token
      Firegate     depends   if the signature is valid, which was not checked (no keys from
                             https://www.googleapis.com/x: no connection): goes on to
                             https://my-service-abc-uc.a.run.app as user "ada", with Firegate's own
                             Google ID token for https://my-service-abc-uc.a.run.app in
                             X-Serverless-Authorization
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found
                             https://securetoken.google.com/my-project
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      Run this again where the keys can be fetched, or name them: --id-token-keys with a file or URL.

    Notes
      - the token of a user who is deleted or disabled keeps working until it expires (in 59 min),
        because `users.revocation.check` is off; only refreshing it fails at once
    "#);
    let refused = minimal(&["user:eve@example.com"]);
    let explanation = explain(input(&token, &refused, &ring));
    assert_eq!(explanation.firegate.code, Some("NO_INVOKER_BINDING"), "no signature would change that");
}
