use std::fmt::Write;

use super::class;
use super::{CapturingGroups, Encoding, PatternProblem};
use crate::limits::{REGULAR_EXPRESSION_DEPTH_MAX, REGULAR_EXPRESSION_REPETITIONS_MAX};

pub(super) type Read<T> = Result<T, PatternProblem>;

/// Writes RE2's pattern as one of the `regex` crate that matches the same.
pub(crate) fn translate(pattern: &str, encoding: Encoding, capturing: CapturingGroups) -> Read<String> {
    let mut translation = Translation {
        rest: Rest { text: pattern },
        out: String::with_capacity(pattern.len() * 2),
        encoding,
        capturing,
        groups: Vec::new(),
        largest: 1,
        atom: None,
        repeated: false,
    };
    while translation.step()? {}
    if translation.groups.is_empty() {
        Ok(translation.out)
    } else {
        Err(PatternProblem::new("a bracket `(` of the pattern is not closed"))
    }
}

/// What is still to be read.
pub(super) struct Rest<'a> {
    pub(super) text: &'a str,
}

impl<'a> Rest<'a> {
    pub(super) fn peek(&self) -> Option<char> {
        self.text.chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.text = self.text.get(character.len_utf8()..).unwrap_or_default();
        Some(character)
    }

    pub(super) fn accept(&mut self, prefix: &str) -> bool {
        match self.text.strip_prefix(prefix) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, most: usize, accept: impl Fn(char) -> bool) -> &'a str {
        let length: usize = self.text.chars().take(most).take_while(|c| accept(*c)).map(char::len_utf8).sum();
        let (taken, rest) = self.text.split_at(length);
        self.text = rest;
        taken
    }
}

struct Translation<'a> {
    rest: Rest<'a>,
    out: String,
    encoding: Encoding,
    capturing: CapturingGroups,
    /// For each open group the largest product of repetitions beside it.
    groups: Vec<u32>,
    largest: u32,
    /// The product of the repetitions in what a repetition would repeat; nothing if there is nothing to repeat.
    atom: Option<u32>,
    /// What stands before is a repetition already.
    repeated: bool,
}

