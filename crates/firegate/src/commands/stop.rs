use std::io;
use std::process::ExitCode;

/// What a shell sees of a process that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// The requests to stop: Ctrl-C, SIGTERM as Cloud Run sends it, or SIGQUIT, by which images of nginx are stopped. Listened
/// for from the beginning, so that none is lost between the first one and the wait for a second.
#[derive(Debug)]
pub(crate) struct StopRequests {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    quit: tokio::signal::unix::Signal,
}

impl StopRequests {
    /// Begins to listen. Needs a runtime.
    ///
    /// # Errors
    /// If the system does not let the process listen.
    pub(crate) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt())?,
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for the next request.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.quit.recv() => {}
        }
    }

    /// Waits for the next request.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work` to its end, unless the process is asked to stop meanwhile.
    pub(crate) async fn unless_asked<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.next() => None,
        }
    }

    /// Runs `stopping` to its end, unless the process is asked to stop once more: then it is over at once.
    pub(crate) async fn unless_asked_again(&mut self, stopping: impl Future<Output = ()>) -> ExitCode {
        tokio::select! {
            () = stopping => ExitCode::SUCCESS,
            () = self.next() => ExitCode::from(EXIT_INTERRUPTED),
        }
    }
}
