//! What the functions of the languages compute, each a function of its arguments alone.

pub(crate) mod address;
pub(crate) mod decode;
pub(crate) mod time;
