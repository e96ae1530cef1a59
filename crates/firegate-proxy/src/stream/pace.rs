//! How fast a client has to send: slowly sent bodies hold a connection, a request and a place at the service each.

use std::time::Duration;

use crate::limits::{REQUEST_BODY_BYTES_PER_SECOND_MIN, REQUEST_BODY_PACE_GRACE};

/// What a client has sent, and how long it was waited for. Only waiting for the client counts: a service that reads slowly
/// is not its fault.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// Notes that so many bytes came.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Notes that the client was waited for.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.waited = self.waited.saturating_add(time);
    }

    /// How much longer it may be waited for before its average falls below the least one.
    pub(crate) fn patience(&self) -> Duration {
        let earned =
            Duration::from_millis(self.bytes.saturating_mul(1000) / REQUEST_BODY_BYTES_PER_SECOND_MIN);
        REQUEST_BODY_PACE_GRACE.saturating_add(earned).saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_waited_for_as_long_as_it_has_earned() {
        let mut pace = Pace::default();
        assert_eq!(pace.patience(), REQUEST_BODY_PACE_GRACE);
        pace.waited(REQUEST_BODY_PACE_GRACE);
        assert_eq!(pace.patience(), Duration::ZERO);
        pace.sent(10 * usize::try_from(REQUEST_BODY_BYTES_PER_SECOND_MIN).expect("a size"));
        assert_eq!(pace.patience(), Duration::from_secs(10));
        pace.waited(Duration::from_secs(60));
        assert_eq!(pace.patience(), Duration::ZERO);
    }
}
