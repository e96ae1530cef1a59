//! `cargo xtask test oracles` and `expressions`: other verifiers judge the corpus of hostile tokens, and another CEL generated
//! conditions; every difference has its reason.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{observe, run};
use crate::tally::Tally;
use crate::tools::{install_node, install_node_packages, install_python_packages};
use crate::workspace::{root, scratch};

/// The folder of the verifiers.
fn folder() -> PathBuf {
    root().join("tests/oracles")
}

/// Makes sure of the verifiers, and returns the Python that has some of them.
pub(crate) fn install() -> Result<PathBuf> {
    install_node()?;
    install_node_packages(&folder())?;
    install_python_packages(&folder().join("requirements.txt"), &scratch()?.join("oracles"))
}

/// Writes the corpus, then shows it to the oracles.
pub(crate) fn test() -> Result<Tally> {
    let python = install()?;
    let corpus = write_corpus()?;

    let mut tally = Tally::default();
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"])
        .current_dir(folder())
        .env("FIREGATE_CORPUS_FILE", &corpus)
        .env("FIREGATE_ORACLES_PYTHON", &python);
    // A proxy of this machine is not for loopback, and in emulator mode the Admin SDK verifies nothing.
    node.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    node.env_remove("FIREBASE_AUTH_EMULATOR_HOST");
    let succeeded = observe(&mut node, |line| tally.read_node(line))?;
    Ok(tally.finish(succeeded, "node --test stopped before every test had run"))
}

/// Asks another implementation of CEL what it makes of generated IAM conditions. It is a workspace of its own, with a target of
/// its own.
pub(crate) fn test_expressions() -> Result<Tally> {
    let target = scratch()?.join("cel");
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--locked", "--manifest-path", "tests/oracles/cel/Cargo.toml"]);
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", target);
    let mut tally = Tally::default();
    let succeeded = observe(&mut cargo, |line| tally.read_sum(line))?;
    Ok(tally.finish(succeeded, "the comparison stopped before its end"))
}

/// Has the corpus judged by Firegate, which writes it down.
fn write_corpus() -> Result<PathBuf> {
    let scratch = scratch()?;
    let target = scratch.parent().unwrap_or(Path::new("target"));
    let file = target.join("tmp/hostile-tokens.json");
    if file.exists() {
        // An older one must not stand in for one that was not written.
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    let mut cargo = Command::new("cargo");
    // With the whole workspace's features, as `cargo xtask test rust` has compiled it.
    cargo.args(["test", "--workspace", "--test", "corpus", "--quiet"]).current_dir(root());
    ensure!(run(&mut cargo)?, "the corpus gets wrong verdicts of Firegate itself");
    ensure!(file.exists(), "the corpus is not in {}", file.display());
    Ok(file)
}
