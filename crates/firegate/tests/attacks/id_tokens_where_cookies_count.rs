//! A backend that everybody may call, of a project that accepts session cookies alone. An ID token there is no webhook's
//! secret, which is the service's own affair: whoever reads it without a look at the signature would see a user.

use serde_json::json;

use crate::project::{Key, Project, edited, expect, seen};

const OPEN: &str = "backends: { api: { url: 'SERVICE', token_sources: [authorization, cookie], user_token: forward } }\n\
    users: { accept: [session_cookie] }\nallow: [allUsers]";

#[tokio::test(flavor = "multi_thread")]
async fn no_id_token_passes_for_a_token_of_the_services_own() {
    let project = Project::open().await;
    let gate = project.gate(OPEN).await;
    let claims = project.id_claims();
    let forged =
        Key::Stranger.sign_as(&Key::IdToken.header(), edited(&claims, "sub", json!("root")).to_string());
    let cookie = format!("__session={}", project.session_cookie());
    for (token, why) in [
        (project.id_token(), "a good one"),
        (forged, "a forged one"),
        (Key::IdToken.sign(&edited(&claims, "exp", json!(1))), "an old one"),
        (
            Key::Stranger.sign(&edited(&claims, "iss", json!("http://securetoken.google.com/demo-project"))),
            "nearly one",
        ),
    ] {
        let refused = gate.call("/a").bearer(&token).send().await;
        expect(&refused, 401, "TOKEN_ISSUER_UNKNOWN", why);
        // What was sent on purpose counts, and does not fall back to what the browser sends.
        let beside = gate.call("/a").bearer(&token).header("cookie", &cookie).send().await;
        expect(&beside, 401, "TOKEN_ISSUER_UNKNOWN", why);
    }
    // A token of somebody else's is nobody's, and says nothing of a user.
    let others = Key::Stranger.sign(&json!({"iss": "https://issuer.example", "sub": "root"}));
    let call = gate.call("/a").bearer(&others).header("cookie", &cookie).header("x-firegate-user-id", "root");
    let passed = call.send().await.ok();
    assert_eq!(seen(&passed, "authorization"), Some(&*format!("Bearer {others}")));
    for name in ["cookie", "x-firegate-user-id", "x-firegate-assertion"] {
        assert_eq!(seen(&passed, name), None, "{name}");
    }
    let user = gate.call("/a").header("cookie", &cookie).send().await.ok();
    assert_eq!(seen(&user, "x-firegate-user-id"), Some("eve"));
    gate.close().await;
}
