//! The framing of HTTP/1 as a client sends it, read strictly (RFC 9112). Other readers mend what they can: they drop one of
//! two lengths, skip empty lines, take a bare LF for a line's end. The next reader of the same bytes may mend them otherwise:
//! that is how requests are smuggled. Here every byte is seen as it came, and only what has one reading goes on.
//!
//! [`Scanner`] is pure, and says where everything stands, so that nobody reads a byte for a second time.

mod head;
mod scanner;
#[cfg(test)]
mod tests;
mod violation;

pub use scanner::{Scan, Scanner, Then};
pub use violation::Violation;

pub(super) use head::{Body, Field, Hop, UNREAD, WholeHead};
pub(super) use scanner::Step;
