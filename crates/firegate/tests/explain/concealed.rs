//! What is not told: tokens, and more of a stranger's text than one can read. By the real binary.

use serde_json::{Value, json};

use crate::in_folder;

const CONFIGURATION: &str = "\
project: my-project
backends:
  orders:
    url: https://orders-abc123-uc.a.run.app
    security_policy: { file: edge.yaml, dialect: firegate }
    allow: [ allUsers ]
url_map: map.yaml
";

const URL_MAP: &str = "\
name: shop
defaultService: orders
hostRules:
- hosts: [ www.example.com ]
  pathMatcher: www
pathMatchers:
- name: www
  defaultService: orders
  pathRules:
  - paths: [ /old ]
    urlRedirect: { pathRedirect: /new }
";

const POLICY: &str = "\
name: edge
rules:
- priority: 1000
  action: throttle
  match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: [ '*' ] } }
  rateLimitOptions:
    rateLimitThreshold: { count: 1, intervalSec: 60 }
    conformAction: allow
    exceedAction: deny(429)
    enforceOnKeyConfigs:
    - { enforceOnKeyType: HTTP_HEADER, enforceOnKeyName: authorization }
    - { enforceOnKeyType: HTTP_COOKIE, enforceOnKeyName: session }
";

fn explained(arguments: &[&str], log: &str) -> String {
    let files =
        [("firegate.yaml", CONFIGURATION), ("map.yaml", URL_MAP), ("edge.yaml", POLICY), ("log.json", log)];
    in_folder(&files, arguments).1
}

#[test]
fn a_redirects_address_is_told_without_the_token_that_goes_along() {
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJldmUifQ.c2VjcmV0secret";
    for (query, kept) in [
        ("access_token=secret".to_owned(), "/new"),
        ("a=1&acc%65ss_token=secret&b=2".to_owned(), "/new?a=1&b=2"),
        (format!("id_token={TOKEN}&b=2"), "/new?id_token=[concealed]&b=2"),
        (format!("a=1&whatever={TOKEN}"), "/new?a=1&whatever=[concealed]"),
    ] {
        let url = format!("https://www.example.com/old?{query}");
        for output in ["text", "json"] {
            let told = explained(&["--url", &url, "--output", output], "");
            assert!(!told.contains("secret"), "{told}");
            assert!(told.contains(&format!("a redirect to https://www.example.com{kept}")), "{told}");
        }
    }
}

#[test]
fn a_path_is_told_without_the_token_in_the_query_that_was_pasted_with_it() {
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJldmUifQ.c2VjcmV0secret";
    for path in
        [format!("/orders?access_token={TOKEN}"), format!("/orders/{TOKEN}"), format!("orders?a={TOKEN}")]
    {
        for output in ["text", "json"] {
            let told = explained(&["--token", TOKEN, "--path", &path, "--output", output], "");
            // Wrapping must not hide a leak from this test.
            let told = told.split_whitespace().collect::<String>();
            assert!(told.contains("orders") && !told.contains("c2VjcmV0"), "{path}: {told}");
        }
    }
}

#[test]
fn nothing_of_a_logs_acts_on_a_terminal() {
    let details = "\u{1b}]0;title\u{7}\u{9b}31m\u{202e}";
    let request = json!({
        "remoteIp": "203.0.113.9", "requestMethod": "GET", "status": 200,
        "requestUrl": format!("https://api.example.com/{details}"),
    });
    let entry = json!({"httpRequest": request, "jsonPayload": { "statusDetails": details }}).to_string();
    for output in ["text", "json"] {
        let told = explained(&["--simulate", "log.json", "--output", output], &entry);
        assert!(told.contains("title"), "{told}");
        assert!(!told.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{told:?}");
    }
}

#[test]
fn what_a_limit_counts_by_is_told_without_its_value() {
    let url = ["--url", "https://api.example.com/", "--header", "Authorization: Bearer secret"];
    let cookie = ["--header", "Cookie: session=secret"];
    for output in ["text", "json"] {
        let told = explained(&[&url[..], &cookie, &["--output", output]].concat(), "");
        assert!(!told.contains("secret"), "{told}");
        assert!(told.contains("HTTP_COOKIE(session)"), "{told}");
    }
}

#[test]
fn a_log_is_told_without_queries_and_in_a_bounded_length() {
    const LONG: usize = 60_000;
    let entry = |method: &str, url: &str, details: &str| {
        let request = json!({
            "remoteIp": "203.0.113.9", "requestMethod": method, "requestUrl": url, "status": 200,
        });
        format!("{}\n", json!({"httpRequest": request, "jsonPayload": { "statusDetails": details }}))
    };
    let long = "x".repeat(LONG);
    let bad = json!({"httpRequest": {
        "remoteIp": long, "requestMethod": "GET", "requestUrl": "https://api.example.com/", "status": 200,
    }});
    let log = [
        entry("GET", "ws://api.example.com/?access_token=secret", ""),
        entry("GET", "api.example.com/?access_token=secret", ""),
        entry("GET", "https://api.example.com/#access_token=secret", ""),
        entry(&long, &format!("https://api.example.com/{long}"), &long),
        bad.to_string(),
    ];
    let told = explained(&["--simulate", "log.json", "--output", "json"], &log.concat());
    assert!(!told.contains("secret") && told.len() < LONG / 4, "{} bytes: {told:.2000}", told.len());
    let found: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&found["requests"], &found["unread"]), (&json!(4), &json!(1)), "{told}");
    let groups = found["groups"].as_array().expect("groups").iter();
    let group = groups
        .filter(|group| group["would_be"] == "unknown: its `requestUrl` is no URL of http or https")
        .map(|group| group["count"].as_u64());
    assert_eq!(group.collect::<Vec<_>>(), [Some(2)], "{told}");
}
