//! Fields as they are written, and values that are lists (RFC 9110, section 5.6.1).

use http::{HeaderName, HeaderValue};

/// Puts a field's line behind the others.
pub(crate) fn write_field(name: &HeaderName, value: &HeaderValue, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(name.as_str().as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value.as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

/// Whether a list has a member, in whatever case its letters are.
pub(crate) fn lists(list: &[u8], member: &[u8]) -> bool {
    list.split(|octet| *octet == b',').any(|listed| listed.trim_ascii().eq_ignore_ascii_case(member))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_a_list_is_a_whole_one() {
        for (list, expected) in [
            ("close", true),
            ("keep-alive,\tCLOSE ", true),
            ("x-close", false),
            ("close-x, ", false),
            ("close;x", false),
            ("", false),
        ] {
            assert_eq!(lists(list.as_bytes(), b"close"), expected, "{list:?}");
        }
    }
}
