//! `--data`: accounts, keys and sessions outlive the process; without it nothing does.

use firegate::dev::DevArguments;
use firegate_core::jose::CompactJws;
use serde_json::{Value, json};

use crate::stack::{Call, Stack, text};

#[tokio::test(flavor = "multi_thread")]
async fn users_and_their_tokens_outlive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = || DevArguments { data: Some(folder.path().to_owned()), ..DevArguments::default() };
    let stack = Stack::with(arguments()).await;
    let body = json!({"email": "kept@example.com", "password": "secret-1", "returnSecureToken": true});
    let session = stack.identity("v1/accounts:signUp", body.clone()).await.ok();
    let keys = stack.door("/.well-known/firegate/jwks.json");
    let assertion_keys = Call::get(&keys).send().await.ok();
    let signed_by = |seen: &Value| {
        let token = text(&seen["headers"]["x-firegate-assertion"]);
        let jws = CompactJws::parse(&token).expect("an assertion");
        jws.header_text("kid").expect("a key id").to_owned()
    };
    let seen = Call::get(&stack.door("/")).bearer(&text(&session["idToken"])).send().await.ok();
    let signer = signed_by(&seen);
    stack.stop().await;

    let stack = Stack::with(arguments()).await;
    let seen = Call::get(&stack.door("/")).bearer(&text(&session["idToken"])).send().await.ok();
    assert_eq!(seen["user"]["sub"], session["localId"]);
    assert_eq!(signed_by(&seen), signer);
    assert_eq!(assertion_keys["keys"][0]["kid"], json!(signer));
    let refreshed = stack.refresh(&text(&session["refreshToken"])).await.ok();
    assert_eq!(refreshed["user_id"], session["localId"]);
    let again = stack.identity("v1/accounts:signInWithPassword", body).await.ok();
    assert_eq!(again["localId"], session["localId"]);
    let kept = Call::get(&stack.door("/.well-known/firegate/jwks.json")).send().await.ok();
    assert_eq!(kept, assertion_keys);
    stack.stop().await;

    let stack = Stack::start().await;
    let answer = Call::get(&stack.door("/")).bearer(&text(&session["idToken"])).send().await;
    answer.expect_refusal(401, "TOKEN_KEY_UNKNOWN", "REFRESH_TOKEN");
    stack.stop().await;
}
