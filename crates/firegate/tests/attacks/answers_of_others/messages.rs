//! HTTP/1.1 messages, read as strictly as RFC 9112 allows: whatever is there that should not be shows.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, BufStream};

/// How the content of a message is framed (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

impl Framing {
    /// As the fields say; none if they say two things, or nothing that can be read.
    pub(super) fn of(fields: &[String]) -> Option<Self> {
        match (field(fields, "content-length")?, field(fields, "transfer-encoding")?) {
            (Some(length), None) => length.parse().ok().map(Self::Length),
            (None, Some(coding)) if coding == "chunked" => Some(Self::Chunked),
            (None, None) => Some(Self::Length(0)),
            _ => None,
        }
    }
}

/// The value of a field, if it is there; none if it is there twice.
pub(super) fn field(fields: &[String], wanted: &str) -> Option<Option<String>> {
    let fields = fields.iter().filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let value = values.next().map(|(_, value)| value.trim().to_owned());
    values.next().is_none().then_some(value)
}

/// The lines of a head, or of a trailer section, without the empty one at its end.
pub(super) async fn read_lines<S>(stream: &mut BufStream<S>) -> io::Result<Vec<String>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some("") => return Ok(lines),
            Some(line) => lines.push(line.to_owned()),
        }
    }
}

/// Reads the content of a message, and returns its trailer section. What came before an error is in `got`.
pub(super) async fn read_content<S>(
    stream: &mut BufStream<S>,
    framing: Framing,
    got: &mut Vec<u8>,
) -> io::Result<Vec<String>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let length = match framing {
        Framing::Length(length) => length,
        Framing::Chunked => return read_chunks(stream, got).await,
    };
    read_exactly(stream, length, got).await?;
    Ok(Vec::new())
}

async fn read_chunks<S>(stream: &mut BufStream<S>, got: &mut Vec<u8>) -> io::Result<Vec<String>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size = line.strip_suffix("\r\n").and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.ok_or(io::ErrorKind::InvalidData)?;
        if size == 0 {
            return read_lines(stream).await;
        }
        read_exactly(stream, size, got).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line != "\r\n" {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

async fn read_exactly<S>(stream: &mut BufStream<S>, length: usize, got: &mut Vec<u8>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let count = stream.take(length as u64).read_to_end(got).await?;
    if count == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
