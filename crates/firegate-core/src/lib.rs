//! The decision: who may pass to which service, and why not. Pure: no I/O, no runtime, clock and randomness passed in.

pub mod headers;
pub mod identity;
pub mod jose;
pub mod limits;
pub mod path;
pub mod reason;
pub mod time;
