//! Text in columns, wrapped, with or without colours. Nothing of a stranger's reaches the terminal as a control
//! sequence.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::limits::{LINE_CHARACTERS_MAX, VALUE_CHARACTERS_MAX};
use crate::printable::printable;

pub(super) const PLAIN: Style = Style::new();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
pub(super) const BAD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
pub(super) const OPEN: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

/// A space at which a line is not broken.
pub(super) const TIE: &str = "\u{a0}";

/// A cell of a line: its text, its style, and the width that it fills with the space after it.
pub(super) type Cell<'a> = (&'a str, Style, usize);

/// Text that grows downwards.
pub(super) struct Page {
    text: String,
    colours: bool,
}

impl Page {
    pub(super) fn new(colours: bool) -> Self {
        Self { text: String::new(), colours }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// A heading, with an empty line before it.
    pub(super) fn heading(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        for line in wrapped(&printable(text), LINE_CHARACTERS_MAX) {
            self.styled(&line, BOLD);
            self.text.push('\n');
        }
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A line of cells and a value, which is wrapped in its own column.
    pub(super) fn line(&mut self, cells: &[Cell<'_>], value: &str) {
        let indent = cells.iter().map(|(_, _, width)| width).sum::<usize>();
        let lines = wrapped(&shortened(&printable(value)), LINE_CHARACTERS_MAX.saturating_sub(indent));
        for (number, line) in lines.iter().enumerate() {
            if number == 0 {
                for (text, style, width) in cells {
                    self.styled(text, *style);
                    self.spaces(width.saturating_sub(text.chars().count()));
                }
            } else {
                self.spaces(indent);
            }
            // Writing to a String cannot fail.
            let _ = writeln!(self.text, "{}", line.replace(TIE, " "));
        }
    }

    fn spaces(&mut self, count: usize) {
        self.text.extend(std::iter::repeat_n(' ', count));
    }

    fn styled(&mut self, text: &str, style: Style) {
        // Writing to a String cannot fail.
        let _ = if self.colours && style != PLAIN && !text.is_empty() {
            write!(self.text, "{style}{text}{style:#}")
        } else {
            write!(self.text, "{text}")
        };
    }
}

/// The text, cut to what is shown of a value.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => {
            format!("{}… ({} characters)", text.get(..end).unwrap_or_default(), text.chars().count())
        }
        None => text.to_owned(),
    }
}

/// The text in lines of at most `width` characters: broken at spaces, or within a word that is longer than a line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        let is_first = used == 0;
        if !is_first && used + 1 + length <= width {
            push(&mut lines, &format!(" {word}"));
            used += 1 + length;
            continue;
        }
        if !is_first {
            lines.push(String::new());
            used = 0;
        }
        for character in word.chars() {
            if used == width {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, character.encode_utf8(&mut [0; 4]));
            used += 1;
        }
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, width: usize, expected: &[&str]) {
        assert_eq!(wrapped(text, width), expected, "{text:?} in {width}");
    }

    #[test]
    fn words_are_kept_together_where_they_fit() {
        check("", 5, &[""]);
        check("one two", 7, &["one two"]);
        check("one two", 6, &["one", "two"]);
        check("a lengthy b", 4, &["a", "leng", "thy", "b"]);
        check("äöü äöü", 3, &["äöü", "äöü"]);
        check("abc", 0, &["a", "b", "c"]);
    }

    #[test]
    fn a_stranger_cannot_write_to_the_terminal() {
        let mut page = Page::new(false);
        page.line(&[("x", PLAIN, 3)], "\u{1b}[2J\u{202e}\u{9b}1m\n");
        assert_eq!(page.finish(), "x  \\u{1b}[2J\\u{202e}\\u{9b}1m\\u{a}\n");
    }
}
