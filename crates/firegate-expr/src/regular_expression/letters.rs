//! The letters that are written down in a regular expression, beside those that its classes choose from.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{Ast, Literal, RepetitionKind, RepetitionRange};

/// What a regular expression of the `regex` crate says letter by letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenLetters {
    /// The same pattern, whose written letters stand for both their cases: what it means for a server that takes capital
    /// letters for small ones. A class means the letters that it names. `None` if no letter is written down.
    pub in_any_case: Option<String>,
    /// How many characters at least a text that matches has as they are written.
    pub characters_min: usize,
}

impl WrittenLetters {
    /// Reads a pattern; `None` if it is none.
    pub fn of(pattern: &str) -> Option<Self> {
        let tree = Parser::new().parse(pattern).ok()?;
        let mut reader = Reader { pattern, in_any_case: String::new(), copied: 0 };
        let characters_min = reader.read(&tree);
        let Reader { mut in_any_case, copied, .. } = reader;
        in_any_case.push_str(pattern.get(copied..).unwrap_or_default());
        Some(Self { in_any_case: (copied > 0).then_some(in_any_case), characters_min })
    }
}

struct Reader<'a> {
    pattern: &'a str,
    in_any_case: String,
    /// How many bytes of the pattern stand in the other one already.
    copied: usize,
}

impl Reader<'_> {
    /// Reads a part, and tells how many characters of what matches are as they are written.
    fn read(&mut self, part: &Ast) -> usize {
        match part {
            Ast::Literal(literal) => {
                self.literal(literal);
                1
            }
            Ast::Group(group) => self.read(&group.ast),
            Ast::Concat(parts) => parts.asts.iter().map(|part| self.read(part)).sum(),
            Ast::Alternation(ways) => ways.asts.iter().map(|way| self.read(way)).min().unwrap_or(0),
            Ast::Repetition(repetition) => {
                let characters = self.read(&repetition.ast);
                match repetition.op.kind {
                    RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore => 0,
                    RepetitionKind::Range(
                        RepetitionRange::Exactly(0)
                        | RepetitionRange::AtLeast(0)
                        | RepetitionRange::Bounded(0, _),
                    ) => 0,
                    RepetitionKind::OneOrMore | RepetitionKind::Range(_) => characters,
                }
            }
            Ast::Empty(_)
            | Ast::Flags(_)
            | Ast::Dot(_)
            | Ast::Assertion(_)
            | Ast::ClassUnicode(_)
            | Ast::ClassPerl(_)
            | Ast::ClassBracketed(_) => 0,
        }
    }

    fn literal(&mut self, literal: &Literal) {
        if literal.c.is_ascii_alphabetic() {
            let before = self.pattern.get(self.copied..literal.span.start.offset);
            self.in_any_case.push_str(before.unwrap_or_default());
            let (capital, small) = (literal.c.to_ascii_uppercase(), literal.c.to_ascii_lowercase());
            self.in_any_case.extend(['[', capital, small, ']']);
            self.copied = literal.span.end.offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, in_any_case: Option<&str>, characters_min: usize) {
        let expected = WrittenLetters { in_any_case: in_any_case.map(str::to_owned), characters_min };
        assert_eq!(WrittenLetters::of(pattern), Some(expected), "{pattern}");
        assert!(in_any_case.is_none_or(|pattern| regex::bytes::Regex::new(pattern).is_ok()), "{pattern}");
    }

    #[test]
    fn letters_that_are_written_stand_for_both_their_cases() {
        check("^/a/[a-z]+$", Some("^/[Aa]/[a-z]+$"), 3);
        check("/Ab|/c(d|EF)?", Some("/[Aa][Bb]|/[Cc]([Dd]|[Ee][Ff])?"), 2);
        check("a{2,3}(?:b+|c*)", Some("[Aa]{2,3}(?:[Bb]+|[Cc]*)"), 1);
        check(r"\x41\.\w\W.é", Some(r"[Aa]\.\w\W.é"), 3);
        check("(?i)a(?P<name>b)", Some("(?i)[Aa](?P<name>[Bb])"), 2);
        check("/[0-9]+/x{0,2}y{0}", Some("/[0-9]+/[Xx]{0,2}[Yy]{0}"), 2);
        check("/[0-9]+/", None, 2);
        check("", None, 0);
    }

    #[test]
    fn what_is_no_pattern_has_no_letters() {
        assert_eq!(WrittenLetters::of("(a"), None);
    }
}
