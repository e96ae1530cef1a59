//! A rule that refuses an address, and a client that says it has another: only what somebody trustworthy vouches for counts.

use crate::project::{Project, expect};

const RULES: &str = "- { priority: 1, action: deny(403), match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: [127.0.0.0/8, '::1/128'] } } }\n\
    - { priority: 2, action: deny(403), match: { expr: { expression: \"inIpRange(origin.user_ip, '198.51.100.0/24')\" } } }\n";

const FORGED: [(&str, &str); 8] = [
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-for", "203.0.113.9, 203.0.113.10"),
    ("x-real-ip", "203.0.113.9"),
    ("true-client-ip", "203.0.113.9"),
    ("x-client-ip", "203.0.113.9"),
    ("forwarded", "for=203.0.113.9"),
    ("x_forwarded_for", "203.0.113.9"),
    ("cf-connecting-ip", "203.0.113.9"),
];

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_directly_is_who_they_are() {
    let project = Project::open().await;
    // Off Cloud Run nobody is Cloud Run's front, and off Google's network nobody one of its load balancers.
    for behind in ["direct", "cloud-run", "google-lb"] {
        let gate = project.guarded_gate(RULES, &format!("behind: {behind}")).await;
        expect(&gate.call("/a").send().await, 403, "ARMOR_DENIED", "its own address");
        for (name, value) in FORGED {
            let answer = gate.call("/a").header(name, value).send().await;
            expect(&answer, 403, "ARMOR_DENIED", &format!("{behind}: {name}"));
        }
        gate.close().await;
    }
}

/// A policy may name the headers in which proxies tell the user's address. Nobody else's word in them counts.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_speak_for_others_names_no_other_user() {
    const POLICY: &str = "name: edge\nadvancedOptionsConfig: { userIpRequestHeaders: [X-Client-Address] }\nrules:\n\
        - { priority: 1, action: deny(403), match: { expr: { expression: \"inIpRange(origin.user_ip, '127.0.0.0/8')\" } } }\n\
        - { priority: 2147483647, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } }\n";
    let project = Project::open().await;
    for (behind, is_believed) in [
        ("direct", false),
        ("{ hops: 1, peers: [10.0.0.0/8] }", false),
        ("google-lb", false),
        // This is not Cloud Run, whose front would be the only one to reach the door.
        ("cloud-run", false),
        ("{ hops: 1, peers: [127.0.0.1/32] }", true),
    ] {
        let text = format!(
            "backends: {{ api: {{ url: 'SERVICE', security_policy: {{ file: armor.yaml, dialect: firegate }} }} }}\n\
             allow: [allUsers]\nbehind: {behind}\n"
        );
        let gate = project.gate_with_files(&text, &[("armor.yaml", POLICY)]).await;
        expect(&gate.call("/a").send().await, 403, "ARMOR_DENIED", behind);
        let answer = gate.call("/a").header("x-client-address", "203.0.113.9").send().await;
        match is_believed {
            true => drop(answer.ok()),
            false => expect(&answer, 403, "ARMOR_DENIED", behind),
        }
        gate.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_word_of_the_proxy_counts_and_not_what_the_client_wrote_before_it() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "behind: { hops: 1, peers: [127.0.0.1/32] }").await;
    let send = async |value: &str| gate.call("/a").header("x-forwarded-for", value).send().await;
    send("203.0.113.9").await.ok();
    for value in [
        "203.0.113.9, 127.0.0.1",
        "203.0.113.9,198.51.100.7",
        "203.0.113.9, ::ffff:127.0.0.1",
        "203.0.113.9, ::1",
        // Bytes that are no ASCII make nothing unreadable but the element that they stand in.
        "\u{fc}, 198.51.100.7",
        "203.0.113.9, \u{fc}\u{ff},127.0.0.1",
    ] {
        expect(&send(value).await, 403, "ARMOR_DENIED", value);
    }
    send("198.51.100.7, \u{fc}, 203.0.113.9").await.ok();
    gate.close().await;
}
