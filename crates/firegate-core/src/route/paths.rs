//! Patterns of paths, so kept that a path finds its own without trying them all: exact paths in a table, prefixes sorted,
//! with the next shorter one beside each.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use firegate_files::url_map::{PathRegex, PathTemplate, RulePath};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::path::{in_lower_case, normal_escapes};

/// What a path must be like, in the form in which paths are matched.
#[derive(Debug)]
pub(super) enum Pattern {
    Full(String),
    Prefix(String),
    FullIgnoringCase(String),
    PrefixIgnoringCase(String),
    Template(PathTemplate),
    Regex(PathRegex),
}

/// How much of a path a pattern is about, in bytes, for rewriting.
pub(super) type MatchedBytes = usize;

/// A pattern's text in the form in which paths are matched: characters beyond ASCII are escaped, and escapes are normal.
pub(super) fn normal(text: &str) -> String {
    let escaped = utf8_percent_encode(text, CONTROLS).to_string();
    // A pattern that no path can be like matches nothing.
    normal_escapes(&escaped).unwrap_or(escaped)
}

impl Pattern {
    pub(super) fn of_rule(path: &RulePath) -> Self {
        match path {
            RulePath::Exact(path) => Self::Full(normal(path)),
            RulePath::Prefix(prefix) => Self::Prefix(normal(prefix)),
        }
    }

    /// How much of `path` is matched, if it is like this.
    pub(super) fn find(&self, path: &str) -> Option<MatchedBytes> {
        match self {
            Self::Full(full) => (full == path).then_some(path.len()),
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()).then_some(prefix.len()),
            Self::FullIgnoringCase(_) | Self::PrefixIgnoringCase(_) => self.find_in_any_case(path),
            Self::Template(template) => template.is_match(path).then_some(path.len()),
            Self::Regex(found) => found.regex.is_match(path.as_bytes()).then_some(path.len()),
        }
    }

    /// The same for a server that takes capital letters for small ones. From which letters a class chooses, it means.
    pub(super) fn find_in_any_case(&self, path: &str) -> Option<MatchedBytes> {
        match self {
            Self::Full(full) | Self::FullIgnoringCase(full) => {
                full.eq_ignore_ascii_case(path).then_some(path.len())
            }
            Self::Prefix(prefix) | Self::PrefixIgnoringCase(prefix) => {
                let start = path.get(..prefix.len())?;
                start.eq_ignore_ascii_case(prefix).then_some(prefix.len())
            }
            Self::Template(template) => template.is_match_in_any_case(path).then_some(path.len()),
            Self::Regex(PathRegex { in_any_case: Some(regex), .. }) => {
                regex.is_match(path.as_bytes()).then_some(path.len())
            }
            Self::Regex(PathRegex { in_any_case: None, .. }) => self.find(path),
        }
    }

    /// How many bytes of a path it says letter by letter, at least.
    pub(super) fn literal_bytes(&self) -> usize {
        match self {
            Self::Full(text)
            | Self::Prefix(text)
            | Self::FullIgnoringCase(text)
            | Self::PrefixIgnoringCase(text) => text.len(),
            Self::Template(template) => template.literal_bytes(),
            Self::Regex(found) => found.characters_min,
        }
    }

    /// Whether there are paths that it tells from others by their capital letters.
    pub(super) fn has_capital_letters(&self) -> bool {
        match self {
            Self::Full(text) | Self::Prefix(text) => in_lower_case(text).is_some(),
            Self::FullIgnoringCase(_) | Self::PrefixIgnoringCase(_) => false,
            Self::Template(template) => template.texts().any(|text| in_lower_case(text).is_some()),
            // Perhaps those of its classes alone; then it is looked at in vain.
            Self::Regex(found) => {
                found.in_any_case.is_some() && in_lower_case(found.regex.as_str()).is_some()
            }
        }
    }
}

/// The pattern as a URL map writes it, with a star behind what is only the beginning of a path.
impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(path) => formatter.write_str(path),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
            Self::FullIgnoringCase(path) => write!(formatter, "{path} in any case"),
            Self::PrefixIgnoringCase(prefix) => write!(formatter, "{prefix}* in any case"),
            Self::Template(template) => write!(formatter, "{}… (a template)", template.literal_prefix()),
            Self::Regex(found) => write!(formatter, "regex {}", found.regex.as_str()),
        }
    }
}

/// Numbered patterns. Each has a number of its own, and what has a smaller one comes first.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<Box<str>, Vec<u32>>,
    prefixes: Vec<Prefix>,
    /// Those that have to be tried.
    others: Vec<u32>,
}

#[derive(Debug)]
struct Prefix {
    text: Box<str>,
    /// The longest other prefix that this one begins with.
    shorter: Option<usize>,
    numbers: Vec<u32>,
}

/// By what a pattern is found.
enum Place<'a> {
    Exact(Cow<'a, str>),
    Prefix(Cow<'a, str>),
    /// It has to be tried.
    Other,
}

impl Pattern {
    fn place(&self) -> Place<'_> {
        match self {
            Self::Full(path) => Place::Exact(path.into()),
            Self::Prefix(prefix) => Place::Prefix(prefix.into()),
            Self::Template(template) => Place::Prefix(template.literal_prefix().into()),
            Self::FullIgnoringCase(_) | Self::PrefixIgnoringCase(_) | Self::Regex(_) => Place::Other,
        }
    }

    /// The same in an index of paths in small letters.
    fn place_in_lower_case(&self) -> Place<'_> {
        let lower = |text| in_lower_case(text).map_or(Cow::Borrowed(text), Cow::Owned);
        match self {
            Self::Full(path) | Self::FullIgnoringCase(path) => Place::Exact(lower(path)),
            Self::Prefix(prefix) | Self::PrefixIgnoringCase(prefix) => Place::Prefix(lower(prefix)),
            Self::Template(template) => Place::Prefix(lower(template.literal_prefix())),
            Self::Regex(_) => Place::Other,
        }
    }
}

