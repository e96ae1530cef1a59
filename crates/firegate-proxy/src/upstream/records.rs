//! The records that TLS is sent in (RFC 8446, section 5.1), of which nothing is read before the whole of one has come.

/// How long a record's header is: its type, a version, and how long the rest is.
const HEADER_BYTES: usize = 5;

/// How far the records of a stream have come.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// How much of the next record's header has come, and the length, as far as it is in that.
    header_bytes: usize,
    length: [u8; 2],
    /// How much is to come of the record whose header was last.
    left: usize,
}

impl Records {
    /// Goes past what has come.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.left > 0 {
                let passed = self.left.min(bytes.len());
                self.left -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            self.length = [self.length[1], *first];
            self.header_bytes += 1;
            bytes = rest;
            if self.header_bytes == HEADER_BYTES {
                self.header_bytes = 0;
                self.left = usize::from(u16::from_be_bytes(self.length));
            }
        }
    }

    /// Whether a record has begun to come and not ended.
    pub(super) fn has_part(&self) -> bool {
        self.header_bytes > 0 || self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_with_its_last_byte_however_it_is_cut() {
        let records = [&[23, 3, 3, 1, 2][..], &[0; 258], &[23, 3, 3, 0, 0], &[21, 3, 3, 0, 2, 1, 0]].concat();
        let ends = [0, 263, 268, 275];
        for piece in 1..=records.len() {
            let (mut state, mut passed) = (Records::default(), 0);
            for bytes in records.chunks(piece) {
                assert_eq!(state.has_part(), !ends.contains(&passed), "{passed} bytes, {piece} at once");
                state.pass(bytes);
                passed += bytes.len();
            }
            assert!(!state.has_part());
        }
    }
}
