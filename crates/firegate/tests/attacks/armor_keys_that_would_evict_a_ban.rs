//! Whoever is banned and has many addresses could try to have their ban forgotten, by filling the table of counted keys with
//! others. Bans are never evicted; core's `limiter/bounds.rs` shows it for a table that is full.

use crate::project::{Project, expect};

const RULES: &str = "- priority: 1\n  action: rate_based_ban\n  match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }\n  \
    rateLimitOptions: { rateLimitThreshold: { count: 1, intervalSec: 60 }, conformAction: allow, exceedAction: deny(429), \
    enforceOnKey: IP, banDurationSec: 3600 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_outlasts_any_number_of_other_keys() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "behind: { hops: 1, peers: [127.0.0.1/32] }").await;
    let send = async |address: &str| gate.call("/a").header("x-forwarded-for", address).send().await;
    send("192.0.2.1").await.ok();
    expect(&send("192.0.2.1").await, 429, "RATE_LIMIT_BANNED", "the second");
    for number in 0..500_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        assert_eq!(send(&format!("198.18.{high}.{low}")).await.status, 200, "{number}");
    }
    expect(&send("192.0.2.1").await, 429, "RATE_LIMIT_BANNED", "still banned");
    // The same client by another spelling of its address.
    expect(&send("::ffff:192.0.2.1").await, 429, "RATE_LIMIT_BANNED", "the same address");
    gate.close().await;
}

/// Whoever has one network of IPv6 has 2^64 addresses, and chooses another one for each request (RFC 8981).
#[tokio::test(flavor = "multi_thread")]
async fn another_address_of_the_same_ipv6_network_is_no_other_client() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "behind: { hops: 1, peers: [127.0.0.1/32] }").await;
    let send = async |address: &str| gate.call("/a").header("x-forwarded-for", address).send().await;
    send("2001:db8:0:1::1").await.ok();
    expect(&send("2001:db8:0:1::2").await, 429, "RATE_LIMIT_BANNED", "the second");
    expect(&send("2001:db8:0:1:ffff:ffff:ffff:ffff").await, 429, "RATE_LIMIT_BANNED", "the same network");
    send("2001:db8:0:2::1").await.ok();
    gate.close().await;
}
