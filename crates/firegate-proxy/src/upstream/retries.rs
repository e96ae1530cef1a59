//! When a request is tried again because its route says so: a URL map's `retryPolicy`. What is repeated without one, because
//! it is safe in any case, is the passage's own affair. Bodies are streamed and not kept, so a request that has one is tried
//! again only if nothing of it was sent.

use std::time::Duration;

use firegate_files::url_map::{RetryCondition, RetryPolicy};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::limits::{RETRY_PAUSE, RETRY_PAUSE_MAX};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// How a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// There was no connection.
    NoConnection,
    /// The service said that it did nothing with the request.
    NotProcessed,
    /// The connection or the stream ended, or what came is not HTTP.
    Broken,
    /// No answer came in time.
    TimedOut,
    /// The client's own doing.
    Clients,
}

/// The policy of a route, and what is left of it for one request.
#[derive(Clone, Debug)]
pub(crate) struct Retries {
    policy: RetryPolicy,
    spent: u32,
}

impl Retries {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self { policy: policy.clone(), spent: 0 }
    }

    /// How long one try may take.
    pub(crate) fn per_try_timeout(&self) -> Option<Duration> {
        self.policy.per_try_timeout
    }

    /// Whether a request that got no answer may be tried again.
    pub(crate) fn cover(&self, miss: Miss) -> bool {
        let covers = |condition: &RetryCondition| match condition {
            RetryCondition::Any5xx | RetryCondition::GatewayError => miss != Miss::Clients,
            RetryCondition::ConnectFailure => miss == Miss::NoConnection,
            RetryCondition::RefusedStream => miss == Miss::NotProcessed,
            _ => false,
        };
        self.has_left() && self.policy.conditions.iter().any(covers)
    }

    /// Whether a request with this answer may be tried again.
    pub(crate) fn cover_answer(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let grpc_status = headers.get(GRPC_STATUS).and_then(|value| value.to_str().ok());
        let covers = |condition: &RetryCondition| match condition {
            RetryCondition::Any5xx => status.is_server_error(),
            RetryCondition::GatewayError => matches!(status.as_u16(), 502..=504),
            RetryCondition::Retriable4xx => status == StatusCode::CONFLICT,
            RetryCondition::Cancelled => grpc_status == Some("1"),
            RetryCondition::DeadlineExceeded => grpc_status == Some("4"),
            RetryCondition::ResourceExhausted => grpc_status == Some("8"),
            RetryCondition::Internal => grpc_status == Some("13"),
            RetryCondition::Unavailable => grpc_status == Some("14"),
            RetryCondition::ConnectFailure | RetryCondition::RefusedStream => false,
        };
        self.has_left() && self.policy.conditions.iter().any(covers)
    }

    /// Takes one of them, and says how long to wait before it: longer each time, so that a service in trouble gets air.
    pub(crate) fn spend(&mut self) -> Duration {
        let pause = RETRY_PAUSE.saturating_mul(1 << self.spent.min(8)).min(RETRY_PAUSE_MAX);
        self.spent += 1;
        pause
    }

    /// Whether it was tried again as often as the route allows: then not even what is safe in any case is tried once more.
    pub(crate) fn are_used_up(&self) -> bool {
        self.spent > 0 && !self.has_left()
    }

    fn has_left(&self) -> bool {
        self.spent < self.policy.retries
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn retries(conditions: &[RetryCondition]) -> Retries {
        Retries::new(&RetryPolicy { retries: 2, per_try_timeout: None, conditions: conditions.to_vec() })
    }

    #[test]
    fn conditions_are_what_google_says_they_are() {
        let check = |condition: RetryCondition, statuses: &[u16], misses: &[Miss]| {
            let retries = retries(&[condition]);
            for status in [200, 301, 404, 409, 429, 500, 501, 502, 503, 504] {
                let covers = retries.cover_answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new());
                assert_eq!(covers, statuses.contains(&status), "{condition:?} {status}");
            }
            for miss in [Miss::NoConnection, Miss::NotProcessed, Miss::Broken, Miss::TimedOut, Miss::Clients]
            {
                assert_eq!(retries.cover(miss), misses.contains(&miss), "{condition:?} {miss:?}");
            }
        };
        let all = [Miss::NoConnection, Miss::NotProcessed, Miss::Broken, Miss::TimedOut];
        check(RetryCondition::Any5xx, &[500, 501, 502, 503, 504], &all);
        check(RetryCondition::GatewayError, &[502, 503, 504], &all);
        check(RetryCondition::ConnectFailure, &[], &[Miss::NoConnection]);
        check(RetryCondition::RefusedStream, &[], &[Miss::NotProcessed]);
        check(RetryCondition::Retriable4xx, &[409], &[]);
        check(RetryCondition::Unavailable, &[], &[]);
    }

    #[test]
    fn grpc_says_its_status_in_a_header() {
        let headers = HeaderMap::from_iter([(GRPC_STATUS, "14".parse().unwrap())]);
        assert!(retries(&[RetryCondition::Unavailable]).cover_answer(StatusCode::OK, &headers));
        assert!(!retries(&[RetryCondition::Internal]).cover_answer(StatusCode::OK, &headers));
        let conditions = [
            (RetryCondition::Cancelled, 1),
            (RetryCondition::DeadlineExceeded, 4),
            (RetryCondition::ResourceExhausted, 8),
            (RetryCondition::Internal, 13),
            (RetryCondition::Unavailable, 14),
        ];
        for (condition, expected) in conditions {
            for status in 0..=16 {
                let headers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(status))]);
                let covers = retries(&[condition]).cover_answer(StatusCode::OK, &headers);
                assert_eq!(covers, status == expected, "{condition:?} {status}");
            }
        }
    }

    #[test]
    fn what_there_never_was_is_not_used_up() {
        let policy =
            RetryPolicy { retries: 0, per_try_timeout: None, conditions: vec![RetryCondition::Any5xx] };
        let retries = Retries::new(&policy);
        assert!(!retries.cover(Miss::Broken) && !retries.are_used_up());
    }

    #[test]
    fn what_is_spent_is_spent() {
        let mut retries = retries(&[RetryCondition::Any5xx]);
        assert!(!retries.are_used_up());
        assert_eq!(retries.spend(), RETRY_PAUSE);
        assert!(retries.cover(Miss::Broken));
        assert_eq!(retries.spend(), RETRY_PAUSE * 2);
        assert!(!retries.cover(Miss::Broken) && retries.are_used_up());
        (0..100).for_each(|_| assert!(retries.spend() <= RETRY_PAUSE_MAX));
    }
}
