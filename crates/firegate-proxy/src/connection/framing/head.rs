//! One head, read line by line as its bytes come. Nothing is copied: what is remembered between two reads is where the
//! line begins that is not whole, and what the lines before it said.

use std::ops::Range;

use http::Version;
use smallvec::SmallVec;

use super::violation::Violation;
use crate::http1::{content_length, find_control, is_path, is_query, is_token, lists};
use crate::limits::{
    CONTENT_LENGTH_DIGITS_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX, REQUEST_LINE_BYTES_MAX,
    REQUEST_METHOD_BYTES_MAX,
};

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection) enum Body {
    None,
    Length(u64),
    Chunked,
    /// The client waits for the door to switch to another protocol, or not to.
    Switch,
}

/// The method of the request that stands for a head that was refused. No client can send it: such a head is refused.
pub(in crate::connection) const UNREAD: &str = "UNREAD";

/// The fields of a head, of which so many are written where the head is.
pub(in crate::connection) type Fields = SmallVec<[Field; 16]>;

/// The first byte of a client that speaks TLS (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// A head that is being read.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that is not whole yet.
    line: usize,
    /// Up to where this line holds no control character.
    searched: usize,
    request_line: Option<RequestLine>,
    fields: Fields,
    content_length: Option<u64>,
    is_chunked: bool,
    asks_for_web_socket: bool,
    hop: Hop,
    origin: Origin,
}

/// A head that is whole: where everything stands in it, and what follows.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::connection) struct WholeHead {
    /// How many bytes it has.
    pub(in crate::connection) length: usize,
    pub(in crate::connection) request_line: RequestLine,
    pub(in crate::connection) fields: Fields,
    pub(in crate::connection) body: Body,
    pub(in crate::connection) hop: Hop,
}

/// Where the parts of a request line stand. It begins with the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection) struct RequestLine {
    pub(in crate::connection) method_end: usize,
    pub(in crate::connection) target_end: usize,
    pub(in crate::connection) version: Version,
}

/// Where a field stands, its value without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection) struct Field {
    pub(in crate::connection) start: u32,
    pub(in crate::connection) name_end: u32,
    pub(in crate::connection) value_start: u32,
    pub(in crate::connection) value_end: u32,
}

/// What the head says to the next one on the way alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::connection) struct Hop {
    /// The connection is to end with the answer.
    pub(in crate::connection) closes: bool,
    /// It is not to, though the version says so.
    pub(in crate::connection) keeps_alive: bool,
    /// The body comes when it is asked for.
    pub(in crate::connection) expects_continue: bool,
    /// The client reads what comes behind an answer's chunks.
    pub(in crate::connection) takes_trailers: bool,
}

/// Where the value of the field `Origin` stands, from the head's first byte on.
#[derive(Debug, Default)]
enum Origin {
    #[default]
    Absent,
    Once(Range<usize>),
    Repeated,
}

