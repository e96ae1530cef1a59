//! What an administrator says of a user counts at the door, within the bound on staleness, whatever becomes of the identity
//! server meanwhile.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use firegate_proxy::FrontDoor;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::gate::{
    PATIENCE, Site, endless, expect_echo, metric, open_web_socket, read_to_end, send_head, web_sockets,
};
use crate::reloading::reload;
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, log, text};

/// The bound on staleness in these tests, and a second.
const STALE: i64 = 61;
const REQUIRED: &str = "revocation: { check: required, max_staleness: 60s }";

/// A door before the sample service, with settings for users.
async fn door(site: &Site, users: &str) -> FrontDoor {
    site.door(&configuration(site, users)).await
}

fn configuration(site: &Site, users: &str) -> String {
    let service = site.service();
    format!("backends: {{ api: {{ {service} }} }}\nallow: [allAuthenticatedUsers]\nusers: {{ {users} }}")
}

async fn send(door: &FrontDoor, token: &str) -> Answer {
    Call::get(&at(door, "/hello")).bearer(token).send().await
}

async fn expect_passes(door: &FrontDoor, token: &str) {
    let answer = send(door, token).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
}

fn id_token(session: &Value) -> String {
    text(&session["idToken"])
}

async fn update(site: &Site, scope: &str, uid: &Value, mut change: Value) {
    change["localId"] = uid.clone();
    site.stack.admin(&format!("{scope}/accounts:update"), change).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_administrator_says_counts_within_the_bound_on_staleness() {
    let site = Site::open().await;
    let door = door(&site, REQUIRED).await;
    for (name, code) in
        [("disabled", "USER_DISABLED"), ("deleted", "USER_NOT_FOUND"), ("revoked", "TOKEN_REVOKED")]
    {
        let email = format!("{name}@example.com");
        let session = site.new_user(&email).await;
        let (uid, token) = (&session["localId"], id_token(&session));
        expect_passes(&door, &token).await;
        site.stack.clock.advance(10);
        match name {
            "disabled" => update(&site, "", uid, json!({"disableUser": true})).await,
            "deleted" => drop(site.stack.admin("/accounts:delete", json!({"localId": uid})).await),
            _ => update(&site, "", uid, json!({"validSince": site.stack.now().to_string()})).await,
        }
        site.stack.clock.advance(STALE);
        send(&door, &token).await.expect_refusal(401, code, "SIGN_IN");
        // And it stays so without anybody being asked again.
        send(&door, &token).await.expect_refusal(401, code, "SIGN_IN");
        match name {
            "disabled" => {
                update(&site, "", uid, json!({"disableUser": false})).await;
                site.stack.clock.advance(STALE);
                expect_passes(&door, &token).await;
            }
            "deleted" => {}
            _ => {
                // The session that begins after the revocation is another one.
                expect_passes(&door, &id_token(&site.sign_in(&email, None).await)).await;
                send(&door, &token).await.expect_refusal(401, code, "SIGN_IN");
            }
        }
    }
    site.close([door]).await;
}

/// A bound is a bound: until it is reached, what is known serves, and nobody waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_serves_until_it_is_too_old() {
    let site = Site::open().await;
    let door = door(&site, REQUIRED).await;
    let token = id_token(&site.new_user("kept@example.com").await);
    for _ in 0..20 {
        expect_passes(&door, &token).await;
    }
    assert_eq!(metric(&door, "firegate_user_status_lookups_total{result=\"success\"}").await, 1.0);
    site.lookups.cut();
    expect_passes(&door, &token).await;
    site.stack.clock.advance(STALE);
    send(&door, &token).await.expect_refusal(503, "USER_STATUS_UNAVAILABLE", "RETRY_LATER");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_cookies_are_looked_up_too() {
    let site = Site::open().await;
    let door = door(&site, &format!("accept: [id_token, session_cookie], {REQUIRED}")).await;
    let session = site.new_user("cookie@example.com").await;
    let cookie = site.session_cookie(&id_token(&session), 5 * 24 * 3600).await;
    expect_passes(&door, &cookie).await;
    // Days later the ID token is long gone, and the cookie would still be good.
    site.stack.clock.advance(2 * 24 * 3600);
    expect_passes(&door, &cookie).await;
    update(&site, "", &session["localId"], json!({"validSince": site.stack.now().to_string()})).await;
    site.stack.clock.advance(STALE);
    send(&door, &cookie).await.expect_refusal(401, "TOKEN_REVOKED", "SIGN_IN");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_user_is_looked_up_in_the_tenant() {
    let site = Site::open().await;
    let door = door(&site, &format!("tenants: any, {REQUIRED}")).await;
    let mut tokens = Vec::new();
    for (scope, tenant) in
        [("", None), ("/tenants/red-abcde", Some("red-abcde")), ("/tenants/blue-abcde", Some("blue-abcde"))]
    {
        site.create_user(scope, "alice", "alice@example.com").await;
        let token = id_token(&site.sign_in("alice@example.com", tenant).await);
        expect_passes(&door, &token).await;
        tokens.push(token);
    }
    update(&site, "/tenants/red-abcde", &json!("alice"), json!({"disableUser": true})).await;
    site.stack.admin("/tenants/blue-abcde/accounts:delete", json!({"localId": "alice"})).await;
    site.stack.clock.advance(STALE);
    expect_passes(&door, &tokens[0]).await;
    send(&door, &tokens[1]).await.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    send(&door, &tokens[2]).await.expect_refusal(401, "USER_NOT_FOUND", "SIGN_IN");
    site.close([door]).await;
}

/// And of none that was refused.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_looked_up_as_the_configuration_in_force_says() {
    let site = Site::open().await;
    let mut door = door(&site, REQUIRED).await;
    let [first, second] = ["first@example.com", "second@example.com"].map(|email| site.new_user(email));
    let (first, second) = (id_token(&first.await), id_token(&second.await));
    let elsewhere = site.configuration(&configuration(&site, REQUIRED));
    let elsewhere = elsewhere.replace(&site.lookups.address.to_string(), "127.0.0.1:9");
    let refused = format!("{elsewhere}data_dir: elsewhere\n");
    reload(&mut door, &refused).await.expect_err("the directory belongs to the process");
    expect_passes(&door, &first).await;
    reload(&mut door, &elsewhere).await.expect("it is put in force");
    assert_eq!(send(&door, &second).await.status, StatusCode::SERVICE_UNAVAILABLE, "nobody is there");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_in_an_outage_forgets_no_refusal() {
    let site = Site::open().await;
    let mut door = door(&site, REQUIRED).await;
    let (good, bad) = (site.new_user("good@example.com").await, site.new_user("bad@example.com").await);
    update(&site, "", &bad["localId"], json!({"disableUser": true})).await;
    expect_passes(&door, &id_token(&good)).await;
    send(&door, &id_token(&bad)).await.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    site.lookups.cut();
    // Everything by which users are looked up is another.
    let lenient = "accept: [id_token, session_cookie], revocation: { check: required, max_staleness: 30s, on_failure: allow }";
    let text = site.configuration(&configuration(&site, lenient));
    reload(
        &mut door,
        &text.replace("identity_toolkit: 'http://127", "identity_toolkit: 'http://localhost:9/127"),
    )
    .await
    .expect("it is put in force");
    site.stack.clock.advance(STALE);
    expect_passes(&door, &id_token(&good)).await;
    send(&door, &id_token(&bad)).await.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    site.close([door]).await;
}

/// Nobody is asked for while the setting is off, and whoever turns it on again means those who were refused before.
#[tokio::test(flavor = "multi_thread")]
async fn turning_revocation_off_and_on_again_in_an_outage_forgets_no_refusal() {
    let site = Site::open().await;
    let mut door = door(&site, REQUIRED).await;
    let (good, bad) = (site.new_user("good@example.com").await, site.new_user("bad@example.com").await);
    update(&site, "", &bad["localId"], json!({"disableUser": true})).await;
    expect_passes(&door, &id_token(&good)).await;
    send(&door, &id_token(&bad)).await.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    site.lookups.cut();
    for _ in 0..2 {
        let off = site.configuration(&configuration(&site, "revocation: { check: off }"));
        reload(&mut door, &off).await.expect("it is put in force");
        site.stack.clock.advance(STALE);
        expect_passes(&door, &id_token(&bad)).await;
    }
    let lenient = "revocation: { check: required, max_staleness: 60s, on_failure: allow }";
    let on = site.configuration(&configuration(&site, lenient));
    reload(&mut door, &on).await.expect("it is put in force");
    expect_passes(&door, &id_token(&good)).await;
    send(&door, &id_token(&bad)).await.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_identity_server_is_no_lost_login_and_forgets_no_refusal() {
    // How many others come while nobody can be asked.
    const OTHERS: usize = 100;
    log::begin();
    let site = Site::open().await;
    let denying = door(&site, &format!("anonymous: allow, {REQUIRED}")).await;
    let allow = "anonymous: allow, revocation: { check: required, max_staleness: 60s, on_failure: allow }";
    let allowing = site.door(&format!("{}\naccess_log: refused", configuration(&site, allow))).await;
    let (good, bad) = (site.new_user("good@example.com").await, site.new_user("bad@example.com").await);
    let (good, bad_token, bad) = (id_token(&good), id_token(&bad), &bad["localId"]);
    update(&site, "", bad, json!({"disableUser": true})).await;
    for door in [&denying, &allowing] {
        expect_passes(door, &good).await;
        send(door, &bad_token).await.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    }
    // Enabled again, but the doors cannot know.
    site.lookups.cut();
    update(&site, "", bad, json!({"disableUser": false})).await;
    site.stack.clock.advance(STALE);

    let stranger = site.new_user("stranger@example.com").await;
    let (stranger_uid, stranger) = (text(&stranger["localId"]), id_token(&stranger));
    for token in [&good, &stranger] {
        send(&denying, token).await.expect_refusal(503, "USER_STATUS_UNAVAILABLE", "RETRY_LATER");
        expect_passes(&allowing, token).await;
    }
    for _ in 0..OTHERS {
        let other = site.stack.identity("v1/accounts:signUp", json!({"returnSecureToken": true})).await.ok();
        expect_passes(&allowing, &id_token(&other)).await;
    }
    for door in [&denying, &allowing] {
        send(door, &bad_token).await.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    }
    let unchecked = "firegate_user_status_allowed_on_failure_total";
    assert_eq!(metric(&allowing, unchecked).await, (OTHERS + 2) as f64);
    assert_eq!(metric(&denying, unchecked).await, 0.0);
    let unchecked = |line: &str| line.contains("let in without a look-up") && line.contains(&stranger_uid);
    let line = log::line(unchecked).await;
    assert!(line.contains("WARN") && line.contains("user_status=unchecked"), "{line:?}");

    site.lookups.mend();
    let recovered = async {
        while send(&denying, &good).await.status != StatusCode::OK
            || send(&denying, &bad_token).await.status != StatusCode::OK
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, recovered).await.expect("it recovers, and the user is let in again");
    site.close([denying, allowing]).await;
}

/// A user's WebSocket and their endless answer, with the first byte of it.
async fn open_streams(door: &FrontDoor, token: &str) -> (TcpStream, TcpStream) {
    let bearer = format!("Bearer {token}");
    let fields = [("Authorization", bearer.as_str())];
    let (socket, head, _) = open_web_socket(door, "/socket", &fields).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (events, head) = send_head(door, "/events", &fields).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    (socket, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_their_user_is_disabled_revoked_or_deleted_and_no_others_do() {
    let site = Site::open().await;
    let until = "credential: none, streams: { until: revocation }";
    let door = site
        .door(&format!(
            "backends:\n  sockets: {{ url: '{}', {until} }}\n  events: {{ url: '{}', {until} }}\n\
             routes: [{{ path: /socket, backend: sockets }}, {{ path: /events, backend: events }}]\n\
             allow: [allAuthenticatedUsers]\nusers: {{ {REQUIRED} }}",
            web_sockets().await,
            endless().await
        ))
        .await;
    let other = site.new_user("other@example.com").await;
    let (mut other_socket, other_events) = open_streams(&door, &id_token(&other)).await;
    for name in ["disabled", "deleted", "revoked"] {
        let session = site.new_user(&format!("{name}@example.com")).await;
        let uid = &session["localId"];
        let (mut socket, mut events) = open_streams(&door, &id_token(&session)).await;
        expect_echo(&mut socket).await;
        site.stack.clock.advance(10);
        match name {
            "disabled" => update(&site, "", uid, json!({"disableUser": true})).await,
            "deleted" => drop(site.stack.admin("/accounts:delete", json!({"localId": uid})).await),
            _ => update(&site, "", uid, json!({"validSince": site.stack.now().to_string()})).await,
        }
        site.stack.clock.advance(STALE);
        read_to_end(&mut socket).await;
        let last = read_to_end(&mut events).await;
        assert!(!last.ends_with(b"0\r\n\r\n"), "a client would take it for the whole");
        expect_echo(&mut other_socket).await;
    }
    // The door would wait for them.
    drop((other_socket, other_events));
    site.close([door]).await;
}

/// It is not only found at its next event.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_which_nothing_comes_ends_well_when_its_user_is_disabled() {
    let events = || async {
        let event = stream::once(async { Ok::<_, Infallible>("data: tick\n\n") });
        ([("content-type", "text/event-stream")], Body::from_stream(event.chain(stream::pending())))
    };
    let site = Site::open().await;
    let door = site
        .door(&format!(
            "backends: {{ events: {{ url: '{}', credential: none, streams: {{ until: revocation }} }} }}\n\
             allow: [allAuthenticatedUsers]\nusers: {{ {REQUIRED} }}",
            serve(Router::new().fallback(any(events))).await
        ))
        .await;
    let session = site.new_user("silent@example.com").await;
    let bearer = format!("Bearer {}", id_token(&session));
    let fields = [("Authorization", bearer.as_str()), ("Connection", "close")];
    let (mut events, head) = send_head(&door, "/events", &fields).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    update(&site, "", &session["localId"], json!({"disableUser": true})).await;
    site.stack.clock.advance(STALE);
    let last = read_to_end(&mut events).await;
    assert!(last.ends_with(b"tick\n\n\r\n0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&last));
    site.close([door]).await;
}

/// That nobody can be asked is no news of the user.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_ends_no_stream() {
    let site = Site::open().await;
    let door = site
        .door(&format!(
            "backends: {{ sockets: {{ url: '{}', credential: none, streams: {{ until: revocation }} }} }}\n\
             allow: [allAuthenticatedUsers]\nusers: {{ {REQUIRED} }}",
            web_sockets().await
        ))
        .await;
    let session = site.new_user("stream@example.com").await;
    let bearer = format!("Bearer {}", id_token(&session));
    let (mut socket, _, _) = open_web_socket(&door, "/", &[("Authorization", bearer.as_str())]).await;
    site.lookups.cut();
    site.stack.clock.advance(STALE);
    let failure = "firegate_user_status_lookups_total{result=\"failure\"}";
    let tried = async {
        while metric(&door, failure).await < 1.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, tried).await.expect("the look-up is tried");
    expect_echo(&mut socket).await;
    // The news comes as soon as it can.
    update(&site, "", &session["localId"], json!({"disableUser": true})).await;
    site.lookups.mend();
    site.stack.clock.advance(STALE);
    read_to_end(&mut socket).await;
    site.close([door]).await;
}

/// The account that one backend is called as has no rights but to call it.
#[tokio::test(flavor = "multi_thread")]
async fn users_are_looked_up_as_the_door_and_not_as_a_backends_account() {
    let site = Site::open().await;
    let (service, url) = (site.service(), site.stack.dev.places.service.clone());
    let door = site
        .door(&format!(
            "backends:\n  first: {{ url: '{}', credential: impersonate, service_account: nobody@demo-firegate.iam.gserviceaccount.com }}\n  \
             second: {{ {service} }}\n\
             routes: [{{ path: /first, backend: first }}, {{ path: /second, backend: second }}]\n\
             allow: [allAuthenticatedUsers]\nusers: {{ {REQUIRED} }}",
            url.as_str().trim_end_matches('/')
        ))
        .await;
    let token = id_token(&site.new_user("two@example.com").await);
    let answer = Call::get(&at(&door, "/second")).bearer(&token).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let answer = Call::get(&at(&door, "/first")).bearer(&token).send().await;
    answer.expect_refusal(503, "CREDENTIAL_UNAVAILABLE", "RETRY_LATER");
    site.close([door]).await;
}

/// It is not asked for the next piece, so nothing but the look at its connection can end it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_does_not_outlive_its_users_sessions() {
    const CUT: &str = "firegate_connections_cut_total{reason=\"stream_overdue\"}";

    let site = Site::open().await;
    let door = site
        .door(&format!(
            "backends: {{ big: {{ url: '{}', credential: none, streams: {{ until: revocation }} }} }}\n\
             allow: [allAuthenticatedUsers]\nusers: {{ {REQUIRED} }}",
            without_end().await
        ))
        .await;
    let session = site.new_user("reader@example.com").await;
    let bearer = format!("Bearer {}", id_token(&session));
    let (_unread, head) = send_head(&door, "/", &[("Authorization", bearer.as_str())]).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    update(&site, "", &session["localId"], json!({"disableUser": true})).await;
    site.stack.clock.advance(STALE);
    let cut = async {
        while metric(&door, CUT).await < 1.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, cut).await.expect("it is cut");
    site.close([door]).await;
}

/// A service whose answer has no end and no pause.
async fn without_end() -> String {
    let body = || Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(vec![b'x'; 0x4000])));
    serve(Router::new().fallback(any(move || async move { body() }))).await
}