impl Index {
    /// Patterns with their numbers, in the order of these.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = (u32, &'a Pattern)>) -> Self {
        Self::of_places(patterns.map(|(number, pattern)| (number, pattern.place())))
    }

    /// The same for paths in small letters.
    pub(super) fn in_lower_case<'a>(patterns: impl Iterator<Item = (u32, &'a Pattern)>) -> Self {
        Self::of_places(patterns.map(|(number, pattern)| (number, pattern.place_in_lower_case())))
    }

    fn of_places<'a>(places: impl Iterator<Item = (u32, Place<'a>)>) -> Self {
        let mut index = Self::default();
        let mut prefixes: HashMap<Cow<'a, str>, Vec<u32>> = HashMap::new();
        for (number, place) in places {
            match place {
                Place::Exact(path) => index.exact.entry(path.into()).or_default().push(number),
                Place::Prefix(prefix) => prefixes.entry(prefix).or_default().push(number),
                Place::Other => index.others.push(number),
            }
        }
        let mut sorted = prefixes.into_iter().collect::<Vec<_>>();
        sorted.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        for (text, numbers) in sorted {
            let shorter = index.longest_below(index.prefixes.len(), &text);
            index.prefixes.push(Prefix { text: text.into(), shorter, numbers });
        }
        index
    }

    /// The number of the first pattern for which `accepts` gives something. Only patterns that may match are tried, and of
    /// those none behind one that was accepted.
    pub(super) fn first<T>(&self, path: &str, mut accepts: impl FnMut(u32) -> Option<T>) -> Option<(u32, T)> {
        let mut found: Option<(u32, T)> = None;
        let mut search = |numbers: &[u32]| {
            for &number in numbers {
                if found.as_ref().is_some_and(|(best, _)| *best < number) {
                    return;
                }
                if let Some(value) = accepts(number) {
                    found = Some((number, value));
                    return;
                }
            }
        };
        search(self.exact.get(path).map_or(&[], Vec::as_slice));
        self.prefixes_of(path).for_each(|prefix| search(&prefix.numbers));
        search(&self.others);
        found
    }

    /// The number of the exact path, else of the longest prefix.
    pub(super) fn most_specific(&self, path: &str) -> Option<u32> {
        let exact = self.exact.get(path).and_then(|numbers| numbers.first());
        exact.or_else(|| self.prefixes_of(path).next()?.numbers.first()).copied()
    }

    /// The prefixes of `path`, the longest first.
    fn prefixes_of(&self, path: &str) -> impl Iterator<Item = &Prefix> {
        let end = self.prefixes.partition_point(|prefix| *prefix.text <= *path);
        let longest = self.longest_below(end, path);
        let at = |at: usize| self.prefixes.get(at);
        std::iter::successors(longest.and_then(at), move |prefix| prefix.shorter.and_then(at))
    }

    /// The longest of the first `end` prefixes that `text` begins with, if they all are not behind `text`. What lies between
    /// a prefix of the text and the text begins with that prefix too, so it is the last one, or one that the last one
    /// begins with.
    fn longest_below(&self, end: usize, text: &str) -> Option<usize> {
        let mut at = end.checked_sub(1)?;
        loop {
            let prefix = self.prefixes.get(at)?;
            if text.starts_with(&*prefix.text) {
                return Some(at);
            }
            at = prefix.shorter?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(patterns: &[Pattern]) -> Index {
        Index::new((0..).zip(patterns))
    }

    #[test]
    fn an_exact_path_comes_before_the_longest_prefix() {
        let patterns = ["/a/", "/a/b/", "/a/bc/", "/"].map(|prefix| Pattern::Prefix(prefix.to_owned()));
        let mut patterns = Vec::from(patterns);
        patterns.push(Pattern::Full("/a/b/".to_owned()));
        let index = index(&patterns);
        let check =
            |path: &str, expected: u32| assert_eq!(index.most_specific(path), Some(expected), "{path}");
        check("/a/b/", 4);
        check("/a/b/c", 1);
        check("/a/bb", 0);
        check("/a/bc/", 2);
        check("/b", 3);
        check("/a", 3);
    }

    proptest! {
        #[test]
        fn the_index_finds_what_trying_all_finds(
            prefixes in proptest::collection::vec("/[ab/]{0,4}", 0..12),
            path in "/[ab/]{0,6}",
        ) {
            let patterns = prefixes.iter().cloned().map(Pattern::Prefix).collect::<Vec<_>>();
            let index = index(&patterns);
            let all = (0_u32..).zip(&patterns).filter(|(_, pattern)| pattern.find(&path).is_some());
            let longest = all.clone().map(|(_, pattern)| pattern.find(&path)).max().flatten();
            let found = index.most_specific(&path).and_then(|number| patterns.get(number as usize));
            prop_assert_eq!(found.and_then(|pattern| pattern.find(&path)), longest);
            let mut first = all.map(|(number, _)| number);
            let accepts = |number: u32| patterns.get(number as usize)?.find(&path);
            prop_assert_eq!(index.first(&path, accepts).map(|(number, _)| number), first.next());
        }
    }
}
