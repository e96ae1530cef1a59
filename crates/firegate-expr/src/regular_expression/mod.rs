//! Regular expressions with RE2's meaning, in linear time.
//!
//! Google's `matches` is RE2; what runs here is the `regex` crate, of the same family and with other spellings: `[a&&b]`, `\<`
//! and `{,5}` mean something else there. So a pattern is read as RE2 reads it and written anew, with nothing in it that the
//! two understand differently. <https://github.com/google/re2/wiki/Syntax>
//!
//! Cloud Armor compiles patterns as Latin-1: a character is a byte, and a letter with an accent is the bytes of its UTF-8. What
//! is left of a difference: `(?i)` folds ASCII letters alone there, and RE2 the letters of Latin-1 too.

mod class;
mod letters;
mod translate;

pub use letters::WrittenLetters;
pub(crate) use translate::translate;

use regex::bytes::{Regex, RegexBuilder};

use crate::letter_case::PathLetters;
use crate::limits::{
    REGULAR_EXPRESSION_BYTES_MAX, REGULAR_EXPRESSION_CACHE_BYTES_MAX, REGULAR_EXPRESSION_PROGRAM_BYTES_MAX,
};

/// What a character of a pattern is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// One byte.
    Latin1,
    /// A character of Unicode.
    Utf8,
}

/// What becomes of groups that capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CapturingGroups {
    /// They are refused, as Cloud Armor does.
    Refused,
    /// They are taken, and capture nothing.
    Taken,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternProblem {
    pub(crate) message: String,
    pub(crate) hint: Option<&'static str>,
}

impl PatternProblem {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct RegularExpression {
    compiled: Regex,
    /// For a server that takes capital letters for small ones; only of a pattern for paths in which letters are written down.
    in_any_case: Option<Regex>,
    path_letters: PathLetters,
}

impl RegularExpression {
    /// Compiles a pattern.
    pub(crate) fn compile(
        pattern: &str,
        encoding: Encoding,
        groups: CapturingGroups,
    ) -> Result<Self, PatternProblem> {
        if pattern.len() > REGULAR_EXPRESSION_BYTES_MAX {
            let message = format!("the pattern is longer than {REGULAR_EXPRESSION_BYTES_MAX} bytes");
            return Err(PatternProblem::new(message));
        }
        let compiled = build(&translate(pattern, encoding, groups)?, encoding)?;
        Ok(Self { compiled, in_any_case: None, path_letters: PathLetters::None })
    }

    /// The same for paths, which are read by servers that take capital letters for small ones too.
    pub(crate) fn compile_for_paths(
        pattern: &str,
        encoding: Encoding,
        groups: CapturingGroups,
    ) -> Result<Self, PatternProblem> {
        let compiled = Self::compile(pattern, encoding, groups)?;
        let letters = WrittenLetters::of(compiled.compiled.as_str()).unwrap_or_default();
        Ok(match letters.in_any_case {
            Some(in_any_case) => Self {
                in_any_case: Some(build(&in_any_case, encoding)?),
                path_letters: PathLetters::of_text(pattern).max(PathLetters::Small),
                ..compiled
            },
            None => compiled,
        })
    }

    /// Whether it occurs anywhere in `text`.
    pub(crate) fn occurs_in(&self, text: &[u8]) -> bool {
        self.compiled.is_match(text)
    }

    /// The same for a server that takes capital letters of paths for small ones.
    pub(crate) fn occurs_in_any_case(&self, text: &[u8]) -> bool {
        self.in_any_case.as_ref().unwrap_or(&self.compiled).is_match(text)
    }

    /// The letters that are written down in it, if it is for paths.
    pub(crate) const fn path_letters(&self) -> PathLetters {
        self.path_letters
    }
}

fn build(translated: &str, encoding: Encoding) -> Result<Regex, PatternProblem> {
    let compiled = RegexBuilder::new(translated)
        .unicode(encoding == Encoding::Utf8)
        .size_limit(REGULAR_EXPRESSION_PROGRAM_BYTES_MAX)
        .dfa_size_limit(REGULAR_EXPRESSION_CACHE_BYTES_MAX)
        .build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            PatternProblem::new("the pattern becomes too large when it is compiled")
                .hint("use smaller repetitions")
        }
        _ => PatternProblem::new("the pattern is no regular expression that RE2 takes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: impl AsRef<[u8]>, expected: bool) {
        let compiled = RegularExpression::compile(pattern, Encoding::Latin1, CapturingGroups::Refused);
        let compiled = compiled.unwrap_or_else(|problem| panic!("{pattern}: {problem:?}"));
        assert_eq!(compiled.occurs_in(text.as_ref()), expected, "{pattern}");
    }

