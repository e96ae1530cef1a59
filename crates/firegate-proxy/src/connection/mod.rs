//! One client connection, from its first byte to its last: which protocol it speaks, and how much of it a client may ask of
//! the door.

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
