//! Firegate's own tokens: what its exchange returns, and what it writes for services alone.

use firegate::explain::{DoorVerdict, Explanation, TokenForm};
use firegate_files::Configuration;
use serde_json::json;

use crate::{
    DOOR, NOW, SERVICE, explained_by_file, explained_without_keys, file, firegates_own, minimal, outline,
    signed,
};

const EXCHANGED: &str = "firegate-exchanged+jwt";
const ASSERTION: &str = "firegate-assertion+jwt";

fn accepting(backend: &str) -> Configuration {
    file(&format!(
        "project: my-project\nbackends: {{ api: {{ url: '{SERVICE}'{backend} }} }}\nallow: ['user:ada@example.com']\n\
         users: {{ accept: [id_token, exchanged_token] }}\nassertion: {{ issuer: '{DOOR}' }}\n"
    ))
}

fn federating() -> Configuration {
    accepting(
        ", credential: federate_user, service_account: api-users@my-project.iam.gserviceaccount.com, \
         workload_identity_provider: '//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/providers/users'",
    )
}

fn without_keys(token: &str) -> Explanation {
    let problem = format!("no keys from {DOOR}/.well-known/firegate/jwks.json: no connection");
    explained_without_keys(token, &accepting(""), &problem)
}

#[test]
fn an_exchanged_token() {
    let explanation = explained_by_file(&firegates_own(EXCHANGED, json!({})), &accepting(""));
    assert!(explanation.passes());
    assert_eq!(explanation.token.form, TokenForm::FiregateExchangedToken);
    insta::assert_snapshot!(outline(&explanation), @r#"
    user:ada@example.com Some(true): the user's verified address is "ada@example.com"
    Answers to GET / with this token
      Firegate     passes    goes on to https://my-service-abc-uc.a.run.app as user "ada", with
                             Firegate's own Google ID token for https://my-service-abc-uc.a.run.app in
                             X-Serverless-Authorization
      Cloud Run    401       FOREIGN_ISSUER: the token is from "https://door.example.com", and Cloud Run
                             accepts tokens of https://accounts.google.com alone
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`

    Advice
      Keep the service private, run Firegate before it, and let the app (or the load balancer) call
      Firegate instead; on the service, grant roles/run.invoker to Firegate's service account alone, not
      to allUsers.

        firegate serve \
          --config firegate.yaml

    Notes
      - the exchanged token of a user who is deleted or disabled keeps working until it expires (in 4
        min), because `users.revocation.check` is off
    "#);
}

#[test]
fn an_exchanged_token_without_the_doors_keys() {
    let explanation = without_keys(&firegates_own(EXCHANGED, json!({})));
    assert!(!explanation.passes());
    insta::assert_snapshot!(outline(&explanation), @r#"
    signature NotChecked -: found not checked: no keys from https://door.example.com/.well-known/firegate/jwks.json: no connection
    user:ada@example.com Some(true): the user's verified address is "ada@example.com"
    Answers to GET / with this token
      Firegate     depends   if the signature is valid, which was not checked (no keys from
                             https://door.example.com/.well-known/firegate/jwks.json: no connection):
                             goes on to https://my-service-abc-uc.a.run.app as user "ada", with
                             Firegate's own Google ID token for https://my-service-abc-uc.a.run.app in
                             X-Serverless-Authorization
      Cloud Run    401       FOREIGN_ISSUER: the token is from "https://door.example.com", and Cloud Run
                             accepts tokens of https://accounts.google.com alone
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`

    Advice
      Run this again where the front door answers at `assertion.issuer`: it publishes its keys there.

    Notes
      - the exchanged token of a user who is deleted or disabled keeps working until it expires (in 4
        min), because `users.revocation.check` is off
    "#);
    let of_eve = firegates_own(EXCHANGED, json!({"email": "eve@example.com"}));
    assert_eq!(
        without_keys(&of_eve).firegate.code,
        Some("NO_INVOKER_BINDING"),
        "no signature would change that"
    );
}

#[test]
fn an_exchanged_token_that_is_refused_is_told_why() {
    let check = |configuration: &Configuration, changes: serde_json::Value, code: &str, advice: &str| {
        let explanation = explained_by_file(&firegates_own(EXCHANGED, changes), configuration);
        assert_eq!(explanation.firegate.code, Some(code));
        assert_eq!(explanation.firegate.verdict, DoorVerdict::Refused);
        assert!(explanation.advice.contains(advice), "{}", explanation.advice);
    };
    let accepts = accepting("");
    check(
        &accepts,
        json!({"aud": "https://files.example.com"}),
        "TOKEN_WRONG_AUDIENCE",
        "for one backend alone",
    );
    check(&accepts, json!({"exp": NOW - 1, "iat": NOW - 60}), "TOKEN_EXPIRED", "five minutes");
    check(&accepts, json!({"iss": "https://other.example.com"}), "TOKEN_ISSUER_UNKNOWN", "Another Firegate");
    check(&federating(), json!({}), "TOKEN_IS_FIREGATES_OWN", "`credential: federate_user`");
    let text = format!(
        "project: my-project\nbackends: {{ api: {SERVICE} }}\nallow: [allAuthenticatedUsers]\n\
         assertion: {{ issuer: '{DOOR}' }}\n"
    );
    check(&file(&text), json!({}), "TOKEN_IS_FIREGATES_OWN", "add `exchanged_token` to `users.accept`");
}

#[test]
fn an_assertion_pasted_by_mistake() {
    let token = format!("X-Firegate-Assertion: {}", firegates_own(ASSERTION, json!({})));
    let explanation = explained_by_file(&token, &accepting(""));
    assert_eq!(explanation.token.form, TokenForm::FiregateAssertion);
    insta::assert_snapshot!(outline(&explanation), @r#"
    kind of token Failed TOKEN_IS_FIREGATES_OWN: found "https://door.example.com"
    algorithm Failed TOKEN_ALGORITHM_NOT_ALLOWED: found "ES256"
    header Failed TOKEN_HEADER_NOT_ALLOWED: found members ["alg", "kid", "typ"], typ "firegate-assertion+jwt"
    audience Failed TOKEN_WRONG_PROJECT: found "https://my-service-abc-uc.a.run.app"
    times NotChecked -: found auth_time 2027-01-15T07:59:00Z, iat 2027-01-15T07:59:00Z, exp 2027-01-15T08:04:00Z
    signature NotChecked -: found not checked: no accepted issuer's keys belong to it
    user:ada@example.com None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     401       TOKEN_IS_FIREGATES_OWN: the token was issued by Firegate itself, and is not
                             accepted here (action: SIGN_IN)
      Cloud Run    401       FOREIGN_ISSUER: the token is from "https://door.example.com", and Cloud Run
                             accepts tokens of https://accounts.google.com alone
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`

    Advice
      This is the assertion about the user that Firegate writes for the service, in
      `X-Firegate-Assertion`, and no token to call with: send the user's `getIdToken()`.

    Notes
      - `X-Firegate-Assertion:` before the token was left out
    "#);
    let elsewhere = explained_by_file(&token, &minimal(&["allAuthenticatedUsers"]));
    assert_eq!(elsewhere.advice, explanation.advice, "whoever's assertion it is");
}

#[test]
fn a_cut_token_of_firegates_is_called_so() {
    let token = firegates_own(EXCHANGED, json!({}));
    let explanation = explained_by_file(&token[..token.len() - 10], &accepting(""));
    assert_eq!(explanation.token.form, TokenForm::Cut);
    assert!(explanation.advice.contains("not whole"), "{}", explanation.advice);
}

#[test]
fn where_the_user_is_federated_the_google_token_is_not_firegates_own() {
    let explanation = explained_by_file(&signed(json!({})), &federating());
    assert!(explanation.passes());
    insta::assert_snapshot!(outline(&explanation), @r#"
    user:ada@example.com Some(true): the user's verified address is "ada@example.com"
    Answers to GET / with this token
      Firegate     passes    goes on to https://my-service-abc-uc.a.run.app as user "ada", with a Google
                             ID token of api-users@my-project.iam.gserviceaccount.com for
                             https://my-service-abc-uc.a.run.app in X-Serverless-Authorization, which
                             the user's own token is exchanged for: whether Google lets this user act as
                             that account is not known here
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
      Firegate instead; on the service, grant roles/run.invoker to
      api-users@my-project.iam.gserviceaccount.com alone, not to allUsers.

        firegate serve \
          --config firegate.yaml

    Notes
      - the token of a user who is deleted or disabled keeps working until it expires (in 59 min),
        because `users.revocation.check` is off; only refreshing it fails at once
    "#);
}
