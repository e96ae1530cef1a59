use http::{HeaderMap, HeaderName, HeaderValue};

use super::pages::CLOUD_TRACE_CONTEXT;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_ID_CHARACTERS: usize = 32;

/// The trace that a request belongs to: `X-Cloud-Trace-Context: TRACE/SPAN;o=1` with a decimal span, and W3C's
/// `traceparent` with a hexadecimal one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    trace_id: String,
    span_id: u64,
}

impl TraceContext {
    /// The client's trace with a span of its own, or a new trace.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let given = text(TRACEPARENT)
            .and_then(|value| value.split('-').nth(1))
            .into_iter()
            .chain(text(CLOUD_TRACE_CONTEXT).and_then(|value| value.split('/').next()))
            .find(|trace_id| is_trace_id(trace_id))
            .map(str::to_ascii_lowercase);
        let trace_id = given.unwrap_or_else(|| format!("{:016x}{:016x}", random(), random()));
        Self { trace_id, span_id: random() }
    }

    /// Sets both headers for the container.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        let Self { trace_id, span_id } = self;
        let pairs = [
            (CLOUD_TRACE_CONTEXT, format!("{trace_id}/{span_id};o=1")),
            (TRACEPARENT, format!("00-{trace_id}-{span_id:016x}-01")),
        ];
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }

    /// The value in the answer, which names the trace alone.
    pub(super) fn response_value(&self) -> HeaderValue {
        HeaderValue::from_str(&format!("{};o=1", self.trace_id)).unwrap_or(HeaderValue::from_static(""))
    }
}

fn is_trace_id(text: &str) -> bool {
    text.len() == TRACE_ID_CHARACTERS
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && text.bytes().any(|byte| byte != b'0')
}

/// A number that is not zero, which the W3C form forbids. Without randomness traces coincide, and nothing else happens.
fn random() -> u64 {
    let mut bytes = [0; 8];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => u64::from_be_bytes(bytes).max(1),
        Err(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: HeaderName, value: &'static str, expected: Option<&str>) {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let context = TraceContext::of(&headers);
        match expected {
            Some(expected) => assert_eq!(context.trace_id, expected, "{value}"),
            None => assert!(is_trace_id(&context.trace_id) && !value.contains(&context.trace_id), "{value}"),
        }
    }

    #[test]
    fn a_given_trace_is_continued_and_a_broken_one_replaced() {
        let trace_id = "0af7651916cd43dd8448eb211c80319c";
        check(TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some(trace_id));
        check(CLOUD_TRACE_CONTEXT, "0af7651916cd43dd8448eb211c80319c/1;o=0", Some(trace_id));
        check(CLOUD_TRACE_CONTEXT, "00000000000000000000000000000000/1", None);
        check(TRACEPARENT, "00-zz-1-1", None);
    }
}
