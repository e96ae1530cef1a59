//! What HTTP/1 (RFC 9112) is on both sides: of clients, whom [`crate::connection`] serves, and to services, to whom
//! [`crate::upstream`] speaks. What is here depends on neither; what the two judge differently they say when they ask.
//!
//! [`octets`], [`fields`] and [`content_length`] are the parts of a head, [`chunked`] reads a body of chunks, [`trailers`] what
//! comes behind one, and [`output`] is how a message is written, by a [`spare_buffer`] of the worker's.

mod chunked;
mod content_length;
mod fields;
mod octets;
mod output;
mod spare_buffer;
mod trailers;

pub(crate) use chunked::{Chunked, ChunkedError, Sender};
pub(crate) use content_length::{content_length, write_content_length};
pub(crate) use fields::{lists, write_field};
pub(crate) use octets::{find_control, is_path, is_query, is_token};
pub(crate) use output::Output;
pub(crate) use trailers::{may_trail, read_trailers};
