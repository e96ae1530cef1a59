//! The socket below a connection to a service. The runtime tells of what has come only when it has looked around; between two
//! looks a connection can be given back and taken again, so before that the socket is asked itself.
//!
//! Over HTTP/1 bytes that come while no request is under way are an answer to nobody, and on a connection that is used again
//! they would be the next user's. What there is of them is not read: TLS would give nothing of a record before the whole of it
//! has come, and the connection is not used again whatever it is. Nor is it while TLS holds a part of a record, of which nobody
//! above it knows. Over HTTP/2 a service may say something at any time, that it goes away for example: it is read as it always
//! is, only before the next request is written and not after it.

use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use futures_util::task::AtomicWaker;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::records::Records;

/// A socket that can be asked once more before it is used again.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    look_again: LookAgain,
    /// How far TLS has come that is read from it.
    records: Option<Records>,
}

/// That the connection above a socket is about to be used again.
#[derive(Clone, Debug, Default)]
pub(super) struct LookAgain(Arc<Look>);

#[derive(Debug, Default)]
struct Look {
    /// What the next read asks the system: [`NOTHING`](Self::NOTHING) or one of the others.
    asked: AtomicU8,
    /// Who reads, where that is to be woken.
    reader: OnceLock<AtomicWaker>,
}

impl Look {
    const NOTHING: u8 = 0;
    /// Whether something has come.
    const WHETHER: u8 = 1;
    /// What has come.
    const WHAT: u8 = 2;
}

impl LookAgain {
    /// The next read finds out whether something has come that was not asked for.
    pub(super) fn expect_nothing(&self) {
        self.0.asked.store(Look::WHETHER, Ordering::Relaxed);
    }

    /// From now on whoever reads can be made to [read now](Self::read_now). Over HTTP/1 nobody has to be: the next request
    /// wakes its connection.
    pub(super) fn find_reader(&self) {
        self.0.reader.get_or_init(AtomicWaker::new);
    }

    /// Whoever reads does so now, and reads all that has come.
    pub(super) fn read_now(&self) {
        self.0.asked.store(Look::WHAT, Ordering::Relaxed);
        if let Some(reader) = self.0.reader.get() {
            reader.wake();
        }
    }

    fn asked(&self) -> u8 {
        self.0.asked.load(Ordering::Relaxed)
    }

    fn is_over(&self) {
        self.0.asked.store(Look::NOTHING, Ordering::Relaxed);
    }

    fn is_read_by(&self, waker: &Waker) {
        if let Some(reader) = self.0.reader.get() {
            reader.register(waker);
        }
    }
}

/// How much is read at once of what the runtime does not know of. Mostly there is nothing.
const PIECE_BYTES: usize = 256;

impl Socket {
    /// A socket whose bytes are HTTP's.
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream, look_again: LookAgain::default(), records: None }
    }

    /// A socket below TLS.
    pub(super) fn below_tls(stream: TcpStream) -> Self {
        Self { records: Some(Records::default()), ..Self::plain(stream) }
    }

    /// By what it is told that it is used again.
    pub(super) fn look_again(&self) -> &LookAgain {
        &self.look_again
    }

    /// Whether the connection has ended, as a read tells it, whether or not the runtime has seen it; `None` if it has not.
    ///
    /// # Errors
    /// If something came that was not asked for.
    fn look(&self) -> Option<io::Result<()>> {
        if self.records.as_ref().is_some_and(Records::has_part) {
            return Some(Err(unasked()));
        }
        match SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => Some(Ok(())),
            Ok(_) => Some(Err(unasked())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// What has come, whether or not the runtime has seen it; `None` if there is nothing more.
    fn take_in(&self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let mut piece = [0; PIECE_BYTES];
        let room = buffer.remaining().min(PIECE_BYTES);
        let read = (&*SockRef::from(&self.stream)).read(&mut piece[..room]);
        if read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return None;
        }
        Some(read.map(|count| buffer.put_slice(&piece[..count])))
    }

    fn poll_read_socket(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (asked, before) = (self.look_again.asked(), buffer.filled().len());
        let seen = match asked {
            Look::WHETHER => self.look(),
            Look::WHAT => self.take_in(buffer),
            _ => None,
        };
        // As long as there is something there may be more.
        if asked != Look::NOTHING && buffer.filled().len() == before {
            self.look_again.is_over();
        }
        let polled = seen.map_or_else(|| Pin::new(&mut self.stream).poll_read(context, buffer), Poll::Ready);
        if polled.is_pending() {
            self.look_again.is_read_by(context.waker());
        }
        polled
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read_before = buffer.filled().len();
        let polled = this.poll_read_socket(context, buffer);
        if let Some(records) = &mut this.records {
            records.pass(&buffer.filled()[read_before..]);
        }
        polled
    }
}

