use std::process::ExitCode;

use tokio::signal;

/// Runs `stopping` to its end, unless the process is asked to stop once more: then it is over at once.
pub(crate) async fn unless_asked_again(stopping: impl Future<Output = ()>) -> ExitCode {
    tokio::select! {
        () = stopping => ExitCode::SUCCESS,
        () = requested() => ExitCode::from(EXIT_INTERRUPTED),
    }
}

/// What a shell sees of a process that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Waits until the process is asked to stop: Ctrl-C, or SIGTERM as Cloud Run sends it.
pub(crate) async fn requested() {
    let interrupted = async {
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
