//! `cargo xtask lint`.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::tools::cargo_deny;
use crate::workspace::root;

/// Runs every check, also after one has failed. True when all succeed.
pub(crate) fn run() -> Result<bool> {
    let cargo = |words: &[&str]| process::run(Command::new("cargo").args(words).current_dir(root()));
    let formatted = cargo(&["fmt", "--all", "--check"])?;
    let clippy = cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    // The fuzz targets are a workspace of their own.
    let fuzz_formatted = cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])?;
    let mut deny = Command::new(cargo_deny()?);
    let dependencies = process::run(deny.args(["check", "bans", "licenses", "sources"]).current_dir(root()))?;

    println!();
    for (check, succeeded) in
        [("format", formatted && fuzz_formatted), ("clippy", clippy), ("dependencies", dependencies)]
    {
        println!("lint: {check} {}", if succeeded { "ok" } else { "FAILED" });
    }
    Ok(formatted && fuzz_formatted && clippy && dependencies)
}