fn unasked() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "something came that was not asked for")
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write as _;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// A socket from which everything was read, and the other side, which can write while the runtime does not look.
    async fn read_empty() -> (Socket, std::net::TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let other = std::net::TcpStream::connect(listener.local_addr().expect("an address"));
        let mut socket = Socket::plain(listener.accept().await.expect("a connection").0);
        let mut other = other.expect("a connection");
        other.write_all(b"answer").expect("it is open");
        let mut answer = [0; 6];
        socket.read_exact(&mut answer).await.expect("six bytes");
        assert_eq!(poll_once(&mut socket).await, None);
        (socket, other)
    }

    /// What a read gives without waiting; `None` if nothing.
    async fn poll_once(socket: &mut Socket) -> Option<Result<Vec<u8>, io::ErrorKind>> {
        let mut bytes = [0; 64];
        let mut buffer = ReadBuf::new(&mut bytes);
        let polled =
            poll_fn(|context| Poll::Ready(Pin::new(&mut *socket).poll_read(context, &mut buffer))).await;
        match polled {
            Poll::Pending => None,
            Poll::Ready(read) => Some(read.map(|()| buffer.filled().to_vec()).map_err(|error| error.kind())),
        }
    }

    #[tokio::test]
    async fn what_has_come_is_seen_before_the_runtime_tells_of_it() {
        let (mut socket, mut other) = read_empty().await;
        socket.look_again().expect_nothing();
        assert_eq!(poll_once(&mut socket).await, None, "nothing has come");
        other.write_all(b"unasked").expect("it is open");
        assert_eq!(poll_once(&mut socket).await, None, "the runtime has not looked");
        socket.look_again().expect_nothing();
        assert_eq!(poll_once(&mut socket).await, Some(Err(io::ErrorKind::InvalidData)));
        assert_eq!(poll_once(&mut socket).await, None, "it is asked once");
    }

    #[tokio::test]
    async fn that_the_other_side_has_closed_is_seen_too() {
        for ask in [LookAgain::expect_nothing, LookAgain::read_now] {
            let (mut socket, other) = read_empty().await;
            drop(other);
            assert_eq!(poll_once(&mut socket).await, None, "the runtime has not looked");
            ask(socket.look_again());
            assert_eq!(poll_once(&mut socket).await, Some(Ok(Vec::new())));
        }
    }

    /// What is read is all that has come, and what comes later is told by the runtime as ever.
    #[tokio::test]
    async fn what_has_come_is_read_before_the_runtime_tells_of_it() {
        let (mut socket, mut other) = read_empty().await;
        let long = vec![b'x'; 3 * PIECE_BYTES / 2];
        other.write_all(&long).expect("it is open");
        assert_eq!(poll_once(&mut socket).await, None, "the runtime has not looked");
        socket.look_again().read_now();
        let mut read = Vec::new();
        while let Some(piece) = poll_once(&mut socket).await {
            read.extend(piece.expect("it is open"));
        }
        assert_eq!(read, long);
        other.write_all(b"later").expect("it is open");
        assert_eq!(poll_once(&mut socket).await, None, "it was asked once");
        let mut later = [0; 5];
        socket.read_exact(&mut later).await.expect("five bytes");
        drop(other);
        assert_eq!(socket.read(&mut later).await.expect("an end"), 0);
    }
}
