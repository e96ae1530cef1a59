//! What a client is told of the limit that it has exceeded: `Retry-After`, the fields of
//! draft-ietf-httpapi-ratelimit-headers-10, and Google's `RetryInfo` in JSON and in gRPC.
//!
//! A request that passes is told nothing: the answer is the service's own, which may have limits and words of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use firegate_core::limiter::Count;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The type of Google's detail that says when to come again.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The header fields. The policy's name says nothing of the policy file, which is no client's business.
pub(super) fn tell(count: &Count, headers: &mut HeaderMap) {
    let seconds = count.reset_after_seconds();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    let fields = [
        (RATE_LIMIT_POLICY, format!("\"limit\";q={};w={}", count.limit, count.interval.as_secs().max(1))),
        (RATE_LIMIT, format!("\"limit\";r={};t={seconds}", count.remaining)),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

/// What `RetryInfo` says in JSON: a duration as protobuf writes it there.
pub(super) fn retry_delay(count: &Count) -> String {
    format!("{}s", count.reset_after_seconds())
}

/// The trailer that holds a whole `google.rpc.Status`.
pub(super) fn tell_grpc(code: u16, message: &str, count: &Count, headers: &mut HeaderMap) {
    let status = encode_status(code, message, count.reset_after_seconds());
    if let Ok(value) = HeaderValue::from_str(&STANDARD_NO_PAD.encode(status)) {
        headers.insert(GRPC_STATUS_DETAILS, value);
    }
}

/// `google.rpc.Status { code, message, details: [Any(RetryInfo { retry_delay: Duration { seconds } })] }`, in protobuf's
/// encoding.
fn encode_status(code: u16, message: &str, seconds: u64) -> Vec<u8> {
    let duration = number(1, seconds);
    let retry_info = bytes(1, &duration);
    let any = [bytes(1, RETRY_INFO.as_bytes()), bytes(2, &retry_info)].concat();
    [number(1, u64::from(code)), bytes(2, message.as_bytes()), bytes(3, &any)].concat()
}

/// A field that is a number.
fn number(field: u8, value: u64) -> Vec<u8> {
    let mut encoded = vec![field << 3];
    varint(value, &mut encoded);
    encoded
}

/// A field that has a length: a text, or another message.
fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    let mut encoded = vec![field << 3 | 2];
    varint(value.len() as u64, &mut encoded);
    encoded.extend_from_slice(value);
    encoded
}

/// Seven bits in each byte, the lowest first; all but the last one have the eighth bit set.
fn varint(mut value: u64, encoded: &mut Vec<u8>) {
    while value >= 0x80 {
        encoded.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    encoded.push(value as u8);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use firegate_core::limiter::CountOutcome;

    use super::*;

    fn count(reset_ms: u64) -> Count {
        Count {
            outcome: CountOutcome::Exceed,
            limit: 100,
            remaining: 0,
            interval: Duration::from_secs(60),
            reset_after: Duration::from_millis(reset_ms),
            is_overflow: false,
        }
    }

    #[test]
    fn the_fields_are_those_of_the_draft_and_their_seconds_are_those_of_retry_after() {
        let mut headers = HeaderMap::new();
        tell(&count(29_001), &mut headers);
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(value("retry-after"), Some("30"));
        assert_eq!(value("ratelimit-policy"), Some("\"limit\";q=100;w=60"));
        assert_eq!(value("ratelimit"), Some("\"limit\";r=0;t=30"));
        assert_eq!(retry_delay(&count(29_001)), "30s");
    }

    /// The bytes were written by protobuf's own library for Python (`Status(...).SerializeToString().hex()`).
    #[test]
    fn the_status_is_what_protobuf_reads() {
        let check = |seconds, expected: &str| {
            let found = encode_status(8, "too many requests", seconds);
            assert_eq!(
                found.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
                expected,
                "{seconds}"
            );
        };
        check(
            30,
            "08081211746f6f206d616e792072657175657374731a300a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e5265747279496e666f12040a02081e",
        );
        // The first number of two bytes.
        check(
            128,
            "08081211746f6f206d616e792072657175657374731a310a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e5265747279496e666f12050a03088001",
        );
        check(
            3600,
            "08081211746f6f206d616e792072657175657374731a310a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e5265747279496e666f12050a0308901c",
        );
    }
}
