//! The frames of HTTP/2 as a client sends them, counted below h2 (RFC 9113, section 10.5). h2 bounds what it keeps: streams,
//! header blocks, pending resets, small pieces of data. What it answers or just drops it takes without an end, and each such
//! frame costs a client nothing.
//!
//! [`Meter`] is pure. [`MeteredStream`] puts it around a connection.

mod meter;
mod stream;

pub(crate) use stream::MeteredStream;
