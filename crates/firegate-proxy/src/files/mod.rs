//! The files that are read while the door opens and while it is open: to a bound, although they may hang, and again when they
//! have changed.

mod reads;
mod watch;

pub use reads::{FileReadError, read_at_start, read_start};
pub(crate) use reads::{FileReads, Hang, read_bounded, while_reading};
pub use watch::FileWatch;
