//! Where an app may put its user's token, and what the service sees of the request that it came with.

use firegate_proxy::FrontDoor;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gate::{Site, mirror, open_web_socket, send_head, web_sockets};
use crate::stack::{Answer, Call, at, log, text};

const EVERYWHERE: &str = "token_sources: [authorization, cookie, query, websocket_protocol]";
const COOKIES: &str = "accept: [id_token, session_cookie]";

/// A door before a service that tells what reached it: below `/drop` without the user's token, below `/forward` with it.
async fn mirroring(site: &Site) -> FrontDoor {
    let service = mirror().await;
    let backend = |user_token| {
        format!("{{ url: '{service}', credential: none, {EVERYWHERE}, user_token: {user_token} }}")
    };
    site.door(&format!(
        "backends:\n  drop: {}\n  forward: {}\n\
         routes: [{{ path: /drop/*, backend: drop }}, {{ path: /forward/*, backend: forward }}]\n\
         allow: [allAuthenticatedUsers]\nusers: {{ {COOKIES} }}\n\
         cors: {{ origins: ['https://app.example.com'], credentials: true }}",
        backend("drop"),
        backend("forward")
    ))
    .await
}

/// What reached the service: the path, and one header.
fn seen(answer: Answer, header: &str) -> (String, Value) {
    let seen = answer.ok();
    (text(&seen["path"]), seen["headers"][header].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cookie_is_the_user_and_goes_no_further_than_it_should() {
    let site = Site::open().await;
    let door = mirroring(&site).await;
    let session = site.stack.sign_in().await;
    let cookie = site.session_cookie(&text(&session["idToken"]), 3600).await;
    let cookies = format!("theme=\"dark; a\"; __session={cookie};  lang=en");
    let get = async |path: &str| Call::get(&at(&door, path)).header("cookie", &cookies).send().await;
    assert_eq!(seen(get("/drop/x").await, "cookie").1, json!("theme=\"dark; a\";  lang=en"));
    assert_eq!(seen(get("/forward/x").await, "cookie").1, json!(cookies));
    assert_eq!(get("/drop/x").await.ok()["headers"]["x-firegate-user-id"], session["localId"]);

    let alone = format!("__session={cookie}");
    let answer = Call::get(&at(&door, "/drop/x")).header("cookie", &alone).send().await;
    assert_eq!(seen(answer, "cookie").1, Value::Null);

    // Days later it is still the same user, by the same cookie, where an ID token has long expired.
    let long = site.session_cookie(&text(&session["idToken"]), 14 * 24 * 3600).await;
    site.stack.clock.advance(13 * 24 * 3600);
    let call = || Call::get(&at(&door, "/drop/x"));
    assert_eq!(call().header("cookie", &format!("__session={long}")).send().await.status, StatusCode::OK);
    call().header("cookie", &alone).send().await.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_changes_nothing_for_another_site() {
    let site = Site::open().await;
    let door = mirroring(&site).await;
    let session = site.stack.sign_in().await;
    let id_token = text(&session["idToken"]);
    let cookie = format!("__session={}", site.session_cookie(&id_token, 3600).await);
    let own = format!("http://{}", door.address());
    let post = |fields: &[(&str, &str)]| {
        let call = Call::new(Method::POST, &at(&door, "/drop/x")).header("cookie", &cookie);
        fields.iter().fold(call, |call, (name, value)| call.header(name, value)).send()
    };
    for fields in [
        &[("origin", own.as_str())][..],
        &[("origin", "https://app.example.com")],
        &[("sec-fetch-site", "same-origin")],
    ] {
        assert_eq!(post(fields).await.status, StatusCode::OK, "{fields:?}");
    }
    for fields in [
        &[][..],
        &[("origin", "https://evil.example.com")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.example.com"), ("sec-fetch-site", "same-origin")],
    ] {
        post(fields).await.expect_refusal(403, "COOKIE_ORIGIN_NOT_ALLOWED", "NONE");
    }
    // A page that can send the token itself is no forger, wherever it is.
    let bearer =
        post(&[("origin", "https://evil.example.com"), ("authorization", &format!("Bearer {id_token}"))]);
    assert_eq!(bearer.await.status, StatusCode::OK);
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authorization_wins_over_a_cookie_and_the_loser_goes_whoever_it_is() {
    let site = Site::open().await;
    let door = mirroring(&site).await;
    let ada = text(&site.stack.sign_in().await["idToken"]);
    let eve = site.new_user("eve@example.com").await;
    let eve = site.session_cookie(&text(&eve["idToken"]), 3600).await;
    for (path, authorization) in [("/drop/x", Value::Null), ("/forward/x", json!(format!("Bearer {ada}")))] {
        for loser in [eve.as_str(), "rubbish"] {
            let cookies = format!("a=1; __session={loser}");
            let call = Call::get(&at(&door, path)).bearer(&ada).header("cookie", &cookies);
            let seen = call.send().await.ok();
            let headers = &seen["headers"];
            assert_eq!((&headers["cookie"], &headers["authorization"]), (&json!("a=1"), &authorization));
            assert_eq!(headers["x-firegate-user-email"], json!("ada@example.com"));
        }
    }
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_may_have_its_token_in_the_query_and_nothing_else_may() {
    log::begin();
    let site = Site::open().await;
    let door = mirroring(&site).await;
    let token = site.stack.id_token().await;
    let get = async |target: &str, accept: &str| {
        Call::get(&at(&door, target)).header("accept", accept).send().await
    };
    let target = |path: &str, token: &str| format!("{path}?a=%2F+x&access_token={token}&b");
    for (path, expected) in
        [("/drop/x", "/drop/x?a=%2F+x&b".to_owned()), ("/forward/x", target("/forward/x", &token))]
    {
        let (found, authorization) =
            seen(get(&target(path, &token), "text/event-stream").await, "authorization");
        assert_eq!((found, authorization), (expected, Value::Null));
    }
    let (found, _) = seen(get(&format!("/drop/x?access_token={token}"), "text/event-stream").await, "accept");
    assert_eq!(found, "/drop/x");
    let plain = get(&target("/drop/x", &token), "*/*").await;
    plain.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    let twice = get(&format!("/drop/x?access_token={token}&access_token={token}"), "text/event-stream").await;
    twice.expect_refusal(400, "CREDENTIAL_AMBIGUOUS", "NONE");
    site.stack.clock.advance(3700);
    let late = get(&target("/drop/x", &token), "text/event-stream").await;
    late.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    let signature = token.rsplit_once('.').expect("a token").1;
    let address = door.address().to_string();
    log::line(|line| line.contains("TOKEN_EXPIRED") && line.contains(&format!("{address}/drop/x"))).await;
    let log = log::so_far();
    let leak = log.lines().find(|line| line.contains("firegate") && line.contains(signature));
    assert!(leak.is_none(), "{leak:?}");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_may_offer_its_token_as_a_subprotocol_which_is_never_answered() {
    let site = Site::open().await;
    let service = web_sockets().await;
    let backend = |user_token| {
        format!("{{ url: '{service}', credential: none, {EVERYWHERE}, user_token: {user_token} }}")
    };
    let door = site
        .door(&format!(
            "backends:\n  drop: {}\n  forward: {}\n\
             routes: [{{ path: /drop, backend: drop }}, {{ path: /forward, backend: forward }}]\n\
             allow: [allAuthenticatedUsers]\nusers: {{ {COOKIES} }}",
            backend("drop"),
            backend("forward")
        ))
        .await;
    let session = site.stack.sign_in().await;
    let token = text(&session["idToken"]);
    let uid = format!("x-firegate-user-id: {}", text(&session["localId"]));
    let offer = |offered: &str| [("Sec-WebSocket-Protocol".to_owned(), offered.to_owned())];
    let open = async |path: &str, fields: &[(String, String)]| {
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>();
        let (_, answer, seen) = open_web_socket(&door, path, &fields).await;
        (answer, seen)
    };
    // Only the rest goes on, and the service may choose among it.
    let (answer, seen) = open("/drop", &offer(&format!("access_token, {token}, chat.v2"))).await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && seen.contains(&uid), "{answer}{seen}");
    assert!(seen.contains("sec-websocket-protocol: chat.v2\r\n") && !seen.contains(&token), "{seen}");
    assert!(answer.to_ascii_lowercase().contains("sec-websocket-protocol: chat.v2\r\n"), "{answer}");
    let (answer, seen) = open("/drop", &offer(&format!("access_token, {token}"))).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(!seen.contains("sec-websocket-protocol") && !answer.contains(&token), "{answer}{seen}");
    // A service that gets it and answers with it is not passed on.
    let (answer, seen) = open("/forward", &offer(&format!("access_token, {token}, chat.v2"))).await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && seen.contains(&token), "{answer}{seen}");
    assert!(
        !answer.contains(&token) && !answer.to_ascii_lowercase().contains("sec-websocket-protocol"),
        "{answer}"
    );

    // In the query, and in Authorization.
    let (answer, seen) = open(&format!("/drop?room=7&access_token={token}"), &[]).await;
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && seen.starts_with("GET /drop?room=7 HTTP/1.1"),
        "{answer}{seen}"
    );
    // Two tokens on purpose are none.
    let (answer, _) =
        open(&format!("/drop?access_token={token}"), &offer(&format!("access_token, {token}"))).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    // A page of another site may open one too, and its browser adds the cookie.
    let cookie = ("Cookie".to_owned(), format!("__session={}", site.session_cookie(&token, 3600).await));
    let (answer, _) = open("/drop", std::slice::from_ref(&cookie)).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let evil = [cookie.clone(), ("Origin".to_owned(), "https://evil.example.com".to_owned())];
    assert!(open("/drop", &evil).await.0.starts_with("HTTP/1.1 403 "));
    let own = [cookie, ("Origin".to_owned(), format!("http://{}", door.address()))];
    let (answer, seen) = open("/drop", &own).await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && !seen.contains("cookie"), "{answer}{seen}");
    // Without an upgrade a subprotocol is no token.
    let offered = format!("access_token, {token}");
    let (_, answer) = send_head(&door, "/drop", &[("Sec-WebSocket-Protocol", &offered)]).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_only_authorization_is_read_and_the_rest_is_the_services_own() {
    let site = Site::open().await;
    let door = site
        .door(&format!(
            "backends: {{ api: {{ url: '{}', credential: none }} }}\nallow: [allAuthenticatedUsers]\nusers: {{ {COOKIES} }}",
            mirror().await
        ))
        .await;
    let token = site.stack.id_token().await;
    let cookie = format!("__session={}", site.session_cookie(&token, 3600).await);
    let query = format!("/x?access_token={token}");
    let elsewhere =
        Call::get(&at(&door, &query)).header("accept", "text/event-stream").header("cookie", &cookie);
    elsewhere.send().await.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    let call = Call::get(&at(&door, &query)).bearer(&token).header("cookie", &cookie);
    assert_eq!(seen(call.send().await, "cookie"), (query, json!(cookie)));
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_an_open_backend_webhooks_bring_their_own_credential() {
    let site = Site::open().await;
    let text =
        format!("backends: {{ api: {{ url: '{}', credential: none, allow: [allUsers] }} }}", mirror().await);
    let door = site.door(&text).await;
    let get = async |authorization: &str| {
        Call::get(&at(&door, "/hook")).header("authorization", authorization).send().await
    };
    for foreign in ["Bearer whsec_abc123", "Basic YTpi", "Signature keyId=\"a\""] {
        let headers = get(foreign).await.ok()["headers"].clone();
        assert_eq!(headers["authorization"], json!(foreign));
        assert_eq!(headers["x-firegate-user-id"], Value::Null);
    }
    let token = site.stack.id_token().await;
    let user = get(&format!("Bearer {token}")).await.ok()["headers"].clone();
    assert_eq!(user["x-firegate-user-email"], json!("ada@example.com"));
    assert_eq!(user["authorization"], Value::Null);
    site.stack.clock.advance(3700);
    get(&format!("Bearer {token}")).await.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    site.close([door]).await;
}

/// Where it does not count it is not removed either, and the service would see it beside another one's user.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_a_second_one_whether_it_counts_there_or_not() {
    log::begin();
    let site = Site::open().await;
    let door = mirroring(&site).await;
    let token = text(&site.stack.sign_in().await["idToken"]);
    let cookie = format!("__session={}", site.session_cookie(&token, 3600).await);
    for path in ["/drop/x", "/forward/x"] {
        let call = |query: &str| Call::get(&at(&door, &format!("{path}?{query}")));
        for query in [format!("access_token={token}"), "access_token=another".to_owned()] {
            let both = call(&query).bearer(&token).send().await;
            both.expect_refusal(400, "CREDENTIAL_AMBIGUOUS", "NONE");
            let both = call(&query).header("cookie", &cookie).send().await;
            both.expect_refusal(400, "CREDENTIAL_AMBIGUOUS", "NONE");
        }
        assert_eq!(call("token=another").bearer(&token).send().await.status, StatusCode::OK);
    }
    let alone = Call::get(&at(&door, &format!("/drop/alone?access_token={token}"))).send().await;
    alone.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    let line = log::line(|line| line.contains("/drop/alone")).await;
    assert!(line.contains("there is an `access_token` in the query") && !line.contains(&token), "{line}");
    site.close([door]).await;
}
