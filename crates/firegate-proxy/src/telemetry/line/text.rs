//! A line for a person: what happened first, and then what one asks next.

use std::io::Write as _;
use std::time::Duration;

use super::{AccessLine, Severity, write_number, write_time};
use crate::limits::LOG_FIELD_BYTES_MAX;

/// Appends a line without its end.
pub(super) fn write(line: &AccessLine<'_>, coloured: bool, to: &mut Vec<u8>) {
    start(line.at, line.severity(), coloured, to);
    if let Some(message) = line.message() {
        word("", message, to);
    }
    let milliseconds = line.latency.as_secs_f64() * 1000.0;
    // Writing to memory does not fail.
    let _ = write!(to, " {}", line.status);
    if line.is_unread {
        word("", "a head that could not be read", to);
    } else {
        to.push(b' ');
        escaped(line.method.as_bytes(), false, to);
        let _ = write!(to, " {}://", line.scheme);
        escaped(line.host, false, to);
        escaped(line.target, false, to);
    }
    let _ = write!(to, " {milliseconds:.3}ms {}B from {}", line.response_bytes, line.remote);
    if !line.backend.is_empty() {
        word("backend=", line.backend, to);
    }
    if let Some(route) = line.route {
        quoted("route=", route, to);
    }
    if let Some(refusal) = line.refusal {
        let entry = refusal.code.entry();
        word("code=", entry.name, to);
        word("stage=", refusal.stage.as_str(), to);
        quoted("evidence=", &refusal.evidence, to);
        quoted("hint=", &refusal.hint, to);
    }
    if let Some(cut) = line.cut {
        quoted("cut=", cut, to);
    }
    if let Some(user_id) = line.user_id {
        quoted("user_id=", user_id, to);
    }
    if let Some(status) = line.user_status() {
        word("user_status=", status, to);
    }
    if line.attempts > 1 {
        let _ = write!(to, " attempts={}", line.attempts);
        word("endpoint=", line.endpoint.unwrap_or_default(), to);
    }
    word("request_id=", line.request_id, to);
}

/// The line that tells of a gap.
pub(super) fn write_gap(at: Duration, message: &str, lines: u64, coloured: bool, to: &mut Vec<u8>) {
    start(at, Severity::Warning, coloured, to);
    to.push(b' ');
    write_number(lines, to);
    word("", message, to);
}

/// The moment and the level, as the other lines of the log have them.
fn start(at: Duration, severity: Severity, coloured: bool, to: &mut Vec<u8>) {
    let (colour, level) = match severity {
        Severity::Info => ("\u{1b}[32m", " INFO"),
        Severity::Warning => ("\u{1b}[33m", " WARN"),
    };
    let paint = |ansi: &str, to: &mut Vec<u8>| {
        if coloured {
            to.extend_from_slice(ansi.as_bytes());
        }
    };
    paint("\u{1b}[2m", to);
    write_time(at, to);
    paint("\u{1b}[0m", to);
    to.push(b' ');
    paint(colour, to);
    to.extend_from_slice(level.as_bytes());
    paint("\u{1b}[0m", to);
}

/// Appends words of Firegate's own.
fn word(name: &str, value: &str, to: &mut Vec<u8>) {
    to.push(b' ');
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(value.as_bytes());
}

fn quoted(name: &str, value: &str, to: &mut Vec<u8>) {
    to.push(b' ');
    to.extend_from_slice(name.as_bytes());
    to.push(b'"');
    escaped(value.as_bytes(), true, to);
    to.push(b'"');
}

/// Appends a text, at most [`LOG_FIELD_BYTES_MAX`] of it, in which nothing breaks the line or moves the cursor; outside quotes
/// a blank would end it.
fn escaped(text: &[u8], has_quotes: bool, to: &mut Vec<u8>) {
    let kept = text.get(..LOG_FIELD_BYTES_MAX).unwrap_or(text);
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() & (byte != b'"') & (byte != b'\\') | ((byte == b' ') & has_quotes);
    // Every byte is looked at even if the first one is not plain: so the processor looks at many at once.
    let all_plain = kept.iter().fold(true, |all, byte| all & is_plain(*byte));
    if all_plain {
        to.extend_from_slice(kept);
    }
    let rest = if all_plain { &[] } else { kept };
    for chunk in rest.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                ' ' if has_quotes => to.push(b' '),
                '\'' => to.push(b'\''),
                ' ' => to.extend_from_slice(b"\\u{20}"),
                _ => {
                    // Writing to memory does not fail.
                    let _ = write!(to, "{}", character.escape_debug());
                }
            }
        }
        if !chunk.invalid().is_empty() {
            to.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    if kept.len() < text.len() {
        to.extend_from_slice("…".as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_written_as_it_is_beside_what_is_not() {
        for (has_quotes, byte) in (0..0x80_u8).flat_map(|byte| [(false, byte), (true, byte)]) {
            let written = |text: &[u8]| {
                let mut to = Vec::new();
                escaped(text, has_quotes, &mut to);
                to
            };
            let beside = [b"\\n".as_slice(), &written(&[byte])].concat();
            assert_eq!(written(&[b'\n', byte]), beside, "{byte} {has_quotes}");
        }
    }
}
