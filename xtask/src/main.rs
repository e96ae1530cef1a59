//! The project's own commands: `cargo xtask test`, `cargo xtask lint`, `cargo xtask generate`. They install what they
//! need, so that a clean clone has no other instructions.

mod bench;
mod dev;
mod fuzz;
mod generate;
mod lint;
mod oracles;
mod process;
mod tally;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench::BenchArguments;
use crate::test::Suite;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs every test: Rust's, and Google's client libraries against the real binary
    Test {
        /// Only this suite
        #[arg(value_enum)]
        suite: Option<Suite>,
    },
    /// Feeds the fuzz targets on what they make of their seeds, a few seconds each
    Fuzz {
        /// Only this target: a file name in fuzz/fuzz_targets, without its ending
        target: Option<String>,
        /// How long each target runs
        #[arg(long, value_name = "N")]
        seconds: Option<u32>,
    },
    /// Measures what Firegate costs, beside OpenSSL's bare RSA and beside other proxies, in turns
    Bench(BenchArguments),
    /// Checks format, clippy and what may be in the dependency tree
    Lint,
    /// Writes the files that are generated from the code
    Generate {
        /// Write nothing, and fail if a file is out of date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test { suite } => test::run(suite),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Lint => lint::run(),
        Task::Generate { check } => generate::run(check),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
