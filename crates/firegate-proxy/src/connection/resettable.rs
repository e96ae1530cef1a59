//! How a connection ends whose client would take a part of an answer for the whole.

/// A connection that can end by a reset (RFC 9293, section 3.10.5), which is nobody's way to end an answer well.
pub(crate) trait Resettable {
    /// Has it end so when it is dropped. What the client has not taken by then is lost.
    fn reset_when_dropped(&self);
}
