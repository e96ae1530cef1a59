//! The entries of a log, one after the other, in a bounded memory: a JSON array as `gcloud logging read --format=json` writes
//! it, or one JSON object after the other, on a line each or on several.

use std::io::{self, BufRead};

use super::super::limits::{LOG_ENTRY_BYTES_MAX, LOG_GAP_BYTES_MAX};

/// What was found in a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The text of an object, and the line that it begins in.
    Entry(usize, Vec<u8>),
    /// Something else.
    Bad(usize, &'static str),
}

/// The entries of a log.
#[derive(Debug)]
pub(super) struct Entries<R> {
    reader: R,
    /// The line that is read, from 1.
    line: usize,
    /// How many blanks stand at the beginning of the line, while nothing else does.
    indent: Option<usize>,
    /// The object that is read.
    open: Option<Open>,
    /// The rest of this line is no entry, and that was said.
    is_bad_line: bool,
    /// How many bytes were read since the last entry.
    gap: usize,
}

/// An object that is not whole yet.
#[derive(Debug)]
struct Open {
    line: usize,
    /// The blanks before it, if it is the first in its line: where the next one would begin, too.
    indent: Option<usize>,
    text: Vec<u8>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    is_too_long: bool,
}

impl Open {
    fn at(line: usize, indent: Option<usize>) -> Self {
        let text = vec![b'{'];
        Self { line, indent, text, depth: 1, in_string: false, is_escaped: false, is_too_long: false }
    }