impl Translation<'_> {
    fn atom(&mut self, product: u32) {
        self.atom = Some(product);
        self.repeated = false;
        self.largest = self.largest.max(product);
    }

    /// Reads one element; false at the end.
    fn step(&mut self) -> Read<bool> {
        let Some(character) = self.rest.peek() else { return Ok(false) };
        match character {
            '(' => self.open()?,
            ')' => {
                self.rest.next();
                let Some(outer) = self.groups.pop() else {
                    return Err(PatternProblem::new("a bracket `)` of the pattern was not opened"));
                };
                self.out.push(')');
                let inner = self.largest;
                self.largest = outer;
                self.atom(inner);
            }
            '|' => {
                self.rest.next();
                self.out.push('|');
                self.atom = None;
                self.repeated = false;
            }
            '*' | '+' | '?' => {
                self.rest.next();
                self.repeat(&character.to_string(), 1)?;
            }
            '{' => self.braces()?,
            '[' => {
                let class = class::read(&mut self.rest, self.encoding)?;
                self.out.push_str(&class);
                self.atom(1);
            }
            '^' | '$' | '.' => {
                self.rest.next();
                self.out.push(character);
                self.atom(1);
            }
            '\\' => self.escape()?,
            literal => {
                self.rest.next();
                self.literal(literal);
            }
        }
        Ok(true)
    }

    fn literal(&mut self, character: char) {
        write_character(&mut self.out, character, self.encoding);
        self.atom(1);
    }

    fn open(&mut self) -> Read<()> {
        self.rest.next();
        if self.groups.len() == REGULAR_EXPRESSION_DEPTH_MAX {
            return Err(PatternProblem::new("the groups of the pattern nest too deep"));
        }
        let named = ["?P<", "?<"].into_iter().find(|prefix| {
            self.rest.text.strip_prefix(*prefix).is_some_and(|rest| !rest.starts_with(['=', '!']))
        });
        if let Some(prefix) = named {
            self.rest.accept(prefix);
            let name = self.rest.take_while(usize::MAX, |c| c.is_ascii_alphanumeric() || c == '_');
            if name.is_empty() || !self.rest.accept(">") {
                return Err(PatternProblem::new("the name of a group cannot be read"));
            }
            self.capture()?;
        } else if self.rest.accept("?") {
            if self.rest.text.starts_with(['=', '!', '<']) {
                return Err(PatternProblem::new("RE2 looks neither ahead nor behind"));
            }
            let flags = self.rest.take_while(8, |c| matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
            let sound = flags.matches('-').count() <= 1 && !flags.ends_with('-');
            match self.rest.next() {
                // Flags alone hold to the end of the group.
                Some(')') if sound && !flags.is_empty() => {
                    let _ = write!(self.out, "(?{flags})");
                    self.atom = None;
                    self.repeated = false;
                    return Ok(());
                }
                Some(':') if sound => drop(write!(self.out, "(?{flags}:")),
                _ => {
                    return Err(PatternProblem::new("a flag of a group is not one of `i`, `m`, `s` and `U`"));
                }
            }
        } else {
            self.capture()?;
        }
        self.groups.push(self.largest);
        self.largest = 1;
        self.atom = None;
        self.repeated = false;
        Ok(())
    }

    fn capture(&mut self) -> Read<()> {
        if self.capturing == CapturingGroups::Refused {
            let problem = PatternProblem::new("Google refuses capturing groups");
            return Err(problem.hint("write `(?:…)` instead of `(…)`"));
        }
        self.out.push_str("(?:");
        Ok(())
    }

    fn repeat(&mut self, operator: &str, times: u32) -> Read<()> {
        let Some(inner) = self.atom else {
            let message = format!("nothing stands before the repetition `{operator}`");
            return Err(
                PatternProblem::new(message).hint("a character itself is written with a backslash: r'\\*'")
            );
        };
        if self.repeated {
            return Err(PatternProblem::new(format!(
                "a repetition `{operator}` directly after a repetition"
            )));
        }
        let product = inner.saturating_mul(times.max(1));
        if product > REGULAR_EXPRESSION_REPETITIONS_MAX {
            return Err(PatternProblem::new(format!(
                "RE2 repeats at most {REGULAR_EXPRESSION_REPETITIONS_MAX} times"
            )));
        }
        self.out.push_str(operator);
        if self.rest.accept("?") {
            self.out.push('?');
        }
        self.atom(product);
        self.repeated = true;
        Ok(())
    }

    /// `{n}`, `{n,}`, `{n,m}`; what looks like none of them is the character `{`.
    fn braces(&mut self) -> Read<()> {
        let Some((written, least, most)) = repetition(self.rest.text) else {
            self.rest.next();
            self.literal('{');
            return Ok(());
        };
        self.rest.accept(written);
        if most.is_some_and(|most| most < least) {
            return Err(PatternProblem::new(format!("the repetition `{written}` ends before it begins")));
        }
        self.repeat(written, most.unwrap_or(least))
    }

    fn escape(&mut self) -> Read<()> {
        self.rest.next();
        let Some(letter) = self.rest.peek() else {
            return Err(PatternProblem::new("the pattern ends with a backslash"));
        };
        match letter {
            'A' | 'z' | 'b' | 'B' => {
                self.rest.next();
                let boundary = matches!(letter, 'b' | 'B') && self.encoding == Encoding::Utf8;
                let _ = if boundary {
                    write!(self.out, "(?-u:\\{letter})")
                } else {
                    write!(self.out, "(?:\\{letter})")
                };
                self.atom(1);
            }
            'C' => {
                self.rest.next();
                self.out.push_str("(?s-u:.)");
                self.atom(1);
            }
            'Q' => {
                self.rest.next();
                let (quoted, rest) = self.rest.text.split_once("\\E").unwrap_or((self.rest.text, ""));
                self.rest.text = rest;
                quoted.chars().for_each(|character| self.literal(character));
            }
            'p' | 'P' => {
                let class = class::unicode(&mut self.rest, self.encoding)?;
                self.out.push_str(&class);
                self.atom(1);
            }
            _ => {
                if let Some(set) = class::perl(letter) {
                    self.rest.next();
                    let _ = write!(self.out, "[{set}]");
                    self.atom(1);
                } else {
                    let value = u32::from(character(&mut self.rest, self.encoding)?);
                    let _ = match self.encoding {
                        Encoding::Latin1 => write!(self.out, "\\x{value:02X}"),
                        Encoding::Utf8 => write!(self.out, "\\x{{{value:X}}}"),
                    };
                    self.atom(1);
                }
            }
        }
        Ok(())
    }
}

