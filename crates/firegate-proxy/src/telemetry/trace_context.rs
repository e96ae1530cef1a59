//! Which trace a request belongs to, so that its line stands beside the others of the same trace in Cloud Logging.

use http::{HeaderMap, HeaderName};

/// <https://www.w3.org/TR/trace-context/#traceparent-header>
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// <https://cloud.google.com/trace/docs/trace-context#http-requests>: `TRACE/SPAN;o=OPTIONS`, the span in decimal digits.
const X_CLOUD_TRACE_CONTEXT: HeaderName = HeaderName::from_static("x-cloud-trace-context");

/// A trace, and the span in it that the caller was in. Both are hexadecimal digits, whatever the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    trace_id: [u8; 32],
    span_id: Option<[u8; 16]>,
    is_sampled: bool,
}

impl TraceContext {
    /// What the headers say; `None` if they say nothing that can be understood.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &HeaderName| headers.get(name)?.to_str().ok();
        text(&TRACEPARENT)
            .and_then(Self::parse_traceparent)
            .or_else(|| text(&X_CLOUD_TRACE_CONTEXT).and_then(Self::parse_cloud_trace_context))
    }

    pub(crate) fn trace_id(&self) -> &[u8] {
        &self.trace_id
    }

    pub(crate) fn span_id(&self) -> Option<&[u8]> {
        self.span_id.as_ref().map(<[u8; 16]>::as_slice)
    }

    pub(crate) fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// `00-TRACE-SPAN-FLAGS`; a later version may have more behind it.
    fn parse_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [_] = hexadecimal::<2>(version).filter(|digits| digits != b"ff").map(|digits| [digits])?;
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let flags = u8::from_str_radix(std::str::from_utf8(&hexadecimal::<2>(flags)?).ok()?, 16).ok()?;
        let span_id = Some(hexadecimal(span_id).filter(is_an_id)?);
        let trace_id = hexadecimal(trace_id).filter(is_an_id)?;
        Some(Self { trace_id, span_id, is_sampled: flags & 1 == 1 })
    }

    fn parse_cloud_trace_context(text: &str) -> Option<Self> {
        let (ids, options) = text.split_once(';').unwrap_or((text, ""));
        let (trace_id, span_id) = ids.split_once('/').unwrap_or((ids, "0"));
        let trace_id = hexadecimal(&trace_id.to_ascii_lowercase()).filter(is_an_id)?;
        let span_id = span_id.parse::<u64>().ok().filter(|span_id| *span_id != 0);
        let span_id = span_id.and_then(|span_id| hexadecimal(&format!("{span_id:016x}")));
        Some(Self { trace_id, span_id, is_sampled: options == "o=1" })
    }
}

/// Exactly so many lower-case hexadecimal digits.
fn hexadecimal<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let digits = <[u8; LENGTH]>::try_from(text.as_bytes()).ok()?;
    digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(digits)
}

fn is_an_id<const LENGTH: usize>(digits: &[u8; LENGTH]) -> bool {
    digits.iter().any(|digit| *digit != b'0')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    /// `headers` are `traceparent` and `X-Cloud-Trace-Context`; expected are span and whether it is sampled.
    fn check(headers: [&str; 2], expected: Option<(Option<&str>, bool)>) {
        let names = [TRACEPARENT, X_CLOUD_TRACE_CONTEXT].into_iter();
        let given = names.zip(headers).filter(|(_, value)| !value.is_empty());
        let map = given.map(|(name, value)| (name, HeaderValue::from_str(value).expect("a value"))).collect();
        let found = TraceContext::of(&map);
        let found = found.as_ref().map(|found| {
            assert_eq!(found.trace_id(), TRACE.as_bytes());
            (found.span_id().map(|span| std::str::from_utf8(span).expect("digits")), found.is_sampled())
        });
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn a_trace_is_read_from_either_header_and_from_nothing_else() {
        let span = Some("b7ad6b7169203331");
        check(["", ""], None);
        check([&format!("00-{TRACE}-b7ad6b7169203331-01"), ""], Some((span, true)));
        check([&format!("00-{TRACE}-b7ad6b7169203331-02"), ""], Some((span, false)));
        check([&format!("cc-{TRACE}-b7ad6b7169203331-01-later"), ""], Some((span, true)));
        for bad in [
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{}\"-b7ad6b7169203331-01", &TRACE[1..]),
        ] {
            check([&bad, ""], None);
            check([&bad, &format!("{TRACE}/1;o=1")], Some((Some("0000000000000001"), true)));
        }
        check(["", &format!("{TRACE}/18446744073709551615;o=0")], Some((Some("ffffffffffffffff"), false)));
        check(["", &format!("{}/0", TRACE.to_uppercase())], Some((None, false)));
        check(["", TRACE], Some((None, false)));
        check(["", &format!("{TRACE}/x;o=1")], Some((None, true)));
        check(["", &TRACE[1..]], None);
        check(["", &format!("{TRACE}0/1")], None);
    }
}
