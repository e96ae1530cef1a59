//! From text to words.

use std::ops::Range;

use super::Literal;
use crate::code;
use crate::problem::ExpressionError;

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Literal(Literal),
    /// A number without its sign: the parser knows whether a minus before it belongs to it.
    Int(u64),
    Name(Box<str>),
    Symbol(&'static str),
    End,
}

/// Operators and brackets; of two that begin alike the longer one stands first.
const SYMBOLS: [&str; 24] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}", "+",
    "-", "*", "/", "%",
];

/// Words that cannot be names.
/// <https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

type Read<T> = Result<T, ExpressionError>;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, start: usize, message: impl Into<String>) -> ExpressionError {
        let end = self.rest().chars().next().map_or(self.text.len(), |c| self.at + c.len_utf8());
        ExpressionError::new(start..end, code::SYNTAX, message)
    }

    /// The next word and where it stands.
    pub(super) fn next(&mut self) -> Read<(Token, Range<usize>)> {
        self.skip_blanks();
        let start = self.at;
        let Some(first) = self.peek() else { return Ok((Token::End, start..start)) };
        let token = if let Some(length) = string_start(self.rest()) {
            self.string(length)?
        } else if first.is_ascii_digit()
            || (first == '.' && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            self.number()?
        } else if first.is_ascii_alphabetic() || first == '_' {
            self.word()
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
            self.at += symbol.len();
            Token::Symbol(symbol)
        } else {
            return Err(self.unexpected(start, first));
        };
        Ok((token, start..self.at))
    }

    fn unexpected(&self, start: usize, found: char) -> ExpressionError {
        let error = self.error(start, format!("`{}` has no meaning here", found.escape_debug()));
        match found {
            '=' => error.hint("equality is written `==`"),
            '&' => error.hint("the logical and is written `&&`"),
            '|' => error.hint("the logical or is written `||`"),
            '#' => error.hint("a comment begins with `//` and ends with the line"),
            '‘' | '’' | '“' | '”' => error.hint("use straight quotes: ' or \""),
            '`' => {
                error.hint("a key with other characters than letters is written `request.headers['the-key']`")
            }
            _ => error,
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn word(&mut self) -> Token {
        match self.take_while(|c| c.is_ascii_alphanumeric() || c == '_') {
            "true" => Token::Literal(Literal::Bool(true)),
            "false" => Token::Literal(Literal::Bool(false)),
            "null" => Token::Literal(Literal::Null),
            "in" => Token::Symbol("in"),
            name => Token::Name(name.into()),
        }
    }

    fn number(&mut self) -> Read<Token> {
        let start = self.at;
        let rest = self.rest();
        let token = if rest.starts_with("0x") || rest.starts_with("0X") {
            self.at += 2;
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            self.integer(start, digits, 16)?
        } else {
            let digits = self.take_while(|c| c.is_ascii_digit());
            let mut is_double = false;
            let after_dot = self.rest().strip_prefix('.').unwrap_or_default();
            if after_dot.starts_with(|c: char| c.is_ascii_digit()) {
                is_double = true;
                self.at += 1;
                self.take_while(|c| c.is_ascii_digit());
            }
            let exponent = self.rest();
            if let Some(after) = exponent.strip_prefix(['e', 'E']) {
                let unsigned = after.strip_prefix(['+', '-']).unwrap_or(after);
                if unsigned.starts_with(|c: char| c.is_ascii_digit()) {
                    is_double = true;
                    self.at += exponent.len() - unsigned.len();
                    self.take_while(|c| c.is_ascii_digit());
                }
            }
            if is_double {
                let written = self.text.get(start..self.at).unwrap_or_default();
                let value = written.parse::<f64>().ok().filter(|value| value.is_finite());
                let value = value.ok_or_else(|| self.error(start, format!("`{written}` is no number")))?;
                Token::Literal(Literal::Double(value))
            } else {
                self.integer(start, digits, 10)?
            }
        };
        if self.peek().is_some_and(|next| next.is_ascii_alphanumeric() || next == '_') {
            return Err(self.error(start, "a letter follows a number").hint("a text stands in quotes"));
        }
        Ok(token)
    }

    fn integer(&mut self, start: usize, digits: &str, radix: u32) -> Read<Token> {
        let value = u64::from_str_radix(digits, radix);
        let value = value
            .map_err(|_| self.error(start, "a number is missing its digits or is larger than 64 bits"))?;
        if self.rest().starts_with(['u', 'U']) {
            self.at += 1;
            return Ok(Token::Literal(Literal::Unsigned(value)));
        }
        Ok(Token::Int(value))
    }

    /// A text or bytes; `prefix` is the length of `r`, `b` or both before the quote.
    fn string(&mut self, prefix: usize) -> Read<Token> {
        let start = self.at;
        let letters = self.rest().get(..prefix).unwrap_or_default();
        let (is_raw, is_bytes) = (letters.contains(['r', 'R']), letters.contains(['b', 'B']));
        self.at += prefix;
        let quote = if self.rest().starts_with("'''") {
            "'''"
        } else if self.rest().starts_with("\"\"\"") {
            "\"\"\""
        } else if self.rest().starts_with('\'') {
            "'"
        } else {
            "\""
        };
        self.at += quote.len();
        let mut content = Content { text: String::new(), bytes: Vec::new(), is_bytes };
        loop {
            if self.rest().starts_with(quote) {
                self.at += quote.len();
                break;
            }
            match self.peek() {
                None => return Err(unclosed(start..self.text.len(), quote)),
                Some('\n' | '\r') if quote.len() == 1 => return Err(unclosed(start..self.at, quote)),
                Some('\\') if !is_raw => self.escape(&mut content)?,
                Some(character) => {
                    content.push(character);
                    self.at += character.len_utf8();
                }
            }
        }
        Ok(Token::Literal(if is_bytes {
            Literal::Bytes(content.bytes.into())
        } else {
            Literal::Text(content.text.into())
        }))
    }

    fn escape(&mut self, content: &mut Content) -> Read<()> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.peek() else { return Err(self.error(start, "a backslash at the end")) };
        let plain = match letter {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '\\' | '?' | '"' | '\'' | '`' => Some(letter),
            _ => None,
        };
        if let Some(plain) = plain {
            self.at += letter.len_utf8();
            content.push(plain);
            return Ok(());
        }
        let (skip, length, radix) = match letter {
            'x' | 'X' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='3' => (0, 3, 8),
            _ => {
                return Err(self
                    .error(start, format!("`\\{}` is no escape", letter.escape_debug()))
                    .hint("a backslash is written `\\\\`, or in a raw text: r'\\d+'"));
            }
        };
        self.at += skip;
        let digits = self.rest().get(..length).filter(|digits| digits.chars().all(|c| c.is_digit(radix)));
        let value = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok());
        let Some(value) = value else {
            return Err(self.error(start, format!("an escape has {length} digits")));
        };
        self.at += length;
        let is_octet = length < 4;
        match (content.is_bytes, is_octet, u8::try_from(value), char::from_u32(value)) {
            (true, true, Ok(byte), _) => content.bytes.push(byte),
            (true, true, Err(_), _) | (_, _, _, None) => {
                return Err(self.error(start, "an escape that names no character"));
            }
            (_, _, _, Some(character)) => content.push(character),
        }
        Ok(())
    }
}

/// What stands between the quotes.
struct Content {
    text: String,
    bytes: Vec<u8>,
    is_bytes: bool,
}

impl Content {
    fn push(&mut self, character: char) {
        if self.is_bytes {
            self.bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            self.text.push(character);
        }
    }
}

fn unclosed(span: Range<usize>, quote: &str) -> ExpressionError {
    ExpressionError::new(span, code::SYNTAX, format!("a text is not closed: {quote} is missing"))
}

/// How many letters stand before the quote, if a text or bytes begin here.
fn string_start(rest: &str) -> Option<usize> {
    let letters = rest.bytes().take(2).take_while(|byte| matches!(byte, b'r' | b'R' | b'b' | b'B')).count();
    let distinct = letters < 2
        || rest.get(..1).map(str::to_ascii_lowercase) != rest.get(1..2).map(str::to_ascii_lowercase);
    (distinct && rest.get(letters..)?.starts_with(['\'', '"'])).then_some(letters)
}
