//! One line for every request, or for those that the configuration asks for. A worker gathers its lines in a buffer of its
//! own and hands it over when it is large or old: a request pays for the words of its line and for nothing else.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use firegate_files::configuration::AccessLogSettings;
use tokio::sync::Notify;

use super::line::{self, AccessLine, Severity};
use super::log_queue::LogQueue;
use crate::limits::{LOG_BATCH_BYTES, LOG_BATCH_DELAY};

/// Which requests have a line, and what of them is told.
#[derive(Debug)]
pub(crate) struct AccessLogPolicy {
    /// Requests that went well have a line if the hash of their id is below this.
    bound: u64,
    hasher: RandomState,
    /// Whether the user's id is told.
    pub(super) tells_user_ids: bool,
    /// The project that traces belong to.
    pub(super) project: String,
}

impl AccessLogPolicy {
    pub(crate) fn new(settings: AccessLogSettings, project: String) -> Self {
        let share = u128::from(settings.sample.per_million());
        let bound = share * u128::from(u64::MAX) / 1_000_000;
        Self {
            bound: u64::try_from(bound).unwrap_or(u64::MAX),
            hasher: RandomState::new(),
            tells_user_ids: settings.user_ids,
            project,
        }
    }

    /// Whether a request has a line. Those that were refused, failed or cut short always have one, and those of users who were
    /// let in without a look at their account.
    fn has_line(&self, line: &AccessLine<'_>) -> bool {
        self.bound == u64::MAX
            || line.refusal.is_some()
            || line.cut.is_some()
            || line.is_unchecked
            || self.hasher.hash_one(line.request_id) < self.bound
    }
}

/// A worker's part of the access log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    queue: LogQueue,
    buffer: Mutex<Buffer>,
    /// A first line is in the buffer.
    begun: Notify,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    lines: usize,
}

impl AccessLog {
    /// A part of the log that goes to this queue.
    pub(crate) fn new(queue: LogQueue) -> Self {
        Self { queue, buffer: Mutex::default(), begun: Notify::new() }
    }

    /// Appends a request's line, if it has one.
    pub(super) fn append(&self, policy: &AccessLogPolicy, line: &AccessLine<'_>) {
        // Access lines have a level and a target like all others, and `FIREGATE_LOG` is asked about them too.
        let is_enabled = match line.severity() {
            Severity::Info => tracing::enabled!(target: "firegate_proxy::access_log", tracing::Level::INFO),
            Severity::Warning => {
                tracing::enabled!(target: "firegate_proxy::access_log", tracing::Level::WARN)
            }
        };
        if !is_enabled || !policy.has_line(line) {
            return;
        }
        let mut buffer = self.buffer();
        if buffer.bytes.is_empty() {
            buffer.bytes.reserve(LOG_BATCH_BYTES);
            self.begun.notify_one();
        }
        line::write(self.queue.form(), line, &mut buffer.bytes);
        buffer.lines += 1;
        if buffer.bytes.len() >= LOG_BATCH_BYTES * 3 / 4 {
            self.hand_over(buffer);
        }
    }

    /// Hands buffers over that have become old. Runs on the worker, and does nothing while nothing is logged.
    pub(crate) async fn run(&self) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(LOG_BATCH_DELAY).await;
            self.hand_over(self.buffer());
        }
    }

    fn hand_over(&self, mut buffer: MutexGuard<'_, Buffer>) {
        let Buffer { bytes, lines } = std::mem::take(&mut *buffer);
        drop(buffer);
        if lines > 0 {
            self.queue.append(bytes, lines);
        }
    }

    /// Nobody but the worker's own thread ever takes this lock.
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.hand_over(self.buffer());
    }
}
