//! An answer as it is written: its head, and its body in the framing that the client knows (RFC 9112, section 6).

use std::io::Write as _;

use bytes::Bytes;
use firegate_core::time::UnixTime;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    DATE, HOST, MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use http_body::SizeHint;
use hyper::ext::ReasonPhrase;

use super::date;
use super::output::Output;
use crate::connection::framing::Hop;
use crate::limits::HTTP1_PIECE_BYTES;

/// How many bytes of a head there is room for at once, beside those of each field and of the body.
const HEAD_USUAL_BYTES: usize = 192;
const FIELD_USUAL_BYTES: usize = 48;

/// What the request says about its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) hop: Hop,
}

/// How the end of an answer's body is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Absent,
    /// After so many bytes.
    Length(u64),
    /// By a last chunk, and trailers of these names.
    Chunked(Vec<HeaderName>),
    /// By that of the connection, for HTTP/1.0.
    UntilClose,
}

/// An answer whose head is written.
#[derive(Debug)]
pub(super) struct Headed {
    pub(super) framing: Framing,
    /// No other one follows it on the connection.
    pub(super) is_last: bool,
}

impl Asked {
    /// Whether the client wants to use the connection again.
    fn keeps_alive(self) -> bool {
        !self.hop.closes && (self.version == Version::HTTP_11 || self.hop.keeps_alive)
    }
}

/// Writes the head of an answer, whose body says this about its length; `None`, if it has no body at all.
pub(super) fn write_head(
    parts: &Parts,
    length: Option<SizeHint>,
    asked: Asked,
    is_last: bool,
    now: UnixTime,
    output: &mut Output,
) -> Headed {
    let has_none = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let is_switched = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    let bytes = output.gathered();
    let body = length.as_ref().map_or(0, |length| length.lower().min(HTTP1_PIECE_BYTES as u64));
    bytes.reserve(HEAD_USUAL_BYTES + FIELD_USUAL_BYTES * parts.headers.len() + body as usize);
    write_status(parts, asked.version, bytes);
    let takes_chunks = asked.version == Version::HTTP_11 && !asked.is_head && !has_none && !is_switched;
    let (mut told, mut names, mut has_date, mut closes) = (None, Vec::new(), false, false);
    for (name, value) in &parts.headers {
        if *name == CONTENT_LENGTH {
            // One that is not its body's is nobody's.
            if told.is_none() && !has_none && !is_switched && (length.is_some() || asked.is_head) {
                told = length_of(value);
                if told.is_some() {
                    write_field(name.as_str(), value.as_bytes(), bytes);
                }
            }
            continue;
        } else if *name == TRANSFER_ENCODING {
            continue;
        } else if *name == TRAILER {
            if !takes_chunks {
                continue;
            }
            names.extend(named(value).filter(may_trail));
        } else if *name == CONNECTION {
            closes |= lists_close(value);
        } else if *name == DATE {
            has_date = true;
        }
        write_field(name.as_str(), value.as_bytes(), bytes);
    }
    let known = told.or_else(|| match &length {
        Some(length) => length.exact(),
        None => (!asked.is_head).then_some(0),
    });
    let framing = match known {
        _ if has_none || is_switched => Framing::Absent,
        Some(length) => {
            if told.is_none() {
                write_length(length, bytes);
            }
            if asked.is_head { Framing::Absent } else { Framing::Length(length) }
        }
        None if asked.is_head => Framing::Absent,
        None if asked.version == Version::HTTP_10 => Framing::UntilClose,
        None => {
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n");
            names.retain(|_| asked.hop.takes_trailers);
            Framing::Chunked(names)
        }
    };
    let is_last = is_last || closes || !asked.keeps_alive() || framing == Framing::UntilClose;
    match (is_last, asked.version) {
        _ if is_switched => {}
        (true, _) if !closes => bytes.extend_from_slice(b"connection: close\r\n"),
        (false, Version::HTTP_10) => bytes.extend_from_slice(b"connection: keep-alive\r\n"),
        _ => {}
    }
    if !has_date {
        date::append(now, bytes);
    }
    bytes.extend_from_slice(b"\r\n");
    Headed { framing, is_last }
}

fn write_status(parts: &Parts, version: Version, bytes: &mut Vec<u8>) {
    let own = parts.extensions.get::<ReasonPhrase>();
    if own.is_none() && parts.status == StatusCode::OK && version == Version::HTTP_11 {
        bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    let version: &[u8] = if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " };
    let usual = || parts.status.canonical_reason().unwrap_or("<none>").as_bytes();
    bytes.extend_from_slice(version);
    bytes.extend_from_slice(parts.status.as_str().as_bytes());
    bytes.push(b' ');
    // What the service calls it, if that is something else than everybody does.
    bytes.extend_from_slice(own.map_or_else(usual, |own| own.as_bytes()));
    bytes.extend_from_slice(b"\r\n");
}

fn write_field(name: &str, value: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

fn write_length(length: u64, bytes: &mut Vec<u8>) {
    // There is always room in memory for some digits.
    let _ = write!(bytes, "content-length: {length}\r\n");
}

/// The length that is told, if it is one.
fn length_of(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    digits.parse().ok()
}

fn lists_close(value: &HeaderValue) -> bool {
    let mut options = value.as_bytes().split(|octet| *octet == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// The fields that a `Trailer` names.
fn named(value: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    let names = value.as_bytes().split(|octet| *octet == b',');
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}

/// Whether a field can come behind the body that it may decide about (RFC 9110, section 6.5.1).
fn may_trail(name: &HeaderName) -> bool {
    !NO_TRAILERS.contains(name)
}

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

impl Framing {
    /// Puts the next piece of a body.
    pub(super) fn put(&mut self, mut piece: Bytes, output: &mut Output) {
        match self {
            _ if piece.is_empty() => {}
            Self::Absent => {}
            Self::Length(left) => {
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                output.put(piece, b"");
            }
            Self::Chunked(_) => {
                let _ = write!(output.gathered(), "{:X}\r\n", piece.len());
                output.put(piece, b"\r\n");
            }
            Self::UntilClose => output.put(piece, b""),
        }
    }

    /// Ends the body. `false`: it was to be longer.
    pub(super) fn end(&mut self, trailers: Option<&HeaderMap>, output: &mut Output) -> bool {
        match self {
            Self::Chunked(names) => {
                output.gather(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten().filter(|(name, _)| names.contains(name)) {
                    write_field(name.as_str(), value.as_bytes(), output.gathered());
                }
                output.gather(b"\r\n");
                true
            }
            Self::Length(left) => *left == 0,
            Self::Absent | Self::UntilClose => true,
        }
    }
}
