//! The head of an answer, and what it says of the answer's end (RFC 9112, section 6.3).

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::body::Framing;
use super::error::Malformed;
use crate::limits::{UPSTREAM_BUFFER_BYTES_MAX, UPSTREAM_HEADERS_MAX};

/// A head, interim or not.
#[derive(Debug)]
pub(super) struct AnswerHead {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// What the service calls the status, if not by its usual name.
    pub(super) reason: Option<ReasonPhrase>,
    /// Whether the connection is said to be kept.
    says_it_is_kept: bool,
}

/// Where a header's name and value stand in the head: where each begins, and where it ends.
type Place = [usize; 4];

impl AnswerHead {
    /// Takes the head out of what has come, if it is whole. Its headers are put into `headers`, which is taken then.
    ///
    /// # Errors
    /// If it is none, or larger than may be.
    pub(super) fn read(buffer: &mut BytesMut, headers: &mut HeaderMap) -> Result<Option<Self>, Malformed> {
        let mut room = [const { MaybeUninit::uninit() }; UPSTREAM_HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let parsed = config.parse_response_with_uninit_headers(&mut answer, buffer, &mut room)?;
        let httparse::Status::Complete(length) = parsed else {
            let is_too_large = buffer.len() >= UPSTREAM_BUFFER_BYTES_MAX;
            return if is_too_large { Err(Malformed::HeadTooLarge) } else { Ok(None) };
        };
        let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed::Status)?;
        let version = if answer.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
        let reason = answer.reason.filter(|reason| Some(*reason) != status.canonical_reason());
        let reason = reason.and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok());
        let mut places = [Place::default(); UPSTREAM_HEADERS_MAX];
        let count = answer.headers.len();
        for (place, header) in places.iter_mut().zip(answer.headers.iter()) {
            *place = place_in(buffer, header);
        }
        let head = buffer.split_to(length).freeze();
        let mut headers = std::mem::take(headers);
        headers.reserve(count);
        let (mut is_close, mut is_keep_alive) = (false, version == Version::HTTP_11);
        for [name, name_end, value, value_end] in places.into_iter().take(count) {
            let (name, value) =
                head.get(name..name_end).zip(head.get(value..value_end)).ok_or(Malformed::Header)?;
            let name = HeaderName::from_bytes(name).map_err(|_| Malformed::Header)?;
            let value = HeaderValue::from_maybe_shared(head.slice_ref(value));
            let value = value.map_err(|_| Malformed::Header)?;
            if name == CONNECTION {
                is_close |= has_option(&value, b"close");
                is_keep_alive |= has_option(&value, b"keep-alive");
            }
            headers.append(name, value);
        }
        let says_it_is_kept = is_keep_alive && !is_close;
        Ok(Some(Self { status, version, headers, reason, says_it_is_kept }))
    }

    /// Whether another answer follows, which is the one that counts.
    pub(super) fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// How the body ends of this answer to a HEAD, or to another request.
    ///
    /// # Errors
    /// If it is said in two ways, or in none that can be read.
    pub(super) fn framing(&self, is_of_head: bool) -> Result<Framing, Malformed> {
        match self.status {
            StatusCode::SWITCHING_PROTOCOLS => return Ok(Framing::Switched),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => return Ok(Framing::Ended),
            _ if is_of_head => return Ok(Framing::Ended),
            _ => {}
        }
        let mut codings = self.headers.get_all(TRANSFER_ENCODING).iter();
        if let Some(coding) = codings.next() {
            // What is left of another coding nobody could read, and a second one may be read in two ways.
            let is_chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
            if self.version == Version::HTTP_10 {
                return Err(Malformed::TransferEncodingInHttp10);
            }
            if !is_chunked || codings.next().is_some() {
                return Err(Malformed::TransferEncoding);
            }
            return Ok(Framing::Chunked(Box::default()));
        }
        Ok(match content_length(&self.headers)? {
            Some(0) => Framing::Ended,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClosed,
        })
    }

    /// Whether the connection may be used again when the answer has ended. An old service would be sent the next request by
    /// its own version, without a body whose length nobody knows. And of one that says two things of an answer's length
    /// something else may read the other (RFC 9112, section 6.3).
    pub(super) fn keeps_connection(&self) -> bool {
        let has_both =
            || self.headers.contains_key(TRANSFER_ENCODING) && self.headers.contains_key(CONTENT_LENGTH);
        self.says_it_is_kept && self.version == Version::HTTP_11 && !has_both()
    }
}

fn place_in(buffer: &[u8], header: &httparse::Header<'_>) -> Place {
    let start_of = |part: &[u8]| (part.as_ptr() as usize).wrapping_sub(buffer.as_ptr() as usize);
    let (name, value) = (start_of(header.name.as_bytes()), start_of(header.value));
    [name, name.wrapping_add(header.name.len()), value, value.wrapping_add(header.value.len())]
}

fn has_option(value: &HeaderValue, option: &[u8]) -> bool {
    value.as_bytes().split(|octet| *octet == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(option))
}

/// What a message says of its length, if it does; it may say it more than once.
///
/// # Errors
/// If it is no number, or more than one.
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for text in value.as_bytes().split(|octet| *octet == b',') {
            let said = number(text.trim_ascii()).ok_or(Malformed::ContentLength)?;
            if length.is_some_and(|length| length != said) {
                return Err(Malformed::ContentLength);
            }
            length = Some(said);
        }
    }
    Ok(length)
}

/// A number of digits alone.
fn number(text: &[u8]) -> Option<u64> {
    let digits = |number: u64, octet: &u8| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, digits) }
}
