//! A log of requests, played to another configuration by the real binary.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{folder_with, run_in, text};

pub(crate) const CONFIGURATION: &str = "\
project: my-project
backends:
  orders:
    url: https://orders-abc123-uc.a.run.app
    security_policy: { file: edge.yaml, dialect: firegate }
    allow: [ allAuthenticatedUsers ]
  site:
    url: https://site-abc123-uc.a.run.app
    allow: [ allUsers ]
url_map: map.yaml
";

const URL_MAP: &str = "\
name: shop
defaultService: site
hostRules:
- hosts: [ api.example.com ]
  pathMatcher: api
- hosts: [ www.example.com ]
  pathMatcher: www
pathMatchers:
- name: api
  defaultService: orders
- name: www
  defaultService: site
  pathRules:
  - paths: [ /old/* ]
    urlRedirect: { hostRedirect: archive.example.com, httpsRedirect: true }
";

const POLICY: &str = "\
name: edge
rules:
- priority: 900
  action: deny(403)
  match:
    expr: { expression: \"request.path.startsWith('/orders/admin') && !inIpRange(origin.ip, '198.51.100.0/24')\" }
- priority: 950
  preview: true
  action: deny(404)
  match:
    expr: { expression: \"has(request.headers['user-agent']) && request.headers['user-agent'].contains('curl')\" }
- priority: 1000
  action: deny(403)
  match:
    expr: { expression: \"request.path.startsWith('/partner') && request.headers['x-partner'] != 'acme'\" }
- priority: 1100
  action: throttle
  match:
    expr: { expression: \"request.path == '/login'\" }
  rateLimitOptions:
    rateLimitThreshold: { count: 1, intervalSec: 60 }
    conformAction: allow
    exceedAction: deny(429)
    enforceOnKey: IP
- priority: 1200
  action: deny(403)
  match:
    expr: { expression: \"request.path.startsWith('/account') && auth.tenant != 'staff'\" }
- priority: 2147483647
  action: allow
  match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: [ '*' ] } }
";

/// An entry as the load balancer writes it.
fn entry(seconds: u32, method: &str, url: &str, status: u16, more: &Value) -> Value {
    let mut entry = json!({
        "httpRequest": {
            "latency": "0.042s", "remoteIp": "203.0.113.9", "requestMethod": method, "requestSize": "220",
            "requestUrl": url, "responseSize": "512", "serverIp": "192.0.2.10", "status": status, "userAgent": "Mozilla/5.0",
        },
        "insertId": "1x", "logName": "projects/my-project/logs/requests", "severity": "INFO",
        "jsonPayload": {
            "@type": "type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry",
            "statusDetails": "response_sent_by_backend", "remoteIp": "203.0.113.9",
        },
        "resource": {
            "type": "http_load_balancer",
            "labels": { "backend_service_name": "orders", "url_map_name": "shop", "project_id": "my-project" },
        },
        "timestamp": format!("2027-01-15T08:00:{seconds:02}.123456Z"),
    });
    merge(&mut entry, more);
    entry
}

pub(crate) fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

fn denied(rule: u32) -> Value {
    json!({"jsonPayload": {
        "statusDetails": "denied_by_security_policy",
        "enforcedSecurityPolicy": { "name": "old", "priority": rule, "configuredAction": "DENY", "outcome": "DENY" },
    }})
}

fn of_site() -> Value {
    json!({"resource": { "labels": { "backend_service_name": "site" } }})
}

/// A log of the load balancer.
fn log() -> Vec<Value> {
    let (api, www, none) = ("https://api.example.com", "https://www.example.com", json!({}));
    let curl = json!({"httpRequest": { "userAgent": "curl/8.14.1" }});
    vec![
        entry(1, "GET", &format!("{api}/orders/7?page=2"), 200, &none),
        entry(2, "GET", &format!("{api}/orders/admin/users?access_token=secret"), 200, &none),
        entry(3, "GET", &format!("{api}/orders/../orders/admin"), 200, &none),
        entry(4, "GET", &format!("{api}/orders/admin"), 403, &denied(900)),
        entry(5, "GET", &format!("{api}/orders/8"), 403, &denied(500)),
        entry(6, "GET", &format!("{api}/orders/9"), 200, &curl),
        entry(7, "POST", &format!("{api}/partner/feed"), 200, &none),
        entry(8, "POST", &format!("{api}/login"), 200, &none),
        entry(9, "POST", &format!("{api}/login"), 200, &none),
        entry(10, "GET", &format!("{api}/account"), 200, &none),
        entry(11, "GET", &format!("{www}/"), 200, &of_site()),
        entry(12, "GET", &format!("{www}/old/page"), 200, &of_site()),
        entry(13, "GET", &format!("{www}/about"), 200, &none),
    ]
}

pub(crate) fn folder(log: &str) -> TempDir {
    folder_with(&[
        ("firegate.yaml", CONFIGURATION),
        ("map.yaml", URL_MAP),
        ("edge.yaml", POLICY),
        ("requests.json", log),
    ])
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    run_in(folder, &[&["--simulate", "requests.json"], arguments].concat())
}

pub(crate) fn as_json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).expect("JSON")
}

#[test]
fn what_would_change_is_told_in_groups() {
    let folder = folder(&serde_json::to_string_pretty(&log()).expect("JSON"));
    let output = run(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    assert!(!text.contains("secret"), "{text}");
    insta::assert_snapshot!(text, @r#"
    13 requests of requests.json under firegate.yaml
            6  would be answered otherwise
            2  would be answered alike
            3  come as far as the user's token, which no log carries
            2  depend on something else that the log does not carry
            0  lines or entries are of no request

    Would be answered otherwise
            2  forwarded to orders, 2xx → 403 ARMOR_DENIED (edge.yaml:3)
               line 32: GET https://api.example.com/orders/admin/users
               line 62: GET https://api.example.com/orders/../orders/admin
            1  403 by rule 500 of policy "old" → to orders, if its token lets it (map.yaml:10)
               line 128: GET https://api.example.com/orders/8
            1  forwarded to orders, 2xx → 429 RATE_LIMITED (edge.yaml:16)
               line 254: POST https://api.example.com/login
            1  forwarded to orders, 2xx → to site (map.yaml:12)
               line 374: GET https://www.example.com/about
            1  forwarded to site, 2xx → 301 (map.yaml:14)
               line 344: GET https://www.example.com/old/page

    Cannot be decided by the log
            1  forwarded to orders, 2xx → unknown: rule 1000 of policy "edge" asks for the header
               x-partner (edge.yaml:12)
               line 194: POST https://api.example.com/partner/feed
            1  forwarded to orders, 2xx → unknown: rule 1200 of policy "edge" asks for the user
               (edge.yaml:25)
               line 284: GET https://api.example.com/account

    Left to the user's token
            3  forwarded to orders, 2xx → to orders, if its token lets it (map.yaml:10)
               line 2: GET https://api.example.com/orders/7
               line 164: GET https://api.example.com/orders/9
               line 224: POST https://api.example.com/login

    Would be answered alike
            1  403 by rule 900 of policy "old" → 403 ARMOR_DENIED (edge.yaml:3)
               line 92: GET https://api.example.com/orders/admin
            1  forwarded to site, 2xx → to site (map.yaml:12)
               line 314: GET https://www.example.com/

    Rules that are only tried out
            1  rule 950 of policy "edge" would have ended it: DENY (edge.yaml:7)

    Notes
      - the addresses are taken from the log as the clients', whatever `behind` says
      - of headers the log tells Host, User-Agent and Referer; a body, a token and all others are not
        known
    "#);
}

#[test]
fn an_array_and_lines_say_the_same() {
    let array = folder(&serde_json::to_string_pretty(&log()).expect("JSON"));
    let lines = log().iter().map(|entry| format!("{entry}\n")).collect::<String>();
    let lines = folder(&lines);
    let sums = |folder: &TempDir| {
        let found = as_json(&run(folder.path(), &["--output", "json"]));
        ["requests", "changed", "unchanged", "left_to_token", "undecided", "unread"]
            .map(|name| found[name].as_u64())
    };
    assert_eq!(sums(&array), [13, 6, 2, 3, 2, 0].map(Some));
    assert_eq!(sums(&array), sums(&lines));
}

#[test]
fn firegates_own_lines_are_read_too() {
    let line = |url: &str, status: u16, more: Value| {
        let mut line = json!({
            "severity": "INFO", "time": "2027-01-15T08:00:00.000001Z", "outcome": "permit", "backend": "orders",
            "httpRequest": {
                "requestMethod": "GET", "requestUrl": url, "status": status, "requestSize": "0", "responseSize": "512",
                "remoteIp": "203.0.113.9", "latency": "0.004321s", "protocol": "HTTP/2",
            },
        });
        merge(&mut line, &more);
        line.to_string()
    };
    let url = "https://api.example.com/orders";
    let expired = json!({"outcome": "denial", "code": "TOKEN_EXPIRED", "stage": "identity"});
    let denied = json!({"outcome": "denial", "code": "ARMOR_DENIED", "stage": "armor"});
    let log = [
        line(url, 200, json!({})),
        line(url, 401, expired),
        line(url, 403, denied),
        line("https://api.example.com/[concealed]", 200, json!({})),
        json!({"severity": "INFO", "message": "the front door listens"}).to_string(),
    ];
    let found = as_json(&run(folder(&log.join("\n")).path(), &["--output", "json"]));
    let groups = found["groups"].as_array().expect("groups").iter();
    let told = groups.map(|group| {
        format!("{}: {} → {}", group["change"], group["was"], group["would_be"]).replace('"', "")
    });
    let expected = [
        "changed: 403 ARMOR_DENIED → to orders, if its token lets it",
        "undecided: forwarded to orders, 2xx → unknown: the log conceals a part of the URL, or cut it",
        "left_to_token: 401 TOKEN_EXPIRED → to orders, if its token lets it",
        "left_to_token: forwarded to orders, 2xx → to orders, if its token lets it",
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let bad = json!([{"line": 5, "why": "it has no `httpRequest`: it is about no request"}]);
    assert_eq!((&found["unread"], &found["bad_lines"]), (&json!(1), &bad));
}

#[test]
fn bad_lines_do_not_stop_it() {
    let good = entry(1, "GET", "https://www.example.com/", 200, &of_site());
    let no_address =
        entry(2, "GET", "https://www.example.com/", 200, &json!({"httpRequest": { "remoteIp": "x" }}));
    let log = format!("nonsense\n{good}\n{{\"a\": }}\n{no_address}\n{{\"cut\": \"\n{good}\n");
    let output = run(folder(&log).path(), &["--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "nothing would change");
    let found = as_json(&output);
    assert_eq!((&found["requests"], &found["unread"]), (&json!(2), &json!(4)));
    let lines = found["bad_lines"].as_array().expect("lines").iter().map(|bad| bad["line"].as_u64());
    assert_eq!(lines.collect::<Option<Vec<_>>>().expect("numbers"), [1, 3, 4, 5]);
}

#[test]
fn limits_are_not_counted_against_the_order_of_time() {
    let mut log = log();
    log.reverse();
    let lines = log.iter().map(|entry| format!("{entry}\n")).collect::<String>();
    let found = as_json(&run(folder(&lines).path(), &["--output", "json"]));
    let groups = found["groups"].as_array().expect("groups");
    let of_limit = groups.iter().find(|group| group["place"]["line"] == 16).expect("a group");
    assert_eq!((&of_limit["change"], &of_limit["count"]), (&json!("undecided"), &json!(2)));
    assert!(found["notes"].to_string().contains("--order=asc"), "{}", found["notes"]);
}

/// Each worker hands its lines over by itself, so that those of several stand in the order of time only by and large.
#[test]
fn the_lines_of_several_workers_are_counted_in_the_order_of_time() {
    let login = |milliseconds: u32| {
        let time = format!("2027-01-15T08:00:{:02}.{:03}Z", milliseconds / 1000, milliseconds % 1000);
        let time = json!({ "timestamp": time });
        format!("{}\n", entry(0, "POST", "https://api.example.com/login", 200, &time))
    };
    let check = |times: &[u32], undecided: u64, limited: u64| {
        let lines = times.iter().map(|at| login(*at)).collect::<String>();
        let found = as_json(&run(folder(&lines).path(), &["--output", "json"]));
        assert_eq!(found["requests"], json!(times.len()));
        assert_eq!(
            (&found["undecided"], &found["changed"]),
            (&json!(undecided), &json!(limited)),
            "{times:?}"
        );
        assert_eq!(found["notes"].to_string().contains("--order=asc"), undecided > 0, "{times:?}");
    };
    // Of one login in a minute the others are limited.
    check(&[0, 20, 40, 10, 30, 50], 0, 5);
    check(&[2_000, 4_000, 0], 0, 2);
    // What comes later than that is not put where it belongs, and is not counted either.
    check(&[2_000, 4_001, 1_000], 1, 1);
}

#[test]
fn a_log_that_is_not_there_is_bad_input() {
    let folder = folder("[]");
    std::fs::remove_file(folder.path().join("requests.json")).expect("it was there");
    let output = run(folder.path(), &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("requests.json cannot be read"), "{errors}");
}

#[test]
fn a_log_of_no_request_is_no_proof() {
    let check = |log: &str, unread: u64| {
        let folder = folder(log);
        for arguments in [&[][..], &["--output", "json"]] {
            let output = run(folder.path(), arguments);
            assert_eq!(output.status.code(), Some(2), "{log}");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(errors.contains("no request could be read from requests.json"), "{errors}");
            assert!(errors.contains("hint: ") && errors.contains("--log-format json"), "{errors}");
        }
        let output = run(folder.path(), &["--output", "json"]);
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&found["requests"], &found["unread"]), (&0.into(), &unread.into()));
    };
    check("", 0);
    check("[]", 0);
    check(
        "2027-01-15T08:00:00.000000Z  INFO 200 GET https://api.example.com/ 1.000ms 2B from 203.0.113.9\n",
        1,
    );
}
