//! Where a URL map leaves something to chance: nothing is guessed of what it draws, by the real binary.

use serde_json::{Value, json};

use crate::in_folder;

const CONFIGURATION: &str = "\
project: my-project
backends:
  blue: { url: 'https://blue-abc123-uc.a.run.app', allow: [ allUsers ] }
  green: { url: 'https://green-abc123-uc.a.run.app', allow: [ allUsers ] }
  red: { url: 'https://red-abc123-uc.a.run.app', allow: [ allUsers ] }
  legacy:
    url: https://legacy.example.com
    credential: none
    enforce: observe
    allow: [ 'user:grace@example.com' ]
url_map: map.yaml
";

const URL_MAP: &str = "\
name: shop
defaultService: red
hostRules:
- hosts: [ '*' ]
  pathMatcher: all
pathMatchers:
- name: all
  defaultService: red
  pathRules:
  - paths: [ /shop ]
    routeAction: { weightedBackendServices: [ { backendService: blue, weight: 999 }, { backendService: green, weight: 1 } ] }
  - paths: [ /one ]
    routeAction: { weightedBackendServices: [ { backendService: blue, weight: 0 }, { backendService: green, weight: 1 } ] }
  - paths: [ /some ]
    service: red
    routeAction: { faultInjectionPolicy: { abort: { httpStatus: 555, percentage: 0.01 } } }
  - paths: [ /always ]
    service: red
    routeAction: { faultInjectionPolicy: { abort: { httpStatus: 555, percentage: 100 } } }
  - paths: [ /never ]
    service: red
    routeAction: { faultInjectionPolicy: { abort: { httpStatus: 555, percentage: 0 } } }
  - paths: [ /legacy ]
    service: legacy
    routeAction: { faultInjectionPolicy: { abort: { httpStatus: 555, percentage: 100 } } }
";

/// What is said of requests, each by its path, the backend that it went to, its status and the detail of that.
fn played(requests: &[(&str, &str, u16, &str)]) -> Vec<String> {
    let entry = |(path, backend, status, details): &(&str, &str, u16, &str)| {
        json!({
            "httpRequest": {
                "remoteIp": "203.0.113.9", "requestMethod": "GET", "status": status,
                "requestUrl": format!("https://api.example.com{path}"),
            },
            "jsonPayload": { "statusDetails": details },
            "resource": { "labels": { "backend_service_name": backend } },
            "timestamp": "2027-01-15T08:00:00Z",
        })
    };
    let log = requests.iter().map(|request| format!("{}\n", entry(request))).collect::<String>();
    let files = [("firegate.yaml", CONFIGURATION), ("map.yaml", URL_MAP), ("log.json", log.as_str())];
    let (_, text) = in_folder(&files, &["--simulate", "log.json", "--output", "json"]);
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let mut told = Vec::new();
    for group in found["groups"].as_array().expect("groups") {
        let text = format!("{}: {} → {}", group["change"], group["was"], group["would_be"]).replace('"', "");
        told.push((group["examples"][0]["line"].as_u64(), text));
    }
    told.sort();
    told.into_iter().map(|(_, text)| text).collect()
}

const SENT: &str = "response_sent_by_backend";

#[test]
fn a_request_is_played_to_the_service_that_it_went_to_and_to_no_other_draw() {
    let found = played(&[
        ("/shop", "blue", 200, SENT),
        ("/shop", "green", 200, SENT),
        ("/shop", "red", 200, SENT),
        ("/shop", "unheard-of", 200, SENT),
        ("/one", "blue", 200, SENT),
    ]);
    let expected = [
        "unchanged: forwarded to blue, 2xx → to blue",
        "unchanged: forwarded to green, 2xx → to green",
        "changed: forwarded to red, 2xx → to one of blue, green, as chance chooses",
        "undecided: forwarded, 2xx → to one of blue, green, as chance chooses",
        "changed: forwarded to blue, 2xx → to green",
    ];
    assert_eq!(found, expected);
}

#[test]
fn whom_fault_injection_spoils_is_not_guessed() {
    let found = played(&[
        ("/some", "red", 200, SENT),
        ("/some", "blue", 200, SENT),
        ("/some", "red", 555, "fault_filter_abort"),
        ("/always", "red", 200, SENT),
        ("/always", "red", 555, "fault_filter_abort"),
        ("/never", "red", 204, SENT),
        ("/legacy", "legacy", 200, SENT),
    ]);
    let expected = [
        "undecided: forwarded to red, 2xx → unknown: fault injection may answer it with 555",
        "changed: forwarded to blue, 2xx → to red",
        "undecided: 555 by fault injection → unknown: fault injection may answer it with 555",
        "changed: forwarded to red, 2xx → 555 FAULT_INJECTED",
        "unchanged: 555 by fault injection → 555 FAULT_INJECTED",
        "unchanged: forwarded to red, 2xx → to red",
        "changed: forwarded to legacy, 2xx → 555 FAULT_INJECTED",
    ];
    assert_eq!(found, expected);
}

#[test]
fn fault_injection_spoils_what_is_only_observed_too() {
    let files = [("firegate.yaml", CONFIGURATION), ("map.yaml", URL_MAP)];
    let url = ["--url", "https://api.example.com/legacy", "--output", "json"];
    let (code, text) = in_folder(&files, &url);
    assert_eq!(code, Some(1), "{text}");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let answer = &found["answer"];
    assert_eq!((&answer["status"], &answer["code"]), (&json!(555), &json!("FAULT_INJECTED")), "{text}");
    assert_eq!(found["decided_at"]["file"], "map.yaml", "{text}");
    let last = found["stages"].as_array().expect("stages").last().expect("a stage");
    assert_eq!((&last["stage"], &last["verdict"]), (&json!("upstream"), &json!("refused")), "{text}");
}
