//! Believing an emulator's unsigned tokens is for users, whom a look-up can confirm. Nothing confirms an unsigned word about
//! a service account or an app: those stay unbelieved in `dev` too.

use firegate::dev::{DevArguments, Signing};
use serde_json::json;

use crate::project::{APP, GOOGLE_AUDIENCE, PROJECT_NUMBER, edited, stack_with};
use crate::stack::{Call, unsigned};

const CONFIGURATION: &str = "\
backends:
  api: { url: 'SERVICE', audience: api }
  app: { url: 'SERVICE', audience: app, app_check: required }
routes: [{ path: '/app', backend: app }, { path: '/*', backend: api }]
users:
  accept: [id_token, session_cookie, google_id_token, exchanged_token]
  google_audiences: ['https://api.example.com']
exchange: { enabled: true }
assertion: { issuer: 'http://127.0.0.1:9' }
allow: [allAuthenticatedUsers, 'serviceAccount:front-door@demo-firegate.iam.gserviceaccount.com']";

#[tokio::test(flavor = "multi_thread")]
async fn only_users_tokens_are_believed_without_a_signature() {
    let unsigned_tokens = DevArguments { token_signing: Signing::None, ..DevArguments::default() };
    let stack = stack_with(CONFIGURATION, unsigned_tokens).await;
    let now = stack.now();
    let id_token = stack.id_token().await;
    assert!(id_token.ends_with('.'), "it is unsigned");
    let send = async |token: &str| Call::get(&stack.door("/a")).bearer(token).send().await;
    send(&id_token).await.ok();
    send(&stack.google_id_token(GOOGLE_AUDIENCE).await).await.ok();

    let header = json!({"alg": "none", "typ": "JWT"});
    let times = json!({"iat": now - 60, "auth_time": now - 60, "exp": now + 3000});
    let with = |members: serde_json::Value| {
        let mut claims = times.clone();
        for (name, value) in members.as_object().expect("members") {
            claims[name] = value.clone();
        }
        claims
    };
    let google = with(json!({
        "iss": "https://accounts.google.com", "aud": GOOGLE_AUDIENCE, "sub": "1", "email_verified": true,
        "email": "front-door@demo-firegate.iam.gserviceaccount.com",
    }));
    for header in [header.clone(), edited(&header, "kid", json!("any"))] {
        let answer = send(&unsigned(header, google.clone(), b"")).await;
        answer.expect_refusal(401, "TOKEN_UNSIGNED", "SIGN_IN");
    }
    let issuer = "http://127.0.0.1:9";
    let exchanged = with(json!({
        "iss": issuer, "aud": "api", "sub": "eve", "firebase": {"sign_in_provider": "password"}, "claims": {},
    }));
    for typ in ["firegate-exchanged+jwt", "firegate-assertion+jwt", "JWT"] {
        let answer = send(&unsigned(edited(&header, "typ", json!(typ)), exchanged.clone(), b"")).await;
        assert_eq!(answer.status.as_u16(), 401, "{typ}: {:?}", answer.body);
    }
    let app = with(json!({
        "iss": format!("https://firebaseappcheck.googleapis.com/{PROJECT_NUMBER}"), "sub": APP,
        "aud": [format!("projects/{PROJECT_NUMBER}"), "projects/demo-firegate"],
    }));
    let attested = async |token: &str| {
        let call = Call::get(&stack.door("/app")).bearer(&id_token);
        call.header("x-firebase-appcheck", token).send().await
    };
    attested(&stack.app_check_token(APP).await).await.ok();
    let answer = attested(&unsigned(header.clone(), app, b"")).await;
    answer.expect_refusal(401, "APP_CHECK_TOKEN_INVALID", "NONE");

    // A user whom nobody knows, and one who is known under a signature that is no signature.
    let stranger = crate::stack::claims("demo-firegate", now);
    send(&unsigned(header.clone(), stranger.clone(), b"")).await.expect_refusal(
        401,
        "USER_NOT_FOUND",
        "SIGN_IN",
    );
    send(&unsigned(header, stranger, b"x")).await.expect_refusal(401, "TOKEN_UNSIGNED", "SIGN_IN");
    stack.stop().await;
}
