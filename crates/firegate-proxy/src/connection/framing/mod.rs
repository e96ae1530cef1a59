//! The framing of HTTP/1 as a client sends it, read strictly below hyper (RFC 9112). hyper mends what it can: it drops one of
//! two lengths, skips empty lines, takes a bare LF for a line's end. The evidence is gone when a request reaches the door,
//! and the next reader of the same bytes may mend them otherwise: that is how requests are smuggled. Here every byte is
//! seen as it came, and only what has one reading goes on.
//!
//! [`Scanner`] is pure. [`FramedStream`] puts it around a connection; a head that is refused becomes a request that the
//! door answers in its turn ([`Signals`]).

mod chunked;
mod head;
mod octets;
mod scanner;
mod signals;
mod stream;
#[cfg(test)]
mod tests;
mod violation;

pub use scanner::{Scan, Scanner, Then};
pub use violation::Violation;

pub(crate) use signals::Signals;
pub(crate) use stream::FramedStream;
pub(super) use stream::leave;
