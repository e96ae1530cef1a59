//! The question that people ask: a good token, and the service that refuses it.

use firegate::explain::{DoorVerdict, render_text};
use serde_json::json;

use crate::{explained, minimal, signed};

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
      passed       audience       expected  "my-project", a string
                                  found     "my-project"
      passed       user id        expected  a string of 1 to 128 characters, none of them a control
                                            character
                                  found     "ada"
      passed       claims         expected  each of its own type
                                  found     as expected
      passed       times          expected  auth_time ≤ iat < exp, exp after 2027-01-15T08:00:00Z, none
                                            more than 10 s in the future
                                  found     auth_time 2027-01-15T07:59:00Z, iat 2027-01-15T07:59:00Z,
                                            exp 2027-01-15T08:59:00Z
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
      Firegate     passes    goes on to https://my-service-abc-uc.a.run.app as user "ada", with
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

/// What programs go by: the names and types of the members. One check stands for all of them.
#[test]
fn programs_get_the_same_as_json() {
    let mut explanation = explained(&signed(json!({})), &minimal(&["allAuthenticatedUsers"]));
    explanation.checks.truncate(1);
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
        "message": "goes on to https://my-service-abc-uc.a.run.app as user \"ada\", with Firegate's own Google ID token for https://my-service-abc-uc.a.run.app in X-Serverless-Authorization",
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

#[test]
fn every_check_says_by_what_it_is_made() {
    let explanation = explained(&signed(json!({})), &minimal(&["allAuthenticatedUsers"]));
    let sources = explanation.checks.iter().map(|check| format!("{}: {}", check.name, check.source));
    insta::assert_snapshot!(sources.collect::<Vec<_>>().join("\n"), @"
    kind of token: iss; Firebase: verify ID tokens using a third-party JWT library
    algorithm: alg; RFC 8725, section 3.1
    header: typ, kid, crit; RFC 7515, section 4.1
    audience: aud; Firebase: verify ID tokens (the project), RFC 7519, section 4.1.3
    user id: sub; Firebase: a non-empty string of at most 128 characters
    claims: email, email_verified, firebase; the token format
    times: exp, iat, auth_time, nbf; RFC 7519, section 4.1
    signature: the issuer's published keys; RFC 7518, section 3.3
    tenant: users.tenants
    anonymous: users.anonymous
    ");
}
