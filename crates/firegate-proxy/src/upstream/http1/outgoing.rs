//! A request on its way to the service: its head, and its body as far as it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::{Body as HttpBody, Frame};
use tokio::io::AsyncWrite as _;

use super::answer_head::Length;
use crate::http1::{Output, lists, may_trail, write_content_length, write_field};
use crate::limits::UPSTREAM_GATHERED_BYTES_MAX;
use crate::stream::{Body, BodyError, Streamed};
use crate::upstream::headers::OwnFields;
use crate::upstream::refusal::PeekedBody;
use crate::upstream::transport::Transport;

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct RequestTarget<'a> {
    pub(in crate::upstream) target: &'a PathAndQuery,
    pub(in crate::upstream) host: &'a HeaderValue,
    pub(in crate::upstream) own_fields: &'a OwnFields<'a>,
}

/// A request, and what of it is not written yet.
#[derive(Debug)]
pub(super) struct Outgoing {
    request: Request<Body>,
    framing: Framing,
    output: Output,
    /// Whether all that is not written is in `output`.
    is_over: bool,
    is_last: bool,
    /// Before the first byte was written: the piece of the body that was taken, if one was.
    taken: Option<Option<Bytes>>,
}

/// How the service knows where the body ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// So much of it is still to come.
    Length(u64),
    Chunked,
}

/// Why a request was not sent wholly.
#[derive(Debug)]
pub(super) enum SendError {
    /// Its body did not reach its end, or was not as long as was said.
    Body(BodyError),
    Connection(io::Error),
}

impl Outgoing {
    /// A request of which nothing is written.
    pub(super) fn new(request: Request<Body>, target: &RequestTarget<'_>) -> Self {
        let is_over = request.body().is_end_stream();
        let mut output = Output::new(UPSTREAM_GATHERED_BYTES_MAX);
        let Head { framing, is_last } = write_head(&request, target, is_over, output.gathered());
        Self { request, framing, output, is_over, is_last, taken: Some(None) }
    }

    /// Whether no other request may follow by the same connection: what is said of it is said in the request's own
    /// `Connection`, which only an upgrade has.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// Whether not one byte of it was written.
    pub(super) fn is_unsent(&self) -> bool {
        self.taken.is_some()
    }

    /// The whole request again, of which nothing was written.
    pub(super) fn into_unsent(mut self) -> Request<Body> {
        if let Some(taken) = self.taken.flatten() {
            let rest = std::mem::take(self.request.body_mut());
            *self.request.body_mut() = PeekedBody::new(taken, rest).streamed();
        }
        self.request
    }

    /// The headers of a request that is written: those of the answer have room there.
    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    /// Writes on, as far as the service takes it and there is something to be written.
    pub(super) fn poll_send(
        &mut self,
        transport: &mut Transport,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        if matches!(self.taken, Some(None)) && !self.is_over {
            // What has come of the body goes along with the head.
            let _ = self.poll_take(context)?;
        }
        loop {
            while !self.output.is_empty() {
                ready!(self.output.poll_write(context, transport)).map_err(SendError::Connection)?;
                self.taken = None;
            }
            if self.is_over {
                return Pin::new(transport).poll_flush(context).map_err(SendError::Connection);
            }
            if self.poll_take(context)?.is_pending() {
                ready!(Pin::new(&mut *transport).poll_flush(context)).map_err(SendError::Connection)?;
                return Poll::Pending;
            }
        }
    }

    /// Takes the next piece of the body, if it has come.
    fn poll_take(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, SendError> {
        let Poll::Ready(frame) = Pin::new(self.request.body_mut()).poll_frame(context) else {
            return Ok(Poll::Pending);
        };
        match frame.transpose().map_err(SendError::Body)?.map(Frame::into_data) {
            Some(Ok(data)) => {
                let is_end = self.request.body().is_end_stream();
                if let Some(taken) = &mut self.taken {
                    *taken = Some(data.clone());
                }
                self.add(data)?;
                if is_end {
                    self.end(None)?;
                }
            }
            Some(Err(frame)) => {
                // One that was taken cannot be given back with its trailers: it counts as sent.
                self.taken = None;
                self.end(frame.into_trailers().ok().as_ref())?;
            }
            None => self.end(None)?,
        }
        Ok(Poll::Ready(()))
    }

    fn add(&mut self, data: Bytes) -> Result<(), SendError> {
        match &mut self.framing {
            Framing::Length(left) => {
                // The service would take the rest for another request.
                *left = left.checked_sub(data.len() as u64).ok_or(SendError::Body(BodyError::TooLarge))?;
                self.output.put(data);
            }
            Framing::Chunked => self.output.put_chunk(data),
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), SendError> {
        self.is_over = true;
        match self.framing {
            Framing::Length(0) => {}
            // It is not whole, and the service waits for the rest.
            Framing::Length(_) => return Err(SendError::Body(BodyError::Reset)),
            Framing::Chunked => {
                let announced = self.request.headers();
                let trailers = trailers.into_iter().flatten();
                self.output
                    .end_chunks(trailers.filter(|(name, _)| may_trail(name) && announces(announced, name)));
            }
        }
        Ok(())
    }
}

/// What a request's head says of the request.
struct Head {
    framing: Framing,
    is_last: bool,
}

fn write_head(
    request: &Request<Body>,
    target: &RequestTarget<'_>,
    is_over: bool,
    bytes: &mut Vec<u8>,
) -> Head {
    bytes.extend_from_slice(request.method().as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(target.target.as_str().as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    write_field(&HOST, target.host, bytes);
    let (mut length, mut is_last) = (Length::default(), false);
    for (name, value) in request.headers() {
        match *name {
            // They are said once, and as they are.
            HOST | TRANSFER_ENCODING => continue,
            CONTENT_LENGTH => {
                length = length.and(value);
                continue;
            }
            CONNECTION => is_last = true,
            _ => {}
        }
        write_field(name, value, bytes);
    }
    for list in target.own_fields.lists() {
        for (name, value) in list {
            write_field(name, value, bytes);
        }
    }
    let framing = match length {
        _ if is_over => Framing::Length(0),
        Length::Known(length) => Framing::Length(length),
        Length::Unsaid | Length::Malformed => Framing::Chunked,
    };
    match framing {
        Framing::Length(said) if length != Length::Unsaid => {
            write_content_length(said, bytes);
        }
        Framing::Length(_) => {}
        Framing::Chunked => bytes.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    bytes.extend_from_slice(b"\r\n");
    Head { framing, is_last }
}

/// Whether a trailer is announced (RFC 9110, section 6.6.2).
fn announces(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(TRAILER).iter().any(|list| lists(list.as_bytes(), name.as_str().as_bytes()))
}
