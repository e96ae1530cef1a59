//! The commands, one module each: their arguments, what they read and what they print. What `dev` and `test` are about lies in
//! `dev` and `cases`, which tests drive without a command line; `explain` has its command line with it.

pub mod check;
pub mod dev;
pub mod export;
pub mod serve;
mod stop;
pub mod test;