    /// Takes a byte; true if the object is whole.
    fn take(&mut self, byte: u8) -> bool {
        if self.text.len() < LOG_ENTRY_BYTES_MAX {
            self.text.push(byte);
        } else {
            self.is_too_long = true;
        }
        match byte {
            // No text of JSON holds one: it was not ended.
            b'\n' => (self.in_string, self.is_escaped) = (false, false),
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.in_string => self.is_escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string => self.depth += 1,
            b'}' | b']' if !self.in_string => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }

    fn found(self) -> Found {
        match (self.is_too_long, self.depth) {
            (true, _) => Found::Bad(self.line, "the entry is too long"),
            (false, 0) => Found::Entry(self.line, self.text),
            (false, _) => Found::Bad(self.line, "the entry does not end"),
        }
    }
}

impl<R: BufRead> Entries<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: 1, indent: Some(0), open: None, is_bad_line: false, gap: 0 }
    }

    /// The next entry, or what is none.
    ///
    /// # Errors
    /// If the log cannot be read, or goes on for long without an entry.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        loop {
            let bytes = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if bytes.is_empty() {
                return Ok(self.open.take().map(Open::found));
            }
            // The bytes are handed over before `self` is borrowed whole, a line at a time: of most not much more is used.
            let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            let piece = bytes.get(..end).unwrap_or(bytes).to_vec();
            let mut used = 0;
            let found = piece.iter().find_map(|byte| {
                used += 1;
                self.take(*byte)
            });
            self.reader.consume(used);
            self.gap = if matches!(found, Some(Found::Entry(..))) { 0 } else { self.gap + used };
            if found.is_some() {
                return Ok(found);
            }
            if self.gap > LOG_GAP_BYTES_MAX {
                let why = format!(
                    "no entry in {LOG_GAP_BYTES_MAX} bytes before the end of line {}\nhint: name a log that `gcloud logging read \
                     --format=json` wrote, or one of Firegate's own",
                    self.line
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<Found> {
        let indent = self.indent;
        let (line, ends_line) = (self.line, byte == b'\n');
        if ends_line {
            (self.line, self.indent) = (line + 1, Some(0));
        } else {
            self.indent = indent.filter(|_| byte == b' ').map(|blanks| blanks + 1);
        }
        let Some(open) = &mut self.open else {
            match byte {
                b'\n' => self.is_bad_line = false,
                b' ' | b'\t' | b'\r' | b',' | b'[' | b']' => {}
                _ if self.is_bad_line => {}
                b'{' => self.open = Some(Open::at(line, indent)),
                _ => {
                    self.is_bad_line = true;
                    return Some(Found::Bad(line, "this is no JSON object"));
                }
            }
            return None;
        };
        // What stands where entries begin is one: the entry before it was not ended.
        let begins =
            byte == b'{' && indent.is_some() && indent == open.indent && line != open.line && !open.in_string;
        if begins {
            return self.open.replace(Open::at(line, indent)).map(Open::found);
        }
        if open.take(byte) { self.open.take().map(Open::found) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &[u8], size: usize) -> Vec<Found> {
        let mut entries = Entries::new(io::BufReader::with_capacity(size, text));
        std::iter::from_fn(|| entries.next().expect("a text can be read")).collect()
    }

    proptest! {
        #[test]
        fn what_is_found_does_not_depend_on_how_it_is_read(text in "[{}\\[\\]\",:a \n\\\\]{0,40}") {
            prop_assert_eq!(all(text.as_bytes(), 1), all(text.as_bytes(), 4096));
        }

        #[test]
        fn an_entry_behind_any_line_without_one_is_found(before in "[}\\[\\]\",:a \\\\]{0,20}") {
            let text = format!("{before}\n{{\"b\":2}}\n");
            prop_assert_eq!(all(text.as_bytes(), 4096).pop(), Some(Found::Entry(2, b"{\"b\":2}".to_vec())));
        }
    }

    /// Each entry or problem with its line.
    fn check(text: &str, expected: &[&str]) {
        for size in [1, 7, 4096] {
            let mut entries = Entries::new(io::BufReader::with_capacity(size, text.as_bytes()));
            let mut found = Vec::new();
            while let Some(next) = entries.next().expect("a text can be read") {
                found.push(match next {
                    Found::Entry(line, text) => format!("{line} {}", String::from_utf8_lossy(&text)),
                    Found::Bad(line, why) => format!("{line}: {why}"),
                });
            }
            assert_eq!(found, expected, "{text:?} by {size}");
        }
    }

    #[test]
    fn entries_are_found_in_arrays_and_in_lines() {
        check("", &[]);
        check("[]", &[]);
        check("{\"a\":1}\n{\"b\":{}}\n", &["1 {\"a\":1}", "2 {\"b\":{}}"]);
        check("[{\"a\":[1,{}]},{\"b\":\"}]\\\"{\"}]", &["1 {\"a\":[1,{}]}", "1 {\"b\":\"}]\\\"{\"}"]);
        check(
            "[\n  {\n    \"a\": 1\n  },\n  {\n    \"b\": 2\n  }\n]\n",
            &["2 {\n    \"a\": 1\n  }", "5 {\n    \"b\": 2\n  }"],
        );
    }

    #[test]
    fn what_is_no_entry_is_told_and_does_not_hide_the_next_one() {
        check("no\n{\"a\":1}", &["1: this is no JSON object", "2 {\"a\":1}"]);
        check("{\"a\":\n{\"b\":2}", &["1: the entry does not end", "2 {\"b\":2}"]);
        check("{\"a\":\"x\n{\"b\":2}", &["1: the entry does not end", "2 {\"b\":2}"]);
        check(
            "[\n  {\n    \"a\": 1,\n  {\n    \"b\": 2\n  }\n]",
            &["2: the entry does not end", "4 {\n    \"b\": 2\n  }"],
        );
        check("{\"a\":1", &["1: the entry does not end"]);
        let long = format!("{{\"a\":\"{}\"}}\n{{}}", "x".repeat(LOG_ENTRY_BYTES_MAX));
        check(&long, &["1: the entry is too long", "2 {}"]);
    }

    #[test]
    fn what_goes_on_and_on_without_an_entry_is_no_log() {
        let read = |endless: &mut dyn io::Read| {
            let mut entries = Entries::new(io::BufReader::new(endless));
            loop {
                match entries.next() {
                    Ok(found) => assert!(matches!(found, Some(Found::Bad(..))), "{found:?}"),
                    Err(error) => return error.to_string(),
                }
            }
        };
        for error in [read(&mut io::repeat(0)), read(&mut Lines)] {
            assert!(error.starts_with("no entry in 16777216 bytes"), "{error}");
        }
    }

    /// Lines that are no entries, without an end.
    struct Lines;

    impl io::Read for Lines {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'x');
            if let Some(last) = buffer.last_mut() {
                *last = b'\n';
            }
            Ok(buffer.len())
        }
    }
}
