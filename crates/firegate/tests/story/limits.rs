//! Limits by the rules of a security policy: for each user behind one address, for each address of those who forge users, over
//! reloads, and over several front doors that count together.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use firegate_core::jose::RsaSigner;
use firegate_core::time::{Clock, ShiftedClock};
use firegate_files::Configuration;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use firegate_proxy::{FrontDoor, ReloadError};
use serde_json::json;

use crate::gate::{PATIENCE, metric, mirror};
use crate::redis_server::RedisServer;
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, claims, clock, close, door_of, stranger};

struct Policy(String);

impl NamedFiles for Policy {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.clone())
    }
}

/// A service, and the keys of its users.
struct Site {
    clock: ShiftedClock,
    signer: RsaSigner,
    keys: String,
    service: String,
}

/// A rule for everybody, which counts in 60 seconds.
fn rule(action: &str, count: u32, key: &str, more: &str) -> String {
    format!(
        "name: edge\nrules:\n- {{priority: 10, action: {action}, match: {{versionedExpr: SRC_IPS_V1, config: {{srcIpRanges: ['*']}}}}, \
         rateLimitOptions: {{rateLimitThreshold: {{count: {count}, intervalSec: 60}}, conformAction: allow, exceedAction: deny(429), \
         enforceOnKeyConfigs: [{{enforceOnKeyType: {key}}}]{more}}}}}\n\
         - {{priority: 2147483647, action: allow, match: {{versionedExpr: SRC_IPS_V1, config: {{srcIpRanges: ['*']}}}}}}\n"
    )
}

impl Site {
    async fn open() -> Self {
        let signer = stranger();
        let document = json!({"keys": [signer.public_jwk()]}).to_string();
        let keys = serve(Router::new().fallback(get(move || async move { document }))).await;
        Self { clock: clock(), signer, keys, service: mirror().await }
    }

    fn configuration(&self, policy: &str, more: &str) -> Configuration {
        let Self { keys, service, .. } = self;
        let text = format!(
            "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allAuthenticatedUsers]\n\
             behind: {{ hops: 1, peers: [127.0.0.1/32] }}\ngoogle: {{ id_token_keys: '{keys}/keys' }}\n\
             backends: {{ api: {{ url: '{service}', security_policy: {{ file: armor.yaml, dialect: firegate }} }} }}\n{more}"
        );
        parse_with_files("firegate.yaml", &text, &Policy(policy.to_owned()))
            .unwrap_or_else(|found| panic!("{found}"))
    }

    async fn door(&self, policy: &str, more: &str) -> FrontDoor {
        let door = door_of(self.configuration(policy, more), Arc::new(self.clock.clone()), None);
        tokio::time::timeout(PATIENCE, door.ready()).await.expect("the door becomes ready");
        door
    }

    async fn reload(&self, door: &mut FrontDoor, policy: &str) {
        let configuration = self.configuration(policy, "");
        let reloaded: Result<(), ReloadError> = door.reload(move || Ok(configuration)).await;
        reloaded.expect("it is put in force");
    }

    fn token(&self, uid: &str) -> String {
        let mut claims = claims("demo-project", self.clock.now().as_seconds());
        (claims["sub"], claims["user_id"]) = (json!(uid), json!(uid));
        self.signer.sign(&claims).expect("a token")
    }
}

fn call(door: &FrontDoor, address: &str) -> Call {
    Call::get(&at(door, "/")).header("x-forwarded-for", address)
}

async fn statuses(times: usize, send: impl AsyncFn() -> Answer) -> Vec<u16> {
    let mut found = Vec::new();
    for _ in 0..times {
        found.push(send().await.status.as_u16());
    }
    found
}

#[tokio::test]
async fn each_user_behind_one_address_has_a_limit_of_their_own() {
    let site = Site::open().await;
    let door = site.door(&rule("throttle", 2, "AUTH_UID", ""), "").await;
    let send = async |uid: &str, address: &str| call(&door, address).bearer(&site.token(uid)).send().await;
    assert_eq!(statuses(3, async || send("ada", "192.0.2.1").await).await, [200, 200, 429]);
    assert_eq!(statuses(3, async || send("eve", "192.0.2.1").await).await, [200, 200, 429]);
    // Another address is no way out.
    let refused = send("ada", "198.51.100.7").await;
    refused.expect_refusal(429, "RATE_LIMITED", "RETRY_LATER");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"limit\";q=2;w=60"));
    let seconds: u64 = refused.header("retry-after").and_then(|value| value.parse().ok()).expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("ratelimit"), Some(format!("\"limit\";r=0;t={seconds}").as_str()));
    assert_eq!(refused.json()["error"]["details"][1]["retryDelay"], format!("{seconds}s"));
    site.clock.advance(i64::try_from(seconds).expect("seconds"));
    assert_eq!(send("ada", "192.0.2.1").await.status, 200);
    let counted = |outcome: &str| {
        format!(
            "firegate_rate_limit_requests_total{{backend=\"api\",policy=\"edge\",priority=\"10\",outcome=\"{outcome}\"}}"
        )
    };
    assert_eq!(metric(&door, &counted("conform")).await, 5.0);
    assert_eq!(metric(&door, &counted("exceed")).await, 3.0);
    close(door).await;
}

