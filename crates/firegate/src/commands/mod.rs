//! The commands, one module each.

pub mod check;
pub mod dev;
pub mod export;
pub mod serve;
mod stop;
pub mod test;
