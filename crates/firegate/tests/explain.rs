//! `firegate explain`, over tokens of every kind that people send.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, LazyLock};

use firegate::explain::{
    CheckVerdict, DoorVerdict, ExplainArguments, ExplainInput, ExplainOutcome, Explanation, OutputFormat,
    TokenForm, explain, render_text, run,
};
use firegate_core::decision::{Answer, Decision, Need, Outcome, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{CHECKS, KeyRing, KeyState, Obstacle, identify};
use firegate_core::jose::{KeySet, RsaSigner, encode_base64url};
use firegate_core::path::NormalPath;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::{Clock, UnixTime};
use firegate_files::Configuration;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
const SERVICE: &str = "https://my-service-abc-uc.a.run.app";
const CUSTOM_TOKEN_AUDIENCE: &str =
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// The issuer's key, under a name that a snapshot can hold.
static SIGNER: LazyLock<RsaSigner> = LazyLock::new(|| {
    let generated = RsaSigner::generate().expect("a key");
    RsaSigner::from_pkcs8("9bb16f3ce2d1a7b6", generated.pkcs8()).expect("a key")
});

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(NOW)
    }
}

fn published_keys() -> KeySet {
    KeySet::parse_rs256(json!({"keys": [SIGNER.public_jwk()]}).to_string().as_bytes()).expect("a key set")
}

fn ring() -> KeyRing {
    let keys = KeyState::Usable(Arc::new(published_keys()));
    KeyRing { id_token: keys.clone(), session_cookie: keys }
}

fn minimal(members: &[&str]) -> Configuration {
    let members = members.iter().map(|&member| member.to_owned()).collect::<Vec<_>>();
    Configuration::minimal("my-project", SERVICE, &members).expect("a configuration")
}

fn file(text: &str) -> Configuration {
    firegate_files::configuration::parse("firegate.yaml", text).expect("a configuration")
}

/// The claims of a token as `getIdToken()` returns it, with some replaced, or removed where the replacement is null.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "https://securetoken.google.com/my-project", "aud": "my-project", "auth_time": NOW - 60,
        "user_id": "ada", "sub": "ada", "iat": NOW - 60, "exp": NOW + 3540, "email": "ada@example.com",
        "email_verified": true,
        "firebase": {"identities": {"email": ["ada@example.com"]}, "sign_in_provider": "password"},
    });
    let members = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    claims
}

fn signed(changes: Value) -> String {
    SIGNER.sign(&claims(changes)).expect("a token")
}

fn google_token(audience: &str) -> String {
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": audience, "azp": "1", "sub": "108", "iat": NOW - 60,
        "exp": NOW + 3540, "email": "caller@my-project.iam.gserviceaccount.com", "email_verified": true,
    });
    SIGNER.sign(&claims).expect("a token")
}

fn custom_token() -> String {
    let account = "firebase-adminsdk@my-project.iam.gserviceaccount.com";
    let claims = json!({
        "iss": account, "sub": account, "aud": CUSTOM_TOKEN_AUDIENCE, "iat": NOW, "exp": NOW + 3600, "uid": "ada",
    });
    let [header, claims] = [json!({"alg": "RS256", "typ": "JWT"}), claims]
        .map(|part| encode_base64url(part.to_string().as_bytes()));
    format!("{header}.{claims}.{}", encode_base64url(&[7; 256]))
}

fn unsigned(changes: Value) -> String {
    let [header, claims] = [json!({"alg": "none", "typ": "JWT"}), claims(changes)]
        .map(|part| encode_base64url(part.to_string().as_bytes()));
    format!("{header}.{claims}.")
}

fn input<'a>(token: &'a str, configuration: &'a Configuration, keys: &'a KeyRing) -> ExplainInput<'a> {
    ExplainInput {
        token,
        configuration,
        configuration_file: None,
        path: "/",
        keys,
        google_keys: None,
        keys_problem: None,
        assumptions: Vec::new(),
        now: UnixTime::from_seconds(NOW),
    }
}

fn explained(token: &str, configuration: &Configuration) -> Explanation {
    let google = published_keys();
    explain(ExplainInput { google_keys: Some(&google), ..input(token, configuration, &ring()) })
}

