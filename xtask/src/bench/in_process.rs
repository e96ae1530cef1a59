//! Benchmarks of parts in process: built as Firegate is shipped, run on one core, and read from what criterion keeps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::statistics::Rounds;
use crate::process::progress;
use crate::tools::has_tool;
use crate::workspace::{build_executable, scratch};

/// How long each benchmark runs in one round, in seconds.
const MEASUREMENT_SECONDS: &str = "1";

/// How deep criterion keeps what it found: in a group's folder, or in the benchmark's own.
const FOLDERS_MAX: usize = 2;

/// How long checking a configuration of 10,000 lines may take, in µs.
const CONFIGURATION_US_MAX: f64 = 200_000.0;

/// Above every table.
pub(super) const TABLE_HEAD: &str = "| what | median | best | worst | target |\n|---|---:|---:|---:|---|";

/// The figures of all rounds by the benchmark's name, in µs.
pub(super) type Figures = BTreeMap<String, Rounds>;

/// A benchmark that is built.
pub(super) struct Benchmark {
    executable: PathBuf,
    /// Where criterion keeps its figures: those of two benchmarks do not mix.
    results: PathBuf,
}

/// Measures one benchmark and prints. Always true: a missed target is a figure and no failure, because other work on the
/// machine moves every figure.
pub(super) fn run(package: &str, name: &str, rounds: u32) -> Result<bool> {
    let benchmark = Benchmark::build(package, name)?;
    let mut figures = Figures::new();
    for round in 1..=rounds {
        progress(&format!("{name}: round {round} of {rounds}"));
        benchmark.measure(&mut figures)?;
    }
    ensure!(!figures.is_empty(), "the benchmark {name} has kept no figures");
    println!("\nµs on one core, over {rounds} rounds\n\n{TABLE_HEAD}");
    for (name, rounds) in &figures {
        let target_us = (name == "check_10,000 lines").then_some(CONFIGURATION_US_MAX);
        println!("{}", row(name, rounds, target_us));
    }
    Ok(true)
}

impl Benchmark {
    /// Builds a benchmark as Firegate is shipped.
    pub(super) fn build(package: &str, name: &str) -> Result<Self> {
        let words = ["bench", "--package", package, "--bench", name, "--profile", "dist", "--no-run"];
        let executable = build_executable(&words, name)?;
        Ok(Self { executable, results: scratch()?.join("criterion").join(package).join(name) })
    }

    /// Runs it once and adds the median of each of its parts.
    pub(super) fn measure(&self, figures: &mut Figures) -> Result<()> {
        let mut benchmark = pinned(&self.executable);
        benchmark.args(["--bench", "--noplot", "--quiet", "--warm-up-time", "0.3"]);
        benchmark.args(["--measurement-time", MEASUREMENT_SECONDS]).env("CRITERION_HOME", &self.results);
        let status = benchmark.stdin(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(status.context("cannot run the benchmark")?.success(), "the benchmark failed");
        self.read(&self.results, FOLDERS_MAX, figures)
    }

    fn read(&self, folder: &Path, depth: usize, figures: &mut Figures) -> Result<()> {
        for benchmark in folders(folder)? {
            if let Ok(text) = std::fs::read(benchmark.join("new/estimates.json")) {
                let estimates: Value =
                    serde_json::from_slice(&text).context("cannot read criterion's estimates")?;
                let median_ns = estimates["median"]["point_estimate"].as_f64().context("no median")?;
                let name = benchmark.strip_prefix(&self.results).unwrap_or(&benchmark).display().to_string();
                figures.entry(name).or_default().push(median_ns / 1e3);
            } else if depth > 1 {
                self.read(&benchmark, depth - 1, figures)?;
            }
        }
        Ok(())
    }
}

/// A command that stays on one core, where the system has the means.
pub(super) fn pinned(program: &Path) -> Command {
    if !has_tool("taskset") {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0"]).arg(program);
    command
}

fn folders(of: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(of).with_context(|| format!("cannot read {}", of.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(paths.filter(|path| path.is_dir() && path.file_name().is_some_and(|name| name != "report")).collect())
}

/// One row of a table.
pub(super) fn row(name: &str, rounds: &Rounds, target_us: Option<f64>) -> String {
    let middle = rounds.median();
    let verdict = target_us.map_or(String::new(), |target_us| {
        let verdict = if middle <= target_us { "met" } else { "MISSED" };
        format!("≤ {target_us}: {verdict}")
    });
    let digits = match middle {
        middle if middle < 1.0 => 3,
        middle if middle < 10.0 => 2,
        _ => 1,
    };
    let (best, worst) = (rounds.least(), rounds.greatest());
    format!("| {name} | {middle:.digits$} | {best:.digits$} | {worst:.digits$} | {verdict} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_criterion_keeps_is_read_with_and_without_a_group() {
        let results = std::env::temp_dir().join(format!("firegate-criterion-{}", std::process::id()));
        for folder in ["limiter/ban/new", "limiter/report/new", "check_10,000 lines/new", "report"] {
            std::fs::create_dir_all(results.join(folder)).expect("a folder");
        }
        for (benchmark, nanoseconds) in [("limiter/ban", 97.0), ("check_10,000 lines", 250e6)] {
            let estimates = serde_json::json!({"median": {"point_estimate": nanoseconds}}).to_string();
            std::fs::write(results.join(benchmark).join("new/estimates.json"), estimates).expect("a file");
        }
        let benchmark = Benchmark { executable: PathBuf::new(), results: results.clone() };
        let mut figures = Figures::new();
        let read = benchmark.read(&results, FOLDERS_MAX, &mut figures);
        std::fs::remove_dir_all(&results).expect("it is removed");
        read.expect("they are read");
        let rows = figures.iter().map(|(name, rounds)| row(name, rounds, None)).collect::<Vec<_>>();
        let whole = "| check_10,000 lines | 250000.0 | 250000.0 | 250000.0 |  |";
        assert_eq!(rows, [whole, "| limiter/ban | 0.097 | 0.097 | 0.097 |  |"]);
    }
}
