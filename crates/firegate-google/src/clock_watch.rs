//! Steps of the wall clock. Tokens are judged by it, so when it steps many are refused or accepted at once, and the log
//! says why.

use firegate_core::time::{SharedClock, UnixTime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::limits::{CLOCK_STEP_MAX, WAKE_INTERVAL_MAX};

/// Writes a line whenever the wall clock has stepped, or the process was frozen, until `shutdown`.
pub async fn watch_clock(clock: SharedClock, shutdown: CancellationToken) {
    let mut watch = ClockWatch::new(clock.now(), Instant::now());
    while shutdown.run_until_cancelled(tokio::time::sleep(WAKE_INTERVAL_MAX)).await.is_some() {
        if let Some(seconds) = watch.step(clock.now(), Instant::now()) {
            tracing::warn!(seconds, "the wall clock stepped, or the process was frozen");
        }
    }
}

/// What both clocks said at the last look.
#[derive(Debug)]
struct ClockWatch {
    wall: UnixTime,
    steady: Instant,
}

impl ClockWatch {
    fn new(wall: UnixTime, steady: Instant) -> Self {
        Self { wall, steady }
    }

    /// By how much the wall clock has moved beside the steady one since the last look, if by more than clocks are corrected
    /// by: forwards if positive.
    fn step(&mut self, wall: UnixTime, steady: Instant) -> Option<i64> {
        let expected = self.wall.plus(steady.saturating_duration_since(self.steady));
        *self = Self { wall, steady };
        let stepped = expected.since(wall).max(wall.since(expected));
        (stepped > CLOCK_STEP_MAX).then(|| wall.as_seconds().saturating_sub(expected.as_seconds()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn steps_are_told_once_and_drift_is_not() {
        let began = Instant::now();
        let mut watch = ClockWatch::new(UnixTime::from_seconds(1000), began);
        let mut check = |wall: i64, steady: u64, expected: Option<i64>| {
            let found = watch.step(UnixTime::from_seconds(wall), began + Duration::from_secs(steady));
            assert_eq!(found, expected, "{wall} after {steady} s");
        };
        check(1001, 1, None);
        check(1062, 2, None);
        check(4664, 4, Some(3600));
        check(4665, 5, None);
        check(1066, 6, Some(-3600));
        check(767, 7, Some(-300));
        // An hour in which nothing was looked at is no step.
        check(4367, 3607, None);
        check(i64::MAX, 3608, Some(i64::MAX - 4368));
    }
}
