//! Threads, of which the system may give no more: a container has a bound of them (`pids.max`), and so has a user
//! (`ulimit -u`).

use std::io;
use std::panic::catch_unwind;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;

use crate::limits::{BLOCKING_THREAD_KEEP_ALIVE, BLOCKING_THREAD_PULSE};

/// A runtime of one thread, and of others for what would hold that one up: names, files, walks over large caches. tokio begins
/// one of those when it is needed and ends it when it had nothing to do for a while; where the system gives none and there is
/// none, it panics. So the first one is begun here, and one is kept: work waits for it then. Not so in a process that was
/// frozen for longer than a thread is kept: it may wake without one, and begins one with the next pulse or the next work, if
/// it is given one.
///
/// # Errors
/// If the system gives no thread, or no descriptor.
pub fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().thread_name("firegate-blocking").thread_keep_alive(BLOCKING_THREAD_KEEP_ALIVE);
    keeping_thread(&mut builder, BLOCKING_THREAD_PULSE)
}

/// Such a runtime, whose thread is used as often as that.
fn keeping_thread(builder: &mut Builder, pulse: Duration) -> io::Result<Runtime> {
    let runtime = builder.build()?;
    let is_begun = {
        let _inside = runtime.enter();
        use_thread()
    };
    if !is_begun {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "the system gives no more"));
    }
    runtime.spawn(keep_thread(pulse));
    Ok(runtime)
}

/// Has something for a thread to do before it ends for want of it. Of several the one that has waited for longest does it, and
/// so rarely that all but one end.
async fn keep_thread(pulse: Duration) {
    let mut pulse = tokio::time::interval(pulse);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A thread ends by the system's clock, which no test can pause.
    #[test]
    fn a_thread_is_kept_for_longer_than_one_that_has_nothing_to_do() {
        let keep_alive = Duration::from_secs(2);
        let alive = Arc::new(AtomicUsize::new(0));
        let (begun, ended) = (Arc::clone(&alive), Arc::clone(&alive));
        let mut builder = Builder::new_current_thread();
        builder.enable_all().thread_keep_alive(keep_alive);
        builder.on_thread_start(move || _ = begun.fetch_add(1, Ordering::SeqCst));
        builder.on_thread_stop(move || _ = ended.fetch_sub(1, Ordering::SeqCst));
        let runtime = keeping_thread(&mut builder, keep_alive / 4).expect("a thread");
        runtime.block_on(async { tokio::time::sleep(keep_alive * 3 / 2).await });
        assert_ne!(alive.load(Ordering::SeqCst), 0);
    }
}
