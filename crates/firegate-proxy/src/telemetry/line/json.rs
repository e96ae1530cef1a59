//! A line as Cloud Logging reads it: the request in its `httpRequest`, and beside it Firegate's own words
//! (<https://cloud.google.com/logging/docs/structured-logging>).

use std::io::Write as _;
use std::time::Duration;

use firegate_core::forwarded::AddressText;
use firegate_files::text::is_obeyed;
use http::Version;

use super::{AccessLine, Severity, security_policy, write_number, write_seconds, write_time};
use crate::limits::LOG_FIELD_BYTES_MAX;

/// Appends a line without its end.
pub(super) fn write(line: &AccessLine<'_>, to: &mut Vec<u8>) {
    start(line.at, line.severity(), to);
    if let Some(message) = line.message() {
        member(",\"message\":", message.as_bytes(), to);
    }
    http_request(line, to);
    if let Some(trace) = line.trace {
        member(",\"logging.googleapis.com/trace\":", b"projects/", to);
        // The project's and the trace's ids are of a closed alphabet.
        to.pop();
        to.extend_from_slice(line.project.as_bytes());
        to.extend_from_slice(b"/traces/");
        to.extend_from_slice(trace.trace_id());
        to.push(b'"');
        if let Some(span_id) = trace.span_id() {
            member(",\"logging.googleapis.com/spanId\":", span_id, to);
        }
        to.extend_from_slice(b",\"logging.googleapis.com/trace_sampled\":");
        to.extend_from_slice(if trace.is_sampled() { b"true" } else { b"false" });
    }
    word(",\"request_id\":\"", line.request_id, to);
    word(",\"outcome\":\"", line.outcome, to);
    optional(",\"backend\":", Some(line.backend.as_bytes()).filter(|name| !name.is_empty()), to);
    optional(",\"route\":", line.route.map(str::as_bytes), to);
    if let Some(refusal) = line.refusal {
        let entry = refusal.code.entry();
        word(",\"code\":\"", entry.name, to);
        word(",\"stage\":\"", refusal.stage.as_str(), to);
        member(",\"evidence\":", refusal.evidence.as_bytes(), to);
        member(",\"hint\":", refusal.hint.as_bytes(), to);
    }
    if let Some(screened) = line.screened {
        security_policy::write(screened, to);
    }
    optional(",\"user_id\":", line.user_id.map(str::as_bytes), to);
    optional(",\"user_status\":", line.user_status().map(str::as_bytes), to);
    if line.attempts > 0 {
        to.extend_from_slice(b",\"attempts\":");
        write_number(line.attempts.into(), to);
    }
    optional(",\"endpoint\":", line.endpoint.map(str::as_bytes), to);
    if let Some(latency) = line.upstream_latency {
        duration(",\"upstream_latency\":\"", latency, to);
    }
    optional(",\"cut\":", line.cut.map(str::as_bytes), to);
    to.push(b'}');
}

/// <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest>, in which numbers of 64 bits are texts.
fn http_request(line: &AccessLine<'_>, to: &mut Vec<u8>) {
    to.extend_from_slice(b",\"httpRequest\":{");
    if !line.is_unread {
        member("\"requestMethod\":", line.method.as_bytes(), to);
        to.extend_from_slice(b",\"requestUrl\":\"");
        to.extend_from_slice(line.scheme.as_bytes());
        to.extend_from_slice(b"://");
        escaped(line.host, to);
        escaped(line.target, to);
        to.extend_from_slice(b"\",");
    }
    to.extend_from_slice(b"\"status\":");
    write_number(line.status.into(), to);
    number(",\"requestSize\":\"", line.request_bytes, to);
    number(",\"responseSize\":\"", line.response_bytes, to);
    optional(",\"userAgent\":", line.user_agent, to);
    optional(",\"referer\":", line.referer, to);
    word(",\"remoteIp\":\"", AddressText::of(line.remote).as_str(), to);
    duration(",\"latency\":\"", line.latency, to);
    if !line.is_unread {
        word(",\"protocol\":\"", protocol(line.protocol), to);
    }
    to.push(b'}');
}