impl Head {
    /// Reads on. `bytes` begins with the head's first byte, in every call. `None` if there has to be more of it. What is
    /// returned does not depend on how often this was called before.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<WholeHead>, Violation> {
        loop {
            let Some(end) = self.find_line_end(bytes)? else { return Ok(None) };
            let start = self.line;
            let line = bytes.get(start..end).unwrap_or_default();
            self.line = end + 2;
            self.searched = self.line;
            match (self.request_line, line) {
                (None, line) => self.request_line = Some(request_line(line)?),
                (Some(request_line), []) => {
                    let body = self.body(request_line.version)?;
                    let fields = std::mem::take(&mut self.fields);
                    let (length, hop) = (self.line, self.hop);
                    return Ok(Some(WholeHead { length, request_line, fields, body, hop }));
                }
                (Some(request_line), line) => self.field(line, start, request_line.version)?,
            }
        }
    }

    /// Where the next CRLF begins. Nothing before it is a control character, but for tabs.
    fn find_line_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let (bytes_max, too_long) = match self.request_line {
            None => (REQUEST_LINE_BYTES_MAX, Violation::TargetTooLong),
            Some(_) => (REQUEST_HEAD_BYTES_MAX as usize, Violation::HeadTooLarge),
        };
        // What lies beyond the bound is not looked at, so that it does not matter how much came at once.
        let window = bytes.get(..bytes_max).unwrap_or(bytes);
        let more = || if window.len() < bytes_max { Ok(None) } else { Err(too_long) };
        loop {
            let Some(offset) = find_control(window.get(self.searched..).unwrap_or_default()) else {
                self.searched = window.len();
                return more();
            };
            let at = self.searched + offset;
            match (window.get(at), window.get(at + 1)) {
                (Some(b'\r' | b'\n'), _) if at == 0 => return Err(Violation::LeadingLineEnd),
                (Some(&TLS_HANDSHAKE), _) if at == 0 => return Err(Violation::TlsHandshake),
                (Some(b'\t'), _) if self.request_line.is_some() => self.searched = at + 1,
                (Some(b'\r'), Some(b'\n')) => return Ok(Some(at)),
                (Some(b'\r'), Some(_)) => return Err(Violation::BareCr),
                (Some(b'\r'), None) => {
                    self.searched = at;
                    return more();
                }
                (Some(b'\n'), _) => return Err(Violation::BareLf),
                _ => return Err(Violation::ControlCharacter),
            }
        }
    }

    /// The page that a request with this head comes from, as far as the head was read: where it is named, if it is named once.
    pub(super) fn origin(&self) -> Option<Range<usize>> {
        match &self.origin {
            Origin::Once(range) => Some(range.clone()),
            Origin::Absent | Origin::Repeated => None,
        }
    }

    /// Reads a line that begins at `start`.
    fn field(&mut self, line: &[u8], start: usize, version: Version) -> Result<(), Violation> {
        if self.fields.len() == REQUEST_HEADERS_MAX {
            return Err(Violation::TooManyFields);
        }
        let (name, value, value_start) = split_field(line)?;
        self.place(start, name.len(), start + value_start, value.len());
        match name.len() {
            2 | 10 => self.hop.note(name, value),
            6 if name.eq_ignore_ascii_case(b"expect") => self.hop.note(name, value),
            6 if name.eq_ignore_ascii_case(b"origin") => {
                self.origin = match self.origin {
                    Origin::Absent => Origin::Once(start + name.len() + 1..start + line.len()),
                    Origin::Once(_) | Origin::Repeated => Origin::Repeated,
                };
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.asks_for_web_socket |= version == Version::HTTP_11 && names_web_socket(value);
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.content_length.is_some() {
                    return Err(Violation::ContentLengthRepeated);
                }
                self.content_length = Some(length(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if version == Version::HTTP_10 {
                    return Err(Violation::TransferEncodingInHttp10);
                }
                if self.is_chunked {
                    return Err(Violation::TransferEncodingRepeated);
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Violation::TransferEncoding);
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        if self.is_chunked && self.content_length.is_some() {
            return Err(Violation::BothLengths);
        }
        Ok(())
    }

    /// Takes note of where a field stands. All of it is within a head's bound, which is far below these numbers'.
    fn place(&mut self, start: usize, name_length: usize, value_start: usize, value_length: usize) {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.fields.push(Field {
            start: place(start),
            name_end: place(start + name_length),
            value_start: place(value_start),
            value_end: place(value_start + value_length),
        });
    }

    fn body(&self, version: Version) -> Result<Body, Violation> {
        debug_assert!(!self.is_chunked || version == Version::HTTP_11);
        let body = match self.content_length {
            _ if self.is_chunked => Body::Chunked,
            None | Some(0) => Body::None,
            Some(length) => Body::Length(length),
        };
        match (self.asks_for_web_socket, body) {
            (true, Body::None) => Ok(Body::Switch),
            (true, _) => Err(Violation::UpgradeWithBody),
            (false, body) => Ok(body),
        }
    }
}

impl Hop {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"connection") {
            self.closes |= lists(value, b"close");
            self.keeps_alive |= lists(value, b"keep-alive");
        } else if name.eq_ignore_ascii_case(b"te") {
            self.takes_trailers |= lists(value, b"trailers");
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
        }
    }
}

/// Whether this is the protocol that the door switches to. Bytes behind a request for any other are the next request.
fn names_web_socket(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"websocket")
}

