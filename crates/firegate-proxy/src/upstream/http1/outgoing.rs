//! A request on its way to the service: its head, and its body as far as it comes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    HOST, MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use tokio::io::AsyncWrite as _;

use super::answer_head::Length;
use crate::stream::{Body, BodyError};
use crate::upstream::headers::OwnFields;
use crate::upstream::refusal::PeekedBody;
use crate::upstream::transport::Transport;

/// For how much of a head there is room from the start. Most have an assertion and a token.
const HEAD_BYTES: usize = 2 * 1024;

/// Up to which length a piece of a body is copied behind what stands before it, which costs less than telling the system of two
/// pieces.
const JOINED_BYTES_MAX: usize = 4 * 1024;

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct RequestTarget<'a> {
    pub(in crate::upstream) target: &'a PathAndQuery,
    pub(in crate::upstream) host: &'a HeaderValue,
    pub(in crate::upstream) own_fields: &'a OwnFields,
}

/// A request, and what of it is not written yet.
#[derive(Debug)]
pub(super) struct Outgoing {
    request: Request<Body>,
    framing: Framing,
    unwritten: Unwritten,
    /// Whether all that is not written is in `unwritten`.
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

/// What is to be written: a copied part, a piece of the body, and what ends that.
#[derive(Debug)]
struct Unwritten {
    front: Vec<u8>,
    /// How much of the front is written.
    written: usize,
    data: Bytes,
    back: &'static [u8],
}

impl Outgoing {
    /// A request of which nothing is written.
    pub(super) fn new(request: Request<Body>, target: &RequestTarget<'_>) -> Self {
        let is_over = request.body().is_end_stream();
        let Head { front, framing, is_last } = Head::of(&request, target, is_over);
        let unwritten = Unwritten { front, written: 0, data: Bytes::new(), back: b"" };
        Self { request, framing, unwritten, is_over, is_last, taken: Some(None) }
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
            *self.request.body_mut() = PeekedBody::new(taken, rest).boxed_unsync();
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
            while !self.unwritten.is_empty() {
                ready!(self.unwritten.poll_write(transport, context)).map_err(SendError::Connection)?;
                self.taken = None;
            }
            if self.is_over {
                // An answer may be waited for long.
                self.unwritten.front = Vec::new();
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
        let back: &[u8] = match &mut self.framing {
            Framing::Length(left) => {
                // The service would take the rest for another request.
                *left = left.checked_sub(data.len() as u64).ok_or(SendError::Body(BodyError::TooLarge))?;
                b""
            }
            // A chunk without a size is the end.
            Framing::Chunked if data.is_empty() => b"",
            Framing::Chunked => {
                self.unwritten.front.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                b"\r\n"
            }
        };
        if data.len() <= JOINED_BYTES_MAX {
            self.unwritten.front.extend_from_slice(&data);
            self.unwritten.front.extend_from_slice(back);
        } else {
            (self.unwritten.data, self.unwritten.back) = (data, back);
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
                let mut end = b"0\r\n".to_vec();
                let announced = self.request.headers();
                for (name, value) in trailers.into_iter().flatten() {
                    if may_be_trailer(name, announced) {
                        extend_with_field(&mut end, name, value);
                    }
                }
                end.extend_from_slice(b"\r\n");
                self.unwritten.follow_with(&end);
            }
        }
        Ok(())
    }
}

impl Unwritten {
    fn is_empty(&self) -> bool {
        self.written == self.front.len() && self.data.is_empty() && self.back.is_empty()
    }

    /// Adds what comes behind all that is there.
    fn follow_with(&mut self, bytes: &[u8]) {
        if self.data.is_empty() {
            self.front.extend_from_slice(bytes);
        } else {
            let piece = [&self.data, self.back, bytes].concat();
            (self.data, self.back) = (piece.into(), b"");
        }
    }

    fn poll_write(&mut self, transport: &mut Transport, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let front = self.front.get(self.written..).unwrap_or_default();
        let transport = Pin::new(transport);
        let count = ready!(if self.data.is_empty() {
            transport.poll_write(context, front)
        } else {
            let pieces = [front, &self.data, self.back].map(IoSlice::new);
            transport.poll_write_vectored(context, &pieces)
        })?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(count);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut count: usize) {
        let of_front = count.min(self.front.len() - self.written);
        self.written += of_front;
        count -= of_front;
        let of_data = count.min(self.data.len());
        self.data.advance(of_data);
        self.back = self.back.get(count - of_data..).unwrap_or_default();
        if self.data.is_empty() {
            self.front.drain(..self.written);
            self.written = 0;
            self.front.extend_from_slice(std::mem::take(&mut self.back));
        }
    }
}

/// A request's head.
struct Head {
    front: Vec<u8>,
    framing: Framing,
    is_last: bool,
}

impl Head {
    fn of(request: &Request<Body>, target: &RequestTarget<'_>, is_over: bool) -> Self {
        let mut front = Vec::with_capacity(HEAD_BYTES);
        front.extend_from_slice(request.method().as_str().as_bytes());
        front.push(b' ');
        front.extend_from_slice(target.target.as_str().as_bytes());
        front.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        front.extend_from_slice(target.host.as_bytes());
        front.extend_from_slice(b"\r\n");
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
            extend_with_field(&mut front, name, value);
        }
        for (name, value) in target.own_fields.iter() {
            extend_with_field(&mut front, name, value);
        }
        let framing = match length {
            _ if is_over => Framing::Length(0),
            Length::Known(length) => Framing::Length(length),
            Length::Unsaid | Length::Malformed => Framing::Chunked,
        };
        match framing {
            Framing::Length(said) if length != Length::Unsaid => {
                front.extend_from_slice(format!("content-length: {said}\r\n").as_bytes());
            }
            Framing::Length(_) => {}
            Framing::Chunked => front.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        front.extend_from_slice(b"\r\n");
        Self { front, framing, is_last }
    }
}

fn extend_with_field(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    text.extend_from_slice(name.as_str().as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value.as_bytes());
    text.extend_from_slice(b"\r\n");
}

/// Whether a field may stand behind the body: it was announced (RFC 9110, section 6.6.2), and does not decide about the
/// message.
fn may_be_trailer(name: &HeaderName, announced: &HeaderMap) -> bool {
    const NEVER: [HeaderName; 12] = [
        AUTHORIZATION,
        CACHE_CONTROL,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        HOST,
        MAX_FORWARDS,
        SET_COOKIE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
    ];
    let mut lists = announced.get_all(TRAILER).iter();
    let is_announced = lists.any(|list| {
        let mut names = list.as_bytes().split(|octet| *octet == b',');
        names.any(|listed| listed.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    });
    is_announced && !NEVER.contains(name)
}