#[tokio::test]
async fn a_flood_of_forged_tokens_is_counted_by_its_address_and_costs_their_users_nothing() {
    let (site, forger) = (Site::open().await, stranger());
    let door = site.door(&rule("throttle", 2, "AUTH_UID", ""), "").await;
    let forged = |uid: &str| {
        let mut claims = claims("demo-project", site.clock.now().as_seconds());
        claims["sub"] = json!(uid);
        let token = forger.sign(&claims).expect("a token");
        // The header names the true key.
        let genuine = site.token(uid);
        format!(
            "{}.{}",
            genuine.split('.').next().expect("a header"),
            token.split_once('.').expect("a token").1
        )
    };
    let mut number = 0;
    let mut found = Vec::new();
    for _ in 0..4 {
        number += 1;
        found.push(
            call(&door, "192.0.2.1")
                .bearer(&forged(&format!("victim-{number}")))
                .send()
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!(found, [401, 401, 429, 429]);
    // Others who are nobody are not counted with them, and the user is not either.
    assert_eq!(call(&door, "198.51.100.7").send().await.status, 401);
    assert_eq!(call(&door, "192.0.2.1").bearer(&site.token("victim-1")).send().await.status, 200);
    close(door).await;
}

#[tokio::test]
async fn a_ban_outlasts_a_reload_unless_its_rule_changes() {
    let site = Site::open().await;
    let policy = rule("rate_based_ban", 1, "IP", ", banDurationSec: 600");
    let mut door = site.door(&policy, "").await;
    let token = site.token("ada");
    let send = async |door: &FrontDoor| call(door, "192.0.2.1").bearer(&token).send().await;
    assert_eq!(send(&door).await.status, 200);
    send(&door).await.expect_refusal(429, "RATE_LIMIT_BANNED", "RETRY_LATER");
    site.reload(&mut door, &policy).await;
    send(&door).await.expect_refusal(429, "RATE_LIMIT_BANNED", "RETRY_LATER");
    site.clock.advance(-3600);
    send(&door).await.expect_refusal(429, "RATE_LIMIT_BANNED", "RETRY_LATER");
    site.clock.advance(3600);
    site.reload(&mut door, &rule("rate_based_ban", 3, "IP", ", banDurationSec: 600")).await;
    assert_eq!(send(&door).await.status, 200);
    close(door).await;
}

#[tokio::test]
async fn a_grpc_client_is_told_when_to_come_again() {
    let site = Site::open().await;
    let door = site.door(&rule("throttle", 1, "IP", ""), "").await;
    let token = site.token("ada");
    let send = async || {
        call(&door, "192.0.2.1").bearer(&token).header("content-type", "application/grpc").send().await
    };
    send().await;
    let refused = send().await;
    assert_eq!((refused.status.as_u16(), refused.header("grpc-status")), (200, Some("8")));
    let details = refused.header("grpc-status-details-bin").expect("details");
    let details = STANDARD_NO_PAD.decode(details).expect("base64");
    let name = b"type.googleapis.com/google.rpc.RetryInfo";
    assert!(details.windows(name.len()).any(|window| window == name));
    close(door).await;
}

#[tokio::test]
async fn two_front_doors_count_together_in_redis_and_apart_while_it_is_away() {
    let (site, mut redis) = (Site::open().await, RedisServer::start(&[]));
    let policy = rule("throttle", 3, "AUTH_UID", "");
    let store = format!("limits_store: {}\n", redis.url());
    let doors = [site.door(&policy, &store).await, site.door(&policy, &store).await];
    let up = async |expected: f64| {
        for door in &doors {
            let changed = async { while metric(door, "firegate_limits_store_up").await != expected {} };
            tokio::time::timeout(PATIENCE, changed).await.expect("in time");
        }
    };
    let send = async |door: usize, uid: &str| {
        call(&doors[door], "192.0.2.1").bearer(&site.token(uid)).send().await.status.as_u16()
    };
    up(1.0).await;
    let mut passed = 0;
    for request in 0..8 {
        passed += usize::from(send(request % 2, "ada").await == 200);
    }
    // If this machine was too slow for the store, each counted for itself for a while.
    let losses = metric(&doors[0], "firegate_limits_store_losses_total").await
        + metric(&doors[1], "firegate_limits_store_losses_total").await;
    assert!(passed == 3 || (losses > 0.0 && passed <= 6), "{passed} of 3 passed, {losses} losses");

    redis.kill();
    up(0.0).await;
    let mut passed = 0;
    for request in 0..10 {
        passed += usize::from(send(request % 2, "eve").await == 200);
    }
    assert_eq!(passed, 6, "the limit, once for each");
    redis.restart();
    up(1.0).await;
    assert_eq!(send(0, "eve").await, 429);
    assert_eq!(send(0, "bob").await, 200);
    for door in doors {
        close(door).await;
    }
}

#[tokio::test]
async fn with_closed_nothing_passes_that_cannot_be_counted() {
    let site = Site::open().await;
    let store = "limits_store: { url: 'redis://127.0.0.1:1', on_failure: closed }\n";
    let door = site.door(&rule("throttle", 3, "IP", ""), store).await;
    let answer = call(&door, "192.0.2.1").bearer(&site.token("ada")).send().await;
    answer.expect_refusal(503, "LIMITS_STORE_UNAVAILABLE", "RETRY_LATER");
    close(door).await;
}