fn request_line(line: &[u8]) -> Result<RequestLine, Violation> {
    let mut parts = line.split(|octet| *octet == b' ');
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else {
        return Err(Violation::RequestLine);
    };
    let version = match (parts.next(), parts.next()) {
        (Some(b"HTTP/1.1"), None) => Version::HTTP_11,
        (Some(b"HTTP/1.0"), None) => Version::HTTP_10,
        // HTTP/0.9 had no version at all.
        (None, None) => return Err(Violation::Version),
        (Some(version), None) if version.starts_with(b"HTTP/") => return Err(Violation::Version),
        _ => return Err(Violation::RequestLine),
    };
    let is_method = !method.is_empty() && method.len() <= REQUEST_METHOD_BYTES_MAX;
    if !is_method || !method.iter().all(|octet| is_token(*octet)) || method == UNREAD.as_bytes() {
        return Err(Violation::Method);
    }
    if method == b"CONNECT" {
        return Err(Violation::Connect);
    }
    check_target(target)?;
    Ok(RequestLine { method_end: method.len(), target_end: method.len() + 1 + target.len(), version })
}

/// The origin-form, `/path?query`, and the absolute-form of RFC 9112, section 3.2.
fn check_target(target: &[u8]) -> Result<(), Violation> {
    if target.contains(&b'#') {
        return Err(Violation::Fragment);
    }
    if target.first() != Some(&b'/') {
        // Rare, and read by the very code that reads it above.
        let uri = http::Uri::try_from(target).map_err(|_| Violation::Target)?;
        let is_http = uri.scheme().is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https"));
        return if is_http && uri.authority().is_some() { Ok(()) } else { Err(Violation::Target) };
    }
    let query = target.iter().position(|octet| *octet == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at(query);
    let is_read = path.iter().all(|octet| is_path(*octet)) && query.iter().all(|octet| is_query(*octet));
    if is_read && (target.is_ascii() || std::str::from_utf8(target).is_ok()) {
        Ok(())
    } else {
        Err(Violation::Target)
    }
}

/// A field's name, its value without the white space around it (RFC 9112, section 5), and where that begins.
fn split_field(line: &[u8]) -> Result<(&[u8], &[u8], usize), Violation> {
    let end = line.iter().position(|octet| !is_token(*octet));
    match end.and_then(|end| Some((end, line.split_at_checked(end)?))) {
        Some((0, (_, [b' ' | b'\t', ..]))) => Err(Violation::FoldedLine),
        Some((0, (_, [b':', ..]))) => Err(Violation::NameEmpty),
        Some((_, (name, [b':', rest @ ..]))) => {
            let value = rest.trim_ascii_start();
            let start = line.len() - value.len();
            Ok((name, value.trim_ascii_end(), start))
        }
        Some((_, (_, [b' ' | b'\t', ..]))) => Err(Violation::NameSpace),
        _ => Err(Violation::NameToken),
    }
}

/// A length in its one spelling: no sign, no list, no zero before it, and not more digits than any body has bytes.
fn length(value: &[u8]) -> Result<u64, Violation> {
    if value.len() > CONTENT_LENGTH_DIGITS_MAX || (value.len() > 1 && value.first() == Some(&b'0')) {
        return Err(Violation::ContentLength);
    }
    content_length(value).ok_or(Violation::ContentLength)
}
