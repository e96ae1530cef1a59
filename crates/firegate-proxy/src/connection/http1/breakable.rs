//! A connection that is given up in the middle of an answer whose end is its own.

use crate::connection::Resettable;

/// A stream that is reset when it is dropped as long as its client would take a part of an answer for the whole: HTTP/1.0 has
/// no chunks (RFC 9112, section 6.3).
#[derive(Debug)]
pub(super) struct Breakable<S: Resettable> {
    /// There until it is handed over.
    stream: Option<S>,
    ends_with_answer: bool,
}

impl<S: Resettable> Breakable<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream: Some(stream), ends_with_answer: false }
    }

    /// Takes note whether an answer is on its way, or due, that ends with the connection for its client.
    pub(super) fn set_ends_with_answer(&mut self, is_so: bool) {
        self.ends_with_answer = is_so;
    }

    pub(super) fn ends_with_answer(&self) -> bool {
        self.ends_with_answer
    }

    /// The stream, until it is handed over.
    pub(super) fn stream(&mut self) -> Option<&mut S> {
        self.stream.as_mut()
    }

    /// Hands the stream over.
    pub(super) fn take(&mut self) -> Option<S> {
        self.stream.take()
    }
}

impl<S: Resettable> Drop for Breakable<S> {
    fn drop(&mut self) {
        if self.ends_with_answer {
            self.stream.iter().for_each(Resettable::reset_when_dropped);
        }
    }
}
