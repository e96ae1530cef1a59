//! What is to be written of a message: gathered while it is small, and from where it is if it is large.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{HeaderName, HeaderValue};
use tokio::io::AsyncWrite;

use super::fields::write_field;
use super::spare_buffer;

/// What is to be written, in this order. When all of it is written, it has no memory.
#[derive(Debug)]
pub(crate) struct Output {
    gathered: Vec<u8>,
    /// How much of that is written.
    written: usize,
    piece: Bytes,
    behind: Vec<u8>,
    is_unflushed: bool,
    gathered_bytes_max: usize,
}

impl Output {
    /// Nothing yet; up to so many bytes are gathered.
    pub(crate) fn new(gathered_bytes_max: usize) -> Self {
        Self {
            gathered: Vec::new(),
            written: 0,
            piece: Bytes::new(),
            behind: Vec::new(),
            is_unflushed: false,
            gathered_bytes_max,
        }
    }

    /// Whether all of it is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.gathered.len() && self.is_whole()
    }

    /// Whether more may be put here before this is written.
    pub(crate) fn has_room(&self) -> bool {
        self.is_whole() && self.gathered.len() < self.gathered_bytes_max
    }

    /// Whether all that there is is gathered.
    fn is_whole(&self) -> bool {
        self.piece.is_empty() && self.behind.is_empty()
    }

    /// Where small things are put. Only while there is room.
    pub(crate) fn gathered(&mut self) -> &mut Vec<u8> {
        if self.gathered.capacity() == 0 {
            self.gathered = spare_buffer::take();
        }
        &mut self.gathered
    }

    /// Puts a piece of a body behind the others, of any size. Only while there is room.
    pub(crate) fn put(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        if self.gathered.len() + piece.len() <= self.gathered_bytes_max {
            self.gathered().extend_from_slice(&piece);
        } else {
            self.piece = piece;
        }
    }

    /// The same, as a chunk (RFC 9112, section 7.1). One without anything would be the end.
    pub(crate) fn put_chunk(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        // There is always room in memory for some digits.
        let _ = write!(self.gathered(), "{:X}\r\n", piece.len());
        self.put(piece);
        self.last().extend_from_slice(b"\r\n");
    }

    /// Ends a body of chunks, with these trailers.
    pub(crate) fn end_chunks<'a>(
        &mut self,
        trailers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
    ) {
        let last = self.last();
        last.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            write_field(name, value, last);
        }
        last.extend_from_slice(b"\r\n");
    }

    /// Where that is put which follows everything else.
    fn last(&mut self) -> &mut Vec<u8> {
        if self.is_whole() { self.gathered() } else { &mut self.behind }
    }

    /// Writes as much of it as the stream takes at once. Only if there is something.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        let gathered = self.gathered.get(self.written..).unwrap_or_default();
        let written = if self.is_whole() {
            ready!(Pin::new(stream).poll_write(context, gathered))?
        } else {
            let slices = [gathered, &self.piece, &self.behind].map(IoSlice::new);
            ready!(Pin::new(stream).poll_write_vectored(context, &slices))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.is_unflushed = true;
        self.advance(written);
        Poll::Ready(Ok(()))
    }

    /// Writes all of it, and has it sent.
    pub(crate) fn poll_drain(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            ready!(self.poll_write(context, stream))?;
        }
        self.let_go();
        if self.is_unflushed {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        let of_gathered = written.min(self.gathered.len() - self.written);
        self.written += of_gathered;
        if self.written == self.gathered.len() {
            self.let_go();
        }
        written -= of_gathered;
        if written == 0 {
            return;
        }
        let of_piece = written.min(self.piece.len());
        self.piece.advance(of_piece);
        self.behind.drain(..written - of_piece);
        // What a piece is a part of may be large, and the next piece late.
        if self.piece.is_empty() {
            self.piece = Bytes::new();
        }
        if self.behind.is_empty() {
            self.behind = Vec::new();
        }
    }

    /// Gives the buffer back, of which all is written.
    fn let_go(&mut self) {
        self.written = 0;
        if self.gathered.capacity() > 0 {
            spare_buffer::give_back(std::mem::take(&mut self.gathered));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::empty;

    use futures_util::task::noop_waker_ref;
    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    const GATHERED_BYTES_MAX: usize = 100;

    /// What is written by streams that take so much at once.
    async fn written(room: usize, put: impl Fn(&mut Output)) -> String {
        let (mut client, mut stream) = duplex(room);
        let mut output = Output::new(GATHERED_BYTES_MAX);
        put(&mut output);
        let writing = async move {
            std::future::poll_fn(|context| output.poll_drain(context, &mut stream))
                .await
                .expect("it is open");
            assert!(output.is_empty() && output.has_room());
            assert_eq!((output.gathered.capacity(), output.behind.capacity()), (0, 0), "it has no memory");
        };
        let mut read = String::new();
        let (_, count) = tokio::join!(writing, client.read_to_string(&mut read));
        count.expect("text");
        read
    }

    #[tokio::test]
    async fn what_is_put_is_written_in_its_order() {
        let trailer = ("x-sum".parse().expect("a name"), HeaderValue::from_static("1"));
        for size in [1, GATHERED_BYTES_MAX - 8, GATHERED_BYTES_MAX, 3 * GATHERED_BYTES_MAX] {
            let piece = "x".repeat(size);
            for room in [1, 7, size, size + 5, 1024] {
                let plain = written(room, |output| {
                    output.gathered().extend_from_slice(b"head,");
                    output.put(piece.clone().into());
                });
                assert_eq!(plain.await, format!("head,{piece}"), "{size} {room}");
                let chunked = written(room, |output| {
                    output.gathered().extend_from_slice(b"head,");
                    output.put_chunk(piece.clone().into());
                    output.end_chunks([(&trailer.0, &trailer.1)].into_iter());
                });
                let expected = format!("head,{size:X}\r\n{piece}\r\n0\r\nx-sum: 1\r\n\r\n");
                assert_eq!(chunked.await, expected, "{size} {room}");
            }
        }
        let ended = written(1024, |output| {
            output.put_chunk(Bytes::new());
            output.end_chunks(empty());
        });
        assert_eq!(ended.await, "0\r\n\r\n", "a chunk of nothing is none");
    }

    /// Both are written by the same buffer.
    #[tokio::test]
    async fn nothing_of_a_message_is_left_for_the_next_one() {
        for text in ["Bearer somebody's", "GET /", ""] {
            let read = written(1024, |output| {
                assert!(output.gathered().is_empty());
                output.gathered().extend_from_slice(text.as_bytes());
            });
            assert_eq!(read.await, text);
        }
    }

    /// What follows a piece comes before anything else, also when the stream takes all of the piece and nothing behind it.
    #[tokio::test]
    async fn nothing_gets_between_a_piece_and_what_follows_it() {
        let mut context = Context::from_waker(noop_waker_ref());
        let before = "C8\r\n".len();
        let (mut client, mut stream) = duplex(before + 2 * GATHERED_BYTES_MAX + 1);
        let mut output = Output::new(GATHERED_BYTES_MAX);
        output.put_chunk(Bytes::from(vec![b'x'; 2 * GATHERED_BYTES_MAX]));
        assert!(output.poll_drain(&mut context, &mut stream).is_pending());
        assert!(!output.has_room() && !output.is_empty(), "a line's end is half written");
        let mut read = vec![0; before + 2 * GATHERED_BYTES_MAX + 1];
        client.read_exact(&mut read).await.expect("it is written");
        assert!(output.poll_drain(&mut context, &mut stream).is_ready() && output.has_room());
        assert_eq!((read.last(), client.read_u8().await.ok()), (Some(&b'\r'), Some(b'\n')));
    }
}
