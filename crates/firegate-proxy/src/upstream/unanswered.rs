//! Why a request got no answer, and what that says of the service.

use std::fmt;

use firegate_core::reason::Code;
use http::Request;

use super::http1::Http1Error;
use crate::stream::{Body, BodyError};

/// What the log says of a request whose time was over before its client had sent it.
pub(super) const UNFINISHED: &str =
    "the client had not sent the whole request when the time for it and its answer was over";

/// A request without an answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nothing of it was sent.
    Unsent(Box<Request<Body>>, Cause),
    /// The connection or the stream ended before an answer came, or what came is not HTTP.
    Broken(Cause),
    /// No answer came in time.
    TimedOut,
    /// The time for the whole was over while the client was still waited for.
    Unfinished,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Cause {
    Http1(Http1Error),
    Http2(hyper::Error),
}

impl Unanswered {
    /// The reason for the client.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Unsent(_, cause) | Self::Broken(cause) if cause.is_not_http() => Code::UpstreamProtocol,
            Self::Unsent(..) | Self::Broken(_) => Code::UpstreamBrokeOff,
            Self::TimedOut | Self::Unfinished => Code::UpstreamTimedOut,
        }
    }

    /// Whether it was the client's body that ended early, or not in time: the service has nothing to do with it. That the
    /// "dispatch task is gone", of which hyper speaks as of a user's fault too, is no client's: so ends a request that waited
    /// for a stream of an HTTP/2 connection when that ended. It does not say that nothing was sent, though that is likely.
    pub(super) fn is_clients(&self) -> bool {
        match self {
            Self::Broken(Cause::Http1(error)) => error.is_clients(),
            Self::Broken(Cause::Http2(error)) => causes(error).any(<dyn std::error::Error>::is::<BodyError>),
            Self::Unfinished => true,
            Self::Unsent(..) | Self::TimedOut => false,
        }
    }

    /// Whether the connection or the stream ended, without a byte of an answer that could be read.
    pub(super) fn is_break(&self) -> bool {
        matches!(self, Self::Broken(cause) if !cause.is_not_http1()) && !self.is_clients()
    }

    /// Whether the service said that it did nothing with the request (RFC 9113, section 8.7). Of a goodbye (GOAWAY) h2 tells
    /// those streams alone that lie beyond the last one that it names; what is before it ends as its connection does.
    pub(super) fn was_not_processed(&self) -> bool {
        self.says(|error| error.reason() == Some(h2::Reason::REFUSED_STREAM) || error.is_go_away())
    }

    /// Whether the service did nothing with it because it lets go of the connection, and not because something is wrong.
    pub(super) fn is_goodbye(&self) -> bool {
        self.says(|error| error.reason() == Some(h2::Reason::NO_ERROR) && error.is_go_away())
    }

    /// Whether this is what the service said in a frame of HTTP/2.
    fn says(&self, what: impl Fn(&h2::Error) -> bool) -> bool {
        let Self::Broken(Cause::Http2(error)) = self else { return false };
        let mut causes = causes(error).filter_map(|error| error.downcast_ref::<h2::Error>());
        causes.any(|error| error.is_remote() && what(error))
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => formatter.write_str("no response headers in time"),
            Self::Unfinished => formatter.write_str(UNFINISHED),
            Self::Unsent(_, cause) | Self::Broken(cause) => write!(formatter, "{cause}"),
        }
    }
}

impl Cause {
    fn is_not_http(&self) -> bool {
        match self {
            Self::Http1(error) => error.is_not_http(),
            Self::Http2(error) => is_not_http2(error),
        }
    }

    fn is_not_http1(&self) -> bool {
        matches!(self, Self::Http1(error) if error.is_not_http())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http1(error) => write!(formatter, "{error}"),
            Self::Http2(error) => {
                for (index, cause) in causes(error).enumerate() {
                    let separator = if index == 0 { "" } else { ": " };
                    write!(formatter, "{separator}{cause}")?;
                }
                Ok(())
            }
        }
    }
}

/// Whether what came by the connection is no HTTP/2, as this side has found. Every request on it ends so, and not the one alone
/// that was answered with nonsense.
fn is_not_http2(error: &hyper::Error) -> bool {
    causes(error).filter_map(|error| error.downcast_ref::<h2::Error>()).any(h2::Error::is_library)
}

/// An error and what lies behind it.
fn causes<'a>(error: &'a hyper::Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &'a (dyn std::error::Error + 'static)), |error| error.source())
}
