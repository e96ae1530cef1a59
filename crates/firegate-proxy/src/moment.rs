//! What time it is, for whoever serves a request. Asking the system takes as long as much else that is done for one, and within
//! one poll of a task nothing waits: there each clock is asked once.

use std::cell::Cell;
use std::time::Duration;

use firegate_core::time::{Clock, SharedClock, UnixTime};
use tokio::time::Instant;

thread_local! {
    /// `None`, where nobody said that the moment is the same.
    static HELD: Cell<Option<Moment>> = const { Cell::new(None) };
}

/// A moment, as far as somebody has asked for it.
#[derive(Clone, Copy, Default)]
struct Moment {
    instant: Option<Instant>,
    since_epoch: Option<Duration>,
}

/// Lets go of the moment, whatever comes of what was done in it.
struct Holding {
    before: Option<Moment>,
}

impl Drop for Holding {
    fn drop(&mut self) {
        HELD.set(self.before);
    }
}

/// Does what is done at one moment, as a poll is.
pub(crate) fn hold<T>(at_once: impl FnOnce() -> T) -> T {
    let _holding = Holding { before: HELD.replace(Some(Moment::default())) };
    at_once()
}

/// The moment that is held, or this one. What lies between two points of one poll is not measured by it.
pub(crate) fn now() -> Instant {
    let Some(moment) = HELD.get() else { return Instant::now() };
    moment.instant.unwrap_or_else(|| {
        let now = Instant::now();
        HELD.set(Some(Moment { instant: Some(now), ..moment }));
        now
    })
}

/// The process's clock, which says the same at the same moment. There is one in a process.
#[derive(Debug)]
pub(crate) struct HeldClock(pub(crate) SharedClock);

impl Clock for HeldClock {
    fn now(&self) -> UnixTime {
        if HELD.get().is_none() {
            return self.0.now();
        }
        UnixTime::from_seconds(i64::try_from(self.since_epoch().as_secs()).unwrap_or(i64::MAX))
    }

    fn steady(&self) -> Duration {
        self.0.steady()
    }

    fn since_epoch(&self) -> Duration {
        let Some(moment) = HELD.get() else { return self.0.since_epoch() };
        moment.since_epoch.unwrap_or_else(|| {
            let since_epoch = self.0.since_epoch();
            HELD.set(Some(Moment { since_epoch: Some(since_epoch), ..moment }));
            since_epoch
        })
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::Arc;

    use firegate_core::time::{ShiftedClock, SystemClock};

    use super::*;

    /// Takes longer than a clock's tick.
    fn wait() {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(10) {}
    }

    #[test]
    fn it_is_the_same_moment_while_it_is_held_and_no_longer() {
        let (first, second) = hold(|| {
            let first = now();
            wait();
            (first, now())
        });
        assert_eq!(first, second);
        wait();
        let third = hold(now);
        assert!(third > first, "another poll, another moment");
        wait();
        assert!(now() > third);
        let panicked = catch_unwind(|| {
            hold(|| {
                now();
                panic!("on purpose");
            })
        });
        assert!(panicked.is_err());
        let after = now();
        wait();
        assert!(now() > after, "nothing is held after a panic");
    }

    #[test]
    fn the_clock_goes_on_when_the_moment_is_over() {
        let shifted = ShiftedClock::new(Arc::new(SystemClock));
        let clock = HeldClock(Arc::new(shifted.clone()));
        let before = clock.now();
        hold(|| {
            let (now, since_epoch) = (clock.now(), clock.since_epoch());
            shifted.advance(100);
            assert_eq!((clock.now(), clock.since_epoch()), (now, since_epoch));
            assert_eq!(now.since_epoch(), Duration::from_secs(since_epoch.as_secs()));
        });
        assert!(clock.now().since(before) >= Duration::from_secs(100));
        hold(|| assert!(clock.now().since(before) >= Duration::from_secs(100)));
    }
}
