//! CVE-2026-48042: JSON that nests without end overflowed the stack of who parsed it. Size, depth and number of members are
//! bounded before anything is judged, in every token and in every key set.

use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::routing::get;
use serde_json::json;

use crate::project::{Key, Project, edited, expect, shared};
use crate::stack::server::serve;
use crate::stack::{Call, at, close};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_bounded_before_it_is_read() {
    let project = Project::open().await;
    let text = "backends: { api: { url: 'SERVICE', token_sources: [authorization, cookie] }, app: { url: 'SERVICE', app_check: required } }\n\
                routes: [{ path: '/app', backend: app }, { path: '/*', backend: api }]\n\
                users: { accept: [id_token, session_cookie] }\nallow: [allAuthenticatedUsers]";
    let gate = project.gate(text).await;
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|number| format!("\"m{number}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    let with = |claims: &serde_json::Value, more: &str| {
        claims.to_string().replacen('{', &format!("{{\"x\":{more},"), 1)
    };
    for more in [nested(20), objects(20), members(300), json!("x".repeat(8000)).to_string()] {
        let payload = with(&project.id_claims(), &more);
        gate.admits(&Key::IdToken.sign_as(&Key::IdToken.header(), payload)).await;
    }
    for (more, why) in [
        (nested(5000), "deep arrays"),
        (objects(1500), "deep objects"),
        ("[".repeat(8000), "arrays that never end"),
        (members(900), "many members"),
        (format!("[{}0]", "0,".repeat(5000)), "many values"),
        (json!("x".repeat(13_000)).to_string(), "a long one"),
    ] {
        let user = Key::IdToken.sign_as(&Key::IdToken.header(), with(&project.id_claims(), &more));
        gate.refuses(&user, 401, "TOKEN_MALFORMED", why).await;
        let session =
            Key::SessionCookie.sign_as(&Key::SessionCookie.header(), with(&project.session_claims(), &more));
        let answer = gate.call("/a").header("cookie", &format!("__session={session}")).send().await;
        expect(&answer, 401, "TOKEN_MALFORMED", why);
        let app = Key::AppCheck.sign_as(&Key::AppCheck.header(), with(&project.app_check_claims(), &more));
        let call = gate.call("/app").bearer(&project.id_token()).header("x-firebase-appcheck", &app);
        expect(&call.send().await, 401, "APP_CHECK_TOKEN_INVALID", why);
    }
    for count in [2, 3, 4, 1000] {
        let dots = vec![project.id_token().replace('.', ""); 1].join("") + &".".repeat(count);
        gate.refuses(&dots, 401, "TOKEN_MALFORMED", "dots").await;
    }
    gate.admits(&project.id_token()).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_that_nests_without_end_replaces_no_good_one() {
    let project = Project::open().await;
    let good = json!({"keys": [Key::IdToken.signer().public_jwk()]}).to_string();
    let document: Arc<Mutex<String>> = shared(good);
    let current = Arc::clone(&document);
    let answer = move || async move { current.lock().expect("a lock").clone() };
    let url = serve(Router::new().route("/keys", get(answer))).await;
    let door = project.door_with_keys_at(&format!("{url}/keys"));
    door.ready().await;
    let unknown = Key::SessionCookie.sign(&project.id_claims());
    let deep = "[".repeat(300_000);
    let stranger = Key::Stranger.signer().public_jwk();
    for bad in [
        deep.clone(),
        format!("{{\"keys\":{deep}"),
        format!("{{\"keys\":[{}]}}", "{\"a\":".repeat(100_000)),
        json!({"keys": (0..10_000).map(|n| edited(&stranger, "kid", json!(n.to_string()))).collect::<Vec<_>>()}).to_string(),
    ] {
        *document.lock().expect("a lock") = bad;
        project.clock.advance(31);
        let send = async |token: &str| Call::get(&at(&door, "/a")).bearer(token).send().await;
        let answer = send(&unknown).await;
        assert_eq!(answer.status.as_u16(), 503, "the fetch failed, and says so: {:?}", answer.body);
        send(&project.id_token()).await.ok();
    }
    close(door).await;
}
