//! Unsigned tokens: believed by `firegate dev` when it is asked to, after a look-up, and only between local parts.

use firegate::dev::{Dev, DevArguments, Signing};
use serde_json::json;

use crate::stack::{Call, Stack, claims, clock, context, log, text, unsigned};

fn unsigned_tokens() -> DevArguments {
    DevArguments { token_signing: Signing::None, ..DevArguments::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_token_counts_after_a_look_up_of_the_account() {
    let stack = Stack::with(unsigned_tokens()).await;
    let session = stack.sign_in().await;
    let token = text(&session["idToken"]);
    assert!(token.ends_with('.'), "{token}");
    let send = async |token: &str| Call::get(&stack.door("/")).bearer(token).send().await;
    assert_eq!(send(&token).await.ok()["user"]["sub"], session["localId"]);

    let nobody = unsigned(json!({"alg": "none", "typ": "JWT"}), claims("demo-firegate", stack.now()), b"");
    send(&nobody).await.expect_refusal(401, "USER_NOT_FOUND", "SIGN_IN");

    let user = &session["localId"];
    stack.admin("/accounts:update", json!({"localId": user, "disableUser": true})).await;
    send(&token).await.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    stack.admin("/accounts:update", json!({"localId": user, "disableUser": false})).await;
    send(&token).await.ok();
    stack.clock.advance(60);
    stack.admin("/accounts:update", json!({"localId": user, "validSince": stack.now().to_string()})).await;
    send(&token).await.expect_refusal(401, "TOKEN_REVOKED", "SIGN_IN");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_emulator_can_be_attached() {
    let emulator = Stack::with(unsigned_tokens()).await;
    let identity = Some(emulator.dev.places.identity.clone());
    let stack = Stack::with(DevArguments { identity, ..DevArguments::default() }).await;
    let token = emulator.id_token().await;
    let seen = Call::get(&stack.door("/")).bearer(&token).send().await.ok();
    assert_eq!(seen["user"]["email"], json!("ada@example.com"));
    emulator.stop().await;
    let answer = Call::get(&stack.door("/")).bearer(&token).send().await;
    answer.expect_refusal(503, "USER_STATUS_UNAVAILABLE", "RETRY_LATER");
    stack.stop().await;
}

/// The Admin SDK takes unsigned tokens alone in its emulator mode, and says no more than that a signature is not valid.
#[tokio::test(flavor = "multi_thread")]
async fn who_serves_a_verifier_is_told_how_it_gets_unsigned_tokens() {
    log::begin();
    let verifier = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let check = async |name: &str, settings: &str, token_signing: Signing, expected: &str, is_told: bool| {
        let backend = format!("{{ url: '{}', credential: none, {settings} }}", verifier.dev.places.door);
        let text = format!(
            "project: demo-firegate\nbackends: {{ {name}: {backend} }}\nallow: [allAuthenticatedUsers]\n"
        );
        std::fs::write(&file, text).expect("a file");
        let arguments = DevArguments { config: Some(file.clone()), token_signing, ..DevArguments::default() };
        let stack = Stack::with(arguments).await;
        let token = stack.id_token().await;
        assert_eq!(Call::get(&stack.door("/")).bearer(&token).send().await.status.as_u16(), 401);
        let of_backend = format!("backend={name:?}");
        let is_it =
            |line: &str| line.contains(&of_backend) && line.contains("the service itself answered 401");
        let line = log::line(is_it).await;
        assert!(line.contains(expected), "{line}");
        assert_eq!(line.contains("--token-signing none"), is_told, "{line}");
        stack.stop().await;
    };
    check("forwarded", "user_token: forward", Signing::Rs256, "and it got the user's token", true).await;
    check("dropped", "user_token: drop", Signing::Rs256, "set `user_token: forward`", true).await;
    check("unsigned", "user_token: drop", Signing::None, "set `user_token: forward`", false).await;
    verifier.stop().await;
}

async fn check_refused(arguments: DevArguments, has_application_credentials: bool, expected: &str) {
    let error = match Dev::start(arguments, context(&clock(), has_application_credentials)).await {
        Ok(_) => panic!("{expected}: it started"),
        Err(error) => format!("{error:#}"),
    };
    assert!(error.contains(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_tokens_go_only_with_local_parts() {
    let url = |text: &str| Some(text.parse().expect("a URL"));
    check_refused(
        DevArguments { identity: url("http://192.168.1.5:9099"), ..DevArguments::default() },
        false,
        "is not on this machine",
    )
    .await;
    check_refused(DevArguments { lan: true, ..unsigned_tokens() }, false, "whole network").await;
    check_refused(unsigned_tokens(), true, "real application credentials").await;
    check_refused(
        DevArguments { service: url("https://api.example.com"), ..DevArguments::default() },
        false,
        "is not on this machine",
    )
    .await;
}
