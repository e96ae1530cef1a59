//! The head of an answer, and what it says of the answer's end (RFC 9112, section 6.3).

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use hyper::ext::ReasonPhrase;
use smallvec::SmallVec;

use super::body::Framing;
use super::error::Malformed;
use crate::http1::{Chunked, Sender, content_length, lists};
use crate::limits::{UPSTREAM_BUFFER_BYTES_MAX, UPSTREAM_HEADERS_MAX};
use crate::upstream::headers::leave_one_length;

/// A head, interim or not.
#[derive(Debug)]
pub(super) struct AnswerHead {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// What the service calls the status, if not by its usual name.
    pub(super) reason: Option<ReasonPhrase>,
    length: Length,
    coding: Coding,
    /// Whether the connection is said to be kept.
    says_it_is_kept: bool,
}

/// What a message says of its length: once or more than once, and the same each time, or nothing that can be gone by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Length {
    #[default]
    Unsaid,
    Known(u64),
    Malformed,
}

/// What an answer says of its transfer coding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    Other,
}

/// Where a header's name and value stand in the head: where each begins, and where it ends.
type Place = [usize; 4];

/// The places of a head's fields, of which so many need no allocation.
type Places = SmallVec<[Place; 16]>;

impl AnswerHead {
    /// Takes the head out of what has come, if it is whole, with one statement of how long the answer is. Its headers take
    /// the room of others that nobody needs any more, if there are some.
    ///
    /// # Errors
    /// If it is none, or larger than may be.
    pub(super) fn read(
        buffer: &mut BytesMut,
        others: Option<&mut HeaderMap>,
    ) -> Result<Option<Self>, Malformed> {
        let mut room = [const { MaybeUninit::uninit() }; UPSTREAM_HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let parsed = config.parse_response_with_uninit_headers(&mut answer, buffer, &mut room)?;
        let httparse::Status::Complete(length) = parsed else {
            let is_too_large = buffer.len() >= UPSTREAM_BUFFER_BYTES_MAX;
            return if is_too_large { Err(Malformed::HeadTooLarge) } else { Ok(None) };
        };
        if length > UPSTREAM_BUFFER_BYTES_MAX {
            return Err(Malformed::HeadTooLarge);
        }
        let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed::Status)?;
        let version = if answer.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
        let reason = answer.reason.filter(|reason| Some(*reason) != status.canonical_reason());
        let reason = reason.and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok());
        let places = answer.headers.iter().map(|header| place_in(buffer, header)).collect::<Places>();
        let mut headers = others.map(std::mem::take).unwrap_or_default();
        headers.clear();
        let (length_said, coding) = (Length::default(), Coding::default());
        let mut head =
            Self { status, version, headers, reason, length: length_said, coding, says_it_is_kept: false };
        head.add_fields(&buffer.split_to(length).freeze(), &places)?;
        Ok(Some(head))
    }

    fn add_fields(&mut self, text: &Bytes, places: &[Place]) -> Result<(), Malformed> {
        self.headers.reserve(places.len());
        let (mut is_close, mut is_keep_alive) = (false, self.version == Version::HTTP_11);
        let mut lengths = 0;
        for [name, name_end, value, value_end] in places {
            let (name, value) = (text.get(*name..*name_end), text.get(*value..*value_end));
            let (name, value) = name.zip(value).ok_or(Malformed::Header)?;
            let name = HeaderName::from_bytes(name).map_err(|_| Malformed::Header)?;
            let value = HeaderValue::from_maybe_shared(text.slice_ref(value));
            let value = value.map_err(|_| Malformed::Header)?;
            match name {
                CONNECTION => {
                    is_close |= lists(value.as_bytes(), b"close");
                    is_keep_alive |= lists(value.as_bytes(), b"keep-alive");
                    if says_nothing_else(value.as_bytes()) {
                        continue;
                    }
                }
                CONTENT_LENGTH => {
                    self.length = self.length.and(&value);
                    lengths += value.as_bytes().split(|octet| *octet == b',').count();
                }
                TRANSFER_ENCODING => self.coding = self.coding.and(&value),
                _ => {}
            }
            self.headers.append(name, value);
        }
        self.says_it_is_kept = is_keep_alive && !is_close;
        if self.coding != Coding::None {
            self.headers.remove(CONTENT_LENGTH);
        } else if lengths > 1 || self.length == Length::Malformed {
            leave_one_length(&mut self.headers);
        }
        Ok(())
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
            // It is not handed on as if there were none, not even where there is no body (RFC 9112, section 6.1).
            _ if self.coding == Coding::Other => return Err(Malformed::TransferEncoding),
            StatusCode::SWITCHING_PROTOCOLS => return Ok(Framing::Switched),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => return Ok(Framing::Ended),
            _ if is_of_head => return Ok(Framing::Ended),
            _ => {}
        }
        match (self.coding, self.length) {
            (Coding::Chunked | Coding::Other, _) if self.version == Version::HTTP_10 => {
                Err(Malformed::TransferEncodingInHttp10)
            }
            (Coding::Other, _) => Err(Malformed::TransferEncoding),
            (Coding::Chunked, _) => Ok(Framing::Chunked(Box::new(Chunked::new(Sender::Service)))),
            (Coding::None, Length::Malformed) => Err(Malformed::ContentLength),
            (Coding::None, Length::Known(0)) => Ok(Framing::Ended),
            (Coding::None, Length::Known(length)) => Ok(Framing::Length(length)),
            (Coding::None, Length::Unsaid) => Ok(Framing::UntilClosed),
        }
    }

    /// Whether the connection may be used again when the answer has ended. An old service would be sent the next request by
    /// its own version, without a body whose length nobody knows. And of one that says two things of an answer's length
    /// something else may read the other (RFC 9112, section 6.3).
    pub(super) fn keeps_connection(&self) -> bool {
        let has_both = self.coding != Coding::None && self.length != Length::Unsaid;
        self.says_it_is_kept && self.version == Version::HTTP_11 && !has_both
    }
}

impl Length {
    /// With what one more field says.
    pub(super) fn and(self, value: &HeaderValue) -> Self {
        value.as_bytes().split(|octet| *octet == b',').fold(self, |known, text| {
            match (known, content_length(text.trim_ascii())) {
                (Self::Unsaid, Some(said)) => Self::Known(said),
                (Self::Known(known), Some(said)) if known == said => Self::Known(said),
                _ => Self::Malformed,
            }
        })
    }
}

impl Coding {
    /// With what one more field says. What is left of another coding nobody could read, and two may be read in two ways.
    fn and(self, value: &HeaderValue) -> Self {
        let is_chunked = value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        if is_chunked && self == Self::None { Self::Chunked } else { Self::Other }
    }
}

/// Whether this is what `Connection` mostly says, which is for nobody but whoever reads it here.
fn says_nothing_else(options: &[u8]) -> bool {
    options.eq_ignore_ascii_case(b"keep-alive") || options.eq_ignore_ascii_case(b"close")
}

fn place_in(buffer: &[u8], header: &httparse::Header<'_>) -> Place {
    let start_of = |part: &[u8]| (part.as_ptr() as usize).wrapping_sub(buffer.as_ptr() as usize);
    let (name, value) = (start_of(header.name.as_bytes()), start_of(header.value));
    [name, name.wrapping_add(header.name.len()), value, value.wrapping_add(header.value.len())]
}
