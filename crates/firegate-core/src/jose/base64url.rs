//! Base64url as RFC 7515 wants it (section 2): unpadded, and canonical, so that no two texts are the same bytes.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};

/// What each character adds to the 24 bits of its group of four, by its place in the group. A character that is in no group
/// has [`NO_DIGIT`].
static DIGITS: [[u32; 256]; 4] = [digits(18), digits(12), digits(6), digits(0)];

/// A bit that no group of digits has.
const NO_DIGIT: u32 = 1 << 31;

/// The unpadded base64url form of RFC 7515, section 2.
pub fn encode_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads canonical unpadded base64url; anything else, trailing bits included, is `None`. Whatever a stranger sends is read by
/// this before anything is known of it: what is no digit is noted on the way, and looked for once, at the end.
pub fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_bytes().as_chunks::<4>();
    // The digits of a group that is not whole, and how many bytes they are: one digit is none.
    let (last, last_bytes) = match *rest {
        [] => ([b'A'; 4], 0),
        [first, second] => ([first, second, b'A', b'A'], 1),
        [first, second, third] => ([first, second, third, b'A'], 2),
        _ => return None,
    };
    let mut bytes = vec![0; groups.len() * 3 + last_bytes];
    let (triples, end) = bytes.as_chunks_mut::<3>();
    let mut noted = 0;
    for (group, triple) in groups.iter().zip(triples) {
        let bits = bits(*group);
        noted |= bits;
        let [_, first, second, third] = bits.to_be_bytes();
        *triple = [first, second, third];
    }
    let bits = bits(last);
    noted |= bits;
    let [_, whole @ ..] = bits.to_be_bytes();
    let (kept, trailing) = whole.split_at(last_bytes);
    end.copy_from_slice(kept);
    let is_canonical = trailing.iter().all(|bits| *bits == 0);
    (noted & NO_DIGIT == 0 && is_canonical).then_some(bytes)
}

fn bits([first, second, third, fourth]: [u8; 4]) -> u32 {
    let [firsts, seconds, thirds, fourths] = &DIGITS;
    firsts[usize::from(first)]
        | seconds[usize::from(second)]
        | thirds[usize::from(third)]
        | fourths[usize::from(fourth)]
}

/// The table of the place whose digits are shifted by so many bits.
const fn digits(shift: u32) -> [u32; 256] {
    let mut digits = [NO_DIGIT; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut value = 0;
    while value < alphabet.len() {
        digits[alphabet[value] as usize] = (value as u32) << shift;
        value += 1;
    }
    digits
}

/// Reads what can be read of base64 in either alphabet, with or without padding: not to believe it, but to know what somebody
/// else might. Nothing of it if there is a character that is in neither.
pub(crate) fn decode_base64_freely(text: &str) -> Vec<u8> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    GeneralPurpose::new(&URL_SAFE, config).decode(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) {
        assert_eq!(decode_base64url(text), URL_SAFE_NO_PAD.decode(text).ok(), "{text:?}");
    }

    #[test]
    fn every_last_group_is_read_as_another_decoder_reads_it() {
        // Each character of ASCII, and one beyond, in each place of a last group of each length, behind a whole one.
        let characters = (0..=0x7f_u8).map(char::from).chain(['é']).collect::<Vec<_>>();
        for start in ["", "Zm9v"] {
            check(start);
            for character in &characters {
                for (before, after) in [
                    ("", ""),
                    ("", "A"),
                    ("A", ""),
                    ("", "AA"),
                    ("A", "A"),
                    ("AA", ""),
                    ("AA", "A"),
                    ("AAA", ""),
                ] {
                    check(&format!("{start}{before}{character}{after}"));
                    check(&format!("{before}{character}{after}{start}"));
                }
            }
        }
        for last in ["Zg==", "Zg=", "Zm8=", "Zh", "Zm9", "Z", "Zm 9v", "Zm9v\n"] {
            check(last);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_another_decoder_reads_it(text in "[A-Za-z0-9_-]{0,40}[A-Za-z0-9+/=_. -]?[A-Za-z0-9_-]{0,40}") {
            check(&text);
        }

        #[test]
        fn what_was_encoded_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_eq!(decode_base64url(&encode_base64url(&bytes)), Some(bytes));
        }
    }
}
