//! The first bytes of a connection, which tell HTTP/2 with prior knowledge (RFC 9113, section 3.4) from HTTP/1. They are
//! read here and not by hyper, because hyper waits for them without an end.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection began with.
#[derive(Debug)]
pub(crate) struct Preface {
    pub(crate) bytes: Vec<u8>,
    pub(crate) protocol: Protocol,
}

/// The protocol that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Preface {
    /// Reads as much as it takes to tell. The caller sets the deadline.
    ///
    /// # Errors
    /// If the connection ends before its first byte.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(HTTP2_PREFACE.len());
        while HTTP2_PREFACE.starts_with(&bytes) {
            if bytes.len() == HTTP2_PREFACE.len() {
                return Ok(Self { bytes, protocol: Protocol::Http2 });
            }
            let missing = HTTP2_PREFACE.len() - bytes.len();
            match stream.take(missing as u64).read_buf(&mut bytes).await? {
                0 if bytes.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                0 => break,
                _ => {}
            }
        }
        Ok(Self { bytes, protocol: Protocol::Http1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Rewound;

    async fn check(bytes: &[u8], expected: Option<Protocol>) {
        let mut stream = bytes;
        let preface = Preface::read(&mut stream).await;
        assert_eq!(preface.as_ref().ok().map(|preface| preface.protocol), expected, "{bytes:?}");
        if let Ok(preface) = preface {
            let mut rewound = Rewound::new(preface.bytes.clone(), stream);
            let mut first = vec![0; 2 * bytes.len()];
            let count = rewound.read(&mut first).await.expect("it is read");
            assert_eq!(&first[..count], bytes, "in one piece");
            let mut whole = Vec::new();
            let mut rewound = Rewound::new(preface.bytes, stream);
            rewound.read_to_end(&mut whole).await.expect("it is read");
            assert_eq!(whole, bytes, "nothing is lost");
        }
    }

    #[tokio::test]
    async fn the_first_bytes_tell_the_protocol() {
        check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest", Some(Protocol::Http2)).await;
        check(b"GET / HTTP/1.1\r\n\r\n", Some(Protocol::Http1)).await;
        check(b"PRI * HTTP/1.1\r\n\r\n", Some(Protocol::Http1)).await;
        check(b"PRI", Some(Protocol::Http1)).await;
        check(b"P", Some(Protocol::Http1)).await;
        check(b"", None).await;
    }
}
