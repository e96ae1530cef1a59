//! From the bytes of a file to its text, and what of a text no terminal may get.

use crate::diagnostic::{Diagnostic, Diagnostics, Place, code};

/// The text of a file, which is UTF-8.
///
/// # Errors
/// If it is not, with the line of the first byte that is none of a character's.
pub fn utf_8(file: &str, bytes: Vec<u8>) -> Result<String, Diagnostics> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let (bytes, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
    let length = error.utf8_error().error_len().unwrap_or(bytes.len() - at);
    // As long as the file, so that what is shown stands where it stands there.
    let shown = bytes.utf8_chunks().fold(String::new(), |mut shown, chunk| {
        shown.push_str(chunk.valid());
        shown.extend(chunk.invalid().iter().map(|_| '?'));
        shown
    });
    let before = shown.get(..at).unwrap_or_default();
    let place = Place {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
        span: at..at + length,
    };
    let byte = bytes.get(at).copied().unwrap_or_default();
    // The mark with which UTF-16 begins; no text in UTF-8 does.
    let (message, hint) = if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        let hint =
            "save the file as UTF-8: iconv -f UTF-16 -t UTF-8; `>` of Windows PowerShell writes UTF-16";
        ("the file is UTF-16 and not UTF-8".to_owned(), hint)
    } else {
        let hint = "save the file as UTF-8; from Latin-1: iconv -f LATIN1 -t UTF-8";
        (format!("the byte 0x{byte:02x} is not UTF-8"), hint)
    };
    let found = Diagnostic::error(code::NOT_UTF_8, message).hint(hint);
    let mut diagnostics = Diagnostics::new();
    diagnostics.add_source(file.into(), shown.into());
    diagnostics.push(Diagnostic { place: Some(place), ..found });
    Err(diagnostics)
}

/// Whether a character does something to a terminal, or to how others are read, instead of being seen: control characters,
/// separators of lines, and what turns the direction of writing (<https://trojansource.codes>), joins, or has no width.
pub fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Whether a line holds what a log must not: a key in the form of PEM, a URL with a password, or a password.
pub(crate) fn holds_secret(line: &str) -> bool {
    line.contains(PEM_START)
        || line.split("//").skip(1).any(begins_with_password)
        || line.split(PASSWORD).skip(1).any(gives_password)
}

/// Whether what follows a key's name gives it a value that may be a password. The absolute name of a file is none.
fn gives_password(rest: &str) -> bool {
    let is_quote = |character: char| matches!(character, '"' | '\'');
    let rest = rest.strip_prefix("_file").unwrap_or(rest).trim_start_matches(is_quote).trim_start();
    let value = rest.strip_prefix(':').map(|value| value.trim_start().trim_start_matches(is_quote));
    value.is_some_and(|value| !value.is_empty() && !value.starts_with('/'))
}

/// Whether what follows the `//` of a URL has something before an `@` in its authority.
fn begins_with_password(rest: &str) -> bool {
    let authority = rest.split(|end: char| end.is_whitespace() || "/?#\\".contains(end)).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

/// Whether a text is what a file holds, written where the file's name belongs.
pub(crate) fn is_contents(name: &str) -> bool {
    name.contains('\n') || name.starts_with(PEM_START) || is_key(name)
}

/// Whether a text is a key or a certificate without the lines around it: DER in base64, which begins with a sequence.
fn is_key(name: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    name.len() >= KEY_TEXT_BYTES_MIN && name.starts_with('M') && name.bytes().all(is_base64)
}

/// How short the shortest key is, one on P-256 without its public half, in base64.
const KEY_TEXT_BYTES_MIN: usize = 64;

/// The end of a key's name whose value is a password, or the name of a file with one.
const PASSWORD: &str = "password";

/// How keys and certificates begin in PEM (RFC 7468).
const PEM_START: &str = "-----BEGIN";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Style;

    #[test]
    fn a_key_and_a_password_are_secrets_and_an_address_is_none() {
        for line in [
            "  key: -----BEGIN PRIVATE KEY-----",
            r#"{ key: "-----BEGIN EC PRIVATE KEY-----\nMHc", cert: c.pem }"#,
            "limits_store: redis://:hunter2@10.0.0.3:6379",
            "  - { url: 'https://a.example.com/', other: \"rediss://u:p@b\" }",
            "limits_store: { password_file: hunter2, username: eve }",
            "  \"password\": 'hunter2'",
        ] {
            assert!(holds_secret(line), "{line}");
        }
        for line in [
            "allow: ['user:ada@example.com', 'principal://goog/subject/ada@example.com']",
            "api: https://api.example.com/@me # ada@example.com",
            "cert: /etc/BEGIN.pem",
            "limits_store: { password_file: '/secrets/limits' }",
            "  password_file:",
            "# passwords: none",
        ] {
            assert!(!holds_secret(line), "{line}");
        }
    }

    #[test]
    fn the_first_byte_that_is_no_text_is_shown_in_its_line() {
        assert_eq!(utf_8("f", "é\n".into()).expect("text"), "é\n");
        let found = utf_8("firegate.yaml", b"project: p\n# caf\xe9, \xff\n".to_vec()).expect_err("Latin-1");
        insta::assert_snapshot!(found.render(Style::Plain), @r"
        error[FG017]: the byte 0xe9 is not UTF-8
         --> firegate.yaml:2:6
          |
        2 | # caf?, ?
          |      ^
          |
          = hint: save the file as UTF-8; from Latin-1: iconv -f LATIN1 -t UTF-8
        ");
    }

    #[test]
    fn a_file_that_power_shell_wrote_says_so() {
        let written: Vec<u8> = "\u{feff}project: p\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let found = utf_8("policy.yaml", written).expect_err("UTF-16").render(Style::Plain).to_string();
        assert!(found.starts_with("error[FG017]: the file is UTF-16 and not UTF-8\n"), "{found}");
        assert!(found.contains("iconv -f UTF-16 -t UTF-8"), "{found}");
    }

    #[test]
    fn what_is_obeyed_instead_of_seen_is_known() {
        for range in [
            '\0'..='\u{1f}',
            '\u{7f}'..='\u{9f}',
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
            '\u{fff9}'..='\u{fffb}',
            '\u{e0000}'..='\u{e007f}',
        ] {
            assert!(range.clone().all(is_obeyed), "{range:?}");
        }
        for alone in ['\u{ad}', '\u{61c}', '\u{180e}', '\u{feff}'] {
            assert!(is_obeyed(alone), "{alone:?}");
        }
        for seen in " ~\u{a0}\u{ae}é€漢אبि\u{2010}\u{2027}\u{202f}\u{2070}\u{fffd}\u{1f600}".chars() {
            assert!(!is_obeyed(seen), "{seen:?}");
        }
    }

    #[test]
    fn any_bytes_have_a_place() {
        for (bytes, line, column) in [
            (&b"\xff\xfep\0"[..], 1, 1),
            (b"a\n\n\xc3", 3, 1),
            ("ä\u{20ac}\n\u{e9}".as_bytes(), 0, 0),
            (b"\xc3\xa4\xe2\x82", 1, 2),
        ] {
            let place = utf_8("f", bytes.to_vec()).err().map(|found| {
                let place = found.iter().next().and_then(|found| found.place.clone()).expect("a place");
                (place.line, place.column)
            });
            assert_eq!(place.unwrap_or_default(), (line, column), "{bytes:?}");
        }
    }
}
