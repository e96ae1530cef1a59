//! `cargo xtask bench check`: the check of one token beside OpenSSL's bare RSA, on one core, in turns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::progress;
use crate::tools::has_tool;
use crate::workspace::{root, scratch};

/// Verifications per second, as a share of what OpenSSL's bare RSA reaches.
const VERIFICATION_RATIO_MIN: f64 = 0.85;

/// The whole check of a token whose signature is remembered, in µs.
const CACHED_US_MAX: f64 = 4.0;

/// The refusal of any token of the greatest length, in µs.
const HOSTILE_US_MAX: f64 = 100.0;

/// How long OpenSSL measures, in seconds.
const OPENSSL_SECONDS: &str = "2";

/// How long each of our benchmarks runs in one round, in seconds.
const MEASUREMENT_SECONDS: &str = "1";

/// The figures of all rounds by the benchmark's name, in µs of processor time.
type Figures = BTreeMap<String, Vec<f64>>;

/// Measures and prints. Always true: a missed target is a figure and no failure, because other work on the machine moves
/// every figure.
pub(crate) fn run(rounds: u32) -> Result<bool> {
    ensure!(has_tool("openssl"), "openssl is missing, and it is what the figures are compared with");
    let executable = build()?;
    let mut figures = Figures::new();
    let mut openssl = Vec::new();
    for round in 1..=rounds {
        progress(&format!("round {round} of {rounds}"));
        openssl.push(openssl_verification_us()?);
        for (name, us) in measure(&executable)? {
            figures.entry(name).or_default().push(us);
        }
    }
    print(&openssl, &figures);
    Ok(true)
}

/// Builds the benchmark as Firegate is shipped, and returns its path.
fn build() -> Result<PathBuf> {
    progress("cargo bench --no-run");
    let output = Command::new("cargo")
        .args(["bench", "--package", "firegate-core", "--bench", "check", "--profile", "dist", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo bench")?;
    ensure!(output.status.success(), "the benchmark does not build");
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "check")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo bench names no executable")
}

/// A command that stays on one core, where the system has the means.
fn pinned(program: &Path) -> Command {
    if !has_tool("taskset") {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0"]).arg(program);
    command
}

/// What one verification costs OpenSSL. Its own clock is that of the processor, as ours is.
fn openssl_verification_us() -> Result<f64> {
    let mut openssl = pinned(Path::new("openssl"));
    openssl.args(["speed", "-mr", "-seconds", OPENSSL_SECONDS, "rsa2048"]);
    let output = openssl.stdin(Stdio::null()).output().context("cannot run openssl speed")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let us = parse_openssl(&text).context("cannot read what openssl speed prints")?;
    println!("openssl verify: {us:.1} µs");
    Ok(us)
}

/// `+F2:2:2048:0.000253:0.000016`: seconds for each signature, then for each verification; in some versions the
/// second figure counts verifications in a second.
fn parse_openssl(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("+F2:"))?;
    let figure: f64 = line.split(':').nth(4)?.parse().ok()?;
    let seconds = if figure > 1.0 { 1.0 / figure } else { figure };
    Some(seconds * 1e6)
}

/// Runs all benchmarks once and returns the median of each, in µs.
fn measure(executable: &Path) -> Result<Vec<(String, f64)>> {
    let results = scratch()?.join("criterion");
    let mut benchmark = pinned(executable);
    benchmark.args(["--bench", "--noplot", "--quiet", "--warm-up-time", "0.3"]);
    benchmark.args(["--measurement-time", MEASUREMENT_SECONDS]).env("CRITERION_HOME", &results);
    let status = benchmark.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(status.context("cannot run the benchmark")?.success(), "the benchmark failed");
    let mut medians = Vec::new();
    for group in folders(&results)? {
        for benchmark in folders(&group)? {
            let Ok(text) = std::fs::read(benchmark.join("new/estimates.json")) else { continue };
            let estimates: Value =
                serde_json::from_slice(&text).context("cannot read criterion's estimates")?;
            let median_ns = estimates["median"]["point_estimate"].as_f64().context("no median")?;
            let name = benchmark.strip_prefix(&results).unwrap_or(&benchmark).display().to_string();
            medians.push((name, median_ns / 1e3));
        }
    }
    Ok(medians)
}

fn folders(of: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(of).with_context(|| format!("cannot read {}", of.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(paths.filter(|path| path.is_dir() && path.file_name().is_some_and(|name| name != "report")).collect())
}

fn print(openssl: &[f64], figures: &Figures) {
    println!("\nµs of processor time on one core, over {} rounds in turns\n", openssl.len());
    println!("| what | median | best | worst | target |");
    println!("|---|---:|---:|---:|---|");
    println!("{}", row("openssl rsa2048 verify", openssl, None));
    for (name, rounds) in figures {
        let target_us = match name.as_str() {
            "check/cached" => Some(CACHED_US_MAX),
            hostile if hostile.starts_with("hostile/") => Some(HOSTILE_US_MAX),
            _ => None,
        };
        println!("{}", row(name, rounds, target_us));
    }
    for name in ["check/uncached", "check/wrong_signature"] {
        let Some(rounds) = figures.get(name) else { continue };
        // The two of one round ran next to each other, so their ratio is what the machine's other work moves least.
        let ratios: Vec<f64> = openssl.iter().zip(rounds).map(|(openssl, ours)| openssl / ours).collect();
        let ratio = median(&ratios);
        let verdict = if ratio >= VERIFICATION_RATIO_MIN { "met" } else { "MISSED" };
        println!(
            "\n{name}: {ratio:.2} × openssl's verifications per second; target ≥ {VERIFICATION_RATIO_MIN}: {verdict}"
        );
    }
}

fn row(name: &str, rounds: &[f64], target_us: Option<f64>) -> String {
    let middle = median(rounds);
    let (best, worst) =
        rounds.iter().fold((f64::MAX, 0.0_f64), |(best, worst), us| (best.min(*us), worst.max(*us)));
    let verdict = target_us.map_or(String::new(), |target_us| {
        let verdict = if middle <= target_us { "met" } else { "MISSED" };
        format!("≤ {target_us}: {verdict}")
    });
    format!("| {name} | {middle:.1} | {best:.1} | {worst:.1} | {verdict} |")
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_openssls_figures_are_read() {
        for (line, expected) in [("+F2:2:2048:0.000253:0.000016", 16.0), ("+F2:2:2048:3946.5:62500.0", 16.0)]
        {
            let us = parse_openssl(&format!("+H:16\n{line}\n")).expect("a figure");
            assert!((us - expected).abs() < 0.001, "{line}: {us}");
        }
        assert_eq!(parse_openssl("Doing 2048 bits"), None);
    }
}
