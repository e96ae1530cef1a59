//! The body of an answer, read as it is asked for from the connection that it comes by.

use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::connection::{Http1Connection, SwitchedConnection};
use super::error::{Http1Error, Malformed};
use crate::http1::{Chunked, read_trailers};

/// How a body ends.
#[derive(Debug)]
pub(super) enum Framing {
    /// After so many more bytes.
    Length(u64),
    Chunked(Box<Chunked>),
    /// With its connection.
    UntilClosed,
    /// It has.
    Ended,
    /// There is none, nor anything else of HTTP.
    Switched,
}

/// A body, and the connection that it comes by.
#[derive(Debug)]
pub(in crate::upstream) struct Http1Body {
    framing: Framing,
    /// Until the body has ended, or broken off.
    connection: Option<Box<Http1Connection>>,
    /// Whether the connection may be used again when the body has ended.
    is_kept: bool,
}

impl Http1Body {
    pub(super) fn new(framing: Framing, connection: Box<Http1Connection>, is_kept: bool) -> Self {
        Self { framing, connection: Some(connection), is_kept }
    }

    /// The next piece, or the end.
    pub(in crate::upstream) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        let polled = ready!(poll_next(&mut self.framing, connection, context));
        if polled.is_err() {
            // What comes by it next would be the rest of this answer.
            self.connection = None;
        }
        Poll::Ready(polled.transpose())
    }

    /// All of it, if all of it has come and its length says so.
    pub(in crate::upstream) fn take_whole(&mut self) -> Option<Bytes> {
        let Framing::Length(length) = self.framing else { return None };
        let buffer = &mut self.connection.as_mut()?.buffer;
        let length = usize::try_from(length).ok().filter(|length| *length <= buffer.len())?;
        self.framing = Framing::Ended;
        Some(buffer.split_to(length).freeze())
    }

    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        match &self.framing {
            Framing::Ended | Framing::Switched => true,
            Framing::Length(_) | Framing::Chunked(_) | Framing::UntilClosed => false,
        }
    }

    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        match &self.framing {
            Framing::Length(left) => SizeHint::with_exact(*left),
            Framing::Ended | Framing::Switched => SizeHint::with_exact(0),
            Framing::Chunked(_) | Framing::UntilClosed => SizeHint::default(),
        }
    }

    /// The connection of a body that has ended, for the next request, if there may be one. It is closed if there may not.
    pub(in crate::upstream) fn take_connection(&mut self) -> Option<Box<Http1Connection>> {
        let connection = self.connection.take_if(|_| matches!(self.framing, Framing::Ended))?;
        if self.is_kept { connection.rested() } else { None }
    }

    /// The connection of an answer by which the service switches to another protocol.
    pub(in crate::upstream) fn take_switched(&mut self) -> Option<SwitchedConnection> {
        let connection = self.connection.take_if(|_| matches!(self.framing, Framing::Switched))?;
        Some(connection.switched())
    }

    /// The connection while the body comes by it.
    pub(super) fn connection(&mut self) -> Option<&mut Http1Connection> {
        self.connection.as_deref_mut()
    }

    /// Closes the connection before the end, which therefore does not come.
    pub(super) fn break_off(&mut self) {
        self.connection = None;
    }

    /// Lets the connection be used by nobody else.
    pub(super) fn is_last(&mut self) {
        self.is_kept = false;
    }
}

fn poll_next(
    framing: &mut Framing,
    connection: &mut Http1Connection,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Frame<Bytes>>, Http1Error>> {
    loop {
        match framing {
            Framing::Length(left) if !connection.buffer.is_empty() => {
                let count = connection.buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                if *left == 0 {
                    *framing = Framing::Ended;
                }
                return Poll::Ready(Ok(Some(Frame::data(connection.buffer.split_to(count).freeze()))));
            }
            Framing::UntilClosed if !connection.buffer.is_empty() => {
                return Poll::Ready(Ok(Some(Frame::data(connection.buffer.split().freeze()))));
            }
            Framing::Chunked(chunked) => {
                let frame = read_chunked(chunked, &mut connection.buffer).map_err(Http1Error::from)?;
                let is_over = chunked.is_over();
                if is_over {
                    *framing = Framing::Ended;
                }
                if is_over || frame.is_some() {
                    return Poll::Ready(Ok(frame));
                }
            }
            Framing::Ended | Framing::Switched => return Poll::Ready(Ok(None)),
            Framing::Length(_) | Framing::UntilClosed => {}
        }
        if ready!(connection.poll_fill(context)).map_err(Http1Error::Connection)? == 0 {
            if matches!(framing, Framing::UntilClosed) {
                *framing = Framing::Ended;
                return Poll::Ready(Ok(None));
            }
            return Poll::Ready(Err(Http1Error::Ended));
        }
    }
}

/// Takes the next piece, or the trailers, out of what has come; `None` if there is neither, because more has to come or the
/// body is over.
///
/// # Errors
/// If this is no chunked body.
pub(super) fn read_chunked(
    chunked: &mut Chunked,
    buffer: &mut BytesMut,
) -> Result<Option<Frame<Bytes>>, Malformed> {
    let framing = chunked.read_framing(buffer).map_err(|(_, error)| error)?;
    buffer.advance(framing);
    if chunked.is_over() {
        return Ok(read_trailers(chunked.take_trailers()).map(Frame::trailers));
    }
    let length = if chunked.is_in_data() { chunked.take_data(buffer) } else { 0 };
    Ok((length > 0).then(|| Frame::data(buffer.split_to(length).freeze())))
}
