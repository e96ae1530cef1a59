//! One client connection, from its first byte to its last: which protocol it speaks, and how much of it a client may ask of
//! the door. How it came in is [`crate::listen`]'s affair, and what becomes of its requests the [`crate::door`]'s.
//!
//! [`serve`](mod@serve) drives it: [`preface`] tells the protocol by the first bytes; [`http1`] speaks HTTP/1, whose bytes
//! [`framing`] judges; hyper speaks HTTP/2, whose frames [`frames`] counts below it; and [`drain`] ends a connection when the
//! process stops.

mod drain;
mod frames;
pub mod framing;
mod http1;
mod preface;
mod resettable;
mod serve;

pub(crate) use drain::Drain;
#[cfg(test)]
pub(crate) use http1::tests::served_by;
pub(crate) use http1::{RequestBody, RequestBodyError};
pub(crate) use preface::Protocol;
pub(crate) use resettable::Resettable;
pub(crate) use serve::{Arrival, serve};
