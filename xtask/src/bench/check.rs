//! `cargo xtask bench check`: the check of one token beside OpenSSL's bare RSA, on one core, in turns.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::in_process::{Benchmark, Figures, TABLE_HEAD, pinned, row};
use super::statistics::Rounds;
use crate::process::progress;
use crate::tools::has_tool;

/// Verifications per second, as a share of what OpenSSL's bare RSA reaches.
const VERIFICATION_RATIO_MIN: f64 = 0.85;

/// The whole check of a token whose signature is remembered, in µs.
const CACHED_US_MAX: f64 = 4.0;

/// The refusal of any token of the greatest length, in µs.
const HOSTILE_US_MAX: f64 = 100.0;

/// How long OpenSSL measures, in seconds.
const OPENSSL_SECONDS: &str = "2";

/// Measures and prints. Always true: a missed target is a figure and no failure, because other work on the machine moves
/// every figure.
pub(crate) fn run(rounds: u32) -> Result<bool> {
    ensure!(has_tool("openssl"), "openssl is missing, and it is what the figures are compared with");
    let benchmark = Benchmark::build("firegate-core", "check")?;
    let mut figures = Figures::new();
    let mut openssl = Rounds::default();
    for round in 1..=rounds {
        progress(&format!("round {round} of {rounds}"));
        openssl.push(openssl_verification_us()?);
        benchmark.measure(&mut figures)?;
    }
    print(&openssl, &figures);
    Ok(true)
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

fn print(openssl: &Rounds, figures: &Figures) {
    println!("\nµs of processor time on one core, over rounds in turns\n");
    println!("{TABLE_HEAD}");
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
        let ratio = openssl.per(rounds).median();
        let verdict = if ratio >= VERIFICATION_RATIO_MIN { "met" } else { "MISSED" };
        println!(
            "\n{name}: {ratio:.2} × openssl's verifications per second; target ≥ {VERIFICATION_RATIO_MIN}: {verdict}"
        );
    }
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
