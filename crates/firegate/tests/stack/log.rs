//! The log of every front door of this process, as its readers would get it.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use firegate_core::time::SystemClock;
use firegate_proxy::{LogForm, LogQueue};
use tokio::sync::watch;

/// How long a line may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

static LOG: LazyLock<(LogQueue, watch::Sender<String>)> = LazyLock::new(|| {
    let (written, _) = watch::channel(String::new());
    let form = LogForm::Text { coloured: false };
    let queue = LogQueue::start(Sink(written.clone()), form, Arc::new(SystemClock)).expect("a thread");
    (queue, written)
});

/// Where the front doors of this process log to.
pub(crate) fn queue() -> LogQueue {
    LOG.0.clone()
}

/// Has everything logged, from the first call on.
pub(crate) fn begin() {
    static BEGUN: LazyLock<()> = LazyLock::new(|| {
        let builder = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE);
        builder.with_writer(|| Event).init();
    });
    LazyLock::force(&BEGUN);
}

/// Waits for a line, and returns it.
pub(crate) async fn line(is_it: impl Fn(&str) -> bool) -> String {
    let mut written = LOG.1.subscribe();
    let found = written.wait_for(|log| log.lines().any(&is_it));
    let log = tokio::time::timeout(PATIENCE, found).await;
    let log =
        log.unwrap_or_else(|_| panic!("no such line:\n{}", *LOG.1.borrow())).expect("it is there for ever");
    log.lines().find(|line| is_it(line)).expect("a line").to_owned()
}

/// Everything that was logged so far.
pub(crate) fn so_far() -> String {
    LOG.1.borrow().clone()
}

struct Sink(watch::Sender<String>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_modify(|log| log.push_str(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line of `tracing`, which comes whole. It goes past the queue: that drops lines when there are too many, as there are where
/// all tests of a process log at every level, and some test would wait for one of those.
struct Event;

impl Write for Event {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Sink(LOG.1.clone()).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
