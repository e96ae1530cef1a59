//! A buffer of each thread's that lies ready for the next message, so that not every one begins by asking for memory. One is
//! enough: most messages are written whole before a thread turns to another one, and whatever waits for its peer keeps its own.

use std::cell::Cell;

use crate::limits::{SPARE_BUFFER_BYTES, SPARE_BUFFER_BYTES_MAX};

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer without anything in it, and with room.
pub(super) fn take() -> Vec<u8> {
    let spare = SPARE.take();
    if spare.capacity() == 0 { Vec::with_capacity(SPARE_BUFFER_BYTES) } else { spare }
}

/// Gives back a buffer that is done with. What was in it is nobody's from now on. One that is larger than its bound is let go.
pub(super) fn give_back(mut buffer: Vec<u8>) {
    buffer.clear();
    if buffer.capacity() <= SPARE_BUFFER_BYTES_MAX {
        SPARE.set(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_without_what_was_in_it_and_not_if_it_is_large() {
        let mut first = take();
        assert!(first.is_empty() && first.capacity() >= SPARE_BUFFER_BYTES);
        first.extend_from_slice(b"authorization: Bearer somebody's");
        let place = first.as_ptr();
        let second = take();
        assert_ne!(second.as_ptr(), place, "it is in use");
        drop(second);
        give_back(first);
        let mut again = take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        again.reserve(2 * SPARE_BUFFER_BYTES_MAX);
        give_back(again);
        assert_eq!(SPARE.take().capacity(), 0, "nothing is kept");
    }
}
