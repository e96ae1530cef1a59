//! `firegate dev`: everything on this machine.

use std::process::ExitCode;

use firegate_core::time::SharedClock;
use firegate_proxy::LogQueue;

use super::stop::StopRequests;
use crate::dev::{Dev, DevContext, welcome};
use crate::environment::Environment;
use crate::logging::log_findings;
use crate::standard_output;

pub use crate::dev::DevArguments;

/// Runs the stack until the process is asked to stop.
///
/// # Errors
/// If a part cannot be started.
pub fn run(
    arguments: DevArguments,
    environment: &Environment,
    clock: SharedClock,
    log: &LogQueue,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let context = DevContext {
        clock,
        has_application_credentials: environment.application_credentials.is_some(),
        workers: None,
        log: log.clone(),
    };
    let ended = runtime.block_on(async {
        let mut requests = StopRequests::listen()?;
        let starting = Dev::start(arguments, context);
        let mut dev = tokio::select! {
            started = starting => started?,
            () = requests.next() => return Ok(ExitCode::SUCCESS),
        };
        if !dev.warnings.is_empty() {
            log_findings(&dev.warnings, log);
        }
        let failure = match standard_output::write(&format!("{}\n", welcome(&dev.places))) {
            Ok(()) => tokio::select! {
                () = requests.next() => None,
                error = dev.part_failed() => Some(error),
            },
            Err(error) => Some(error),
        };
        tracing::info!("stopping; Ctrl-C again ends everything at once");
        let ended = requests.unless_asked_again(dev.stop()).await;
        match failure {
            Some(error) => Err(error),
            None => Ok(ended),
        }
    });
    // Whoever asked twice does not wait for what is still stopping.
    runtime.shutdown_background();
    ended
}
