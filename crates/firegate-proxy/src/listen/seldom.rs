//! A line of the log about something that may happen with every connection.

use std::cell::Cell;

use tokio::time::Instant;

use crate::limits::REFUSAL_LOG_INTERVAL;

/// Lets one line through in each interval, with the number of those that were not written since.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    written_at: Cell<Option<Instant>>,
    unwritten: Cell<u64>,
}

impl Seldom {
    /// How often it happened since the last line, this time included, if a line is due.
    pub(super) fn due(&self, now: Instant) -> Option<u64> {
        let happened = self.unwritten.get() + 1;
        let is_due = self.written_at.get().is_none_or(|at| now >= at + REFUSAL_LOG_INTERVAL);
        if !is_due {
            self.unwritten.set(happened);
            return None;
        }
        self.unwritten.set(0);
        self.written_at.set(Some(now));
        Some(happened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_written_at_once_and_the_next_says_how_many_there_were() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.due(start), Some(1));
        assert_eq!(seldom.due(start), None);
        assert_eq!(seldom.due(start + REFUSAL_LOG_INTERVAL / 2), None);
        assert_eq!(seldom.due(start + REFUSAL_LOG_INTERVAL), Some(3));
        assert_eq!(seldom.due(start + REFUSAL_LOG_INTERVAL), None);
    }
}