/// Reads the character that an escape names; the backslash has been read.
pub(super) fn character(rest: &mut Rest<'_>, encoding: Encoding) -> Read<char> {
    let bad = |letter: char| {
        let message = format!("`\\{}` is no escape of RE2", letter.escape_debug());
        PatternProblem::new(message)
    };
    let Some(letter) = rest.next() else {
        return Err(PatternProblem::new("the pattern ends with a backslash"));
    };
    let value = match letter {
        'a' => 0x07,
        'f' => 0x0c,
        'n' => 0x0a,
        'r' => 0x0d,
        't' => 0x09,
        'v' => 0x0b,
        '1'..='9' if !(letter < '8' && rest.peek().is_some_and(|c| matches!(c, '0'..='7'))) => {
            return Err(PatternProblem::new(format!("RE2 has no backreference `\\{letter}`")));
        }
        '0'..='7' => {
            let digits = format!("{letter}{}", rest.take_while(2, |c| matches!(c, '0'..='7')));
            u32::from_str_radix(&digits, 8).map_err(|_| bad(letter))?
        }
        'x' if rest.accept("{") => {
            let digits = rest.take_while(8, |c| c.is_ascii_hexdigit());
            if !rest.accept("}") {
                return Err(bad(letter));
            }
            u32::from_str_radix(digits, 16).map_err(|_| bad(letter))?
        }
        'x' => {
            let digits = rest.take_while(2, |c| c.is_ascii_hexdigit());
            if digits.len() < 2 {
                return Err(bad(letter));
            }
            u32::from_str_radix(digits, 16).map_err(|_| bad(letter))?
        }
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => u32::from(other),
        other => return Err(bad(other)),
    };
    let most = if encoding == Encoding::Latin1 { 0xff } else { 0x0010_ffff };
    char::from_u32(value).filter(|_| value <= most).ok_or_else(|| bad(letter))
}

/// Writes a character so that the engine can take it for nothing else. In Latin-1 a character of the pattern beyond ASCII is
/// its UTF-8 bytes, each a character.
fn write_character(out: &mut String, character: char, encoding: Encoding) {
    let _ = match (encoding, u32::from(character)) {
        _ if character.is_ascii_alphanumeric() => write!(out, "{character}"),
        (_, value @ 0..=0x7f) => write!(out, "\\x{value:02X}"),
        (Encoding::Utf8, value) => write!(out, "\\x{{{value:X}}}"),
        (Encoding::Latin1, _) => {
            character.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(out, "\\x{byte:02X}"))
        }
    };
}

/// `{n}`, `{n,}` or `{n,m}` at the beginning of `text`: as it is written, and its bounds.
fn repetition(text: &str) -> Option<(&str, u32, Option<u32>)> {
    let end = text.find('}')?;
    let inner = text.get(1..end)?;
    let number = |digits: &str| {
        let sound = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        sound.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let (least, most) = match inner.split_once(',') {
        None => (number(inner)?, Some(number(inner)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some((text.get(..=end)?, least, most))
}
