//! What a `Content-Length` says (RFC 9110, section 8.6).

use std::io::Write as _;

/// A number of digits alone. Whether it has to be written in one way is for whoever asks to say.
pub(crate) fn content_length(text: &[u8]) -> Option<u64> {
    let digits = |number: u64, octet: &u8| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, digits) }
}

/// Puts the field's line behind the others.
pub(crate) fn write_content_length(length: u64, bytes: &mut Vec<u8>) {
    // There is always room in memory for some digits.
    let _ = write!(bytes, "content-length: {length}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_a_number_of_digits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("42", Some(42)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+5", None),
            ("-5", None),
            (" 5", None),
            ("0x5", None),
            ("5, 5", None),
        ] {
            assert_eq!(content_length(text.as_bytes()), expected, "{text:?}");
        }
    }
}
