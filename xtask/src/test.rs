//! `cargo xtask test`: every runner, and the sum of what they say.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::dev::DevServer;
use crate::process::{self, cores, observe, progress};
use crate::tally::Tally;
use crate::tools::{
    install_client_libraries, install_cpp_compiler, install_curl, install_nginx, install_node, install_redis,
};
use crate::workspace::{build_executable, client_tests, root, scratch};
use crate::{fuzz, oracles};

/// How many of Rust's tests run at a time for each core: most wait for a time-out or for an answer.
const TESTS_PER_CORE: usize = 4;

/// And how many at the most: each has servers and clients of its own, and descriptors are bounded.
const TESTS_AT_A_TIME_MAX: usize = 16;

/// Some of the tests.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
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
    let suites = match only {
        Some(suite) => vec![suite],
        None => Suite::EVERY_TEST.to_vec(),
    };
    if suites.contains(&Suite::Rust) {
        compile_while_downloading(&suites)?;
    }
    let tallies = suites.into_iter().map(|suite| {
        // A suite that cannot run has failed, and the others run all the same.
        let tally = suite.run().unwrap_or_else(|error| Tally::default().finish(false, &format!("{error:#}")));
        (suite.runner(), tally)
    });
    let tallies = tallies.collect::<Vec<_>>();

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

impl Suite {
    /// What `cargo xtask test` runs, in this order.
    const EVERY_TEST: [Self; 4] = [Self::Rust, Self::Clients, Self::Fuzz, Self::Oracles];

    /// Whose closing lines its closing lines are.
    fn runner(self) -> &'static str {
        match self {
            Self::Rust => "cargo test",
            Self::Clients => "node --test",
            Self::Fuzz => "fuzz",
            Self::Oracles => "oracles",
            Self::Expressions => "cel",
        }
    }

    /// Makes sure of what the suite needs of the system and of the package registries.
    fn install(self) -> Result<()> {
        match self {
            Self::Rust => {
                install_curl()?;
                // Two servers that read paths beside Firegate.
                install_nginx()?;
                install_node()?;
                install_redis()
            }
            Self::Clients => install_client_libraries(),
            Self::Fuzz => install_cpp_compiler(),
            Self::Oracles => oracles::install().map(drop),
            Self::Expressions => Ok(()),
        }
    }

    fn run(self) -> Result<Tally> {
        self.install()?;
        match self {
            Self::Rust => rust(),
            Self::Clients => clients(),
            Self::Fuzz => fuzz::test(),
            Self::Oracles => oracles::test(),
            Self::Expressions => oracles::test_expressions(),
        }
    }
}

/// Compiles the tests, and has what all the suites need downloaded meanwhile.
fn compile_while_downloading(suites: &[Suite]) -> Result<()> {
    std::thread::scope(|scope| {
        // What fails here is tried again, and told, by the suite that needs it.
        scope.spawn(|| suites.iter().for_each(|suite| drop(suite.install())));
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--workspace", "--no-run"]).current_dir(root());
        // So is what does not compile: `cargo test` names it.
        process::run(&mut cargo).map(drop)
    })
}

fn rust() -> Result<Tally> {
    let mut tally = Tally::default();
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--workspace", "--no-fail-fast"]).current_dir(root());
    cargo.env("RUST_TEST_THREADS", (TESTS_PER_CORE * cores()).min(TESTS_AT_A_TIME_MAX).to_string());
    let succeeded = observe(&mut cargo, |line| tally.read_cargo(line))?;
    Ok(tally.finish(succeeded, "cargo test stopped before every test had run"))
}

fn clients() -> Result<Tally> {
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
    // As the tests build it, beside one of them: with other features of its dependencies everything would be compiled anew.
    build_executable(&["test", "--workspace", "--test", "decisions", "--no-run"], "firegate")
}
