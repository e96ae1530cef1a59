//! `firegate`: the front door that makes Firebase ID tokens work in front of private Cloud Run services.

use std::process::ExitCode;
use std::sync::Arc;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use firegate::commands::{check, dev, export, serve, test};
use firegate::environment::Environment;
use firegate::explain;
use firegate::failure::Failure;
use firegate::logging::{Log, LogFormat};
use firegate::{standard_error, standard_output};
use firegate_core::time::{SharedClock, SystemClock};
use firegate_proxy::{LogForm, StartError, rfc_3339};

/// A request makes some hundred small allocations, which this allocator answers faster than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where a flag of every command stands in its help: behind the command's own, and before `--help`.
const LAST: usize = 900;

/// The front door that makes Firebase Authentication ID tokens work in front of private Cloud Run services.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How log lines on stderr look.
    #[arg(long, value_enum, default_value_t = LogFormat::Auto, global = true, display_order = LAST)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring everything up on this machine: identity server, Google parts, a private service, and the front door.
    Dev(dev::DevArguments),
    /// Run the front door.
    Serve(serve::ServeArguments),
    /// Check a configuration and every file that it names, and report all problems at once.
    Check(check::CheckArguments),
    /// Run decision cases: requests, users, and what the configuration is expected to make of them.
    Test(test::TestArguments),
    /// Say why a token or a request is refused, and by which line of which file; and what would change for a log of requests.
    Explain(explain::ExplainArguments),
    /// Write a file of Google's as its import takes it.
    Export(export::ExportArguments),
}

/// The first commands of somebody who has none yet.
const EXAMPLES: &str = "\
Examples:
  firegate dev
  firegate explain                      # and paste the token
  firegate check -c firegate.yaml
  firegate serve -c firegate.yaml

The documentation is in README.md and docs/ of the repository.";

fn main() -> ExitCode {
    let parsed = Arguments::try_parse();
    let format = parsed.as_ref().map_or(LogFormat::Auto, |arguments| arguments.log_format);
    let form = format.form(Environment::is_on_cloud_run());
    let clock: SharedClock = Arc::new(SystemClock);
    let ended = match parsed {
        Ok(arguments) => run(arguments, form, Arc::clone(&clock)),
        Err(told) => tell(&told),
    };
    ended.unwrap_or_else(|error| {
        Failure::of(&error).write(form, &rfc_3339(clock.since_epoch()));
        ExitCode::from(2)
    })
}

/// Tells the help or the version that was asked for, or what is wrong with the command line.
fn tell(told: &clap::Error) -> anyhow::Result<ExitCode> {
    let mut text = told.render().ansi().to_string();
    if told.use_stderr() {
        if let Some(hint) = misplaced(told, &mut text) {
            text += &format!("\nhint: {hint}\n");
        }
        standard_error::tell(&text)
    } else {
        standard_output::write(&text)?
    }
    Ok(u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// What to write instead of an argument without a flag, where none is taken. At `explain` it may be a secret of any form, and
/// is not shown.
fn misplaced(told: &clap::Error, text: &mut String) -> Option<&'static str> {
    let Some(ContextValue::String(given)) = told.get(ContextKind::InvalidArg) else { return None };
    if told.kind() != ErrorKind::UnknownArgument || given.starts_with('-') {
        return None;
    }
    match std::env::args().nth(1)?.as_str() {
        "explain" => {
            *text = text.replace(given.as_str(), "…");
            Some(
                "paste the token when `firegate explain` asks for it, or give it with --token; a configuration is -c FILE, a request \
                 --url URL",
            )
        }
        "serve" => Some("firegate serve -c FILE"),
        "dev" => Some("firegate dev -c FILE; a backend of your own is --service URL"),
        _ => None,
    }
}

fn run(arguments: Arguments, form: LogForm, clock: SharedClock) -> anyhow::Result<ExitCode> {
    let environment = Environment::read()?;
    // At `dev` the welcome is the message; refusals of one's own requests are part of it.
    let default_filter = match arguments.command {
        Command::Dev(_) => "warn,firegate_proxy=info,firegate::commands=info",
        Command::Check(_) | Command::Explain(_) | Command::Export(_) | Command::Test(_) => "error",
        Command::Serve(_) => "info",
    };
    let filter = environment.log_filter.as_deref();
    let log = Log::start(form, filter, default_filter, Arc::clone(&clock)).map_err(StartError::Thread)?;
    match arguments.command {
        Command::Check(arguments) => check::run(arguments, &environment),
        Command::Dev(arguments) => dev::run(arguments, &environment, clock, log.queue()),
        Command::Explain(arguments) => explain::run_blocking(arguments, clock),
        Command::Export(arguments) => export::run(&arguments),
        Command::Serve(arguments) => serve::run(arguments, environment, clock, log.queue()),
        Command::Test(arguments) => test::run(&arguments, &clock),
    }
}
