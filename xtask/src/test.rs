//! `cargo xtask test`: every runner, and the sum of what they say.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use serde_json::Value;

use crate::dev::DevServer;
use crate::process::{observe, progress};
use crate::tally::Tally;
use crate::tools::{install_client_libraries, install_curl, install_nginx, install_node, install_redis};
use crate::workspace::{client_tests, root, scratch};

/// Some of the tests.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// All tests of the workspace's crates
    Rust,
    /// Google's client libraries against `firegate dev`
    Clients,
    /// The fuzz targets, a few seconds each
    Fuzz,
    /// Other verifiers against the corpus of hostile tokens
    Oracles,
    /// IAM conditions beside another CEL; only when it is named, because that takes minutes to compile
    Expressions,
}

/// Runs the tests, streams what their runners write, and closes with `N passed, N failed`. True when none failed.
pub(crate) fn run(only: Option<Suite>) -> Result<bool> {
    let mut tallies = Vec::new();
    if only.is_none_or(|suite| suite == Suite::Rust) {
        tallies.push(("cargo test", rust()?));
    }
    if only.is_none_or(|suite| suite == Suite::Clients) {
        let tally = clients().unwrap_or_else(|error| Tally::default().finish(false, &format!("{error:#}")));
        tallies.push(("node --test", tally));
    }
    if only.is_none_or(|suite| suite == Suite::Fuzz) {
        let tally =
            crate::fuzz::test().unwrap_or_else(|error| Tally::default().finish(false, &format!("{error:#}")));
        tallies.push(("fuzz", tally));
    }
    if only.is_none_or(|suite| suite == Suite::Oracles) {
        let tally = crate::oracles::test()
            .unwrap_or_else(|error| Tally::default().finish(false, &format!("{error:#}")));
        tallies.push(("oracles", tally));
    }

    if only == Some(Suite::Expressions) {
        let tally = crate::oracles::test_expressions()
            .unwrap_or_else(|error| Tally::default().finish(false, &format!("{error:#}")));
        tallies.push(("cel", tally));
    }

    progress("closing lines");
    let (mut passed, mut failed) = (0, 0);
    for (runner, tally) in tallies {
        for line in tally.closing_lines {
            println!("{runner}: {line}");
        }
        passed += tally.passed;
        failed += tally.failed;
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn rust() -> Result<Tally> {
    install_curl()?;
    // Two servers that read paths beside Firegate.
    install_nginx()?;
    install_node()?;
    install_redis()?;
    let mut tally = Tally::default();
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--workspace", "--no-fail-fast"]).current_dir(root());
    let succeeded = observe(&mut cargo, |line| tally.read_cargo(line))?;
    Ok(tally.finish(succeeded, "cargo test stopped before every test had run"))
}

fn clients() -> Result<Tally> {
    install_client_libraries()?;
    let binary = build_binary()?;
    progress("firegate dev");
    let server = DevServer::start(&binary, &scratch()?)?;
    let mut tally = Tally::default();
    let succeeded = observe(&mut node(server.ready_file(), &binary), |line| tally.read_node(line))?;
    let tally = tally.finish(succeeded, "node --test stopped before every test had run");
    if tally.failed > 0 {
        eprintln!("\nfiregate dev wrote:\n{}", server.log());
    }
    Ok(tally)
}

fn node(ready_file: &Path, binary: &Path) -> Command {
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"])
        .current_dir(client_tests())
        .env("FIREGATE_READY_FILE", ready_file)
        .env("FIREGATE_BINARY", binary);
    // A proxy of this machine is not for loopback, and emulator mode is not what is tested.
    node.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    node.env_remove("FIREBASE_AUTH_EMULATOR_HOST");
    node
}

/// Builds the binary that the clients drive, and returns its path.
fn build_binary() -> Result<PathBuf> {
    progress("cargo build --package firegate");
    let output = Command::new("cargo")
        .args(["build", "--package", "firegate", "--message-format=json-render-diagnostics"])
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo build")?;
    ensure!(output.status.success(), "the binary does not build");
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "firegate")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo build names no executable")
}
