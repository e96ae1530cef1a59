//! `cargo xtask bench`: what Firegate costs, beside what others cost, in turns on one machine.
#![expect(clippy::disallowed_methods, reason = "real time is what loads last and what clients wait")]

mod check;
mod crowd;
mod door;
mod http2;
mod in_process;
mod latency;
mod load;
mod memory;
mod running;
mod site;
mod slow;
mod soak;
mod statistics;
mod tokens;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The check of one token, in process, beside OpenSSL's bare RSA
    Check,
    /// A decision under Google's files, a few rules and as many as a large team has
    Policies,
    /// Counting a request for a rate limit, and the memory that a million keys take
    Limiter,
    /// Reading and evaluating expressions
    Expressions,
    /// Checking a configuration of 10,000 lines
    Files,
    /// The whole front door over sockets, beside nginx, HAProxy and Envoy
    Door,
    /// Clients that hold connections by being slow, and what honest ones notice of them
    Slow,
    /// Users, forgers and rotating keys for as long as you like: wrong verdicts, memory, descriptors
    Soak,
}

/// What to measure, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArguments {
    /// Only this; without it `check` and `door`
    #[arg(value_enum)]
    kind: Option<Kind>,
    /// How often those that are compared take turns
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,
    /// How long each load of `door` lasts
    #[arg(long, value_name = "N", default_value_t = 3)]
    seconds: u32,
    /// Only those parts and rows of `door` whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How long `soak` lasts
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u32,
    /// How many users `soak` has
    #[arg(long, value_name = "N", default_value_t = 30)]
    users: usize,
    /// After how many seconds the issuer of `soak` publishes its next key, which signs a minute later
    #[arg(long, value_name = "N", default_value_t = 600)]
    rotation: u64,
}

/// Measures and prints. True unless something is wrong that no load explains: a missed target is a figure and no failure,
/// because other work on the machine moves every figure.
pub(crate) fn run(arguments: &BenchArguments) -> Result<bool> {
    ensure!(arguments.rounds > 0, "no rounds, no figures");
    ensure!(arguments.seconds > 0 && arguments.minutes > 0, "no time, no figures");
    match arguments.kind {
        Some(Kind::Check) => check::run(arguments.rounds),
        Some(Kind::Policies) => in_process::run("firegate-core", "policies", arguments.rounds),
        Some(Kind::Limiter) => in_process::run("firegate-core", "limiter", arguments.rounds),
        Some(Kind::Expressions) => in_process::run("firegate-expr", "evaluate", arguments.rounds),
        Some(Kind::Files) => in_process::run("firegate-files", "check", arguments.rounds),
        Some(Kind::Door) => door::run(arguments),
        Some(Kind::Slow) => slow::run(),
        Some(Kind::Soak) => {
            soak::run(arguments.minutes, arguments.users, Duration::from_secs(arguments.rotation))
        }
        None => Ok(check::run(arguments.rounds)? && door::run(arguments)?),
    }
}
