//! The fields behind a body (RFC 9110, section 6.5).

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST,
    MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What decides about a message, or about who sends it, and has to be known before its body (RFC 9110, section 6.5.1).
const NO_TRAILERS: [HeaderName; 12] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    MAX_FORWARDS,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
];

/// Whether a field can come behind the body.
pub(crate) fn may_trail(name: &HeaderName) -> bool {
    !NO_TRAILERS.contains(name)
}

/// The fields of the lines that [`Chunked`](super::Chunked) has passed; none, if there is no line.
pub(crate) fn read_trailers(lines: Vec<u8>) -> Option<HeaderMap> {
    if lines.is_empty() {
        return None;
    }
    let lines = Bytes::from(lines);
    let mut trailers = HeaderMap::new();
    for line in lines.split(|octet| *octet == b'\n') {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(lines.slice_ref(value)))
        {
            // There are no more than are let through.
            let _ = trailers.try_append(name, value);
        }
    }
    Some(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_read_as_they_stand() {
        assert_eq!(read_trailers(Vec::new()), None);
        let read = read_trailers(b"A: b\r\nc:\r\na:\td \r\n".to_vec()).expect("trailers");
        let told = read.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>();
        assert_eq!(told, ["a=\"b\"", "a=\"d\"", "c=\"\""]);
    }

    #[test]
    fn what_decides_about_a_message_does_not_come_behind_it() {
        let may = |name: &str| may_trail(&name.parse().expect("a name"));
        assert_eq!(["server-timing", "grpc-status", "x-sum"].map(may), [true; 3]);
        assert_eq!(["content-length", "set-cookie", "trailer", "host"].map(may), [false; 4]);
    }
}
