//! One head, read line by line as its bytes come. Nothing is copied: what is remembered between two reads is where the
//! line begins that is not whole, and what the lines before it said.

use std::ops::Range;

use super::octets::{find_control, is_path, is_query, is_token};
use super::violation::Violation;
use crate::limits::{
    REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX, REQUEST_LINE_BYTES_MAX, REQUEST_METHOD_BYTES_MAX,
};

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
    /// The client waits for the door to switch to another protocol, or not to.
    Switch,
}

/// The first byte of a client that speaks TLS (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// A head that is being read.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that is not whole yet.
    line: usize,
    /// Up to where this line holds no control character.
    searched: usize,
    version: Option<Version>,
    fields: usize,
    content_length: Option<u64>,
    is_chunked: bool,
    asks_for_web_socket: bool,
    origin: Origin,
}

/// Where the value of the field `Origin` stands, from the head's first byte on.
#[derive(Debug, Default)]
enum Origin {
    #[default]
    Absent,
    Once(Range<usize>),
    Repeated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

impl Head {
    /// Reads on. `bytes` begins with the head's first byte, in every call. Returns how long the head is and what follows it;
    /// `None` if there has to be more of it. What is returned does not depend on how often this was called before.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<(usize, Body)>, Violation> {
        loop {
            let Some(end) = self.find_line_end(bytes)? else { return Ok(None) };
            let start = self.line;
            let line = bytes.get(start..end).unwrap_or_default();
            self.line = end + 2;
            self.searched = self.line;
            match (self.version, line) {
                (None, line) => self.version = Some(request_line(line)?),
                (Some(version), []) => return Ok(Some((self.line, self.body(version)?))),
                (Some(version), line) => self.field(line, start, version)?,
            }
        }
    }

    /// Where the next CRLF begins. Nothing before it is a control character, but for tabs.
    fn find_line_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let (bytes_max, too_long) = match self.version {
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
                (Some(b'\t'), _) if self.version.is_some() => self.searched = at + 1,
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
        self.fields += 1;
        if self.fields > REQUEST_HEADERS_MAX {
            return Err(Violation::TooManyFields);
        }
        let (name, value) = split_field(line)?;
        match name.len() {
            6 if name.eq_ignore_ascii_case(b"origin") => {
                self.origin = match self.origin {
                    Origin::Absent => Origin::Once(start + name.len() + 1..start + line.len()),
                    Origin::Once(_) | Origin::Repeated => Origin::Repeated,
                };
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.asks_for_web_socket |= version == Version::Http11 && names_web_socket(value);
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.content_length.is_some() {
                    return Err(Violation::ContentLengthRepeated);
                }
                self.content_length = Some(length(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if version == Version::Http10 {
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

    fn body(&self, version: Version) -> Result<Body, Violation> {
        debug_assert!(!self.is_chunked || version == Version::Http11);
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

/// Whether this is the protocol that the door switches to. Bytes behind a request for any other are the next request.
pub(super) fn names_web_socket(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"websocket")
}

fn request_line(line: &[u8]) -> Result<Version, Violation> {
    let mut parts = line.split(|octet| *octet == b' ');
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else {
        return Err(Violation::RequestLine);
    };
    let version = match (parts.next(), parts.next()) {
        (Some(b"HTTP/1.1"), None) => Version::Http11,
        (Some(b"HTTP/1.0"), None) => Version::Http10,
        // HTTP/0.9 had no version at all.
        (None, None) => return Err(Violation::Version),
        (Some(version), None) if version.starts_with(b"HTTP/") => return Err(Violation::Version),
        _ => return Err(Violation::RequestLine),
    };
    let is_method = !method.is_empty() && method.len() <= REQUEST_METHOD_BYTES_MAX;
    if !is_method
        || !method.iter().all(|octet| is_token(*octet))
        || method == super::signals::UNREAD.as_bytes()
    {
        return Err(Violation::Method);
    }
    if method == b"CONNECT" {
        return Err(Violation::Connect);
    }
    check_target(target)?;
    Ok(version)
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

/// A field's name and its value without the white space around it (RFC 9112, section 5).
fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    let end = line.iter().position(|octet| !is_token(*octet));
    match end.and_then(|end| Some((end, line.split_at_checked(end)?))) {
        Some((0, (_, [b' ' | b'\t', ..]))) => Err(Violation::FoldedLine),
        Some((0, (_, [b':', ..]))) => Err(Violation::NameEmpty),
        Some((_, (name, [b':', value @ ..]))) => Ok((name, value.trim_ascii())),
        Some((_, (_, [b' ' | b'\t', ..]))) => Err(Violation::NameSpace),
        _ => Err(Violation::NameToken),
    }
}

/// A length in its one spelling: no sign, no list, no zero before it, and not more digits than any body has bytes.
fn length(value: &[u8]) -> Result<u64, Violation> {
    const DIGITS_MAX: usize = 18;
    let is_number = (1..=DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    if !is_number || (value.len() > 1 && value.first() == Some(&b'0')) {
        return Err(Violation::ContentLength);
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}