/// What is wrong, and everything from the answers on.
fn outline(explanation: &Explanation) -> String {
    let mut text = String::new();
    for check in explanation.checks.iter().filter(|check| check.verdict != CheckVerdict::Passed) {
        let code = check.code.unwrap_or("-");
        text.push_str(&format!("{} {:?} {code}: found {}\n", check.name, check.verdict, check.found));
    }
    for member in &explanation.members {
        text.push_str(&format!("{} {:?}: {}\n", member.member, member.matches, member.why));
    }
    let rendered = render_text(explanation, false);
    let answers = rendered.find("Answers to").expect("the answers");
    text + &rendered[answers..]
}

#[test]
fn the_question_is_answered() {
    let explanation = explained(&signed(json!({})), &minimal(&["allAuthenticatedUsers"]));
    assert_eq!(explanation.firegate.verdict, DoorVerdict::Passes);
    assert_eq!(explanation.cloud_run.as_ref().and_then(|answer| answer.status), Some(401));
    insta::assert_snapshot!(render_text(&explanation, false), @r#"
    Firebase ID token, user "ada" (ada@example.com)
      header     alg: "RS256", kid: "9bb16f3ce2d1a7b6", typ: "JWT"
      claims     iss: "https://securetoken.google.com/my-project", aud: "my-project",
                 auth_time: 1799999940, user_id: "ada", sub: "ada", iat: 1799999940, exp: 1800003540,
                 email: "ada@example.com", email_verified: true,
                 firebase: {"identities":{"email":["ada@example.com"]},"sign_in_provider":"password"}
      signed in  2027-01-15 07:59:00 UTC, 1 min ago
      issued     2027-01-15 07:59:00 UTC, 1 min ago
      expires    2027-01-15 08:59:00 UTC, in 59 min

    Checks, in Firegate's order
      passed       kind of token  expected  https://securetoken.google.com/my-project
                                  found     "https://securetoken.google.com/my-project"
      passed       algorithm      expected  RS256
                                  found     "RS256"
      passed       header         expected  typ JWT or none, a kid, no crit, b64, jku, jwk, x5u, x5c,
                                            zip
                                  found     members ["alg", "kid", "typ"], typ "JWT"
      passed       project        expected  "my-project", a string
                                  found     "my-project"
      passed       user id        expected  a string of 1 to 128 characters, none of them a control
                                            character
                                  found     "ada"
      passed       claims         expected  each of its own type
                                  found     as expected
      passed       times          expected  auth_time ≤ iat < exp, exp after 1800000000, none in the
                                            future (± 10 s)
                                  found     auth_time 1799999940, iat 1799999940, exp 1800003540
      passed       signature      expected  made by the published key that kid names
                                  found     valid, by key "9bb16f3ce2d1a7b6"
      passed       tenant         expected  none
                                  found     nothing
      passed       anonymous      expected  a provider other than anonymous
                                  found     "password"

    Members that may call "backend"
      matches      allAuthenticatedUsers
                   every user of the Firebase project "my-project" whom `users` admits

    Answers to GET / with this token
      Firegate     passes    goes on to https://my-service-abc-uc.a.run.app/ as user "ada", with
                             Firegate's own Google ID token for https://my-service-abc-uc.a.run.app in
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
      Keep the service private, run Firegate before it, and let the app (or the load balancer) call
      Firegate instead; on the service, grant roles/run.invoker to Firegate's service account alone, not
      to allUsers.

        firegate serve \
          --project my-project \
          --backend https://my-service-abc-uc.a.run.app \
          --allow allAuthenticatedUsers

    Notes
      - the token of a user who is deleted or disabled keeps working until it expires (in 59 min),
        because `users.revocation.check` is off; only refreshing it fails at once
    "#);
}

#[test]
fn an_expired_token() {
    let token = signed(json!({"auth_time": NOW - 7200, "iat": NOW - 7200, "exp": NOW - 3600}));
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    times Failed TOKEN_EXPIRED: found auth_time 1799992800, iat 1799992800, exp 1799996400
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     401       TOKEN_EXPIRED: the token has expired (action: REFRESH_TOKEN)
                   because   expired at 1799996400, 3600 s before 1800000000
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
      Call `getIdToken()` for every request instead of keeping the token: the SDK renews it when needed.
    "#);
}

#[test]
fn a_token_of_another_project() {
    let token = signed(json!({"iss": "https://securetoken.google.com/other", "aud": "other"}));
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    kind of token Failed TOKEN_WRONG_PROJECT: found "https://securetoken.google.com/other"
    project Failed TOKEN_WRONG_PROJECT: found "other"
    times NotChecked -: found auth_time 1799999940, iat 1799999940, exp 1800003540
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
    times NotChecked -: found auth_time 1799999940, iat 1799999940, exp 1800086400
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
    project Failed TOKEN_WRONG_PROJECT: found "https://my-service-abc-uc.a.run.app"
    claims Failed TOKEN_CLAIM_INVALID: found another type
    times Failed TOKEN_CLAIM_INVALID: found auth_time nothing, iat 1799999940, exp 1800003540
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
    project Failed TOKEN_WRONG_PROJECT: found "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"
    claims Failed TOKEN_CLAIM_INVALID: found another type
    times Failed TOKEN_CLAIM_INVALID: found auth_time nothing, iat 1800000000, exp 1800003600
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
fn a_user_of_a_tenant() {
    let firebase = json!({"firebase": {"sign_in_provider": "password", "tenant": "blue-x1y2z"}});
    let token = signed(firebase);
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    tenant Failed TENANT_NOT_ACCEPTED: found "blue-x1y2z"
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     403       TENANT_NOT_ACCEPTED: users of this tenant are not accepted
                   because   the user belongs to tenant "blue-x1y2z"
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
      Name the tenant in `users.tenants` and grant it with a `principalSet://…/attribute.tenant/TENANT`
      member.
    "#);
    let admitted = file(&format!(
        "project: my-project\nbackends: {{ api: {SERVICE} }}\nallow: ['user:ada@example.com', allAuthenticatedUsers]\n\
         users: {{ tenants: [blue-x1y2z] }}\n"
    ));
    let keys = ring();
    let given = ExplainInput { configuration_file: Some("firegate.yaml"), ..input(&token, &admitted, &keys) };
    insta::assert_snapshot!(outline(&explain(given)), @r#"
    user:ada@example.com Some(false): the user belongs to tenant "blue-x1y2z", and ids and addresses repeat across tenants: only a member that names the tenant can match
    allAuthenticatedUsers Some(true): every user of the Firebase project "my-project" whom `users` admits
    Answers to GET / with this token
      Firegate     passes    goes on to https://my-service-abc-uc.a.run.app/ as user "ada", with
                             Firegate's own Google ID token for https://my-service-abc-uc.a.run.app in
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
      Keep the service private, run Firegate before it, and let the app (or the load balancer) call
      Firegate instead; on the service, grant roles/run.invoker to Firegate's service account alone, not
      to allUsers.

        firegate serve \
          --config firegate.yaml

    Notes
      - the token of a user who is deleted or disabled keeps working until it expires (in 59 min),
        because `users.revocation.check` is off; only refreshing it fails at once
    "#);
}

#[test]
fn an_anonymous_user() {
    let token = signed(json!({
        "email": null, "email_verified": null, "provider_id": "anonymous",
        "firebase": {"identities": {}, "sign_in_provider": "anonymous"},
    }));
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    anonymous Failed ANONYMOUS_USER_NOT_ACCEPTED: found "anonymous"
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     403       ANONYMOUS_USER_NOT_ACCEPTED: anonymous users are not accepted (action:
                             SIGN_IN)
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
      Let the user sign in with a provider, or set `users: { anonymous: allow }`.
    "#);
}

#[test]
fn a_user_whom_no_member_names() {
    let pool = "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase";
    let configuration = minimal(&[
        "user:eve@example.com",
        "domain:example.org",
        "serviceAccount:caller@my-project.iam.gserviceaccount.com",
        &format!("principal://{pool}/subject/eve"),
        &format!("principalSet://{pool}/attribute.role/admin"),
        &format!("principalSet://{}/attribute.provider/password", pool.replace("/firebase", "/other")),
    ]);
    let token = signed(json!({"email_verified": false, "role": "editor"}));
    insta::assert_snapshot!(outline(&explained(&token, &configuration)), @r#"
    user:eve@example.com Some(false): the user's address "ada@example.com" is not verified, and only verified ones count
    domain:example.org Some(false): the user's address "ada@example.com" is not verified, and only verified ones count
    serviceAccount:caller@my-project.iam.gserviceaccount.com Some(false): a service account is a caller of Google's, never a signed-in user of the Firebase project
    principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/subject/eve Some(false): the user id is "ada"
    principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/attribute.role/admin Some(false): the user's `role` is "editor"
    principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/other/attribute.provider/password Some(false): the member is of pool "other" in project number 42; `users.identity_pool` or `project_number` names another
    Answers to GET / with this token
      Firegate     403       NO_INVOKER_BINDING: the user is not allowed to call this service
                   because   none of the members names the user, who is
                             principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/wor
                             kloadIdentityPools/firebase/subject/ada
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
      Add
      `principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/fir
      ebase/subject/ada` to the backend's `allow` for this user, or `allAuthenticatedUsers` for every
      signed-in user.
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
                             https://my-service-abc-uc.a.run.app/ as user "ada", with Firegate's own
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
      Keep the service private, run Firegate before it, and let the app (or the load balancer) call
      Firegate instead; on the service, grant roles/run.invoker to Firegate's service account alone, not
      to allUsers.

        firegate serve \
          --project my-project \
          --backend https://my-service-abc-uc.a.run.app \
          --allow allAuthenticatedUsers

    Notes
      - the token of a user who is deleted or disabled keeps working until it expires (in 59 min),
        because `users.revocation.check` is off; only refreshing it fails at once
    "#);
    let refused = minimal(&["user:eve@example.com"]);
    let explanation = explain(input(&token, &refused, &ring));
    assert_eq!(explanation.firegate.code, Some("NO_INVOKER_BINDING"), "no signature would change that");
}

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
    check("hello", TokenForm::Unreadable, "getIdToken()");
    check("{\"a\":1}", TokenForm::Unreadable, "getIdToken()");
    check("a.b.c", TokenForm::Unreadable, "getIdToken()");
    check(&"a".repeat(40_000), TokenForm::Unreadable, "getIdToken()");
    let explanation = explained("\u{1}", &configuration);
    assert_eq!(explanation.firegate.code, Some("REQUEST_MALFORMED"), "no header can carry it");
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
      Send the whole result of `getIdToken()`, unchanged; an OAuth access token (`ya29.…`) or an API key
      is no ID token.
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

#[test]
fn as_json() {
    let explanation = explained(&signed(json!({})), &minimal(&["allAuthenticatedUsers"]));
    insta::assert_snapshot!(serde_json::to_string_pretty(&explanation).expect("JSON"), @r#"
    {
      "token": {
        "form": "firebase_id_token",
        "uid": "ada",
        "issuer": "https://securetoken.google.com/my-project",
        "tenant": null,
        "email": "ada@example.com",
        "sign_in_provider": "password",
        "signed_in": {
          "seconds": 1799999940,
          "utc": "2027-01-15 07:59:00 UTC",
          "relative": "1 min ago"
        },
        "issued": {
          "seconds": 1799999940,
          "utc": "2027-01-15 07:59:00 UTC",
          "relative": "1 min ago"
        },
        "expires": {
          "seconds": 1800003540,
          "utc": "2027-01-15 08:59:00 UTC",
          "relative": "in 59 min"
        },
        "header": {
          "alg": "RS256",
          "kid": "9bb16f3ce2d1a7b6",
          "typ": "JWT"
        },
        "claims": {
          "iss": "https://securetoken.google.com/my-project",
          "aud": "my-project",
          "auth_time": 1799999940,
          "user_id": "ada",
          "sub": "ada",
          "iat": 1799999940,
          "exp": 1800003540,
          "email": "ada@example.com",
          "email_verified": true,
          "firebase": {
            "identities": {
              "email": [
                "ada@example.com"
              ]
            },
            "sign_in_provider": "password"
          }
        }
      },
      "checks": [
        {
          "name": "kind of token",
          "source": "iss; Firebase: verify ID tokens using a third-party JWT library",
          "expected": "https://securetoken.google.com/my-project",
          "found": "\"https://securetoken.google.com/my-project\"",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "algorithm",
          "source": "alg; RFC 8725, section 3.1",
          "expected": "RS256",
          "found": "\"RS256\"",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "header",
          "source": "typ, kid, crit; RFC 7515, section 4.1",
          "expected": "typ JWT or none, a kid, no crit, b64, jku, jwk, x5u, x5c, zip",
          "found": "members [\"alg\", \"kid\", \"typ\"], typ \"JWT\"",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "project",
          "source": "aud; Firebase: verify ID tokens",
          "expected": "\"my-project\", a string",
          "found": "\"my-project\"",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "user id",
          "source": "sub; Firebase: a non-empty string of at most 128 characters",
          "expected": "a string of 1 to 128 characters, none of them a control character",
          "found": "\"ada\"",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "claims",
          "source": "email, email_verified, firebase; the token format",
          "expected": "each of its own type",
          "found": "as expected",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "times",
          "source": "exp, iat, auth_time, nbf; RFC 7519, section 4.1",
          "expected": "auth_time ≤ iat < exp, exp after 1800000000, none in the future (± 10 s)",
          "found": "auth_time 1799999940, iat 1799999940, exp 1800003540",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "signature",
          "source": "the issuer's published keys; RFC 7518, section 3.3",
          "expected": "made by the published key that kid names",
          "found": "valid, by key \"9bb16f3ce2d1a7b6\"",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "tenant",
          "source": "users.tenants",
          "expected": "none",
          "found": "nothing",
          "verdict": "passed",
          "code": null,
          "evidence": null
        },
        {
          "name": "anonymous",
          "source": "users.anonymous",
          "expected": "a provider other than anonymous",
          "found": "\"password\"",
          "verdict": "passed",
          "code": null,
          "evidence": null
        }
      ],
      "path": "/",
      "backend": "backend",
      "members": [
        {
          "member": "allAuthenticatedUsers",
          "matches": true,
          "why": "every user of the Firebase project \"my-project\" whom `users` admits"
        }
      ],
      "firegate": {
        "verdict": "passes",
        "status": null,
        "code": null,
        "stage": null,
        "action": null,
        "message": "goes on to https://my-service-abc-uc.a.run.app/ as user \"ada\", with Firegate's own Google ID token for https://my-service-abc-uc.a.run.app in X-Serverless-Authorization",
        "evidence": null,
        "hint": null
      },
      "cloud_run": {
        "url": "https://my-service-abc-uc.a.run.app",
        "verdict": "refused",
        "status": 401,
        "cause": "FIREBASE_TOKEN",
        "message": "the issuer is not Google: expected https://accounts.google.com, found https://securetoken.google.com/my-project",
        "body": "an HTML page, and `www-authenticate: Bearer error=\"invalid_token\"`",
        "log_text": "The request was not authorized to invoke this service. Read more at https://cloud.google.com/run/docs/securing/authenticating Additional troubleshooting documentation can be found at: https://cloud.google.com/run/docs/troubleshooting#401 The access token could not be verified.",
        "remarks": [
          "a custom audience cannot help: it adds to the audiences that are accepted, not to the issuers",
          "`allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users of Firebase are not among them",
          "`allUsers` makes the 401 go away because nobody's token is asked for any more: the service is open to the world"
        ]
      },
      "advice": "Keep the service private, run Firegate before it, and let the app (or the load balancer) call Firegate instead; on the service, grant roles/run.invoker to Firegate's service account alone, not to allUsers.",
      "command": "firegate serve --project my-project --backend https://my-service-abc-uc.a.run.app --allow allAuthenticatedUsers",
      "notes": [
        "the token of a user who is deleted or disabled keeps working until it expires (in 59 min), because `users.revocation.check` is off; only refreshing it fails at once"
      ]
    }
    "#);
}

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

/// What the front door's own machine says, driven here by hand.
fn decided(token: &str, snapshot: &Snapshot, keys: &KeyRing) -> Option<&'static str> {
    let headers =
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().expect("a value"))]);
    let path = NormalPath::parse("/").expect("a path");
    let facts = RequestFacts { method: &Method::GET, path, headers: &headers };
    let world = World { snapshot, keys, now: UnixTime::from_seconds(NOW) };
    let mut step = Decision::start(&facts, &world);
    loop {
        step = match step {
            Step::Done(Outcome::Permit(_) | Outcome::Respond(_)) => return None,
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
    for members in [&["allAuthenticatedUsers"][..], &["user:ada@example.com"], &["allUsers"]] {
        let configuration = minimal(members);
        let snapshot = Snapshot::compile(&configuration);
        for token in corpus() {
            let explanation = explain(input(&token, &configuration, &keys));
            let pasted = token.replace(' ', "");
            assert_eq!(explanation.firegate.code, decided(&pasted, &snapshot, &keys), "{members:?} {token}");
            assert_eq!(explanation.passes(), explanation.firegate.code.is_none(), "{members:?} {token}");
            let failed = explanation.checks.iter().find(|check| check.verdict == CheckVerdict::Failed);
            let refused = match identify(&pasted, &snapshot.identity, &keys, UnixTime::from_seconds(NOW)) {
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
        let google = published_keys();
        let google_keys = has_keys.then_some(&google);
        let explanation = explain(ExplainInput { google_keys, ..input(&token, &configuration, &keys) });
        assert_signature_is_hidden(&token, &explanation);
    }
}

fn arguments(token: &str) -> ExplainArguments {
    ExplainArguments {
        token: Some(token.to_owned()),
        config: None,
        project: None,
        backend: Some(SERVICE.to_owned()),
        allow: Vec::new(),
        path: "/".to_owned(),
        id_token_keys: None,
        output: OutputFormat::Json,
    }
}

async fn ran(arguments: ExplainArguments) -> (ExplainOutcome, Value) {
    let mut out = Vec::new();
    let outcome = run(arguments, Arc::new(FixedClock), &mut out, false).await.expect("an outcome");
    (outcome, serde_json::from_slice(&out).unwrap_or_default())
}

#[tokio::test]
async fn the_command_reads_keys_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    std::fs::write(&file, json!({"keys": [SIGNER.public_jwk()]}).to_string()).expect("a file");
    let id_token_keys = Some(file.display().to_string());
    let (outcome, explanation) =
        ran(ExplainArguments { id_token_keys: id_token_keys.clone(), ..arguments(&signed(json!({}))) }).await;
    assert_eq!(outcome, ExplainOutcome::Passes);
    assert_eq!(explanation["firegate"]["verdict"], "passes");
    assert_eq!(explanation["cloud_run"]["cause"], "FIREBASE_TOKEN");
    let notes = explanation["notes"].to_string();
    assert!(notes.contains("taken from the token") && notes.contains("no --allow"), "{notes}");

    let of_eve = vec!["user:eve@example.com".to_owned()];
    let (outcome, explanation) =
        ran(ExplainArguments { id_token_keys, allow: of_eve, ..arguments(&signed(json!({}))) }).await;
    assert_eq!(outcome, ExplainOutcome::Refused);
    assert_eq!(explanation["firegate"]["code"], "NO_INVOKER_BINDING");
}

#[tokio::test]
async fn the_command_fetches_keys_and_says_when_it_cannot() {
    let document = json!({"keys": [SIGNER.public_jwk()]}).to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let service = axum::Router::new().route("/keys", axum::routing::get(async move || document));
    let server = tokio::spawn(axum::serve(listener, service).into_future());
    let id_token_keys = Some(format!("http://{address}/keys"));
    let given = ExplainArguments { id_token_keys, ..arguments(&signed(json!({}))) };
    let (outcome, explanation) = ran(given.clone()).await;
    assert_eq!((outcome, &explanation["firegate"]["verdict"]), (ExplainOutcome::Passes, &json!("passes")));

    let not_there =
        ExplainArguments { id_token_keys: Some(format!("http://{address}/nothing")), ..given.clone() };
    let (outcome, explanation) = ran(not_there).await;
    assert_eq!((outcome, &explanation["firegate"]["verdict"]), (ExplainOutcome::Refused, &json!("depends")));
    let message = explanation["firegate"]["message"].to_string();
    assert!(message.contains("if the signature is valid") && message.contains("status 404"), "{message}");

    server.abort();
    assert!(server.await.is_err());
    let (_, explanation) = ran(given).await;
    let message = explanation["firegate"]["message"].to_string();
    assert!(message.contains("connection refused"), "{message}");
}

#[tokio::test]
async fn bad_input_is_told_from_a_refusal() {
    let (outcome, _) =
        ran(ExplainArguments { backend: Some("not a URL".to_owned()), ..arguments(&signed(json!({}))) })
            .await;
    assert_eq!(outcome, ExplainOutcome::BadInput);
    let check = async |arguments: ExplainArguments, words: &str| {
        let result = run(arguments, Arc::new(FixedClock), &mut Vec::new(), false).await;
        let error = result.expect_err("an error").to_string();
        assert!(error.contains(words), "{error}");
    };
    check(ExplainArguments { backend: None, ..arguments("a.b.c") }, "there is no configuration").await;
    check(arguments("a.b.c"), "the token names none").await;
    check(arguments("  "), "there is no token").await;
    let config = Some("/nonexistent/firegate.yaml".into());
    check(ExplainArguments { config, backend: None, ..arguments("a.b.c") }, "cannot be read").await;
}
