//! The order of time. Each worker of a front door hands its lines over by itself, a batch at a time, and so a log of several is
//! in that order only by and large: its entries wait here for those that came before them.

use std::collections::BTreeMap;
use std::time::Duration;

use firegate_proxy::limits::LOG_BATCH_DELAY;

use super::super::limits::{LOG_DISORDER_MAX, LOG_WAITING_BYTES_MAX};
use super::recorded::Recorded;

// A busy worker is late with its batch.
const _: () = assert!(LOG_DISORDER_MAX.as_millis() >= LOG_BATCH_DELAY.as_millis() * 10);

/// An entry of a log, and where it stands.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) recorded: Recorded,
    /// How long its text is.
    pub(super) bytes: usize,
}

/// The entries that wait, by their time and then by their place.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    entries: BTreeMap<(Duration, usize, u64), Entry>,
    taken: u64,
    bytes: usize,
}

impl Waiting {
    /// Takes an entry. One that has no time has no place among the others, and is handed back.
    pub(super) fn take(&mut self, entry: Entry) -> Option<Entry> {
        let Some(at) = entry.recorded.at else { return Some(entry) };
        self.taken += 1;
        self.bytes += entry.bytes;
        self.entries.insert((at, entry.line, self.taken), entry);
        None
    }

    /// The next entry, if none can come before it any more, or no more can wait.
    pub(super) fn next(&mut self, is_end: bool) -> Option<Entry> {
        let (oldest, ..) = *self.entries.first_key_value()?.0;
        let (newest, ..) = *self.entries.last_key_value()?.0;
        let is_due = newest - oldest > LOG_DISORDER_MAX || self.bytes > LOG_WAITING_BYTES_MAX;
        if !is_due && !is_end {
            return None;
        }
        let (_, entry) = self.entries.pop_first()?;
        self.bytes -= entry.bytes;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(line: usize, time: &str, bytes: usize) -> Entry {
        let request =
            json!({"requestMethod": "GET", "requestUrl": "http://a/", "status": 200, "remoteIp": "::1"});
        let text = json!({ "httpRequest": request, "time": time }).to_string();
        Entry { line, recorded: Recorded::read(text.as_bytes()).expect("an entry"), bytes }
    }

    fn lines(waiting: &mut Waiting, is_end: bool) -> Vec<usize> {
        std::iter::from_fn(|| waiting.next(is_end)).map(|entry| entry.line).collect()
    }

    #[test]
    fn entries_come_by_their_time_and_those_of_one_time_as_they_stand() {
        let mut waiting = Waiting::default();
        for (line, second) in [(1, 7), (2, 6), (3, 7), (4, 6)] {
            assert!(waiting.take(entry(line, &format!("2027-01-15T08:00:0{second}Z"), 1)).is_none());
            assert!(waiting.next(false).is_none(), "an earlier one may come");
        }
        assert!(waiting.take(entry(5, "2027-01-15T08:00:08.5Z", 1)).is_none());
        assert_eq!(lines(&mut waiting, false), [2, 4]);
        assert_eq!(lines(&mut waiting, true), [1, 3, 5]);
        assert_eq!(waiting.take(entry(6, "yesterday", 1)).map(|entry| entry.line), Some(6));
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut waiting = Waiting::default();
        let half = LOG_WAITING_BYTES_MAX / 2;
        for round in 0..3 {
            for (line, bytes) in [(1, half), (2, half), (3, 1)] {
                assert!(waiting.next(false).is_none(), "round {round}");
                waiting.take(entry(line, "2027-01-15T08:00:00Z", bytes));
            }
            assert_eq!(lines(&mut waiting, false), [1]);
            assert_eq!(lines(&mut waiting, true), [2, 3]);
        }
    }
}
