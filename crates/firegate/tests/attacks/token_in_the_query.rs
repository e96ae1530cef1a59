//! RFC 6750, section 5.3: a token in the query ends up in every log and in every `Referer`. It counts only for what cannot
//! send a header, the service never sees it, and no line of Firegate's log holds a token, wherever it stood.

use serde_json::json;

use crate::project::{Key, Project, edited, exchange_of, expect, form, seen};
use crate::stack::Call;
use crate::stack::binary::Served;

const CONFIGURATION: &str = "\
backends:
  api: { url: 'SERVICE', audience: api, token_sources: [authorization, cookie, query, websocket_protocol] }
  app: { url: 'SERVICE', audience: app, app_check: required }
  dead: { url: 'http://127.0.0.1:9', audience: dead, user_token: forward, token_sources: [authorization, query] }
  open: { url: 'SERVICE', audience: open, allow: [allUsers], token_sources: [authorization, query] }
routes:
  - { path: '/app', backend: app }
  - { path: '/dead', backend: dead }
  - { path: '/open', backend: open }
  - { path: '/*', backend: api }
users: { accept: [id_token, session_cookie] }
assertion: { issuer: 'http://127.0.0.1:9' }
exchange: { enabled: true }
allow: [allAuthenticatedUsers]";

#[tokio::test(flavor = "multi_thread")]
async fn it_counts_for_event_streams_alone_and_the_service_never_sees_it() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let token = project.id_token();
    let path = format!("/a?x=%20&access_token={token}&y=1%2B1");
    for accept in
        [None, Some("text/html"), Some("*/*"), Some("text/event-streams"), Some("x/text/event-stream")]
    {
        let mut call = gate.call(&path);
        if let Some(accept) = accept {
            call = call.header("accept", accept);
        }
        expect(&call.send().await, 401, "TOKEN_MISSING", &format!("{accept:?}"));
    }
    let events = gate.call(&path).header("accept", "text/event-stream").send().await.ok();
    assert_eq!(events["path"], json!("/a?x=%20&y=1%2B1"), "every other byte stays");
    assert_eq!(seen(&events, "x-firegate-user-id"), Some("eve"));
    assert!(!events.to_string().contains(token.rsplit('.').next().expect("a signature")), "{events}");
    for (query, left) in [
        (format!("%61ccess_token={token}"), "/a"),
        (format!("access_token={token}&a=b"), "/a?a=b"),
        (format!("a=b&access%5Ftoken={token}"), "/a?a=b"),
    ] {
        let call = gate.call(&format!("/a?{query}")).header("accept", "text/event-stream");
        assert_eq!(call.send().await.ok()["path"], json!(left), "{query}");
    }
    // A backend that does not look there is not told of anybody by it.
    let plain = project.plain_gate().await;
    let call = plain.call(&path).header("accept", "text/event-stream");
    expect(&call.send().await, 401, "TOKEN_MISSING", "not a source there");
    plain.close().await;
    gate.close().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_the_log_holds_a_token() {
    for format in ["text", "json"] {
        no_line_holds_a_token(format).await;
    }
}

#[cfg(unix)]
async fn no_line_holds_a_token(format: &str) {
    let project = Project::open().await;
    let served = Served::start(&project.configuration(CONFIGURATION), format, "debug");
    let at = |path: &str| served.url.join(path).expect("a path");
    let expired = Key::IdToken.sign(&edited(&project.id_claims(), "exp", json!(project.now() - 1)));
    let (good, session, app) = (project.id_token(), project.session_cookie(), project.app_check_token());
    let forged = Key::Stranger.sign_as(&Key::IdToken.header(), project.id_claims().to_string());
    let tokens = [&good, &expired, &session, &app, &forged];
    let mut last = None;
    for token in tokens {
        let query = |path: &str| Call::get(&at(&format!("{path}?a=1&access_token={token}")));
        for call in [
            query("/a"),
            query("/a").header("accept", "text/event-stream"),
            query("/dead").header("accept", "text/event-stream"),
            query("/open").header("accept", "text/event-stream"),
            query("/nowhere%2F"),
            Call::get(&at(&format!("/open?id_token={token}"))),
            Call::get(&at(&format!("/open/{token}"))),
            Call::get(&at("/open")).header("referer", &format!("http://door/open?a=1&access_token={token}")),
            Call::get(&at("/open")).header("referer", &format!("http://door/open?token={token}")),
            Call::get(&at("/open")).header("user-agent", token),
            Call::get(&at("/a")).bearer(token),
            Call::get(&at("/a")).bearer(&format!("{token}, {token}")),
            Call::get(&at("/a")).header("cookie", &format!("__session={token}")),
            Call::new(http::Method::POST, &at("/a")).header("cookie", &format!("__session={token}")),
            Call::get(&at("/app")).bearer(&good).header("x-firebase-appcheck", token),
            Call::get(&at("/a"))
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-protocol", &format!("access_token, {token}")),
            Call::new(http::Method::POST, &at("/.well-known/firegate/token"))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form(&exchange_of(token, "dead"))),
        ] {
            let answer = call.send().await;
            if answer.status.as_u16() != 200 {
                last = answer.header("x-firegate-request-id").map(str::to_owned);
            }
        }
        Call::get(&at("/a")).bearer(&good).send().await.ok();
    }
    let log = served.stop();
    // The log is the one that would hold them: it has the refusals, with their paths, and the level is debug.
    let last = last.expect("something was refused");
    for expected in
        ["refused", "DEBUG", "/app", "/open?id_token=[concealed]", "/open/[concealed]", "/a?a=1", &last]
    {
        assert!(log.contains(expected), "{expected} is not in:\n{log}");
    }
    for token in tokens {
        let (_, secrets) = token.split_once('.').expect("a header");
        for segment in secrets.split('.') {
            for piece in segment.as_bytes().chunks(16) {
                let piece = std::str::from_utf8(piece).expect("base64url");
                assert!(piece.len() < 16 || !log.contains(piece), "{piece:?} is in the log:\n{log}");
            }
        }
    }
    assert!(!log.contains("access_token="), "{log}");
}
