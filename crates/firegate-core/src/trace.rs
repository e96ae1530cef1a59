//! Which trace a request belongs to. It says nothing of who calls, so it is carried on to the service as it came, if it can be
//! understood: what cannot is dropped, because a log or a service could understand it otherwise than its reader.

use http::{HeaderMap, HeaderName, HeaderValue};

/// <https://www.w3.org/TR/trace-context/#traceparent-header>
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// It means nothing without the other (<https://www.w3.org/TR/trace-context/#tracestate-header>).
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// <https://cloud.google.com/trace/docs/trace-context#http-requests>: `TRACE/SPAN;o=OPTIONS`, the span in decimal digits.
static X_CLOUD_TRACE_CONTEXT: HeaderName = HeaderName::from_static("x-cloud-trace-context");

/// A trace, and the span in it that the caller was in. Both are hexadecimal digits, whatever the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 32],
    span_id: Option<[u8; 16]>,
    is_sampled: bool,
}

impl TraceContext {
    /// What the headers say; `None` if they say nothing that can be understood.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if !is_traced(headers) {
            return None;
        }
        Self::of_traceparent(headers).or_else(|| Self::of_cloud_trace_context(headers))
    }

    /// The trace: 32 digits.
    pub fn trace_id(&self) -> &[u8] {
        &self.trace_id
    }

    /// The span: 16 digits.
    pub fn span_id(&self) -> Option<&[u8]> {
        self.span_id.as_ref().map(<[u8; 16]>::as_slice)
    }

    /// Whether the caller records it.
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    fn of_traceparent(headers: &HeaderMap) -> Option<Self> {
        Self::parse_traceparent(the_one(headers, &TRACEPARENT)?)
    }

    fn of_cloud_trace_context(headers: &HeaderMap) -> Option<Self> {
        Self::parse_cloud_trace_context(the_one(headers, &X_CLOUD_TRACE_CONTEXT)?)
    }

    /// `00-TRACE-SPAN-FLAGS`; a later version may have more behind it.
    fn parse_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = hexadecimal::<2>(version).filter(|version| version != b"ff")?;
        if &version == b"00" && parts.next().is_some() {
            return None;
        }
        hexadecimal::<2>(flags)?;
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        let span_id = Some(hexadecimal(span_id).filter(is_an_id)?);
        let trace_id = hexadecimal(trace_id).filter(is_an_id)?;
        Some(Self { trace_id, span_id, is_sampled })
    }

    fn parse_cloud_trace_context(text: &str) -> Option<Self> {
        let (ids, options) = match text.split_once(";o=") {
            Some((ids, options)) => (ids, decimal(options)?),
            None => (text, 0),
        };
        let (trace_id, span_id) = match ids.split_once('/') {
            Some((trace_id, span_id)) => (trace_id, decimal(span_id)?),
            None => (ids, 0),
        };
        let trace_id = hexadecimal(&trace_id.to_ascii_lowercase()).filter(is_an_id)?;
        let span_id = hexadecimal(&format!("{span_id:016x}")).filter(is_an_id);
        Some(Self { trace_id, span_id, is_sampled: options & 1 == 1 })
    }
}

/// Removes what says of a trace nothing that can be understood, or says it more than once.
pub(crate) fn drop_malformed(headers: &mut HeaderMap) {
    if !is_traced(headers) {
        return;
    }
    if headers.contains_key(&X_CLOUD_TRACE_CONTEXT) && TraceContext::of_cloud_trace_context(headers).is_none()
    {
        headers.remove(&X_CLOUD_TRACE_CONTEXT);
    }
    if TraceContext::of_traceparent(headers).is_none() {
        headers.remove(&TRACEPARENT);
        headers.remove(&TRACESTATE);
    }
}

/// Whether there is any of these headers. Most requests have none, and to pass over the few that they have costs less than to
/// hash three names.
fn is_traced(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| *name == TRACEPARENT || *name == TRACESTATE || *name == X_CLOUD_TRACE_CONTEXT)
}

/// The text of a header that has exactly one.
fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::to_str);
    let value = values.next()?.ok();
    value.filter(|_| values.next().is_none())
}

/// Exactly so many lower-case hexadecimal digits.
fn hexadecimal<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let digits = <[u8; LENGTH]>::try_from(text.as_bytes()).ok()?;
    digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(digits)
}

/// Decimal digits and nothing else: no sign.
fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_an_id<const LENGTH: usize>(digits: &[u8; LENGTH]) -> bool {
    digits.iter().any(|digit| *digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn fields(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    /// `headers` are `traceparent` and `X-Cloud-Trace-Context`; expected are span and whether it is sampled.
    fn check(headers: [&str; 2], expected: Option<(Option<&str>, bool)>) {
        let map = fields(&[(&TRACEPARENT, headers[0]), (&X_CLOUD_TRACE_CONTEXT, headers[1])]);
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
            format!("00-{TRACE}-b7ad6b7169203331-+1"),
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
        for bad in ["x;o=1", "+1", "18446744073709551616", "1;o=", "1;o=x", "1;p=1", "1/1"] {
            check(["", &format!("{TRACE}/{bad}")], None);
        }
        check(["", &TRACE[1..]], None);
        check(["", &format!("{TRACE}0/1")], None);
    }

    #[test]
    fn what_can_be_understood_is_carried_on_as_it_came_and_the_rest_is_dropped() {
        let (parent, google) = (format!("00-{TRACE}-b7ad6b7169203331-01"), format!("{TRACE}/1;o=1"));
        let kept = |pairs: &[(&HeaderName, &str)]| {
            let mut headers = fields(pairs);
            drop_malformed(&mut headers);
            let kept =
                headers.iter().map(|(name, value)| (name.clone(), value.to_str().expect("text").to_owned()));
            kept.collect::<Vec<_>>()
        };
        let all = [(&TRACEPARENT, parent.as_str()), (&TRACESTATE, "a=b"), (&X_CLOUD_TRACE_CONTEXT, &google)];
        assert_eq!(kept(&all), all.map(|(name, value)| (name.clone(), value.to_owned())));
        assert_eq!(kept(&[(&TRACESTATE, "a=b")]), []);
        assert_eq!(kept(&[(&TRACEPARENT, "00-1-1-1"), (&TRACESTATE, "a=b")]), []);
        assert_eq!(kept(&[(&TRACEPARENT, &parent), (&TRACEPARENT, &parent), (&TRACESTATE, "a=b")]), []);
        assert_eq!(kept(&[(&X_CLOUD_TRACE_CONTEXT, &google), (&X_CLOUD_TRACE_CONTEXT, &google)]), []);
        assert_eq!(kept(&[(&X_CLOUD_TRACE_CONTEXT, "x")]), []);
    }
}
