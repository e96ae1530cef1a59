//! The texts that a text has to hold for a regular expression to be found in it, as far as they stand written in the pattern.

/// One way to fulfil a pattern: every one of these texts has to be there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Alternative {
    pub(super) texts: Vec<Vec<u8>>,
    /// The first one has to stand at the beginning.
    pub(super) start: bool,
    /// The last one has to stand at the end.
    pub(super) end: bool,
}

/// All the ways to fulfil a pattern, and whether upper and lower case are the same; `None` if that is not plain to see. What is not
/// read is passed over as if it were nothing, so that less is asked for than the pattern asks, and never more.
pub(super) fn alternatives(pattern: &str) -> Option<(Vec<Alternative>, bool)> {
    let mut pattern = pattern;
    let mut any_case = false;
    for (flags, ignores_case) in [("(?i)", true), ("(?s)", false), ("(?is)", true), ("(?si)", true)] {
        if let Some(behind) = pattern.strip_prefix(flags) {
            (pattern, any_case) = (behind, ignores_case);
            break;
        }
    }
    if let Some((inside, "")) = pattern.strip_prefix("(?:").and_then(group) {
        pattern = inside;
    }
    let mut reader = Reader { rest: pattern, found: vec![Alternative::default()], run: Vec::new() };
    while !reader.rest.is_empty() {
        reader.atom()?;
    }
    reader.finish_run();
    Some((reader.found, any_case))
}

struct Reader<'a> {
    rest: &'a str,
    found: Vec<Alternative>,
    /// The text that is being read.
    run: Vec<u8>,
}

impl Reader<'_> {
    fn finish_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if let Some(alternative) = self.found.last_mut()
            && !(run.is_empty() && alternative.texts.is_empty() && !alternative.start)
        {
            alternative.texts.push(run);
        }
    }

    /// Whether the alternative has only begun.
    fn is_at_start(&self) -> bool {
        self.run.is_empty() && self.found.last().is_some_and(|alternative| alternative.texts.is_empty())
    }

    /// Reads one part with what repeats it.
    fn atom(&mut self) -> Option<()> {
        let mut characters = self.rest.chars();
        let first = characters.next()?;
        let behind = characters.as_str();
        self.rest = behind;
        let literal = match first {
            '|' => {
                self.finish_run();
                self.found.push(Alternative::default());
                return Some(());
            }
            '^' if self.is_at_start() => {
                self.found.last_mut()?.start = true;
                return Some(());
            }
            '$' if behind.is_empty() || behind.starts_with('|') => {
                self.found.last_mut()?.end = true;
                return Some(());
            }
            '(' => {
                // Flags would change what follows.
                if behind.starts_with('?') && !behind.starts_with("?:") {
                    return None;
                }
                self.rest = group(behind)?.1;
                None
            }
            '[' => {
                let (class, rest) = class(behind)?;
                self.rest = rest;
                class
            }
            '\\' => {
                let escaped = characters.next()?;
                self.rest = characters.as_str();
                match escaped {
                    'b' | 'B' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' => None,
                    _ if escaped.is_ascii_punctuation() => Some(escaped),
                    _ => return None,
                }
            }
            '.' | '^' | '$' => None,
            '*' | '+' | '?' | '{' | '}' | ']' | ')' => return None,
            _ => Some(first),
        };
        let (least, most) = self.repetition()?;
        let Some(literal) = literal.filter(|_| least > 0) else {
            self.finish_run();
            // What comes next does not stand at the beginning.
            self.found.last_mut()?.texts.push(Vec::new());
            return Some(());
        };
        let text = literal.to_string().repeat(least);
        self.run.extend_from_slice(text.as_bytes());
        if most != Some(least) {
            self.finish_run();
            self.run.extend_from_slice(text.as_bytes());
        }
        Some(())
    }

    /// How often the part before is there: at least, and at most.
    fn repetition(&mut self) -> Option<(usize, Option<usize>)> {
        let (bounds, behind) = match self.rest.as_bytes().first() {
            Some(b'*') => ((0, None), self.rest.get(1..)?),
            Some(b'+') => ((1, None), self.rest.get(1..)?),
            Some(b'?') => ((0, Some(1)), self.rest.get(1..)?),
            Some(b'{') => {
                let (inside, behind) = self.rest.get(1..)?.split_once('}')?;
                let number =
                    |text: &str| text.parse::<usize>().ok().filter(|number| *number <= REPETITION_MAX);
                let bounds = match inside.split_once(',') {
                    None => (number(inside)?, number(inside)),
                    Some((least, "")) => (number(least)?, None),
                    Some((least, most)) => (number(least)?, Some(number(most)?)),
                };
                (bounds, behind)
            }
            _ => return Some((1, Some(1))),
        };
        // A lazy repetition finds the same texts.
        self.rest = behind.strip_prefix('?').unwrap_or(behind);
        Some(bounds)
    }
}

