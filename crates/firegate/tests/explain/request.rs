//! A whole request, by the real binary: how it may be given, and what is said where something of it is missing.

mod way;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{SIGNER, folder_with, run_in, signed, text};

/// The time of [`crate::NOW`].
const AT: &str = "2027-01-15T08:00:00Z";

const CONFIGURATION: &str = "\
project: my-project
backends:
  orders:
    url: https://orders-abc123-uc.a.run.app
    security_policy: { file: edge.yaml, dialect: firegate }
    iam_policy: { file: iam.yaml, dialect: firegate }
  videos:
    url: https://videos-abc123-uc.a.run.app
    allow:
    - 'user:grace@example.com'
    - 'user:ada@example.com'
  legacy:
    url: https://legacy.example.com
    credential: none
    enforce: observe
    allow: [ 'user:grace@example.com' ]
url_map: map.yaml
";

const URL_MAP: &str = "\
name: shop
defaultService: videos
hostRules:
- hosts: [ api.example.com ]
  pathMatcher: api
- hosts: [ old.example.com ]
  pathMatcher: old
pathMatchers:
- name: api
  defaultService: videos
  pathRules:
  - paths: [ /orders, /orders/* ]
    service: orders
- name: old
  defaultService: legacy
";

const POLICY: &str = "\
name: edge
rules:
- priority: 900
  description: the back office is for the office
  action: deny(403)
  match:
    expr: { expression: \"request.path.startsWith('/orders/admin') && !inIpRange(origin.ip, '198.51.100.0/24')\" }
- priority: 950
  preview: true
  action: deny(404)
  match:
    expr: { expression: \"request.headers['user-agent'].contains('curl')\" }
- priority: 1000
  action: throttle
  match:
    expr: { expression: \"request.method == 'POST' && auth.uid != 'root'\" }
  rateLimitOptions:
    rateLimitThreshold: { count: 100, intervalSec: 60 }
    conformAction: allow
    exceedAction: deny(429)
    enforceOnKeyConfigs: [ { enforceOnKeyType: AUTH_UID } ]
- priority: 2147483647
  action: allow
  match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: [ '*' ] } }
";

const IAM: &str = "\
bindings:
- role: roles/run.invoker
  members: [ 'user:ada@example.com' ]
  condition:
    title: not on the archive
    expression: \"!request.path.startsWith('/orders/archive')\"
- role: roles/run.invoker
  members: [ 'user:grace@example.com' ]
version: 3
";

/// A folder with the files of a configuration, and the issuer's keys.
fn folder() -> TempDir {
    let keys = json!({"keys": [SIGNER.public_jwk()]}).to_string();
    folder_with(&[
        ("firegate.yaml", CONFIGURATION),
        ("map.yaml", URL_MAP),
        ("edge.yaml", POLICY),
        ("iam.yaml", IAM),
        ("keys.json", &keys),
    ])
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    run_in(folder, &[&["--at", AT, "--address", "203.0.113.9"], arguments].concat())
}

/// What is said of a request, and the code that the command ends with.
fn explained(code: i32, token: Option<Value>, arguments: &[&str]) -> String {
    let folder = folder();
    let token = token.map(signed).unwrap_or_default();
    let given = ["--token", &token, "--id-token-keys", "keys.json"];
    let given = if token.is_empty() { &[][..] } else { &given[..] };
    let output = run(folder.path(), &[arguments, given].concat());
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    text(&output)
}

#[test]
fn a_head_from_a_file_that_the_door_would_not_read() {
    let folder = folder();
    let head =
        "GET /orders HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc";
    std::fs::write(folder.path().join("request.txt"), head).expect("a file");
    let output = run(folder.path(), &["--request", "request.txt"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output), @r#"
    GET /orders
      from        203.0.113.9: the peer

    The way of the request
      REFUSED       facts     there is more than one Content-Length

    Answer
      400         REQUEST_MALFORMED: the request is malformed
      because     there is more than one Content-Length
      to change   send the request as RFC 9110 and RFC 3986 describe it
    "#);
}

#[test]
fn as_json_and_without_keys_as_though_the_signature_were_valid() {
    let folder = folder();
    let token = signed(json!({}));
    let head = format!("GET /orders HTTP/1.1\nHost: api.example.com\nAuthorization: Bearer {token}\n");
    std::fs::write(folder.path().join("request.txt"), head).expect("a file");
    let arguments =
        ["--request", "request.txt", "--id-token-keys", "http://127.0.0.1:1/keys", "--output", "json"];
    let output = run(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    let signature = token.rsplit('.').next().expect("a signature");
    assert!(!text.contains(signature), "the token is not told");
    let explained: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(explained["answer"]["verdict"], "depends");
    assert_eq!(explained["decided_at"], json!({"file": "iam.yaml", "line": 3}));
    let verdicts = explained["stages"].as_array().expect("stages").iter();
    let verdicts = verdicts.map(|line| format!("{} {}", line["stage"], line["verdict"]).replace('"', ""));
    let expected =
        ["facts passed", "route passed", "armor passed", "identity depends", "iam passed", "upstream passed"];
    assert_eq!(verdicts.collect::<Vec<_>>(), expected);
    let notes = explained["notes"].to_string();
    assert!(notes.contains("taken for valid") && notes.contains("http://127.0.0.1:1/keys"), "{notes}");
}

#[test]
fn a_forged_signature_is_refused_although_it_is_not_sent_anywhere() {
    let folder = folder();
    let mut token = signed(json!({}));
    let last = token.len() - 20;
    let other = if token[last..].starts_with('A') { "B" } else { "A" };
    token.replace_range(last..=last, other);
    let url = ["--url", "https://api.example.com/orders", "--id-token-keys", "keys.json", "--token", &token];
    let output = run(folder.path(), &url);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("401         TOKEN_SIGNATURE_INVALID"), "{}", text(&output));
}

#[test]
fn who_the_client_is_follows_from_behind() {
    let folder = folder();
    let url = ["--url", "https://api.example.com/orders/admin", "--header", "X-Forwarded-For: 198.51.100.7"];
    let direct = text(&run(folder.path(), &url));
    assert!(direct.contains("ARMOR_DENIED") && direct.contains("may not speak for others"), "{direct}");
    let behind = format!("{CONFIGURATION}behind: cloud-run\n");
    std::fs::write(folder.path().join("firegate.yaml"), behind).expect("a file");
    let elsewhere = text(&run(folder.path(), &url));
    assert!(
        elsewhere.contains("ARMOR_DENIED") && elsewhere.contains("may not speak for others"),
        "{elsewhere}"
    );
    let vouched = text(&run(folder.path(), &[&url[..], &["--on-cloud-run"]].concat()));
    assert!(vouched.contains("TOKEN_MISSING") && vouched.contains("named in X-Forwarded-For"), "{vouched}");
}

#[test]
fn what_describes_no_request_is_bad_input() {
    let folder = folder();
    let check = |arguments: &[&str], words: &str| {
        let output = run(folder.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words) && output.stdout.is_empty(), "{errors}");
    };
    check(&["--url", "ftp://api.example.com/"], "no URL of http or https");
    check(&["--url", "api.example.com"], "neither a URL nor a path");
    check(&["--url", "https://api.example.com/", "--header", "nothing"], "no colon");
    check(&["--request", "nowhere.txt"], "nowhere.txt cannot be read");
    let command = "curl -H 'Authorization: Bearer x' https://api.example.com/orders";
    std::fs::write(folder.path().join("command.txt"), command).expect("a file");
    check(&["--request", "command.txt"], "hint: run it as `curl -v`");
    check(&["--method", "POST"], "--url");
    check(&["--on-cloud-run"], "--url");
    let both =
        ["--url", "https://api.example.com/", "--header", "Authorization: Basic eDp5", "--token", "a.b.c"];
    check(&both, "beside --token");
}

#[test]
fn a_decision_case_is_explained_by_its_name() {
    let folder = folder();
    let cases = "\
configuration: firegate.yaml
cases:
- name: ada reads her orders
  request: GET https://api.example.com/orders
  user: { uid: ada, email: ada@example.com }
  expect: { passes_to: orders }
- name: eve does not
  request: { url: 'https://api.example.com/orders', client: 198.51.100.9 }
  user: eve
  expect: { refused: NO_INVOKER_BINDING }
";
    std::fs::write(folder.path().join("cases.yaml"), cases).expect("a file");
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
        let output = command.args(["explain", "--request", "cases.yaml"]).args(arguments);
        let output = output.current_dir(folder.path()).env_clear().output().expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, ada) = explain(&["--case", "ada reads her orders"]);
    assert!(
        code == Some(0) && ada.contains("user:ada@example.com may call \"orders\" (iam.yaml:3)"),
        "{ada}"
    );
    let (code, eve) = explain(&["--case", "eve does not"]);
    assert!(code == Some(1) && eve.contains("403         NO_INVOKER_BINDING"), "{eve}");
    assert!(eve.contains("198.51.100.9: as the case says") && eve.contains("cases.yaml:7"), "{eve}");
    let (code, nobody) = explain(&["--case", "nobody"]);
    assert!(code == Some(2) && nobody.contains("eve does not"), "{nobody}");
}

#[test]
fn firegates_own_paths_are_answered_and_never_routed() {
    let answer = |path: &str| explained(0, None, &["--url", &format!("https://api.example.com{path}")]);
    assert!(answer("/.well-known/firegate/jwks.json").contains("answered by Firegate itself"));
    let other = explained(
        1,
        None,
        &["--url", "https://api.example.com/.well-known/firegate/jwks.json", "--method", "POST"],
    );
    assert!(other.contains("REFUSED       route     the methods there are GET, HEAD"), "{other}");
    assert!(other.contains("  405         METHOD_NOT_ALLOWED"), "{other}");
    let nothing = explained(1, None, &["--url", "https://api.example.com/.well-known/firegate/other"]);
    assert!(nothing.contains("404         ROUTE_NOT_FOUND"), "{nothing}");
    let encoded = explained(1, None, &["--url", "https://api.example.com/.well-known%2Ffiregate/ready"]);
    assert!(encoded.contains("would lead to Firegate's own paths"), "{encoded}");
}

/// Who reads the answer on the wire finds another status there.
#[test]
fn an_encoded_slash_is_refused_with_the_key_that_lets_it_pass() {
    let told = explained(1, None, &["--url", "https://api.example.com/orders/a%2Fb"]);
    assert!(
        told.contains("REQUEST_MALFORMED") && told.contains("`encoded_slash: forward` for the backend"),
        "{told}"
    );
}

#[test]
fn of_grpc_both_statuses_are_told() {
    let grpc = ["--url", "https://api.example.com/orders/7", "--method", "POST", "--header"];
    let refused = explained(1, None, &[&grpc[..], &["Content-Type: application/grpc"]].concat());
    assert!(refused.contains("  401         TOKEN_MISSING"), "{refused}");
    assert!(refused.contains("its client gets 200, and the reason as grpc-status 16"), "{refused}");
    let other = explained(1, None, &[&grpc[..], &["Content-Type: application/json"]].concat());
    assert!(!other.contains("grpc-status"), "{other}");
    let passed = explained(0, Some(json!({})), &[&grpc[..], &["Content-Type: application/grpc"]].concat());
    assert!(!passed.contains("grpc-status"), "{passed}");
}

#[test]
fn a_path_alone_has_a_host_and_a_note_says_which() {
    let assumed = "no host was named: explained as though it were \"localhost\"";
    let path = explained(1, None, &["--url", "/orders"]);
    assert!(path.replace("\n        ", "").contains(assumed), "{path}");
    assert!(!path.contains("REQUEST_MALFORMED"), "{path}");
    let named = explained(1, None, &["--url", "/orders", "--header", "host: api.example.com"]);
    assert!(!named.contains("no host was named"), "{named}");
    // A URL that leaves its host out is not one that was never meant to have one.
    let without = explained(1, None, &["--url", "https:///orders"]);
    assert!(without.contains("REQUEST_MALFORMED"), "{without}");
}
