//! The age of what was learnt, whatever becomes of the wall clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use firegate_core::time::{SharedClock, UnixTime};
use tokio::time::Instant;

/// A time that never goes back. It advances by the wall clock or by the steady one, whichever has moved more: a frozen
/// process notices by the former that it slept, and a wall clock that steps back makes nothing young again.
pub(super) struct AgeClock {
    wall: SharedClock,
    anchor: ArcSwap<Anchor>,
    /// The highest moment that was handed out, in milliseconds.
    highest_ms: AtomicU64,
}

/// An instant of an [`AgeClock`]: how long after its beginning.
pub(super) type Moment = Duration;

/// A moment, and what both clocks said then.
#[derive(Debug)]
struct Anchor {
    wall: UnixTime,
    steady: Instant,
    moment: Moment,
}

impl AgeClock {
    pub(super) fn new(wall: SharedClock) -> Self {
        let anchor = Anchor { wall: wall.now(), steady: Instant::now(), moment: Duration::ZERO };
        Self { wall, anchor: ArcSwap::from_pointee(anchor), highest_ms: AtomicU64::new(0) }
    }

    /// The present moment, in whole milliseconds. It may stand still: what came first is not told by it.
    pub(super) fn now(&self) -> Moment {
        let anchor = self.anchor.load();
        let advanced = anchor.moment + self.wall.now().since(anchor.wall).max(anchor.steady.elapsed());
        let advanced_ms = u64::try_from(advanced.as_millis()).unwrap_or(u64::MAX);
        // Nearly always another call of the same millisecond was here: a load spares the bus of all cores.
        let mut highest_ms = self.highest_ms.load(Ordering::Acquire);
        if highest_ms < advanced_ms {
            highest_ms = self.highest_ms.fetch_max(advanced_ms, Ordering::AcqRel).max(advanced_ms);
        }
        Duration::from_millis(highest_ms)
    }

    /// The wall clock's time.
    pub(super) fn wall(&self) -> UnixTime {
        self.wall.now()
    }

    /// What the wall clock, as it runs now, would have said at an earlier moment.
    pub(super) fn wall_at(&self, moment: Moment) -> UnixTime {
        self.wall.now().minus(self.now().saturating_sub(moment))
    }

    /// Takes note of a step of the wall clock. Called often, by one task alone.
    pub(super) fn notice_steps(&self) {
        let wall = self.wall.now();
        let anchor = self.anchor.load();
        let steady = anchor.steady.elapsed();
        let expected = anchor.wall.plus(steady);
        let stepped = expected.since(wall).max(wall.since(expected));
        let moment = self.now();
        // A wall clock that was ahead for less than the time between two looks leaves a moment behind that is ahead:
        // time has to go on from there, and not stand still until it is reached.
        let ahead = moment.saturating_sub(anchor.moment + wall.since(anchor.wall).max(steady));
        // Both clocks are rounded differently: an anchor for every second's difference would add these up.
        if stepped > CLOCK_DIFFERENCE || ahead > CLOCK_DIFFERENCE {
            self.anchor.store(Arc::new(Anchor { wall, steady: Instant::now(), moment }));
        }
    }
}

/// How far the clocks drift apart before it counts as a step.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(2);

impl fmt::Debug for AgeClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AgeClock").field("anchor", &self.anchor.load()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use firegate_core::time::{ShiftedClock, SystemClock};

    use super::*;

    /// Ages after the wall clock has moved by these steps, each noticed.
    fn check(steps: &[i64], expected_seconds: u64) {
        let clock = ShiftedClock::new(Arc::new(SystemClock));
        let ages = AgeClock::new(Arc::new(clock.clone()));
        let began = ages.now();
        for step in steps {
            clock.advance(*step);
            ages.notice_steps();
        }
        let age = (ages.now() - began).as_secs();
        assert!((expected_seconds..=expected_seconds + 2).contains(&age), "{steps:?}: {age}");
        let apart = ages.wall().since(ages.wall_at(began)).as_secs();
        assert!((expected_seconds..=expected_seconds + 2).contains(&apart), "{steps:?}: {apart}");
    }

    #[test]
    fn an_age_grows_with_the_wall_clock_and_never_shrinks() {
        check(&[], 0);
        check(&[3600], 3600);
        check(&[-3600], 0);
        check(&[3600, -3600], 3600);
        check(&[-3600, 60], 60);
        check(&[-300, 300], 300);
        check(&[10, 10, 10], 30);
    }

    #[test]
    fn a_step_that_nobody_noticed_neither_turns_a_moment_back_nor_stops_the_time() {
        let clock = ShiftedClock::new(Arc::new(SystemClock));
        let ages = AgeClock::new(Arc::new(clock.clone()));
        clock.advance(3600);
        let ahead = ages.now();
        clock.advance(-3600);
        assert!(ages.now() >= ahead);
        ages.notice_steps();
        clock.advance(10);
        let passed = (ages.now() - ahead).as_secs();
        assert!((10..=12).contains(&passed), "{passed}");
    }
}
