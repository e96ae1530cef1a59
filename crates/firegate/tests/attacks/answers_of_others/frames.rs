//! The frames of WebSockets (RFC 6455, section 5.2), of which each bears its request's number.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::asked::content;

/// How a side's frames begin: a client masks them.
const MASKED: u8 = 0x80;

const OPCODE_CLOSE: u8 = 0x8;

/// No content of a frame is longer.
const FRAME_BYTES_MAX: usize = 1_000;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Service,
}

impl Side {
    fn mark(self) -> char {
        match self {
            Self::Client => 'c',
            Self::Service => 's',
        }
    }

    fn mask(self) -> (u8, &'static [u8]) {
        match self {
            // The mask under which nothing changes.
            Self::Client => (MASKED, &[0; 4]),
            Self::Service => (0, &[]),
        }
    }
}

/// How what a side wrote came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its Close frame, as it is written here.
    Closed,
    /// With another one.
    Cut,
    /// Without any.
    BrokenOff,
}

/// Frames with so many bytes of content.
pub(super) fn frames(side: Side, number: u64, bytes: usize) -> Vec<u8> {
    let (masked, mask) = side.mask();
    let mut frames = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let length = left.min(FRAME_BYTES_MAX);
        left -= length;
        frames.extend([0x82, 126 | masked]);
        frames.extend(u16::try_from(length).expect("it is short").to_be_bytes());
        frames.extend(mask);
        frames.extend(content(side.mark(), number, length));
    }
    frames
}

/// A Close frame that says whose it is.
pub(super) fn close_frame(side: Side, number: u64) -> Vec<u8> {
    let (masked, mask) = side.mask();
    let reason = content(side.mark(), number, 8);
    let length = u8::try_from(reason.len() + 2).expect("it is short");
    [&[0x80 | OPCODE_CLOSE, length | masked], mask, &1000_u16.to_be_bytes(), &reason].concat()
}

/// Reads what a side wrote to its end.
///
/// # Errors
/// What is there that this request's other side did not write.
pub(super) async fn read_frames(
    stream: &mut (impl AsyncRead + Unpin),
    side: Side,
    number: u64,
) -> Result<(usize, End), String> {
    let mut bytes = 0;
    loop {
        let Ok((opcode, payload, is_whole)) = read_frame(stream).await else {
            return Ok((bytes, End::BrokenOff));
        };
        let shown = || String::from_utf8_lossy(&payload[..payload.len().min(30)]).into_owned();
        if opcode == OPCODE_CLOSE {
            let is_their_own = payload.starts_with(&1000_u16.to_be_bytes());
            if is_their_own && payload[2..] != content(side.mark(), number, 8) {
                return Err(format!("another's Close frame: {:?}", shown()));
            }
            return Ok((bytes, if is_their_own { End::Closed } else { End::Cut }));
        }
        if opcode != 0x2 || payload != content(side.mark(), number, payload.len()) {
            return Err(format!("another's frame: {opcode}, {:?}", shown()));
        }
        bytes += payload.len();
        if !is_whole {
            return Ok((bytes, End::BrokenOff));
        }
    }
}

/// A frame's kind and as much as comes of its content, and whether that is the whole.
async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>, bool)> {
    let (first, second) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = match second & !MASKED {
        126 => usize::from(stream.read_u16().await?),
        length => usize::from(length),
    };
    let mut mask = [0; 4];
    if second & MASKED != 0 {
        stream.read_exact(&mut mask).await?;
    }
    let mut payload = Vec::new();
    let is_whole =
        stream.take(length as u64).read_to_end(&mut payload).await.is_ok_and(|count| count == length);
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((first & 0xf, payload, is_whole))
}

/// A service's side of a WebSocket: it writes and then reads, and closes when the client does.
pub(super) async fn serve<S>(stream: &mut S, number: u64, bytes: usize) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let written = async {
        stream.write_all(&frames(Side::Service, number, bytes)).await?;
        stream.flush().await
    };
    let _ = written.await;
    let (_, end) = read_frames(stream, Side::Client, number).await?;
    if end == End::Closed {
        let _ = stream.write_all(&close_frame(Side::Service, number)).await;
    }
    let _ = stream.shutdown().await;
    Ok(())
}
