//! The did-you-mean of unknown keys and values, and how a stranger's text is quoted in a message.

use crate::limits::QUOTED_CHARACTERS_MAX;

/// The candidate that was probably meant by `written`, if one is near enough to be worth a hint.
///
/// Nearness is the edit distance in which a swap of two neighbouring characters counts as one edit; a third of the
/// characters may differ. Case and `-` against `_` are forgiven.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.chars().count() > QUOTED_CHARACTERS_MAX {
        return None;
    }
    let folded = fold(written);
    let edits_max = folded.len().max(3) / 3;
    candidates
        .into_iter()
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn fold(text: &str) -> Vec<char> {
    text.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// The optimal string alignment distance, row by row.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, &l) in left.iter().enumerate() {
        let mut row = Vec::with_capacity(right.len() + 1);
        row.push(i + 1);
        for (j, &r) in right.iter().enumerate() {
            let substitution = at(&last, j) + usize::from(l != r);
            let mut edits = substitution.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && left.get(i - 1) == Some(&r) && right.get(j - 1) == Some(&l);
            if swapped {
                edits = edits.min(at(&before_last, j - 1) + 1);
            }
            row.push(edits);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    at(&last, right.len())
}

fn at(row: &[usize], index: usize) -> usize {
    row.get(index).copied().unwrap_or(usize::MAX / 2)
}

/// `text` in backticks, cut to a length that a message can bear.
pub fn quoted(text: &str) -> String {
    if text.chars().count() <= QUOTED_CHARACTERS_MAX {
        return format!("`{text}`");
    }
    let cut: String = text.chars().take(QUOTED_CHARACTERS_MAX).collect();
    format!("`{cut}…`")
}

/// `a`, `b` or `c`, each in backticks.
pub fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_candidate_is_suggested_when_it_is_near() {
        let keys = ["allow", "audience", "backends", "user_token", "users"];
        let check = |written: &str, expected: Option<&str>| {
            assert_eq!(nearest(written, keys), expected, "{written}");
        };
        check("alow", Some("allow"));
        check("Allow", Some("allow"));
        check("backend", Some("backends"));
        check("user-token", Some("user_token"));
        check("usertoken", Some("user_token"));
        check("suers", Some("users"));
        check("timeouts", None);
        check("", None);
        check(&"a".repeat(10_000), None);
    }

    #[test]
    fn alternatives_read_as_a_sentence() {
        assert_eq!(alternatives(["on"]), "`on`");
        assert_eq!(alternatives(["on", "observe"]), "`on` or `observe`");
        assert_eq!(alternatives(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
