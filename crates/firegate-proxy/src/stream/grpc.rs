//! The end of a gRPC stream (gRPC over HTTP/2, and gRPC-Web): its status comes last, as trailers or as a frame.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::boundary::Framing;
use super::ending::StreamEnd;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// `DEADLINE_EXCEEDED`, of `google.rpc.Code`.
const DEADLINE_EXCEEDED: u16 = 4;

/// `UNAUTHENTICATED`, of `google.rpc.Code`.
const UNAUTHENTICATED: u16 = 16;

/// The flag of the frame in which gRPC-Web sends what gRPC sends as trailers.
const WEB_TRAILERS_FLAG: u8 = 0x80;

/// A byte of flags and a length of 32 bits before each message.
#[derive(Debug)]
pub(crate) struct GrpcFraming;

impl Framing for GrpcFraming {
    fn payload(header: &[u8]) -> Option<u64> {
        let length: [u8; 4] = header.get(1..5)?.try_into().ok()?;
        Some(u64::from(u32::from_be_bytes(length)))
    }

    fn is_last(header: &[u8]) -> bool {
        header.first().is_some_and(|flags| flags & WEB_TRAILERS_FLAG != 0)
    }
}

fn status(end: StreamEnd) -> u16 {
    match end {
        StreamEnd::LeaseOver(_) => UNAUTHENTICATED,
        StreamEnd::TooLong | StreamEnd::Idle | StreamEnd::TooSlow => DEADLINE_EXCEEDED,
    }
}

/// The trailers of a stream that is ended.
pub(super) fn trailers(end: StreamEnd) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from(status(end)));
    trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(end.as_str()));
    trailers
}

/// The same as gRPC-Web's last frame.
pub(super) fn web_trailers(end: StreamEnd) -> Bytes {
    let text = format!("{GRPC_STATUS}:{}\r\n{GRPC_MESSAGE}:{}\r\n", status(end), end.as_str());
    let mut frame = BytesMut::with_capacity(5 + text.len());
    frame.put_u8(WEB_TRAILERS_FLAG);
    frame.put_u32(u32::try_from(text.len()).unwrap_or_default());
    frame.put_slice(text.as_bytes());
    frame.freeze()
}
