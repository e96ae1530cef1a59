//! The texts that a text has to hold for a regular expression to be found in it. What runs is looked at, as the `regex` crate's
//! own parser reads it.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use crate::regular_expression::{CapturingGroups, Encoding, translate};

/// One way to fulfil a pattern: every one of these texts has to be there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Alternative {
    pub(super) texts: Vec<Vec<u8>>,
    /// The first one has to stand at the beginning.
    pub(super) start: bool,
    /// The last one has to stand at the end.
    pub(super) end: bool,
    /// Upper and lower case are the same somewhere, and so it is taken to be everywhere.
    pub(super) any_case: bool,
}

/// Repetitions beyond it are not written out.
const REPETITION_MAX: u32 = 8;

/// All the ways to fulfil a pattern; `None` if it is none that runs. What no text says is passed over, so that less is asked
/// for than the pattern asks, and never more.
pub(super) fn alternatives(pattern: &str) -> Option<Vec<Alternative>> {
    let written = translate(pattern, Encoding::Latin1, CapturingGroups::Taken).ok()?;
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(&written).ok()?;
    Some(match parsed.kind() {
        HirKind::Alternation(ways) => ways.iter().map(Alternative::of).collect(),
        _ => vec![Alternative::of(&parsed)],
    })
}

impl Alternative {
    fn of(way: &Hir) -> Self {
        let mut reader = Reader::default();
        reader.read(way);
        reader.finish_run();
        reader.found
    }
}

#[derive(Default)]
struct Reader {
    found: Alternative,
    /// The text that is being read.
    run: Vec<u8>,
}

impl Reader {
    fn read(&mut self, part: &Hir) {
        match part.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => self.append(&literal.0),
            HirKind::Class(class) => match letter_in_any_case(class) {
                Some(letter) => {
                    self.found.any_case = true;
                    self.append(&[letter]);
                }
                None => self.pass_over(),
            },
            HirKind::Look(Look::Start) if self.has_only_begun() => self.found.start = true,
            HirKind::Look(Look::End) => self.found.end = true,
            // They have no length: what stands before them and behind stands together.
            HirKind::Look(_) => {}
            HirKind::Repetition(repetition) => self.repeat(repetition),
            HirKind::Capture(capture) => self.read(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.read(part)),
            HirKind::Alternation(_) => self.pass_over(),
        }
    }

    fn repeat(&mut self, repetition: &Repetition) {
        let part = &repetition.sub;
        match (repetition.min, part.kind()) {
            (0, _) => self.pass_over(),
            (least, HirKind::Literal(literal)) => {
                let text = literal.0.repeat(least.min(REPETITION_MAX) as usize);
                self.append(&text);
                if repetition.max != Some(least) || least > REPETITION_MAX {
                    // There may be more of them, and as many stand before what comes next.
                    self.finish_run();
                    self.append(&text);
                }
            }
            (_, _) => {
                self.read(part);
                self.pass_over();
            }
        }
    }

    /// Whether nothing was read yet.
    fn has_only_begun(&self) -> bool {
        self.run.is_empty() && self.found.texts.is_empty()
    }

    fn append(&mut self, text: &[u8]) {
        self.found.end = false;
        self.run.extend_from_slice(text);
    }

    /// Something stands here, or nothing: what comes next stands neither at the beginning nor behind what came before.
    fn pass_over(&mut self) {
        self.finish_run();
        self.found.end = false;
        self.found.texts.push(Vec::new());
    }

    fn finish_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if !run.is_empty() || !self.found.texts.is_empty() || self.found.start {
            self.found.texts.push(run);
        }
    }
}

/// The letter of a class that has one letter in both its cases.
fn letter_in_any_case(class: &Class) -> Option<u8> {
    let Class::Bytes(class) = class else { return None };
    match class.ranges() {
        [upper, lower] if upper.start() == upper.end() && lower.start() == lower.end() => {
            let is_one = upper.start() != lower.start() && upper.start().eq_ignore_ascii_case(&lower.start());
            is_one.then_some(lower.start())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes alternatives as `^a…b$ | c`.
    fn check(pattern: &str, expected: &str) {
        let written = alternatives(pattern).expect("a pattern").into_iter().map(|alternative| {
            let texts = alternative.texts.iter().map(|text| String::from_utf8_lossy(text).into_owned());
            let texts = texts.collect::<Vec<_>>().join("…");
            let [case, start, end] =
                [(alternative.any_case, "i "), (alternative.start, "^"), (alternative.end, "$")]
                    .map(|(is_so, mark)| if is_so { mark } else { "" });
            format!("{case}{start}{texts}{end}")
        });
        assert_eq!(written.collect::<Vec<_>>().join(" | "), expected, "{pattern}");
    }

    #[test]
    fn what_a_pattern_asks_for_is_read() {
        check("//", "//");
        check(r"/\.\./", "/../");
        check(r"(?i)/[.]{2}/", "/../");
        check(r"(?i)%2e", "i %2e");
        check(r"(?:\.\./|//+)", "../ | //…/");
        check("/{2,}", "//…//");
        check("/a{0,3}/", "/……/");
        check(r"^/a.*/\.$", "^/a……/.$");
        check("a(?:b|c)d", "a……d");
        check("a(?:bc)d", "abcd");
        check("a(?:b.)+c", "ab…………c");
        check(r"a[\\/]b", "a……b");
        check(r"[\\]", r"\");
        check("[^a]b", "…b");
        check("ab?c", "a……c");
        check(r"\Q//\E", "//");
        check(r"\x2f\x2f", "//");
        check("(?m)^//", "//");
        check("a$b", "ab");
        check("a{9}b", "aaaaaaaa…aaaaaaaab");
        check("^", "^");
        check("", "");
    }

    #[test]
    fn what_does_not_run_asks_for_nothing() {
        for pattern in ["(", r"\1", "a{1001}"] {
            assert_eq!(alternatives(pattern), None, "{pattern}");
        }
    }
}
