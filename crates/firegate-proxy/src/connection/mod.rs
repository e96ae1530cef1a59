//! One client connection, from its first byte to its last: which protocol it speaks, and how much of it a client may ask of
//! the door. How it came in is [`crate::listen`]'s affair, and what becomes of its requests the [`crate::door`]'s.
//!
//! [`serve`](mod@serve) drives it: [`preface`] tells the protocol by the first bytes, [`framing`] reads those of HTTP/1 and
//! [`frames`] counts those of HTTP/2 below hyper, [`http1`] lets hyper go while nobody uses the connection, and [`drain`] ends
//! it when the process stops.

mod drain;
mod frames;
pub mod framing;
mod http1;
mod lent;
mod preface;
mod resettable;
mod serve;

pub(crate) use drain::Drain;
pub(crate) use preface::Protocol;
pub(crate) use resettable::Resettable;
pub(crate) use serve::{Arrival, serve};
