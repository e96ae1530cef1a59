//! What is wrong with the bytes of a client.

use firegate_core::reason::Reason;

use crate::http1::ChunkedError;
use crate::limits::{
    REQUEST_HEAD_BYTES_MAX, REQUEST_HEAD_TIMEOUT, REQUEST_HEADERS_MAX, REQUEST_LINE_BYTES_MAX,
};

macro_rules! violations {
    ($($name:ident $why:literal)+) => {
        /// What is wrong with the bytes of a client. Closed, so that what is logged of them is ours and not the client's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Violation {
            $(#[doc = $why] #[error($why)] $name,)+
        }

        impl Violation {
            /// What is wrong, for the log.
            pub const fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)+ }
            }
        }
    };
}

violations! {
    LeadingLineEnd "a line's end stands before the request"
    BareCr "a CR is not followed by LF"
    BareLf "a line ends with LF alone"
    TlsHandshake "the client speaks TLS, and this port plain HTTP"
    ControlCharacter "a control character stands in the head"
    RequestLine "the request line is not `METHOD TARGET HTTP/1.1`"
    Method "the method is no token, or is reserved"
    Connect "CONNECT is not forwarded"
    Target "the target is neither a path nor a URL of http or https"
    Fragment "the target has a fragment"
    Version "the version is neither HTTP/1.1 nor HTTP/1.0"
    FoldedLine "a header goes on in the next line (obs-fold)"
    NameEmpty "a header has no name"
    NameSpace "a space stands in or behind a header's name"
    NameToken "a header's name is no token"
    ContentLength "the Content-Length is not a plain number"
    ContentLengthRepeated "there is more than one Content-Length"
    TransferEncoding "the Transfer-Encoding is another than chunked"
    TransferEncodingRepeated "there is more than one Transfer-Encoding"
    TransferEncodingInHttp10 "a request of HTTP/1.0 has a Transfer-Encoding"
    BothLengths "there are both a Content-Length and a Transfer-Encoding"
    UpgradeWithBody "a request that asks for a WebSocket has a body"
    ChunkSize "a chunk's size is not a plain hexadecimal number"
    ChunkExtension "a chunk's extensions are malformed or too long"
    ChunkEnd "a chunk does not end where it said"
    Trailer "the trailers are malformed or too long"
    TooManyFields "the head has too many fields"
    HeadTooLarge "the head is too large"
    TargetTooLong "the request line is too long"
    HeadTimedOut "the head did not come in time"
}

impl Violation {
    /// The reason by which a request with this head is refused.
    pub fn reason(self) -> Reason {
        match self {
            Self::TlsHandshake => Reason::TlsWherePlain,
            Self::TooManyFields | Self::HeadTooLarge => Reason::RequestHeadTooLarge {
                bytes_max: REQUEST_HEAD_BYTES_MAX.into(),
                fields_max: REQUEST_HEADERS_MAX,
            },
            Self::TargetTooLong => {
                Reason::RequestTargetTooLong { part: "first line", bytes_max: REQUEST_LINE_BYTES_MAX }
            }
            Self::HeadTimedOut => Reason::RequestHeadTimedOut { after: REQUEST_HEAD_TIMEOUT },
            _ => Reason::RequestMalformed { why: self.why() },
        }
    }
}

impl From<ChunkedError> for Violation {
    fn from(error: ChunkedError) -> Self {
        match error {
            ChunkedError::Size => Self::ChunkSize,
            ChunkedError::Extension => Self::ChunkExtension,
            ChunkedError::End => Self::ChunkEnd,
            ChunkedError::Trailers => Self::Trailer,
        }
    }
}
