//! What the log says of an outage: that it began, now and then that it goes on, and that it is over.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::limits::OUTAGE_LINE_INTERVAL;

/// Failures of one thing, of which the first one is told at once, and those that follow seldom and by their number. One that
/// fails and works by turns is told as seldom.
#[derive(Debug, Default)]
pub struct Outage(Mutex<Telling>);

#[derive(Debug, Default)]
struct Telling {
    /// How many failures no line has told of.
    untold: u64,
    told_at: Option<Instant>,
    /// A line has said that it fails, and none since that it works.
    is_told: bool,
}

impl Outage {
    /// Takes note of a failure at `now`. If a line is due: how many there were since the last one, this one included.
    pub fn failed(&self, now: Instant) -> Option<u64> {
        let mut telling = self.telling();
        telling.untold += 1;
        if telling.told_at.is_some_and(|told_at| now < told_at + OUTAGE_LINE_INTERVAL) {
            return None;
        }
        telling.told_at = Some(now);
        telling.is_told = true;
        Some(std::mem::take(&mut telling.untold))
    }

    /// Takes note that it worked. If a line is due, because one has said that it does not: how many failures there were since.
    pub fn worked(&self) -> Option<u64> {
        let mut telling = self.telling();
        std::mem::take(&mut telling.is_told).then(|| std::mem::take(&mut telling.untold))
    }

    fn telling(&self) -> MutexGuard<'_, Telling> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_at_once_then_seldom_and_when_it_is_over() {
        let (outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.worked(), None, "it never failed");
        assert_eq!(outage.failed(start), Some(1));
        assert_eq!(outage.failed(start), None);
        assert_eq!(outage.failed(start + OUTAGE_LINE_INTERVAL), Some(2));
        assert_eq!(outage.failed(start + OUTAGE_LINE_INTERVAL), None);
        assert_eq!(outage.worked(), Some(1));
        assert_eq!(outage.worked(), None, "that was told");
    }

    #[test]
    fn what_fails_and_works_by_turns_is_told_as_seldom() {
        let (outage, start) = (Outage::default(), Instant::now());
        assert_eq!((outage.failed(start), outage.worked()), (Some(1), Some(0)));
        for _ in 0..1000 {
            assert_eq!((outage.failed(start), outage.worked()), (None, None));
        }
        assert_eq!((outage.failed(start + OUTAGE_LINE_INTERVAL), outage.worked()), (Some(1001), Some(0)));
    }
}
