//! A client's connection of which h2 reads as many frames as do something, and a few more.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::meter::{Meter, Offence};
use crate::limits::REQUEST_HEAD_TIMEOUT;

/// A header block that does not end. Whoever sends it is told ENHANCE_YOUR_CALM by h2 and nothing after it is read: that is how
/// a connection is ended from below h2, which alone knows where in its own frames it stands.
static ENDLESS_HEADERS: [u8; 9 * 17] = {
    let mut frames = [0; 9 * 17];
    let mut index = 0;
    while index < 17 {
        // Types HEADERS and CONTINUATION, without END_HEADERS, on stream 1.
        frames[index * 9 + 3] = if index == 0 { 1 } else { 9 };
        frames[index * 9 + 8] = 1;
        index += 1;
    }
    frames
};

/// A connection with a meter.
#[derive(Debug)]
pub(crate) struct MeteredStream<S> {
    stream: S,
    peer: SocketAddr,
    meter: Meter,
    /// Runs until the first frame has come.
    settings_deadline: Option<Pin<Box<Sleep>>>,
    /// What h2 still has to read to end the connection.
    ending: Option<&'static [u8]>,
}

impl<S> MeteredStream<S> {
    /// Puts a meter on a connection whose next bytes are the preface.
    pub(crate) fn new(stream: S, peer: SocketAddr) -> Self {
        Self {
            stream,
            peer,
            meter: Meter::new(Instant::now()),
            settings_deadline: Some(Box::pin(tokio::time::sleep(REQUEST_HEAD_TIMEOUT))),
            ending: None,
        }
    }

    fn end(&mut self, offence: Offence) {
        tracing::info!(peer = %self.peer, why = %offence, "an HTTP/2 connection is ended for what its client does");
        self.ending = Some(&ENDLESS_HEADERS);
    }

    /// Whether the first frame is late.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.meter.has_settings() {
            self.settings_deadline = None;
        }
        self.settings_deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(ending) = &mut this.ending {
            let (now, later) = ending.split_at(ending.len().min(buffer.remaining()));
            buffer.put_slice(now);
            *ending = later;
            return Poll::Ready(Ok(()));
        }
        let start = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending if this.is_late(context) => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(read) => read?,
        }
        let read = buffer.filled().get(start..).unwrap_or_default();
        if let Err((count, offence)) = this.meter.read(read, Instant::now()) {
            buffer.set_filled(start + count);
            this.end(offence);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.meter.sent(bytes.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        let mut left = count;
        for slice in slices {
            let sent = slice.get(..left.min(slice.len())).unwrap_or_default();
            self.meter.sent(sent);
            left -= sent.len();
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::limits::{HTTP2_WINDOW_UPDATE_BYTES_MIN, HTTP2_WINDOW_UPDATES_BURST};

    const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const WINDOW_UPDATE: [u8; 13] = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    /// A client that has sent this, and its connection.
    async fn sent(bytes: &[u8]) -> (DuplexStream, MeteredStream<DuplexStream>) {
        let (mut client, ours) = duplex(1024 * 1024);
        client.write_all(bytes).await.expect("there is room");
        (client, MeteredStream::new(ours, SocketAddr::from(([127, 0, 0, 1], 1))))
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_frame_has_its_time_and_the_others_come_when_they_like() {
        let mut buffer = [0; 64];
        let (_client, mut silent) = sent(PREFACE).await;
        let began = Instant::now();
        assert_eq!(silent.read(&mut buffer).await.expect("the preface"), PREFACE.len());
        let next = tokio::time::timeout(REQUEST_HEAD_TIMEOUT * 10, silent.read(&mut buffer));
        let late = next.await.expect("it is not waited for so long").expect_err("it is late");
        assert_eq!((late.kind(), began.elapsed()), (io::ErrorKind::TimedOut, REQUEST_HEAD_TIMEOUT));
        let (_client, mut begun) = sent(&[&PREFACE[..], &SETTINGS].concat()).await;
        assert_ne!(begun.read(&mut buffer).await.expect("it has begun"), 0);
        let next = tokio::time::timeout(REQUEST_HEAD_TIMEOUT * 10, begun.read(&mut buffer));
        assert!(next.await.is_err(), "it is waited for");
    }

    /// Time stands still, for it earns a client more.
    #[tokio::test(start_paused = true)]
    async fn whatever_is_sent_to_a_client_it_may_tell_to_have_read() {
        const EARNED: usize = 5;
        let answer = vec![b'x'; EARNED * HTTP2_WINDOW_UPDATE_BYTES_MIN as usize];
        let updates = WINDOW_UPDATE.repeat(HTTP2_WINDOW_UPDATES_BURST as usize + EARNED);
        let within = [&PREFACE[..], &SETTINGS, &updates].concat();
        for is_vectored in [false, true] {
            let (mut client, mut stream) = sent(&within).await;
            let written = match is_vectored {
                false => stream.write(&answer).await,
                true => stream.write_vectored(&[io::IoSlice::new(&answer)]).await,
            };
            assert_eq!(written.expect("there is room"), answer.len());
            let mut read = vec![0; within.len()];
            stream.read_exact(&mut read).await.expect("it is open");
            assert!(read == within, "{is_vectored}: it was ended");
            assert!(stream.read(&mut [0]).now_or_never().is_none(), "{is_vectored}");
            // Of what comes with the one too many, nothing gets through.
            client.write_all(&WINDOW_UPDATE.repeat(2)).await.expect("there is room");
            let mut last = vec![0; WINDOW_UPDATE.len() + ENDLESS_HEADERS.len()];
            stream.read_exact(&mut last).await.expect("what ends it");
            assert!(last.ends_with(&ENDLESS_HEADERS), "{is_vectored}");
        }
    }
}
