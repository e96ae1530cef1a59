//! Cross-site request forgery and cross-site WebSocket hijacking: a browser adds the cookie to what any page sends. Whatever
//! changes something, and every WebSocket, has to come from a page that may.

use http::Method;

use crate::project::{Gate, Project, expect, seen};
use crate::stack::{Answer, Call};

const CONFIGURATION: &str = "\
backends:
  web: { url: 'SERVICE', token_sources: [authorization, cookie] }
users: { accept: [id_token, session_cookie] }
cors: { origins: ['https://app.example.com'], credentials: true }
allow: [allAuthenticatedUsers]";

const WEB_SOCKET: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

async fn send(gate: &Gate, method: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let (method, more) = match method {
        "WebSocket" => (Method::GET, &WEB_SOCKET[..]),
        method => (method.parse().expect("a method"), &[][..]),
    };
    let mut call = Call::new(method, &gate.url("/a")).header("cookie", cookie);
    for (name, value) in fields.iter().chain(more) {
        call = call.header(name, value);
    }
    call.send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_changes_nothing_with_the_users_cookie() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let cookie = format!("a=b; __session={}", project.session_cookie());
    let own = gate.url("/").origin().ascii_serialization();
    let https = own.replacen("http", "https", 1);
    let foreign: &[&[(&str, &str)]] = &[
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "http://127.0.0.1")],
        &[("origin", "http://127.0.0.1:1")],
        &[("origin", &https)],
        &[("origin", "https://app.example.com.evil.example")],
        &[("origin", "http://app.example.com")],
        &[("origin", "https://APP.example.com")],
        &[("origin", "https://app.example.com"), ("origin", "https://evil.example")],
        &[("origin", "https://evil.example"), ("origin", "https://app.example.com")],
        &[("origin", "https://app.example.com, https://evil.example")],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
        &[("origin", "null"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        &[("referer", &own)],
        &[],
    ];
    let ours: &[&[(&str, &str)]] = &[
        &[("origin", &own)],
        &[("origin", "https://app.example.com")],
        &[("sec-fetch-site", "same-origin")],
    ];
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "M-SEARCH"] {
        for fields in foreign {
            let answer = send(&gate, method, &cookie, fields).await;
            expect(&answer, 403, "COOKIE_ORIGIN_NOT_ALLOWED", &format!("{method} {fields:?}"));
        }
        for fields in ours {
            let answer = send(&gate, method, &cookie, fields).await;
            assert_eq!(answer.status.as_u16(), 200, "{method} {fields:?}: {:?}", answer.body);
        }
    }
    // What changes nothing may come from anywhere: a link leads to a page.
    send(&gate, "GET", &cookie, &[("origin", "https://evil.example")]).await.ok();
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_in_the_configuration_no_other_origin_counts() {
    let project = Project::open().await;
    let gate = project.gate(&CONFIGURATION.replace(", credentials: true", "")).await;
    let cookie = format!("__session={}", project.session_cookie());
    let answer = send(&gate, "POST", &cookie, &[("origin", "https://app.example.com")]).await;
    expect(&answer, 403, "COOKIE_ORIGIN_NOT_ALLOWED", "cors without credentials");
    let own = gate.url("/").origin().ascii_serialization();
    send(&gate, "POST", &cookie, &[("origin", &own)]).await.ok();
    gate.close().await;
}

/// A route whose `corsPolicy` says itself which pages may call, with cookies or without.
#[tokio::test(flavor = "multi_thread")]
async fn a_routes_own_word_on_foreign_pages_is_the_one_that_counts() {
    const MAP: &str = "\
name: m
defaultService: web
hostRules: [ { hosts: ['*'], pathMatcher: m } ]
pathMatchers:
- name: m
  defaultService: web
  pathRules:
  - { paths: [/partner], service: web, routeAction: { corsPolicy: { allowOrigins: ['https://partner.example'], allowCredentials: true } } }
  - { paths: [/open], service: web, routeAction: { corsPolicy: { allowOrigins: ['https://app.example.com'] } } }
  - { paths: [/closed], service: web, routeAction: { corsPolicy: { disabled: true } } }
";
    let project = Project::open().await;
    let gate =
        project.gate_with_files(&format!("url_map: map.yaml\n{CONFIGURATION}"), &[("map.yaml", MAP)]).await;
    let cookie = format!("__session={}", project.session_cookie());
    let (app, partner) = ("https://app.example.com", "https://partner.example");
    let own = gate.url("/").origin().ascii_serialization();
    for (path, may, may_not) in [
        ("/other", &[app][..], &[partner][..]),
        ("/partner", &[partner], &[app]),
        ("/open", &[], &[app, partner]),
        ("/closed", &[], &[app, partner]),
    ] {
        let send = async |origin: &str| {
            let call = Call::new(Method::POST, &gate.url(path)).header("cookie", &cookie);
            call.header("origin", origin).send().await
        };
        for origin in may_not {
            expect(&send(origin).await, 403, "COOKIE_ORIGIN_NOT_ALLOWED", &format!("{path} {origin}"));
        }
        for origin in may.iter().copied().chain([own.as_str()]) {
            assert_eq!(send(origin).await.status.as_u16(), 200, "{path} {origin}");
        }
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_on_purpose_wins_and_the_cookie_goes_no_further() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let ada = crate::project::edited(&project.session_claims(), "sub", serde_json::json!("ada"));
    let ada = crate::project::Key::SessionCookie.sign(&crate::project::without(&ada, "user_id"));
    let cookie = format!("a=b; __session={ada}; c=d");
    let bearer = format!("Bearer {}", project.id_token());
    // The cookie alone is Ada; with Eve's token it is Eve, from any page, and Ada's cookie is gone.
    let alone = send(&gate, "GET", &cookie, &[]).await.ok();
    assert_eq!((seen(&alone, "x-firegate-user-id"), seen(&alone, "cookie")), (Some("ada"), Some("a=b; c=d")));
    let fields = [("authorization", bearer.as_str()), ("origin", "https://evil.example")];
    let both = send(&gate, "POST", &cookie, &fields).await.ok();
    assert_eq!((seen(&both, "x-firegate-user-id"), seen(&both, "cookie")), (Some("eve"), Some("a=b; c=d")));
    assert_eq!(seen(&both, "authorization"), None);
    // A bad token does not fall back to the cookie.
    let answer = send(&gate, "GET", &cookie, &[("authorization", "Bearer a.b.c")]).await;
    expect(&answer, 401, "TOKEN_MALFORMED", "a bad token and a good cookie");
    // Nor does a cookie count where none is looked for.
    let plain = project.plain_gate().await;
    expect(&send(&plain, "GET", &cookie, &[]).await, 401, "TOKEN_MISSING", "no cookies here");
    plain.close().await;
    gate.close().await;
}
