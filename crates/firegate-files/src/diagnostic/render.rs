//! Findings as text, with the lines of the file, as compilers print them.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Place, Severity};
use crate::limits::SOURCE_LINE_BYTES_MAX;
use crate::text::{holds_secret, is_obeyed};

/// Whether the text carries colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences, for files and pipes.
    Plain,
    /// ANSI colours, for a terminal.
    Coloured,
}

impl Diagnostics {
    /// All findings as text, one after the other with an empty line between, ending with a line feed.
    ///
    /// What a terminal obeys instead of showing it is replaced, so that a file cannot write to the terminal.
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Coloured => Renderer::styled(),
        };
        let mut text = String::new();
        for (position, diagnostic) in self.list.iter().enumerate() {
            if position > 0 {
                text.push('\n');
            }
            let group = self.group(diagnostic);
            text.push_str(&renderer.render(&[group]));
            text.push('\n');
        }
        if self.omitted > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "\nand {} more\n", self.omitted);
        }
        text
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        // A flag has no file to point into: its name alone says what is meant.
        let title = match self.sources.as_slice() {
            [] if !diagnostic.path.is_empty() => format!("{}: {}", diagnostic.path, diagnostic.message),
            _ => diagnostic.message.clone(),
        };
        let title = level.primary_title(shown(&title)).id(diagnostic.code);
        let mut group = Group::with_title(title);
        if let (None, [source]) = (&diagnostic.place, self.sources.as_slice()) {
            group = group.element(Origin::path(&*source.file));
        }
        if let Some(place) = &diagnostic.place {
            let line = if diagnostic.concealed { None } else { self.line_of(place) };
            // A finding about its neighbour shows a whole line.
            let line = line.filter(|(line, _)| !holds_secret(line));
            group = match line {
                Some((line, span)) => group.element(
                    Snippet::source(shown(line))
                        .line_start(place.line)
                        .path(&*place.file)
                        .annotation(AnnotationKind::Primary.span(span_in_shown(line, &span))),
                ),
                None => group.element(Origin::path(&*place.file).line(place.line).char_column(place.column)),
            };
        }
        match &diagnostic.hint {
            Some(hint) => group.element(Level::HELP.with_name("hint").message(shown(hint))),
            None => group,
        }
    }

    /// The line a place begins in, and the part of it that is meant. The snippet is given this one line alone: a file
    /// of many findings is not searched again for each.
    fn line_of(&self, place: &Place) -> Option<(&str, Range<usize>)> {
        let text = &*self.source(&place.file)?.text;
        let before = text.get(..place.span.start)?;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(start..)?.lines().next()?;
        if line.len() > SOURCE_LINE_BYTES_MAX {
            return None;
        }
        let from = place.span.start - start;
        let to = (place.span.end.max(place.span.start) - start).min(line.len());
        // An empty span would be drawn nowhere; the character that stands there is meant.
        let to = if to > from { to } else { (from + 1).min(line.len().max(from)) };
        line.get(from..to).is_some().then_some((line, from..to))
    }
}

/// A text with a mark for everything that is obeyed instead of seen but the ends of lines and tabs. The renderer does so for
/// ASCII and for some that turn the direction of writing, and of hints for nothing.
fn shown(text: &str) -> String {
    text.chars()
        .map(|character| if is_replaced(character) { char::REPLACEMENT_CHARACTER } else { character })
        .collect()
}

/// Where a part of a text stands in what is shown of it.
fn span_in_shown(text: &str, span: &Range<usize>) -> Range<usize> {
    let place = |at: usize| text.get(..at).map_or(at, |before| shown(before).len());
    place(span.start)..place(span.end)
}

fn is_replaced(character: char) -> bool {
    is_obeyed(character) && !matches!(character, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::code;

    fn diagnostics(text: &str, span: Range<usize>) -> Diagnostics {
        let file: Arc<str> = "firegate.yaml".into();
        let mut diagnostics = Diagnostics::new();
        diagnostics.add_source(file.clone(), text.into());
        let line = text[..span.start].matches('\n').count() + 1;
        diagnostics.push(Diagnostic {
            place: Some(Place { file: file.to_string(), line, column: 1, span }),
            path: "alow".to_owned(),
            ..Diagnostic::error(code::UNKNOWN_KEY, "unknown key `alow`").hint("did you mean `allow`?")
        });
        diagnostics
    }

    #[test]
    fn a_finding_shows_its_line_and_the_hint() {
        insta::assert_snapshot!(diagnostics("project: my-project\nalow: []\n", 20..24).render(Style::Plain), @r"
        error[FG004]: unknown key `alow`
         --> firegate.yaml:2:1
          |
        2 | alow: []
          | ^^^^
          |
          = hint: did you mean `allow`?
        ");
    }

    #[test]
    fn colours_are_given_only_when_asked_for() {
        let found = diagnostics("alow: []\n", 0..4);
        assert!(!found.render(Style::Plain).contains('\u{1b}'));
        assert!(found.render(Style::Coloured).contains('\u{1b}'));
    }

    #[test]
    fn a_file_cannot_write_to_the_terminal() {
        let found = diagnostics("alow: \u{1b}[31m\u{7}\n", 0..4).render(Style::Plain);
        assert!(!found.contains('\u{1b}') && !found.contains('\u{7}'), "{found:?}");
    }

    #[test]
    fn neither_a_line_nor_a_name_holds_what_a_terminal_obeys() {
        const OBEYED: &str = "\u{1b}[31m\u{9b}31m\u{202e}\u{61c}\u{200b}\u{feff}\u{e0041}\u{ad}\u{85}";
        let mut found = diagnostics(&format!("{OBEYED}: []\n"), 0..OBEYED.len());
        found.push(Diagnostic::error(code::UNKNOWN_KEY, format!("`{OBEYED}`")).hint(OBEYED));
        let rendered = found.render(Style::Plain);
        let left = rendered.chars().filter(|character| *character != '\n' && is_obeyed(*character));
        assert_eq!(left.collect::<String>(), "", "{rendered:?}");
    }

    #[test]
    fn the_mark_stands_below_what_is_meant_behind_what_is_not_shown() {
        let line = "a\u{200b}\u{e0041}: b\n";
        let found = diagnostics(line, line.find('b').expect("it is there")..line.len() - 1);
        insta::assert_snapshot!(found.render(Style::Plain), @r"
        error[FG004]: unknown key `alow`
         --> firegate.yaml:1:6
          |
        1 | a��: b
          |      ^
          |
          = hint: did you mean `allow`?
        ");
    }

    #[test]
    fn any_span_renders() {
        let long = "x".repeat(SOURCE_LINE_BYTES_MAX + 1);
        for (text, span) in
            [("", 0..0), ("a", 1..1), ("ä\n", 0..1), ("a\nb", 0..3), (&*long, 0..4), ("a\n", 2..2)]
        {
            assert!(diagnostics(text, span.clone()).render(Style::Plain).contains("FG004"), "{span:?}");
        }
    }
}
