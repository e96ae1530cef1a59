//! The commands, one module each.

pub mod dev;
pub mod serve;
mod stop;
pub mod test;