/// Repetitions beyond it are not looked into.
const REPETITION_MAX: usize = 8;

/// What a group holds, whose bracket was read, and what comes behind.
fn group(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut rest = text;
    loop {
        let mut characters = rest.chars();
        match characters.next()? {
            '\\' => drop(characters.next()?),
            '[' => {
                rest = class(characters.as_str())?.1;
                continue;
            }
            '(' => depth += 1,
            ')' if depth == 0 => {
                let inside = text.get(..text.len() - rest.len())?;
                return Some((inside, characters.as_str()));
            }
            ')' => depth -= 1,
            _ => {}
        }
        rest = characters.as_str();
    }
}

/// The character of a class that has only one, whose bracket was read, and what comes behind the class.
fn class(text: &str) -> Option<(Option<char>, &str)> {
    let is_negated = text.starts_with('^');
    let mut rest = text.strip_prefix('^').unwrap_or(text);
    let (mut only, mut count) = (None, 0_usize);
    loop {
        let mut characters = rest.chars();
        match characters.next()? {
            // As the first one it is a character of the class.
            ']' if count > 0 => {
                let only = only.filter(|_| count == 1 && !is_negated);
                return Some((only, characters.as_str()));
            }
            '[' if characters.as_str().starts_with(':') => return None,
            '\\' => only = Some(characters.next().filter(char::is_ascii_punctuation)?),
            character => only = Some(character),
        }
        count += 1;
        rest = characters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes alternatives as `^a…b$ | c`.
    fn check(pattern: &str, expected: Option<&str>) {
        let found = alternatives(pattern).map(|(alternatives, any_case)| {
            let written = alternatives.iter().map(|alternative| {
                let texts = alternative.texts.iter().map(|text| String::from_utf8_lossy(text).into_owned());
                let texts = texts.collect::<Vec<_>>().join("…");
                let (start, end) =
                    (if alternative.start { "^" } else { "" }, if alternative.end { "$" } else { "" });
                format!("{start}{texts}{end}")
            });
            let written = written.collect::<Vec<_>>().join(" | ");
            if any_case { format!("i {written}") } else { written }
        });
        assert_eq!(found.as_deref(), expected, "{pattern}");
    }

    #[test]
    fn what_a_pattern_asks_for_is_read() {
        check("//", Some("//"));
        check(r"/\.\./", Some("/../"));
        check(r"(?i)/[.]{2}/", Some("i /../"));
        check(r"(?:\.\./|//+)", Some("../ | //…/"));
        check("/{2,}", Some("//…//"));
        check("/a{0,3}/", Some("/……/"));
        check(r"^/a.*/\.$", Some("^/a……/.$"));
        check("a(?:b|c)d", Some("a……d"));
        check(r"a[\\/]b", Some("a……b"));
        check(r"[\\]", Some(r"\"));
        check("[^a]b", Some("…b"));
        check("ab?c", Some("a……c"));
    }

    #[test]
    fn what_is_not_plain_to_see_is_left() {
        for pattern in [r"\x2f", r"a(?i)b", r"\Qa\E", "[[:alpha:]]", r"\101", "(?m)^a", "a{9}", "a{x}"] {
            check(pattern, None);
        }
    }
}
