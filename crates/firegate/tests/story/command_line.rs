//! The binary itself: what it prints and how it ends.

use std::process::{Command, Output};

fn firegate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.args(arguments).env_clear();
    command.output().expect("the binary runs")
}

fn check(arguments: &[&str], code: i32, expected: &[&str]) {
    let output = firegate(arguments);
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for part in expected {
        assert!(stderr.contains(part), "{part:?} is not in:\n{stderr}");
    }
    assert!(output.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn serve_refuses_to_start_without_an_allow_and_says_what_to_add() {
    check(
        &["serve", "--project", "demo-project", "--backend", "https://api-abc123-uc.a.run.app"],
        2,
        &["allAuthenticatedUsers", "--allow"],
    );
    check(&["serve"], 2, &["there is no configuration", "firegate dev"]);
    check(&["serve", "-c", "does-not-exist.yaml"], 2, &["does-not-exist.yaml cannot be read"]);
}

#[test]
fn a_taken_port_names_its_flag() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    check(&["dev", "--service-port", &port], 2, &["--service-port", &port]);
}

#[test]
fn no_environment_variable_switches_emulator_trust_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let text = "project: demo-project\nbackends: { api: 'https://api.example.com' }\nallow: [allAuthenticatedUsers]\ntrust: emulator\n";
    std::fs::write(&file, text).expect("a file");
    check(&["serve", "-c", file.to_str().expect("text")], 2, &["trust", "firegate dev"]);
}
