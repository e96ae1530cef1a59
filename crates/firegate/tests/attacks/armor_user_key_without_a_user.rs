//! A limit per user, and clients without one: each address has a count of its own, so that nobody can use up what all others
//! without a token have, and a forged token is no other user.

use serde_json::json;

use crate::project::{Key, Project, edited, expect};

const RULES: &str = "- priority: 1\n  action: throttle\n  match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }\n  \
    rateLimitOptions: { rateLimitThreshold: { count: 2, intervalSec: 60 }, conformAction: allow, exceedAction: deny(429), \
    enforceOnKeyConfigs: [ { enforceOnKeyType: AUTH_UID } ] }\n";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_user_the_address_is_counted_and_never_everybody() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "behind: { hops: 1, peers: [127.0.0.1/32] }").await;
    let send = async |address: &str| gate.call("/a").header("x-forwarded-for", address).send().await;
    for _ in 0..2 {
        send("192.0.2.1").await.ok();
    }
    expect(&send("192.0.2.1").await, 429, "RATE_LIMITED", "the third");
    send("192.0.2.2").await.ok();
    // A user has a count of their own, from an address that has used up its own.
    let user = gate.call("/a").header("x-forwarded-for", "192.0.2.1").bearer(&project.id_token());
    user.send().await.ok();
    // Tokens of users who do not exist come to the address, however many they are.
    for number in 0..4 {
        let claims = edited(&project.id_claims(), "sub", json!(format!("nobody-{number}")));
        let forged = Key::Stranger.sign(&claims);
        let answer = gate.call("/a").header("x-forwarded-for", "192.0.2.1").bearer(&forged).send().await;
        expect(&answer, 429, "RATE_LIMITED", "a forged token");
    }
    gate.close().await;
}
