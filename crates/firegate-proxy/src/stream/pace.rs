//! How fast a client has to send: slowly sent bodies hold a connection, a request and a place at the service each.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::limits::REQUEST_BODY_PACE_GRACE;

/// What a client has sent, and how long it was waited for. Only waiting for the client counts: a service that reads slowly
/// is not its fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    bytes_per_second_min: NonZeroU64,
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// The pace of a body that has to come at so many bytes a second; none, if it may come as it likes.
    pub(crate) fn at_least(bytes_per_second_min: u64) -> Option<Self> {
        let bytes_per_second_min = NonZeroU64::new(bytes_per_second_min)?;
        Some(Self { bytes_per_second_min, bytes: 0, waited: Duration::ZERO })
    }

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
        let earned = Duration::from_millis(self.bytes.saturating_mul(1000) / self.bytes_per_second_min);
        REQUEST_BODY_PACE_GRACE.saturating_add(earned).saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_waited_for_as_long_as_it_has_earned() {
        assert!(Pace::at_least(0).is_none());
        let mut pace = Pace::at_least(240).expect("a pace");
        assert_eq!(pace.patience(), REQUEST_BODY_PACE_GRACE);
        pace.waited(REQUEST_BODY_PACE_GRACE);
        assert_eq!(pace.patience(), Duration::ZERO);
        pace.sent(10 * 240);
        assert_eq!(pace.patience(), Duration::from_secs(10));
        pace.waited(Duration::from_secs(60));
        assert_eq!(pace.patience(), Duration::ZERO);
    }
}
