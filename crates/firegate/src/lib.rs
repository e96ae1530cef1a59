//! The binary's insides: one module per command, and nothing that decides. `firegate dev` is here as a library too, so
//! that the story tests drive the very stack that the command starts, with a clock of their own.

pub mod cases;
pub mod commands;
pub mod dev;
pub mod environment;
pub mod explain;
pub mod failure;
pub mod logging;
pub mod named_files;
mod printable;
pub mod standard_error;
pub mod standard_output;
