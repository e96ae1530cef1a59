//! When something that Firegate needs is gone: nobody gets in without a proof, and nobody is told that their login is
//! lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use firegate_core::jose::RsaSigner;
use firegate_core::time::Clock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::gate::PATIENCE;
#[cfg(unix)]
use crate::stack::binary::Served;
use crate::stack::server::nobody;
use crate::stack::{Call, Stack, at, claims, clock, close, door, log, stranger};

/// A server that answers one document at every path, and can be ended and started again at the same address.
struct Documents {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Documents {
    async fn start(address: SocketAddr, document: String) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("an address");
        let document: Arc<str> = document.into();
        let router = Router::new().fallback(get(move || async move { document.to_string() }));
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
        let ended = tokio::spawn(async move { serve.await.expect("it serves") });
        Self { address, stop, ended }
    }

    async fn stop(self) {
        drop(self.stop);
        self.ended.await.expect("it ends");
    }
}

async fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).await.expect("a port").local_addr().expect("an address")
}

fn key_document(signer: &RsaSigner) -> String {
    json!({"keys": [signer.public_jwk()]}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_at_the_start_it_lives_says_so_and_recovers() {
    let (keys, clock, signer) = (free_address().await, clock(), stranger());
    let service = Documents::start(([127, 0, 0, 1], 0).into(), "hello".to_owned()).await;
    let door = door(
        &format!(
            "project: demo-project\nhealth: {{ listen: 127.0.0.1:0 }}\nbackends: {{ api: 'http://{}' }}\nallow: [allAuthenticatedUsers]\n\
             google: {{ id_token_keys: 'http://{keys}/keys' }}\n",
            service.address
        ),
        &clock,
    );
    let health = door.health_address().expect("a listener for probes");
    let probe = async |path| {
        let url = format!("http://{health}{path}").parse().expect("a URL");
        Call::get(&url).send().await.status.as_u16()
    };
    assert_eq!((probe("/livez").await, probe("/readyz").await), (200, 503));
    assert_eq!(Call::get(&at(&door, "/.well-known/firegate/ready")).send().await.status.as_u16(), 503);

    let token = signer.sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
    let early =
        tokio::time::timeout(Duration::from_secs(3), Call::get(&at(&door, "/")).bearer(&token).send()).await;
    let early = early.expect("an early request waits two seconds at most");
    early.expect_refusal(503, "KEYS_UNAVAILABLE", "RETRY_LATER");

    let keys = Documents::start(keys, key_document(&signer)).await;
    tokio::time::timeout(Duration::from_secs(5), door.ready())
        .await
        .expect("ready within five seconds of their return");
    assert_eq!(probe("/readyz").await, 200);
    assert_eq!(Call::get(&at(&door, "/")).bearer(&token).send().await.body.as_ref(), b"hello");

    // And gone again: the kept set serves.
    keys.stop().await;
    clock.advance(3600);
    let later = signer.sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
    assert_eq!(Call::get(&at(&door, "/")).bearer(&later).send().await.status.as_u16(), 200);
    // But not for ever.
    clock.advance(25 * 3600);
    let too_late = signer.sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
    Call::get(&at(&door, "/")).bearer(&too_late).send().await.expect_refusal(
        503,
        "KEYS_UNAVAILABLE",
        "RETRY_LATER",
    );
    close(door).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_metadata_server_the_kept_token_serves_and_then_nothing_is_sent_without_one() {
    let (metadata, clock, signer) = (free_address().await, clock(), stranger());
    let audience = "http://service.example";
    let keys = Documents::start(([127, 0, 0, 1], 0).into(), key_document(&signer)).await;
    let service = Documents::start(([127, 0, 0, 1], 0).into(), "hello".to_owned()).await;
    let google = google(metadata, &signer, audience, clock.now().as_seconds()).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allAuthenticatedUsers]\n\
             backends: {{ api: {{ url: 'http://{}', audience: '{audience}', credential: metadata }} }}\n\
             google: {{ id_token_keys: 'http://{}/keys', metadata: 'http://{metadata}' }}\n",
            service.address, keys.address
        ),
        &clock,
    );
    door.ready().await;
    let send = async || {
        let token = signer.sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
        Call::get(&at(&door, "/")).bearer(&token).send().await
    };
    assert_eq!(send().await.status.as_u16(), 200);
    google.stop().await;
    clock.advance(3000);
    assert_eq!(send().await.status.as_u16(), 200, "the kept token serves");
    clock.advance(600);
    send().await.expect_refusal(503, "CREDENTIAL_UNAVAILABLE", "RETRY_LATER");
    let google = self::google(metadata, &signer, audience, clock.now().as_seconds()).await;
    let recovered = async {
        while send().await.status.as_u16() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), recovered).await.expect("it recovers within five seconds");
    close(door).await;
    for part in [google, keys, service] {
        part.stop().await;
    }
}

