//! The grammar of RFC 8259, read once from the first byte to the last.

use std::collections::HashSet;

use super::{Kind, Names, Node, StrictJsonError};
use crate::limits::JSON_DEPTH_MAX;

/// Up to how many names each is compared with those before it to find one that is repeated. Beyond, they are hashed.
const COMPARED_NAMES_MAX: usize = 24;

/// How long a whole number may be to be in range without being looked at: every one of so many digits fits into 64 bits.
const SHORT_NUMBER_BYTES: usize = 18;

/// How many bytes of a token's text there are for each value or name.
const BYTES_PER_NODE: usize = 8;

/// The nodes of a text that is one object, its strings that are written with escapes, and its members' names.
pub(super) fn read(
    text: &str,
    values_max: usize,
    members_max: usize,
) -> Result<(Vec<Node>, String, Names), StrictJsonError> {
    let mut reader = Reader {
        text,
        at: 0,
        nodes: Vec::with_capacity(text.len() / BYTES_PER_NODE),
        unescaped: String::new(),
        outermost: Names::new(),
        values_left: values_max,
        members_left: members_max,
    };
    if u32::try_from(text.len()).is_err() {
        return reader.refuse("too long");
    }
    if reader.peek() != Some(b'{') {
        return reader.refuse("not an object");
    }
    reader.value(0)?;
    match reader.peek() {
        None => Ok((reader.nodes, reader.unescaped, reader.outermost)),
        Some(_) => reader.refuse("more than one value"),
    }
}

struct Reader<'a> {
    text: &'a str,
    /// The next byte.
    at: usize,
    nodes: Vec<Node>,
    unescaped: String,
    /// The names of the object that was over last.
    outermost: Names,
    values_left: usize,
    members_left: usize,
}