/// The line that tells of a gap.
pub(super) fn write_gap(at: Duration, message: &str, lines: u64, to: &mut Vec<u8>) {
    start(at, Severity::Warning, to);
    member(",\"message\":", message.as_bytes(), to);
    to.extend_from_slice(b",\"lines_dropped\":");
    write_number(lines, to);
    to.push(b'}');
}

fn start(at: Duration, severity: Severity, to: &mut Vec<u8>) {
    to.extend_from_slice(match severity {
        Severity::Info => b"{\"severity\":\"INFO\",\"time\":\"".as_slice(),
        Severity::Warning => b"{\"severity\":\"WARNING\",\"time\":\"",
    });
    write_time(at, to);
    to.push(b'"');
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

#[inline(always)]
pub(super) fn member(name: &str, value: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(name.as_bytes());
    to.push(b'"');
    escaped(value, to);
    to.push(b'"');
}

#[inline(always)]
fn optional(name: &str, value: Option<&[u8]>, to: &mut Vec<u8>) {
    if let Some(value) = value {
        member(name, value, to);
    }
}

/// Appends a member whose value is Firegate's own word, of which nothing has to be escaped. `start` ends with the quote. Like
/// the others it is a part of whoever calls it: a text that is known there is copied in a few instructions.
#[inline(always)]
fn word(start: &str, value: &str, to: &mut Vec<u8>) {
    debug_assert!(value.bytes().all(is_plain), "{value}");
    to.extend_from_slice(start.as_bytes());
    to.extend_from_slice(value.as_bytes());
    to.push(b'"');
}

#[inline(always)]
fn number(start: &str, value: u64, to: &mut Vec<u8>) {
    to.extend_from_slice(start.as_bytes());
    write_number(value, to);
    to.push(b'"');
}

#[inline(always)]
fn duration(start: &str, value: Duration, to: &mut Vec<u8>) {
    to.extend_from_slice(start.as_bytes());
    write_seconds(value, to);
    to.push(b'"');
}

/// Appends a text, at most [`LOG_FIELD_BYTES_MAX`] of it. What would end the text or the line, and whatever a terminal or an
/// editor obeys instead of showing it, is written by its number; bytes that are no UTF-8 become U+FFFD.
fn escaped(text: &[u8], to: &mut Vec<u8>) {
    let kept = text.get(..LOG_FIELD_BYTES_MAX).unwrap_or(text);
    if are_plain(kept) {
        to.extend_from_slice(kept);
    } else {
        for chunk in kept.utf8_chunks() {
            chunk.valid().chars().for_each(|character| write_escaped(character, to));
            if !chunk.invalid().is_empty() {
                to.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    if kept.len() < text.len() {
        to.extend_from_slice("…".as_bytes());
    }
}

/// Whether all bytes are written as they are. Eight are looked at as one number, for most of what is logged is.
fn are_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().fold(0, |odd, word| odd | odd_bytes(u64::from_le_bytes(*word))) == 0
        && rest.iter().all(|byte| is_plain(*byte))
}

/// Zero if every byte of a word is plain.
const fn odd_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    let below_space = word.wrapping_sub(0x20 * ONES) & !word;
    let (quote, backslash, delete) = (word ^ (0x22 * ONES), word ^ (0x5c * ONES), word ^ (0x7f * ONES));
    let one_of_them = (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (delete.wrapping_sub(ONES) & !delete);
    (below_space | one_of_them | word) & HIGH_BITS
}

const fn is_plain(byte: u8) -> bool {
    (byte >= b' ') & (byte <= b'~') & (byte != b'"') & (byte != b'\\')
}

fn write_escaped(character: char, to: &mut Vec<u8>) {
    let mut bytes = [0; 4];
    match character {
        '"' => to.extend_from_slice(b"\\\""),
        '\\' => to.extend_from_slice(b"\\\\"),
        _ if is_obeyed(character) => {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to memory does not fail.
                let _ = write!(to, "\\u{unit:04x}");
            }
        }
        _ => to.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_found_wherever_it_is() {
        for byte in u8::MIN..=u8::MAX {
            for length in 1..20 {
                for at in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    assert_eq!(are_plain(&bytes), is_plain(byte), "{byte:#x} at {at} of {length}");
                }
            }
        }
        assert!(are_plain(b""));
    }
}
