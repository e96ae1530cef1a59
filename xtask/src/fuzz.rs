//! `cargo xtask fuzz`: the fuzz targets, on stable Rust and without cargo-fuzz.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use crate::process::{cores, progress, run as run_command};
use crate::tally::Tally;
use crate::tools::install_cpp_compiler;
use crate::workspace::{root, scratch};

/// What cargo-fuzz passes for `--sanitizer none`, and what stable Rust takes: coverage is a pass of LLVM, not a sanitizer.
const COVERAGE_FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// How long each target runs among the tests.
const SECONDS_IN_TESTS: u32 = 6;

/// More memory than any input may take, with what the fuzzer itself keeps.
const RESIDENT_MIB_MAX: u32 = 512;

/// A single input that takes longer is a finding.
const INPUT_SECONDS_MAX: u32 = 10;

/// Longer than the longest token, so that the bound itself is tried.
const INPUT_BYTES_MAX: u32 = 20_000;

/// The folder of the targets, a workspace of its own.
fn folder() -> PathBuf {
    root().join("fuzz")
}

/// Runs one target or all of them. True when no input broke a rule.
pub(crate) fn run(only: Option<&str>, seconds: Option<u32>) -> Result<bool> {
    let tally = tally(only, seconds.unwrap_or(SECONDS_IN_TESTS))?;
    progress("closing lines");
    for line in &tally.closing_lines {
        println!("fuzz: {line}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(tally.failed == 0)
}

/// Runs the targets as tests: each for a few seconds, counted as one test.
pub(crate) fn test() -> Result<Tally> {
    tally(None, SECONDS_IN_TESTS)
}

fn tally(only: Option<&str>, seconds: u32) -> Result<Tally> {
    install_cpp_compiler()?;
    let executables = build(only)?;
    // A target has one thread, so there is one for each core at a time.
    let next = AtomicUsize::new(0);
    let outcomes = std::thread::scope(|scope| {
        let take_turns = || {
            let turns = std::iter::from_fn(|| executables.get(next.fetch_add(1, Ordering::Relaxed)));
            turns.map(|(target, executable)| Ok((target, fuzz(target, executable, seconds)?))).collect()
        };
        let threads = (0..cores()).map(|_| scope.spawn(take_turns)).collect::<Vec<_>>();
        let join = |thread: ScopedJoinHandle<'_, Result<Vec<_>>>| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("a thread that runs targets panicked")))
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let findings = outcomes.into_iter().flatten().collect::<BTreeMap<_, _>>();

    let mut tally = Tally::default();
    for (target, finding) in findings {
        if let Some(finding) = finding {
            tally.failed += 1;
            tally.closing_lines.push(format!("{target}: FAILED, {finding}"));
        } else {
            tally.passed += 1;
            tally.closing_lines.push(format!("{target}: ok, {seconds} s"));
        }
    }
    Ok(tally.finish(true, "no target ran"))
}

/// Builds the targets, in a target directory of their own because of the flags, and returns their names and paths.
fn build(only: Option<&str>) -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = Command::new("cargo");
    // With `--target` the flags are for the targets alone and not for build scripts.
    cargo.args(["build", "--release", "--message-format=json-render-diagnostics", "--target"]);
    cargo.arg(host()?).arg("--target-dir").arg(target_directory()?).current_dir(folder());
    cargo.env("RUSTFLAGS", COVERAGE_FLAGS);
    match only {
        Some(target) => cargo.args(["--bin", target]),
        None => cargo.arg("--bins"),
    };
    progress("cargo build of the fuzz targets");
    let output = cargo.stderr(std::process::Stdio::inherit()).output().context("cannot run cargo build")?;
    ensure!(output.status.success(), "the fuzz targets do not build");
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut executables: Vec<(String, PathBuf)> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let executable = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(executable)))
        })
        .collect();
    executables.sort();
    Ok(executables)
}

/// Runs one target on its seeds and what it makes of them. `None`, or what was found.
fn fuzz(target: &str, executable: &Path, seconds: u32) -> Result<Option<String>> {
    let seeds = folder().join("seeds").join(target);
    ensure!(seeds.is_dir(), "{target} has no seeds in {}", seeds.display());
    // What the fuzzer learns stays between runs, below the target directory.
    let learnt = scratch()?.join("fuzz/corpus").join(target);
    let artifacts = scratch()?.join("fuzz/artifacts").join(target);
    for folder in [&learnt, &artifacts] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut command = Command::new(executable);
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-seed=1", "-print_final_stats=1", "-verbosity=0", "-detect_leaks=0"]);
    command.arg(format!("-rss_limit_mb={RESIDENT_MIB_MAX}"));
    command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    command.arg(format!("-max_len={INPUT_BYTES_MAX}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(&learnt).arg(&seeds);
    // libFuzzer is talkative. What it says is kept beside the inputs, and shown when it matters.
    let log = scratch()?.join("fuzz").join(format!("{target}.log"));
    command.stderr(std::fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?);
    let succeeded = run_command(&mut command)?;
    let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    if succeeded {
        let statistics = text.lines().filter(|line| line.starts_with("stat::")).collect::<Vec<_>>();
        println!("{target}\n{}", statistics.join("\n"));
        return Ok(None);
    }
    eprintln!("{text}");
    let newest = newest_file(&artifacts)?;
    Ok(Some(match newest {
        Some(input) => format!("reproduce with: {} {}", executable.display(), input.display()),
        None => "it stopped without leaving an input".to_owned(),
    }))
}

fn newest_file(folder: &Path) -> Result<Option<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries
        .iter()
        .max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok())
        .map(|entry| entry.path()))
}

fn target_directory() -> Result<PathBuf> {
    Ok(scratch()?.join("fuzz/target"))
}

/// The triple of this machine: `host: x86_64-unknown-linux-gnu` in what `rustc -vV` prints.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(host.to_owned())
}
