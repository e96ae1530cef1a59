//! The socket below a connection to a service. The runtime tells of what has come only when it has looked around; between two
//! looks a connection can be given back and taken again, so before that the socket is asked itself.
//!
//! Over HTTP/1 bytes that come while no request is under way are an answer to nobody, and on a connection that is used again
//! they would be the next user's. What there is of them is not read: TLS would give nothing of a record before the whole of it
//! has come, and the connection is not used again whatever it is. Nor is it while TLS holds a part of a record, of which nobody
//! above it knows. Over HTTP/2 a service may say something at any time, that it goes away for example: it is read as it always
//! is, only before the next request is written and not after it.

use std::io::{self, IoSlice, Read as _, Write};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::records::Records;

/// A socket that can be asked once more before it is used again.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// Where somebody always reads: over HTTP/2.
    look_again: Option<LookAgain>,
    /// How far TLS has come that is read from it.
    records: Option<Records>,
}

/// What there is at a connection that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Nothing,
    /// Bytes that nobody asked for.
    Something,
    /// Its end.
    Ended,
}

/// That the connection above a socket is about to be used again.
#[derive(Clone, Debug, Default)]
pub(super) struct LookAgain(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// Whether the next read asks the system what has come.
    is_asked: AtomicBool,
    /// Who reads.
    reader: AtomicWaker,
}

impl LookAgain {
    /// Whoever reads does so now, and reads all that has come.
    pub(super) fn read_now(&self) {
        self.0.is_asked.store(true, Ordering::Relaxed);
        self.0.reader.wake();
    }
}

/// How much is read at once of what the runtime does not know of. Mostly there is nothing.
const PIECE_BYTES: usize = 256;

impl Socket {
    /// A socket whose bytes are HTTP's.
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream, look_again: None, records: None }
    }

    /// A socket below TLS.
    pub(super) fn below_tls(stream: TcpStream) -> Self {
        Self { records: Some(Records::default()), ..Self::plain(stream) }
    }

    /// By what it is told that it is used again.
    pub(super) fn look_again(&mut self) -> LookAgain {
        self.look_again.get_or_insert_default().clone()
    }

    /// What writes without waiting.
    pub(super) fn writer(&self) -> impl Write {
        TakenNow(SockRef::from(&self.stream))
    }

    /// What the system has that nobody has read, whether or not the runtime has seen it.
    pub(super) fn look(&self) -> Look {
        if self.records.as_ref().is_some_and(Records::has_part) {
            return Look::Something;
        }
        match SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]) {
            Ok(1..) => Look::Something,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Look::Nothing,
            Ok(0) | Err(_) => Look::Ended,
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
        let Some(LookAgain(asked)) = &self.look_again else {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        };
        let (is_asked, before) = (asked.is_asked.load(Ordering::Relaxed), buffer.filled().len());
        let seen = if is_asked { self.take_in(buffer) } else { None };
        // As long as there is something there may be more.
        if is_asked && buffer.filled().len() == before {
            asked.is_asked.store(false, Ordering::Relaxed);
        }
        let polled = seen.map_or_else(|| Pin::new(&mut self.stream).poll_read(context, buffer), Poll::Ready);
        if polled.is_pending() {
            asked.reader.register(context.waker());
        }
        polled
    }
}

/// A socket that takes what it has room for.
struct TakenNow<'a>(SockRef<'a>);

impl Write for TakenNow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        assert_eq!(socket.look(), Look::Nothing);
        other.write_all(b"unasked").expect("it is open");
        assert_eq!(poll_once(&mut socket).await, None, "the runtime has not looked");
        assert_eq!(socket.look(), Look::Something);
        assert_eq!(socket.look(), Look::Something, "it is still there");
    }

    /// The runtime says that there is something until somebody finds that there is not.
    #[tokio::test]
    async fn what_was_read_is_not_taken_for_what_has_come() {
        let (mut socket, mut other) = read_empty().await;
        other.write_all(b"answer").expect("it is open");
        tokio::task::yield_now().await;
        socket.read_exact(&mut [0; 6]).await.expect("six bytes");
        assert_eq!(socket.look(), Look::Nothing);
    }

    #[tokio::test]
    async fn an_end_is_read_before_the_runtime_tells_of_it() {
        let (mut socket, other) = read_empty().await;
        let look_again = socket.look_again();
        drop(other);
        assert_eq!(poll_once(&mut socket).await, None, "the runtime has not looked");
        assert_eq!(socket.look(), Look::Ended);
        look_again.read_now();
        assert_eq!(poll_once(&mut socket).await, Some(Ok(Vec::new())));
    }

    /// What is read is all that has come, and what comes later is told by the runtime as ever.
    #[tokio::test]
    async fn what_has_come_is_read_before_the_runtime_tells_of_it() {
        let (mut socket, mut other) = read_empty().await;
        let look_again = socket.look_again();
        let long = vec![b'x'; 3 * PIECE_BYTES / 2];
        other.write_all(&long).expect("it is open");
        assert_eq!(poll_once(&mut socket).await, None, "the runtime has not looked");
        look_again.read_now();
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
