//! What is to be written to a client: gathered while it is small, and from where it is if it is large.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

use crate::limits::HTTP1_PIECE_BYTES;

/// What is to be written, in this order.
#[derive(Debug, Default)]
pub(super) struct Output {
    gathered: Vec<u8>,
    /// How much of that is written.
    written: usize,
    piece: Bytes,
    behind: &'static [u8],
    is_unflushed: bool,
}

impl Output {
    /// Whether more may be put here before this is written.
    pub(super) fn has_room(&self) -> bool {
        self.piece.is_empty() && self.behind.is_empty() && self.gathered.len() < HTTP1_PIECE_BYTES
    }

    /// Where small things are put. Only while there is room.
    pub(super) fn gathered(&mut self) -> &mut Vec<u8> {
        &mut self.gathered
    }

    /// Puts some bytes behind the others. Only while there is room.
    pub(super) fn gather(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
    }

    /// Puts a piece of any size behind the others, and what follows it. Only while there is room.
    pub(super) fn put(&mut self, piece: Bytes, behind: &'static [u8]) {
        if self.gathered.len() + piece.len() <= HTTP1_PIECE_BYTES {
            self.gathered.extend_from_slice(&piece);
            self.gathered.extend_from_slice(behind);
        } else {
            (self.piece, self.behind) = (piece, behind);
        }
    }

    /// Writes all of it, and has it sent.
    pub(super) fn poll_drain(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            let gathered = self.gathered.get(self.written..).unwrap_or_default();
            let written = match (gathered.is_empty(), self.piece.is_empty(), self.behind.is_empty()) {
                (true, true, true) => break,
                (false, true, true) => ready!(Pin::new(&mut *stream).poll_write(context, gathered))?,
                _ => {
                    let slices =
                        [IoSlice::new(gathered), IoSlice::new(&self.piece), IoSlice::new(self.behind)];
                    ready!(Pin::new(&mut *stream).poll_write_vectored(context, &slices))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.is_unflushed = true;
            self.advance(written);
        }
        if self.is_unflushed {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        let of_gathered = written.min(self.gathered.len() - self.written);
        self.written += of_gathered;
        if self.written == self.gathered.len() {
            self.gathered.clear();
            self.written = 0;
        }
        let of_piece = (written - of_gathered).min(self.piece.len());
        if of_piece > 0 {
            self.piece.advance(of_piece);
        }
        self.behind = self.behind.get(written - of_gathered - of_piece..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What follows a piece comes before anything else, also when the stream takes all of the piece and nothing behind it.
    #[tokio::test]
    async fn nothing_gets_between_a_piece_and_what_follows_it() {
        let mut context = Context::from_waker(noop_waker_ref());
        let (mut client, mut stream) = tokio::io::duplex(HTTP1_PIECE_BYTES + 2);
        let mut output = Output::default();
        output.gather(b"h");
        output.put(Bytes::from(vec![b'x'; HTTP1_PIECE_BYTES]), b"\r\n");
        assert!(output.poll_drain(&mut context, &mut stream).is_pending());
        assert!(!output.has_room(), "a line's end is half written");
        let mut read = vec![0; HTTP1_PIECE_BYTES + 2];
        client.read_exact(&mut read).await.expect("it is written");
        assert!(output.poll_drain(&mut context, &mut stream).is_ready() && output.has_room());
        assert_eq!((read.last(), client.read_u8().await.ok()), (Some(&b'\r'), Some(b'\n')));
    }
}
