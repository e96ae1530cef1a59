//! Classes of octets, and the search for those that end a line or have no place in one.

const IN_TOKEN: u8 = 1;
const IN_PATH: u8 = 2;
const IN_QUERY: u8 = 4;

/// The classes of each octet.
const CLASSES: [u8; 256] = classes();

/// `tchar` of RFC 9110, section 5.6.2. Of a target, what the `http` crate reads: RFC 3986 has less, and whether a path is
/// one is asked above. `#` is in neither.
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut octet = 0_u8;
    loop {
        let mut class = 0;
        if octet.is_ascii_alphanumeric()
            || matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            class |= IN_TOKEN;
        }
        if matches!(octet, b'!' | b'"' | b'$'..=b';' | b'=' | b'@'..=b'_' | b'a'..=b'~' | 0x80..) {
            class |= IN_PATH;
        }
        if matches!(octet, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~' | 0x80..) {
            class |= IN_QUERY;
        }
        classes[octet as usize] = class;
        if octet == u8::MAX {
            return classes;
        }
        octet += 1;
    }
}

const fn is(octet: u8, class: u8) -> bool {
    CLASSES[octet as usize] & class != 0
}

/// Whether an octet may stand in a method or in a field's name.
pub(crate) const fn is_token(octet: u8) -> bool {
    is(octet, IN_TOKEN)
}

/// Whether an octet may stand in a path.
pub(crate) const fn is_path(octet: u8) -> bool {
    is(octet, IN_PATH)
}

/// Whether an octet may stand in a query.
pub(crate) const fn is_query(octet: u8) -> bool {
    is(octet, IN_QUERY)
}

/// How many octets are first looked at as one: long enough for vector instructions, and shorter than most lines.
const BLOCK_BYTES: usize = 32;

/// Where the first control character is: CR, LF, HTAB, NUL and the others of ASCII. Most of a head is a token or cookies, which
/// are passed over in blocks; within a block eight octets are looked at as one number.
pub(crate) fn find_control(octets: &[u8]) -> Option<usize> {
    let (blocks, _) = octets.as_chunks::<BLOCK_BYTES>();
    let passed = blocks.iter().take_while(|block| !holds_control(block)).count() * BLOCK_BYTES;
    let (words, rest) = octets.get(passed..)?.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let controls = controls(u64::from_le_bytes(*word));
        if controls != 0 {
            return Some(passed + index * 8 + (controls.trailing_zeros() / 8) as usize);
        }
    }
    let offset = rest.iter().position(u8::is_ascii_control)?;
    Some(passed + words.len() * 8 + offset)
}

/// Looks at all of a block, and does not stop at the first one: that is what the compiler makes vector instructions of.
fn holds_control(block: &[u8; BLOCK_BYTES]) -> bool {
    block.iter().fold(false, |found, octet| found | octet.is_ascii_control())
}

/// The high bit of every octet of a word that is a control character. Above the lowest one there may be bits too many.
const fn controls(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    let below_space = word.wrapping_sub(0x20 * ONES) & !word;
    let delete = word ^ (0x7f * ONES);
    (below_space | (delete.wrapping_sub(ONES) & !delete)) & HIGH_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_control_character_is_found_wherever_it_is() {
        for octet in u8::MIN..=u8::MAX {
            for length in (0..20).chain(BLOCK_BYTES - 1..=BLOCK_BYTES + 1).chain([3 * BLOCK_BYTES + 12]) {
                for at in 0..length {
                    let mut octets = vec![b'a'; length];
                    octets[at] = octet;
                    // What comes behind it never hides it.
                    octets.extend([b'\n', 0xff, 0x7f, b' ']);
                    let expected = octets.iter().position(u8::is_ascii_control);
                    assert_eq!(find_control(&octets), expected, "{octet:#x} at {at} of {length}");
                }
            }
        }
        assert_eq!(find_control(b""), None);
        assert_eq!(find_control("visible, and \u{fc}\u{ff}, of any length".as_bytes()), None);
    }

    #[test]
    fn tokens_are_those_of_the_standard() {
        let allowed: Vec<u8> = (0..=u8::MAX).filter(|octet| is_token(*octet)).collect();
        let expected = "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
        assert_eq!(String::from_utf8(allowed).expect("ASCII"), expected);
    }
}