impl Reader<'_> {
    fn refuse<T>(&self, why: &'static str) -> Result<T, StrictJsonError> {
        Err(StrictJsonError { why, at: self.at })
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The next byte that is no white space, without going past it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Goes past the next byte, if it is this one.
    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        // All of them are less than the text's length, which fits.
        self.nodes.push(Node { kind, start: start as u32, end: end as u32 });
    }

    fn value(&mut self, depth: usize) -> Result<(), StrictJsonError> {
        let next = self.peek();
        match self.values_left.checked_sub(1) {
            Some(left) => self.values_left = left,
            None => return self.refuse("too many values"),
        }
        match next {
            Some(b'"') => self.string(),
            Some(b'{') => self.container(Kind::Object, depth + 1),
            Some(b'[') => self.container(Kind::Array, depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Kind::True),
            Some(b'f') => self.literal("false", Kind::False),
            Some(b'n') => self.literal("null", Kind::Null),
            Some(_) => self.refuse("not a value"),
            None => self.refuse("not whole"),
        }
    }

    fn literal(&mut self, literal: &str, kind: Kind) -> Result<(), StrictJsonError> {
        let (start, end) = (self.at, self.at + literal.len());
        if self.text.get(start..end) != Some(literal) {
            return self.refuse("not a value");
        }
        self.push(kind, start, end);
        self.at = end;
        Ok(())
    }

    fn container(&mut self, kind: Kind, depth: usize) -> Result<(), StrictJsonError> {
        if depth > JSON_DEPTH_MAX {
            return self.refuse("nested too deeply");
        }
        let own = self.nodes.len();
        self.push(kind, self.at, 0);
        self.at += 1;
        match kind {
            Kind::Object => self.members(own, depth)?,
            _ => self.elements(depth)?,
        }
        let end = self.nodes.len() as u32;
        if let Some(node) = self.nodes.get_mut(own) {
            node.end = end;
        }
        Ok(())
    }

    fn elements(&mut self, depth: usize) -> Result<(), StrictJsonError> {
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if self.takes(b']') {
                return Ok(());
            }
            if !self.takes(b',') {
                return self.refuse("no end of an array");
            }
        }
    }

    fn members(&mut self, own: usize, depth: usize) -> Result<(), StrictJsonError> {
        if self.takes(b'}') {
            return Ok(());
        }
        let (mut names, mut count) = (Names::new(), 0);
        loop {
            if self.peek() != Some(b'"') {
                return self.refuse("no name of a member");
            }
            match self.members_left.checked_sub(1) {
                Some(left) => self.members_left = left,
                None => return self.refuse("too many members"),
            }
            let name = self.nodes.len();
            self.string()?;
            let text = self.name(name);
            let may_repeat = names.first(text).is_some() && count < COMPARED_NAMES_MAX;
            if may_repeat && self.names(own).any(|at| at != name && self.name(at) == text) {
                return self.refuse("a member name is repeated");
            }
            let Ok(at) = u16::try_from(name) else { return self.refuse("too many values") };
            names.note(text, at);
            count += 1;
            if !self.takes(b':') {
                return self.refuse("no value of a member");
            }
            self.value(depth)?;
            if self.takes(b'}') {
                break;
            }
            if !self.takes(b',') {
                return self.refuse("no end of an object");
            }
        }
        if count > COMPARED_NAMES_MAX {
            let mut all = HashSet::with_capacity(count);
            if !self.names(own).all(|at| all.insert(self.name(at))) {
                return self.refuse("a member name is repeated");
            }
        }
        // The outermost one is over last.
        self.outermost = names;
        Ok(())
    }

    /// Where the names of the object stand that begins at a node, and that is being read.
    fn names(&self, own: usize) -> impl Iterator<Item = usize> {
        let mut next = own + 1;
        std::iter::from_fn(move || {
            let at = next;
            self.nodes.get(at)?;
            // The last name has no value yet.
            next = self.nodes.get(at + 1).map_or(at + 1, |value| value.behind(at + 1));
            Some(at)
        })
    }

    /// The name that stands at a node.
    fn name(&self, at: usize) -> &str {
        self.nodes.get(at).map_or("", |node| node.text(self.text, &self.unescaped))
    }

    /// Reads a string whose first quotation mark is the next byte.
    fn string(&mut self) -> Result<(), StrictJsonError> {
        let start = self.at + 1;
        let end = start + plain_bytes(self.text.as_bytes().get(start..).unwrap_or_default());
        if self.byte(end) == Some(b'"') {
            self.push(Kind::String, start, end);
            self.at = end + 1;
            return Ok(());
        }
        self.at = start;
        self.escaped_string()
    }

    /// Reads the rest of a string in which something is written with an escape.
    fn escaped_string(&mut self) -> Result<(), StrictJsonError> {
        let start = self.unescaped.len();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let (plain, rest) = rest.split_at(plain_bytes(rest.as_bytes()));
            self.unescaped.push_str(plain);
            self.at += plain.len();
            match rest.as_bytes() {
                [b'"', ..] => break,
                [b'\\', ..] => {
                    let character = self.escape()?;
                    self.unescaped.push(character);
                }
                [] => return self.refuse("not whole"),
                _ => return self.refuse("a control character in a string"),
            }
        }
        self.at += 1;
        self.push(Kind::EscapedString, start, self.unescaped.len());
        Ok(())
    }

    /// Reads an escape, whose backslash is the next byte.
    fn escape(&mut self) -> Result<char, StrictJsonError> {
        let character = match self.byte(self.at + 1) {
            Some(b'u') => return self.escaped_number(),
            Some(character @ (b'"' | b'\\' | b'/')) => char::from(character),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return self.refuse("an unknown escape"),
        };
        self.at += 2;
        Ok(character)
    }

    /// Reads a character that is written by its number in UTF-16: by two of them, if it is beyond U+FFFF.
    fn escaped_number(&mut self) -> Result<char, StrictJsonError> {
        let first = self.code_unit()?;
        let units = match first {
            0xd800..0xdc00 => [first, self.code_unit()?],
            _ => [first, 0],
        };
        // What is left of a pair that is none is refused by this, and so is half of one.
        match char::decode_utf16(units).next() {
            Some(Ok(character)) => Ok(character),
            _ => self.refuse("half a character"),
        }
    }

    /// Reads `\u` and four digits.
    fn code_unit(&mut self) -> Result<u16, StrictJsonError> {
        let digits = self.text.get(self.at..self.at + 6).and_then(|escape| escape.strip_prefix("\\u"));
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(unit) = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) else {
            return self.refuse("an unknown escape");
        };
        self.at += 6;
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), StrictJsonError> {
        let start = self.at;
        self.at += usize::from(self.byte(self.at) == Some(b'-'));
        match self.byte(self.at) {
            // Nothing may follow it that would make it another number in base eight.
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        let is_short = self.at - start <= SHORT_NUMBER_BYTES;
        let mut is_whole = true;
        if self.byte(self.at) == Some(b'.') {
            is_whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(self.at), Some(b'e' | b'E')) {
            is_whole = false;
            self.at += 1;
            self.at += usize::from(matches!(self.byte(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        if !(is_whole && is_short) && serde_json::from_str::<f64>(number).is_err() {
            return self.refuse("a number out of range");
        }
        self.push(Kind::Number, start, self.at);
        Ok(())
    }

    /// Goes past one digit or more.
    fn digits(&mut self) -> Result<(), StrictJsonError> {
        let start = self.at;
        while matches!(self.byte(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.refuse("no digit in a number") } else { Ok(()) }
    }
}

/// How many bytes of a string stand for themselves, from the first one on: up to a quotation mark, a backslash or a control
/// character. Eight are looked at at once.
fn plain_bytes(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH_BITS: u64 = ONES * 0x80;
    // The high bit of each byte that is less than `limit`, and perhaps of bytes behind the first such one.
    let less = |bytes: u64, limit: u8| bytes.wrapping_sub(ONES * u64::from(limit)) & !bytes & HIGH_BITS;
    let (chunks, rest) = text.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let bytes = u64::from_le_bytes(*chunk);
        let quotation_marks = less(bytes ^ (ONES * u64::from(b'"')), 1);
        let backslashes = less(bytes ^ (ONES * u64::from(b'\\')), 1);
        let found = less(bytes, b' ') | quotation_marks | backslashes;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &u8| *byte >= b' ' && !matches!(byte, b'"' | b'\\');
    text.len() - rest.len() + rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len())
}