    fn refused(pattern: &str, message: &str) {
        match RegularExpression::compile(pattern, Encoding::Latin1, CapturingGroups::Refused) {
            Ok(_) => panic!("{pattern} is accepted"),
            Err(problem) => assert!(problem.message.contains(message), "{pattern}: {problem:?}"),
        }
    }

    #[test]
    fn a_pattern_is_searched_for_anywhere() {
        check("b", "abc", true);
        check("^b", "abc", false);
        check("c$", "abc", true);
        check("c$", "abc\n", false);
        check("a.c", "a\nc", false);
        check("(?s)a.c", "a\nc", true);
        check("(?m)^b$", "a\nb\nc", true);
        check("(?i)ABC", "xabc", true);
        check("", "", true);
        check("a|b|", "", true);
        check("(?i:a)B", "AB", true);
        check("(?i:a)B", "Ab", false);
        check("(?U)a+b", "aab", true);
        check("a{2}$", "baa", true);
        check("^a{2,}$", "aaa", true);
        check("^a{2,3}?$", "aaaa", false);
        check(r"\Aab\z", "ab", true);
    }

    #[test]
    fn spellings_that_the_engine_reads_otherwise_keep_res_meaning() {
        check("^[a&&b]+$", "a&b", true);
        check("^[+--]+$", "+,-", true);
        check("^[[]$", "[", true);
        check("^[]a]+$", "]a", true);
        check("^[^]a]$", "b", true);
        check("^[a~~b]+$", "a~b", true);
        check(r"^\<$", "<", true);
        check(r"^\b{start}a", "{start}a", false);
        check("^a{,5}$", "a{,5}", true);
        check("^a{$", "a{", true);
        check("^x{1,2$", "x{1,2", true);
        check(r"^\Qa.b*\E$", "a.b*", true);
        check(r"^\_$", "_", true);
        check(r"^\101\x41\x{41}$", "AAA", true);
        check(r"^\0$", [0_u8], true);
        check(r"^[\d\-x]+$", "1-x", true);
        check(r"^[[:alpha:]_]+$", "ab_", true);
        check(r"^[[:^alpha:]]$", "1", true);
        check("^ #$", " #", true);
        check(r"^\s$", [0x0b_u8], false);
        check(r"^\s$", " ", true);
        check(r"^[^\s]$", [0x0b_u8], true);
        check(r"^[\S]$", [0x0b_u8], true);
        check(r"^[\W]$", "_", false);
    }

    #[test]
    fn characters_are_bytes_in_latin_1() {
        check("^..$", "é", true);
        check("^é$", "é", true);
        check("^é+$", [0xc3, 0xa9, 0xa9], true);
        check("^[é]{2}$", "é", true);
        check(r"^\xe9$", [0xe9], true);
        check("^[^a]$", [0xff], true);
        check(r"^\w$", [0xe9], false);
        check(r"^\C$", "\n", true);
        let utf8 = RegularExpression::compile("^.$", Encoding::Utf8, CapturingGroups::Refused).unwrap();
        assert!(utf8.occurs_in("é".as_bytes()));
        let utf8 =
            RegularExpression::compile(r"^[é\w]\d\b$", Encoding::Utf8, CapturingGroups::Refused).unwrap();
        assert!(utf8.occurs_in("é1".as_bytes()));
        assert!(!utf8.occurs_in("è1".as_bytes()));
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        refused("(a)", "capturing");
        refused("(?P<n>a)", "capturing");
        refused("[a--b]", "range");
        refused("(?=a)", "look");
        refused("(?<!a)", "look");
        refused(r"(?:a)\1", "backreference");
        refused("a**", "repetition");
        refused("a*+", "repetition");
        refused("a{2}{3}", "repetition");
        refused("*a", "repetition");
        refused("(?:|*)", "repetition");
        refused("a{1001}", "1000");
        refused("(?:a{100}){11}", "1000");
        refused("a{3,2}", "repetition");
        refused("(?x)a", "flag");
        refused("a)", "bracket");
        refused("(?:a", "bracket");
        refused("[a", "class");
        refused("[b-a]", "range");
        refused(r"\q", "escape");
        refused(r"\pL", "Unicode");
        refused(r"a\", "backslash");
        refused(r"[\b]", "escape");
        refused(&"(?:".repeat(100), "deep");
        refused("(?:(?:a{100}){100}){100}", "1000");
        refused(&"a".repeat(REGULAR_EXPRESSION_BYTES_MAX + 1), "longer");
        refused(&format!("(?i){}", "[a-z]{1000}".repeat(80)), "too large");
        assert!(
            RegularExpression::compile("(a)(?P<n>b)(?<m>c)", Encoding::Latin1, CapturingGroups::Taken)
                .is_ok()
        );
    }
}
