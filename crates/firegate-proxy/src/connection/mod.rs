//! One client connection, from its first byte to its last: which protocol it speaks, and how much of it a client may ask of
//! the door.

mod preface;
mod serve;

pub(crate) use serve::{Arrival, serve};
