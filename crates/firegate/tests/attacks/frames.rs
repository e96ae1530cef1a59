//! HTTP/2 as bytes: a client that writes whatever frames it likes (RFC 9113, section 4.1), and reads what comes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use firegate_proxy::FrontDoor;

use crate::wire::{PATIENCE, Wire};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACKNOWLEDGEMENT: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The error code of RFC 9113, section 7.
pub(crate) const ENHANCE_YOUR_CALM: u8 = 0xb;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    /// Of a ping, or of settings.
    pub(crate) is_acknowledgement: bool,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block in which every field is a literal that is not indexed (RFC 7541, section 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, 7, 0, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a prefix of so many bits (RFC 7541, section 5.1).
pub(crate) fn integer(bytes: &mut Vec<u8>, bits: u32, first: u8, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        bytes.push(first | u8::try_from(value).expect("it fits"));
        return;
    }
    bytes.push(first | u8::try_from(most).expect("it fits"));
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("it fits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("it fits"));
}

/// The pseudo-headers of a request, and these fields.
pub(crate) fn request<'a>(method: &'a str, path: &'a str, fields: &[(&'a str, &'a str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", "door"), (":path", path)];
    block(&[&pseudo[..], fields].concat())
}

/// A connection that has begun as it should. It answers nothing by itself: it has to be dropped before the door is closed,
/// which waits for its connections to end.
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub(crate) async fn open(wire: &Wire) -> Self {
        Self::open_with(wire, &[]).await
    }

    /// One that begins with these settings.
    pub(crate) async fn open_with(wire: &Wire, settings: &[u8]) -> Self {
        Self::begin(wire.connect().await, settings).await
    }

    /// One to a door.
    pub(crate) async fn to(door: &FrontDoor) -> Self {
        Self::to_with(door, &[]).await
    }

    /// One to a door that begins with these settings.
    pub(crate) async fn to_with(door: &FrontDoor, settings: &[u8]) -> Self {
        Self::begin(TcpStream::connect(door.address()).await.expect("a connection"), settings).await
    }

    async fn begin(stream: TcpStream, settings: &[u8]) -> Self {
        let mut connection = Self { stream };
        connection.write(PREFACE).await;
        connection.write(&frame(SETTINGS, 0, 0, settings)).await;
        connection
    }

    /// Sends what can be sent: the door may have closed in between.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("it is read");
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        let read = async {
            let mut header = [0; 9];
            self.stream.read_exact(&mut header).await.ok()?;
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
            let is_acknowledgement = header[4] & ACKNOWLEDGEMENT != 0;
            Some(Frame { kind: header[3], is_acknowledgement, stream, payload })
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a frame or the end comes")
    }

    /// Reads until a stream is answered or reset, and returns the status of the answer. Firegate's answers begin with it,
    /// in HPACK's static table or as a literal.
    pub(crate) async fn status(&mut self, stream: u32) -> Option<u16> {
        loop {
            let frame = self.read().await?;
            match frame.kind {
                HEADERS if frame.stream == stream => return Some(status(&frame.payload)),
                RST_STREAM if frame.stream == stream => return None,
                GOAWAY if frame.payload[4..8] != [0; 4] => return None,
                _ => {}
            }
        }
    }

    /// Answers pings and does nothing else, until the door closes.
    pub(crate) async fn answers_pings_until_the_end(&mut self) {
        while let Some(frame) = self.read().await {
            if frame.kind == PING && !frame.is_acknowledgement {
                self.write(&crate::frames::frame(PING, ACKNOWLEDGEMENT, 0, &frame.payload)).await;
            }
        }
    }

    /// Reads until the door says goodbye, and returns its error code; `None` if it just closes.
    pub(crate) async fn goodbye(&mut self) -> Option<u8> {
        loop {
            let frame = self.read().await?;
            if frame.kind == GOAWAY && frame.payload[4..8] != [0; 4] {
                return Some(frame.payload[7]);
            }
        }
    }
}

/// The status at the beginning of a header block (RFC 7541, appendix A: 8 to 14 in the static table).
fn status(block: &[u8]) -> u16 {
    match block.first() {
        Some(indexed @ 0x88..=0x8e) => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // Huffman's digits, of the other statuses that are looked for.
        Some(0x48 | 0x08) if block[2..4] == [0x69, 0x90] => 431,
        Some(0x48 | 0x08) if block[2..4] == [0x68, 0x01] => 401,
        _ => panic!("an unknown status: {block:x?}"),
    }
}

/// That another client of the same door is served.
pub(crate) async fn others_are_served(wire: &Wire) {
    let mut connection = Connection::open(wire).await;
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/other", &[]))).await;
    assert_eq!(connection.status(1).await, Some(200));
}
