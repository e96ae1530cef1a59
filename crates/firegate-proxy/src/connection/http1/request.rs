//! A request of a head that the scanner has passed, or in the place of one that it has not.

use std::ops::Range;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use crate::connection::framing::{Field, UNREAD, Violation, WholeHead};

/// The request of a head, whose bytes these are. Its values are slices of them.
///
/// # Errors
/// If the `http` crate reads less than the scanner does.
pub(super) fn request<B>(head: &WholeHead, bytes: &Bytes, body: B) -> Result<Request<B>, Violation> {
    let line = head.request_line;
    let method = bytes.get(..line.method_end).unwrap_or_default();
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(method).map_err(|_| Violation::Method)?;
    let target = slice(bytes, line.method_end + 1..line.target_end);
    *request.uri_mut() = Uri::from_maybe_shared(target).map_err(|_| Violation::Target)?;
    *request.version_mut() = line.version;
    let mut headers = HeaderMap::with_capacity(head.fields.len());
    for field in &head.fields {
        let Field { start, name_end, value_start, value_end } = *field;
        let name = bytes.get(start as usize..name_end as usize).unwrap_or_default();
        let name = HeaderName::from_bytes(name).map_err(|_| Violation::NameToken)?;
        let value = slice(bytes, value_start as usize..value_end as usize);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Violation::ControlCharacter)?;
        headers.try_append(name, value).map_err(|_| Violation::TooManyFields)?;
    }
    *request.headers_mut() = headers;
    Ok(request)
}

/// The request that stands for a head that was refused, which the door answers in its turn. It has the page that the head named
/// before that, so that the page may read the answer.
pub(super) fn unread<B>(violation: Violation, origin: Option<HeaderValue>, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(UNREAD.as_bytes()).unwrap_or_default();
    request.extensions_mut().insert(violation);
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("unread"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(origin) = origin {
        headers.insert(ORIGIN, origin);
    }
    request
}

/// A part of the bytes, without a copy.
fn slice(bytes: &Bytes, range: Range<usize>) -> Bytes {
    bytes.get(range).map_or_else(Bytes::new, |part| bytes.slice_ref(part))
}