/// Each request has a line of its own that says what it came to.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn why_users_cannot_be_looked_up_is_told_once_and_not_with_every_request() {
    let (signer, nobody) = (stranger(), nobody());
    let keys = Documents::start(([127, 0, 0, 1], 0).into(), key_document(&signer)).await;
    let served = Served::start(
        &format!(
            "project: demo-project\nallow: [allAuthenticatedUsers]\nusers: {{ revocation: {{ check: required }} }}\n\
             backends: {{ api: {{ url: 'http://127.0.0.1:9', credential: none }} }}\n\
             google: {{ id_token_keys: 'http://{}/keys', identity_toolkit: '{nobody}', metadata: '{nobody}' }}\n",
            keys.address
        ),
        "text",
        "info",
    );
    let token = signer.sign(&claims("demo-project", clock().now().as_seconds())).expect("a token");
    for _ in 0..5 {
        let answer = Call::get(&served.url).bearer(&token).send().await;
        answer.expect_refusal(503, "USER_STATUS_UNAVAILABLE", "RETRY_LATER");
    }
    let log = served.stop();
    let (of_requests, others) = log
        .lines()
        .filter(|line| line.contains("looked up"))
        .partition::<Vec<_>, _>(|line| line.contains(" failed 503 "));
    assert_eq!((of_requests.len(), others.len()), (5, 1), "{log}");
    keys.stop().await;
}

/// A metadata server that has one token.
async fn google(address: SocketAddr, signer: &RsaSigner, audience: &str, now: i64) -> Documents {
    let token = json!({"iss": "https://accounts.google.com", "aud": audience, "sub": "1", "iat": now, "exp": now + 3600});
    let token = signer.sign(&token).expect("a token");
    let listener = TcpListener::bind(address).await.expect("the address is free");
    let answer = move || async move { ([("metadata-flavor", "Google")], token.clone()) };
    let router = Router::new().fallback(get(answer));
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
    Documents { address, stop, ended: tokio::spawn(async move { serve.await.expect("it serves") }) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_frozen_loses_no_request() {
    let stack = Stack::start().await;
    Call::get(&stack.door("/")).bearer(&stack.id_token().await).send().await.ok();
    // Five hours pass at once: every kept token and key set is stale.
    stack.clock.advance(5 * 3600);
    let token = stack.id_token().await;
    let requests = (0..50).map(|_| Call::get(&stack.door("/")).bearer(&token).send());
    let requests = requests.map(tokio::spawn).collect::<Vec<_>>();
    for request in requests {
        request.await.expect("it ends").ok();
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_is_no_lost_login_and_may_come_back() {
    let (address, clock, signer) = (free_address().await, clock(), stranger());
    let keys = Documents::start(([127, 0, 0, 1], 0).into(), key_document(&signer)).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allAuthenticatedUsers]\nbackends: {{ api: 'http://{address}' }}\n\
             google: {{ id_token_keys: 'http://{}/keys' }}\n",
            keys.address
        ),
        &clock,
    );
    door.ready().await;
    let token = signer.sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
    let send = async || Call::get(&at(&door, "/")).bearer(&token).send().await;
    send().await.expect_refusal(502, "UPSTREAM_UNREACHABLE", "RETRY_LATER");
    let service = Documents::start(address, "hello".to_owned()).await;
    assert_eq!(send().await.body.as_ref(), b"hello");
    close(door).await;
    keys.stop().await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scenario_21_when_the_clock_steps_tokens_are_judged_by_it_and_nothing_else_is_lost() {
    log::begin();
    let (clock, signer) = (clock(), stranger());
    let keys = Documents::start(([127, 0, 0, 1], 0).into(), key_document(&signer)).await;
    let service = Documents::start(([127, 0, 0, 1], 0).into(), "hello".to_owned()).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allAuthenticatedUsers]\nbackends: {{ api: 'http://{}' }}\n\
             google: {{ id_token_keys: 'http://{}/keys' }}\n",
            service.address, keys.address
        ),
        &clock,
    );
    door.ready().await;
    let token = || signer.sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
    let send = async |token: &str| Call::get(&at(&door, "/")).bearer(token).send().await;
    let kept = token();
    assert_eq!(send(&kept).await.status.as_u16(), 200);
    // An hour, five minutes, and some seconds by which this test knows its own line of the log.
    for (step, refusal) in [
        (3607, Some(("TOKEN_EXPIRED", "REFRESH_TOKEN"))),
        (-3607, None),
        (-311, Some(("TOKEN_NOT_YET_VALID", "REFRESH_TOKEN"))),
        (311, None),
        (-3613, Some(("TOKEN_NOT_YET_VALID", "REFRESH_TOKEN"))),
        (3613, None),
    ] {
        clock.advance(step);
        match refusal {
            Some((reason, action)) => send(&kept).await.expect_refusal(401, reason, action),
            None => {
                assert_eq!(send(&kept).await.status.as_u16(), 200, "{step}: the same token is good again")
            }
        }
        let told = async {
            let mut answered = 0;
            while !tells_of_a_step(&log::so_far(), step) {
                // Who signs in by the clock as it is passes meanwhile: no key and no connection is lost.
                assert_eq!(send(&token()).await.status.as_u16(), 200, "{step}");
                answered += 1;
            }
            answered
        };
        let answered = tokio::time::timeout(PATIENCE, told).await.expect("the log tells");
        eprintln!("scenario 21: {step} s: {refusal:?}; {answered} fresh tokens passed until the log told");
    }
    close(door).await;
    keys.stop().await;
    service.stop().await;
}

/// Whether a line says that the clock stepped by so many seconds, as far as whole seconds can say.
fn tells_of_a_step(log: &str, step: i64) -> bool {
    let steps =
        log.lines().filter_map(|line| line.split_once("the wall clock stepped")?.1.split_once("seconds="));
    let mut steps = steps.filter_map(|(_, seconds)| seconds.split_whitespace().next()?.parse::<i64>().ok());
    steps.any(|seconds| (seconds - step).abs() <= 2)
}
