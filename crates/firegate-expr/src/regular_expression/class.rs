use std::fmt::Write;

use super::translate::{Read, Rest, character};
use super::{Encoding, PatternProblem};

/// What stands in the class of `\d`, `\s`, `\w` and their contraries: ASCII's, as in RE2. `\s` has no vertical tab there.
pub(super) const fn perl(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => r"0-9",
        'D' => r"^0-9",
        's' => r"\t\n\x0C\r\x20",
        'S' => r"^\t\n\x0C\r\x20",
        'w' => r"0-9A-Za-z_",
        'W' => r"^0-9A-Za-z_",
        _ => return None,
    })
}

/// `\pN`, `\p{Greek}`; the letter has not been read. Latin-1 has no such classes.
pub(super) fn unicode(rest: &mut Rest<'_>, encoding: Encoding) -> Read<String> {
    let letter = rest.next().unwrap_or('p');
    if encoding == Encoding::Latin1 {
        return Err(PatternProblem::new(format!("Cloud Armor has no Unicode classes: `\\{letter}`")));
    }
    let mut name = String::new();
    if rest.accept("{") {
        while let Some(found) = rest.peek().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '^')) {
            name.push(found);
            rest.next();
        }
        if !rest.accept("}") {
            return Err(PatternProblem::new("the name of a Unicode class cannot be read"));
        }
    } else {
        name.extend(rest.next());
    }
    Ok(format!("\\{letter}{{{name}}}"))
}

/// Reads `[…]` and writes it so that no character in it has another meaning for the engine.
pub(super) fn read(rest: &mut Rest<'_>, encoding: Encoding) -> Read<String> {
    rest.next();
    let mut out = String::from("[");
    if rest.accept("^") {
        out.push('^');
    }
    let mut is_first = true;
    loop {
        if rest.peek().is_none() {
            return Err(PatternProblem::new("a class `[` of the pattern is not closed"));
        }
        if !is_first && rest.accept("]") {
            out.push(']');
            return Ok(out);
        }
        is_first = false;
        if let Some(set) = set(rest, encoding)? {
            out.push_str(&set);
            continue;
        }
        let low = element(rest, encoding)?;
        let is_range = rest.text.starts_with('-') && !rest.text.starts_with("-]") && rest.text.len() > 1;
        if !is_range {
            write(&mut out, &low, &low);
            continue;
        }
        rest.next();
        let high = element(rest, encoding)?;
        if high.last() < low.first() || low.len() > 1 || high.len() > 1 {
            return Err(PatternProblem::new(
                "a range of a class ends before it begins, or is not of single characters",
            ));
        }
        write(&mut out, &low, &high);
    }
}

/// A set in a class: `\d`, `[:alpha:]`, `\pN`.
fn set(rest: &mut Rest<'_>, encoding: Encoding) -> Read<Option<String>> {
    if let Some(after) = rest.text.strip_prefix("[:") {
        let Some((name, after)) = after.split_once(":]") else { return Ok(None) };
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'^') {
            return Ok(None);
        }
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        if !known.contains(&name.trim_start_matches('^')) {
            return Err(PatternProblem::new("a class of characters that RE2 does not have"));
        }
        rest.text = after;
        return Ok(Some(format!("[:{name}:]")));
    }
    let Some(letter) = rest.text.strip_prefix('\\').and_then(|after| after.chars().next()) else {
        return Ok(None);
    };
    if let Some(set) = perl(letter) {
        rest.next();
        rest.next();
        return Ok(Some(format!("[{set}]")));
    }
    if matches!(letter, 'p' | 'P') {
        rest.next();
        return unicode(rest, encoding).map(Some);
    }
    Ok(None)
}

/// One character of a class: in Latin-1 one that is not ASCII is all of its UTF-8 bytes.
fn element(rest: &mut Rest<'_>, encoding: Encoding) -> Read<Vec<u32>> {
    if rest.accept("\\") {
        return Ok(vec![u32::from(character(rest, encoding)?)]);
    }
    let Some(found) = rest.next() else {
        return Err(PatternProblem::new("a class `[` of the pattern is not closed"));
    };
    Ok(match encoding {
        Encoding::Latin1 => found.encode_utf8(&mut [0; 4]).bytes().map(u32::from).collect(),
        Encoding::Utf8 => vec![u32::from(found)],
    })
}

/// Writes the characters one by one, or the range between two single ones.
fn write(out: &mut String, low: &[u32], high: &[u32]) {
    let single = |out: &mut String, value: u32| {
        let _ = if value <= 0xff { write!(out, "\\x{value:02X}") } else { write!(out, "\\x{{{value:X}}}") };
    };
    match (low, high) {
        ([low], [high]) if low != high => {
            single(out, *low);
            out.push('-');
            single(out, *high);
        }
        (characters, _) => characters.iter().for_each(|value| single(out, *value)),
    }
}
