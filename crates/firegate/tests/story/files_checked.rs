//! `firegate check` and `firegate test --expr`: what they print and how they end.

use std::path::Path;
use std::process::Command;

fn firegate(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    let output = command.args(arguments).env_clear().current_dir(folder).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Writes the files, runs the command, and looks for the parts in what it prints.
fn check(files: &[(&str, &str)], arguments: &[&str], code: i32, expected: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let (ended, stdout, stderr) = firegate(folder.path(), arguments);
    let printed = format!("{stdout}{stderr}");
    assert_eq!(ended, Some(code), "{printed}");
    for part in expected {
        assert!(printed.contains(part), "{part:?} is not in:\n{printed}");
    }
    stdout
}

const SOUND: &str = "project: demo-project\nbackends: { api: 'https://api-abc123-uc.a.run.app' }\nallow: [allAuthenticatedUsers]\n";

#[test]
fn check_says_that_a_configuration_is_sound() {
    check(&[("firegate.yaml", SOUND)], &["check"], 0, &["the configuration is sound"]);
    check(&[("other.yaml", SOUND)], &["check", "-c", "other.yaml"], 0, &["the configuration is sound"]);
    assert_eq!(check(&[("firegate.yaml", SOUND)], &["check", "--output", "json"], 0, &[]).trim(), "[]");
}

#[test]
fn check_reports_everything_at_once_with_its_place() {
    let text = "project: demo-project\nbackends: { api: { url: 'https://api.example.com/x', enforce: of } }\nalow: [allUsers]\n";
    check(
        &[("firegate.yaml", text)],
        &["check"],
        1,
        &["firegate.yaml:2", "firegate.yaml:3", "did you mean `allow`?", "error(s)"],
    );
    let json = check(&[("firegate.yaml", text)], &["check", "--output", "json"], 1, &[]);
    let findings: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let findings = findings.as_array().expect("a list");
    assert!(
        findings.iter().any(|found| found["place"]["line"] == 3 && found["severity"] == "error"),
        "{json}"
    );
    check(&[], &["check"], 2, &["firegate.yaml cannot be read"]);
}

#[test]
fn check_tells_what_a_front_door_would_say_of_its_keys() {
    let text = format!("{SOUND}assertion: {{ key: missing.pem }}\n");
    check(&[("firegate.yaml", &text)], &["check"], 1, &["missing.pem", "firegate.yaml:4", "FG151"]);
    let text = format!("{SOUND}assertion: {{ key: bad.pem }}\n");
    check(&[("firegate.yaml", &text), ("bad.pem", "no key")], &["check"], 1, &["bad.pem", "FG151"]);
    check(
        &[("firegate.yaml", SOUND)],
        &["check", "--on-cloud-run"],
        0,
        &["no assertion about the user is sent", "1 warning(s)"],
    );
    check(&[("firegate.yaml", SOUND)], &["check", "--on-cloud-run", "--strict"], 1, &["openssl genpkey"]);
    let text = format!(
        "{SOUND}exchange: {{ enabled: true }}\nassertion: {{ issuer: 'https://door.example.com' }}\n"
    );
    let expected = ["`exchange.enabled` needs `assertion.key`", "firegate.yaml:4"];
    check(&[("firegate.yaml", &text)], &["check", "--on-cloud-run"], 1, &expected);
}

#[test]
fn check_runs_the_tests_of_the_url_map() {
    let text = format!("{SOUND}url_map: map.yaml\n");
    let map = |service: &str| {
        format!(
            "name: m\ndefaultService: api\ntests:\n- {{ host: api.example.com, path: /a, service: {service} }}\n"
        )
    };
    let files = |map: &str| {
        check(&[("firegate.yaml", &text), ("map.yaml", map)], &["check"], 0, &["the configuration is sound"])
    };
    files(&map("api"));
    let other = "project: demo-project\nallow: [allAuthenticatedUsers]\nurl_map: map.yaml\nbackends:\n  api: https://a.run.app\n  web: https://b.run.app\n";
    let expected = ["1 of the URL map's 1 tests fail", "map.yaml:4", "change the rule"];
    check(&[("firegate.yaml", other), ("map.yaml", &map("web"))], &["check"], 1, &expected);
}

const SUITE: &str = "name: admin\nexpr: >\n  request.path.startsWith('/admin/') &&\n  !inIpRange(origin.ip, '10.0.0.0/8')\n\
    tests:\n  - name: from outside\n    expect: true\n    when:\n      request: { path: /admin/users }\n      origin: { ip: 203.0.113.9 }\n\
    \x20 - name: from inside\n    expect: false\n    when:\n      request: { path: /admin/users }\n      origin: { ip: 10.1.2.3 }\n\
    \x20 - name: without an address\n    error: invalid IP address\n    when: { request: { path: /admin/users } }\n";

#[test]
fn tests_of_an_expression_run_as_in_googles_tool() {
    check(&[("t.yaml", SUITE)], &["test", "--expr", "t.yaml"], 0, &["3 passed, 0 failed"]);
    let failing = SUITE.replace("expect: false", "expect: true");
    let expected = [
        "failed: t.yaml:",
        "admin/from inside",
        "expected true, got false",
        "origin.ip = '10.1.2.3'",
        "2 passed, 1 failed",
    ];
    check(&[("t.yaml", &failing)], &["test", "--expr", "t.yaml"], 1, &expected);
    let broken = SUITE.replace("startsWith", "startswith");
    check(
        &[("t.yaml", &broken)],
        &["test", "--expr", "t.yaml"],
        2,
        &["t.yaml:3", "did you mean `startsWith`?"],
    );
    check(&[], &["test"], 2, &["<FILE>"]);
}
