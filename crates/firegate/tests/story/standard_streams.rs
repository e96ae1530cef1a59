//! Where the commands write: a full disk, and readers that go away.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// No project's: enough for every command that decides nothing.
const TOKEN: &str = "e30.e30.AAAA";

const EXPLAINED: [&str; 7] = [
    "explain",
    "--project",
    "demo-project",
    "--backend",
    "https://api-abc123-uc.a.run.app",
    "--token",
    TOKEN,
];

/// The ports that nobody else has.
const DEV: [&str; 9] =
    ["dev", "--port", "0", "--service-port", "0", "--google-port", "0", "--identity-port", "0"];

/// A device that takes nothing, as a disk that is full.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("the device")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// A command whose output goes nowhere says so once, with what to do, and does not end as though all were well.
#[test]
fn output_that_cannot_be_written_is_one_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let configuration = "project: demo-project\nallow: [allUsers]\nbackends: { api: 'http://127.0.0.1:9' }\n";
    std::fs::write(&file, configuration).expect("a file");
    let file = file.display().to_string();
    let in_json = [&EXPLAINED[..], &["--output", "json"]].concat();
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["serve", "--help"],
        &["check", &file],
        &["check", "--output", "json", &file],
        &EXPLAINED,
        &in_json,
        &DEV,
    ] {
        let output = command(arguments).stdout(full()).output().expect("it runs");
        let told = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        let errors = told.lines().filter(|line| line.starts_with("error")).collect::<Vec<_>>();
        assert_eq!(errors.len(), 1, "{arguments:?}: {told}");
        assert!(errors[0].contains("standard output cannot be written: No space left on device"), "{told}");
        assert!(told.contains("\nhint: make room"), "{arguments:?}: {told}");
        assert!(!told.contains("panic"), "{arguments:?}: {told}");
    }
}

/// What is told beside the output is lost where nobody can read it, and the exit code says all the same how it ended.
#[test]
fn an_error_that_cannot_be_written_changes_no_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    std::fs::write(&file, "project: [").expect("a file");
    let file = file.display().to_string();
    for arguments in [
        &["no-command"][..],
        &["serve", "-c", &file],
        &["explain", "-c", &file, "--token", TOKEN],
        &["test", &file],
    ] {
        let ended = command(arguments).stdout(Stdio::null()).stderr(full()).status().expect("it runs");
        assert_eq!(ended.code(), Some(2), "{arguments:?}");
    }
}

/// `firegate dev | head -1` goes on: its reader has seen what it wanted.
#[test]
fn a_reader_of_the_welcome_that_goes_away_ends_nothing() {
    let mut dev = command(&DEV).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut first = String::new();
    BufReader::new(dev.stdout.take().expect("its output")).read_line(&mut first).expect("a line");
    assert!(first.contains("is ready"), "{first}");
    let killed = Command::new("kill").args(["-INT", &dev.id().to_string()]).status();
    assert!(killed.expect("kill runs").success());
    let output = dev.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(!told.contains("cannot be written") && !told.contains("panic"), "{told}");
}
