//! The server over real sockets, one module per kind of caller.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod admin;
mod lookup;
mod sign_in;
mod support;
mod surface;
