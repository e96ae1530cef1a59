//! One HTTP/1 connection to a service, and what was read from it and not yet used.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::Request;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::exchange::Exchange;
use super::outgoing::RequestTarget;
use crate::limits::{UPSTREAM_BUFFER_BYTES_MAX, UPSTREAM_FIRST_READ_BYTES, UPSTREAM_READ_ROOM_BYTES_MIN};
use crate::stream::{Body, Rewound};
use crate::upstream::expectation::ContinueWord;
use crate::upstream::resolve::{Addresses, ResolvedAddress};
use crate::upstream::socket::Look;
use crate::upstream::transport::Transport;

/// Such a connection on which HTTP/1 is over, because both sides have switched to another protocol: first what came along with
/// the answer's head.
pub(crate) type SwitchedConnection = Rewound<Transport>;

/// A connection, which is sent requests one after the other. Dropping it closes it. It goes from hand to hand, and is in a box.
#[derive(Debug)]
pub(in crate::upstream) struct Http1Connection {
    pub(super) transport: Transport,
    /// What was read and not yet used. Nothing is here while the connection is idle.
    pub(super) buffer: BytesMut,
    room: usize,
    address: ResolvedAddress,
    is_used: bool,
}

impl Http1Connection {
    /// A connection that was just made.
    pub(in crate::upstream) fn new(transport: Transport, address: ResolvedAddress) -> Box<Self> {
        Box::new(Self {
            transport,
            buffer: BytesMut::new(),
            room: UPSTREAM_FIRST_READ_BYTES,
            address,
            is_used: false,
        })
    }

    /// Sends a request, and waits for the head of its answer. The service's word that it wants the body goes to `word`.
    pub(in crate::upstream) fn exchange(
        mut self: Box<Self>,
        request: Request<Body>,
        target: &RequestTarget<'_>,
        word: Option<ContinueWord>,
    ) -> Exchange {
        self.is_used = true;
        Exchange::new(self, request, target, word)
    }

    /// Whether it can be sent another request, as far as is known at this moment: it is open, and nothing came by it that was
    /// not asked for. That would be the answer to the next request, whose user is another. Before the first one a service may
    /// have something to say of TLS: its tickets.
    pub(in crate::upstream) fn is_usable(&mut self) -> bool {
        match self.transport.look() {
            Look::Nothing => true,
            Look::Something => !self.is_used && self.transport.is_tls(),
            Look::Ended => false,
        }
    }

    /// Whether its service's host still has its address.
    pub(in crate::upstream) fn is_current(&mut self, addresses: &Addresses) -> bool {
        self.address.is_current(addresses)
    }

    /// The same connection, for the next request, unless something came behind the last answer.
    pub(super) fn rested(mut self: Box<Self>) -> Option<Box<Self>> {
        if !self.buffer.is_empty() {
            return None;
        }
        (self.buffer, self.room) = (BytesMut::new(), UPSTREAM_FIRST_READ_BYTES);
        Some(self)
    }

    /// The same connection, on which HTTP is over.
    pub(super) fn switched(self) -> SwitchedConnection {
        Rewound::new(self.buffer.into(), self.transport)
    }

    /// Reads more into the buffer, and says how much; nothing is the end.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() && self.room == UPSTREAM_FIRST_READ_BYTES {
            return self.poll_fill_new(context);
        }
        if self.buffer.capacity() - self.buffer.len() < UPSTREAM_READ_ROOM_BYTES_MIN {
            if self.buffer.is_empty() {
                self.buffer = BytesMut::with_capacity(self.room);
            } else {
                self.buffer.reserve(self.room);
            }
        }
        let count = ready!(poll_read_buf(Pin::new(&mut self.transport), context, &mut self.buffer))?;
        if self.buffer.len() == self.buffer.capacity() {
            self.room = self.room.saturating_mul(2).min(UPSTREAM_BUFFER_BYTES_MAX);
        }
        Poll::Ready(Ok(count))
    }

    /// Reads into a buffer that there is only when something has come, and that is no larger than it.
    fn poll_fill_new(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); UPSTREAM_FIRST_READ_BYTES];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.transport).poll_read(context, &mut read))?;
        self.buffer = BytesMut::from(read.filled());
        if read.remaining() == 0 {
            self.room = 2 * UPSTREAM_FIRST_READ_BYTES;
        }
        Poll::Ready(Ok(read.filled().len()))
    }
}
