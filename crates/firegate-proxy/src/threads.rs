//! Threads, of which the system may give no more: a container has a bound of them (`pids.max`), and so has a user (`ulimit
//! -u`).

use std::io;
use std::panic::catch_unwind;

use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;

use crate::limits::{BLOCKING_THREAD_KEEP_ALIVE, BLOCKING_THREAD_PULSE};

/// A runtime of one thread, and of others for what would hold that one up: names, files, walks over large caches. tokio begins
/// one of those when it is needed and ends it when it had nothing to do for a while; where the system gives none and there is
/// none, it panics. So the first one is begun here, and one is always kept: work waits for it then.
///
/// # Errors
/// If the system gives no thread, or no descriptor.
pub fn runtime() -> io::Result<Runtime> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_name("firegate-blocking")
        .thread_keep_alive(BLOCKING_THREAD_KEEP_ALIVE)
        .build()?;
    let is_begun = {
        let _inside = runtime.enter();
        use_thread()
    };
    if !is_begun {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "the system gives no more"));
    }
    runtime.spawn(keep_thread());
    Ok(runtime)
}

/// Has something for a thread to do before it ends for want of it. Of several the one that has waited for longest does it, and
/// so rarely that all but one end.
async fn keep_thread() {
    let mut pulse = tokio::time::interval(BLOCKING_THREAD_PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pulse.tick().await;
        // A process that was frozen for long wakes without one. That there is none is told by the hook of panics.
        use_thread();
    }
}

/// Has a thread for blocking work do nothing. False if there is none.
fn use_thread() -> bool {
    catch_unwind(|| drop(spawn_blocking(|| ()))).is_ok()
}

/// What to do where the system gives no more.
pub const HINT: &str = "raise the bound of threads: `pids.max` of the container, `ulimit -u` of the user";

/// Whether a panic says that: tokio has no other word for it.
pub fn is_refusal(panic: &str) -> bool {
    panic.starts_with("OS can't spawn worker thread")
}

/// The hint about a thread that could not be started, if it is that bound that is in the way.
pub(crate) fn hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock => format!("\nhint: {HINT}"),
        _ => String::new(),
    }
}
