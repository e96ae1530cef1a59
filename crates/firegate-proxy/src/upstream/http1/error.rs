//! Why an exchange over HTTP/1 came to nothing, or not to its end.

use std::io;

use crate::http1::ChunkedError;
use crate::stream::BodyError;

/// What went wrong between Firegate and a service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Http1Error {
    /// The system, or TLS, says so.
    #[error("the connection failed: {0}")]
    Connection(io::Error),
    #[error("the connection ended before the answer did")]
    Ended,
    #[error("what was answered is not HTTP/1: {0}")]
    NotHttp(#[from] Malformed),
    /// The client's body: the service has nothing to do with it.
    #[error("the request's body: {0}")]
    Request(Box<BodyError>),
    #[error("the request was broken off")]
    RequestBrokenOff,
}

/// What is wrong with the bytes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("{0}")]
    Head(httparse::Error),
    #[error("its status is none")]
    Status,
    #[error("a header is none")]
    Header,
    #[error("the head is too large")]
    HeadTooLarge,
    #[error("there are too many interim answers")]
    InterimAnswers,
    #[error("the Content-Length is no number, or there are two of them")]
    ContentLength,
    #[error("the Transfer-Encoding is another than chunked")]
    TransferEncoding,
    #[error("HTTP/1.0 has no Transfer-Encoding")]
    TransferEncodingInHttp10,
    #[error("{0}")]
    Chunked(#[from] ChunkedError),
}

impl From<httparse::Error> for Malformed {
    fn from(error: httparse::Error) -> Self {
        Self::Head(error)
    }
}

impl Http1Error {
    /// Whether what came is not HTTP.
    pub(crate) fn is_not_http(&self) -> bool {
        matches!(self, Self::NotHttp(_))
    }

    /// Whether it was the request's body that did not reach its end.
    pub(crate) fn is_clients(&self) -> bool {
        matches!(self, Self::Request(_) | Self::RequestBrokenOff)
    }
}
