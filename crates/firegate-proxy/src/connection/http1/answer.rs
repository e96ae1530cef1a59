//! An answer as it is written: its head, and its body in the framing that the client knows (RFC 9112, section 6).

use bytes::Bytes;
use firegate_core::time::UnixTime;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use http_body::SizeHint;
use hyper::ext::ReasonPhrase;

use super::date;
use crate::connection::framing::Hop;
use crate::http1::{Output, content_length, lists, may_trail, write_content_length, write_field};

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
    write_status(parts, asked.version, bytes);
    let takes_chunks = asked.version == Version::HTTP_11 && !asked.is_head && !has_none && !is_switched;
    let (mut told, mut names, mut has_date, mut closes) = (None, Vec::new(), false, false);
    for (name, value) in &parts.headers {
        if *name == CONTENT_LENGTH {
            // One that is not its body's is nobody's.
            if told.is_none() && !has_none && !is_switched && (length.is_some() || asked.is_head) {
                told = content_length(value.as_bytes());
                if told.is_some() {
                    write_field(name, value, bytes);
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
            closes |= lists(value.as_bytes(), b"close");
        } else if *name == DATE {
            has_date = true;
        }
        write_field(name, value, bytes);
    }
    let known = told.or_else(|| match &length {
        Some(length) => length.exact(),
        None => (!asked.is_head).then_some(0),
    });
    let framing = match known {
        _ if has_none || is_switched => Framing::Absent,
        Some(length) => {
            if told.is_none() {
                write_content_length(length, bytes);
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

/// The fields that a `Trailer` names.
fn named(value: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    let names = value.as_bytes().split(|octet| *octet == b',');
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}

impl Framing {
    /// Puts the next piece of a body.
    pub(super) fn put(&mut self, mut piece: Bytes, output: &mut Output) {
        match self {
            Self::Absent => {}
            Self::Length(left) => {
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                output.put(piece);
            }
            Self::Chunked(_) => output.put_chunk(piece),
            Self::UntilClose => output.put(piece),
        }
    }

    /// Ends the body. `false`: it was to be longer.
    pub(super) fn end(&mut self, trailers: Option<&HeaderMap>, output: &mut Output) -> bool {
        match self {
            Self::Chunked(names) => {
                let trailers = trailers.into_iter().flatten();
                output.end_chunks(trailers.filter(|(name, _)| names.contains(name)));
                true
            }
            Self::Length(left) => *left == 0,
            Self::Absent | Self::UntilClose => true,
        }
    }
}
