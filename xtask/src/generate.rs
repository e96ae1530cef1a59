//! `cargo xtask generate`: the files that are made from the code. A test makes them, for tests are compiled with the whole
//! product anyway, and xtask without it: whatever else it does has not to wait for that.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::root;

/// Writes the files, or with `check` compares them. True when all are as they should be.
pub(crate) fn run(check: bool) -> Result<bool> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--workspace", "--test", "generated", "generated_files_are_fresh"]);
    cargo.args(["--", "--nocapture"]).current_dir(root());
    if !check {
        cargo.env("FIREGATE_GENERATE", "write");
    }
    process::run(&mut cargo)
}
