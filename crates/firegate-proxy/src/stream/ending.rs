//! How a stream is ended before its own end, when its user's lease is over: by its protocol's own close where there is one,
//! and else so that nobody takes the part for the whole.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Version};
use http_body::Frame;

use super::boundary::Boundary;
use super::grpc::{GrpcFraming, trailers, web_trailers};
use super::lease::LeaseEnd;

/// The end of a body whose lease is over.
#[derive(Debug, Default)]
pub(crate) enum Ending {
    /// Its connection or stream is broken off.
    #[default]
    Break,
    /// It ends like one that is whole. An `EventSource` throws an unfinished event away, connects again, and is answered
    /// 401 (HTML, section 9.2).
    Complete,
    /// After the message that is under way come trailers with a status.
    Grpc(Boundary<GrpcFraming>),
    /// The same, in a frame of the body.
    GrpcWeb(Boundary<GrpcFraming>),
    /// Nothing more of it goes on; the other half of the exchange ends, and takes it along. For bodies of requests.
    Withhold,
}

/// What comes next of a body whose lease is over.
pub(crate) enum Next {
    /// What is under way is let through to its end.
    Through,
    /// This is the last of it, and there may be nothing more to say.
    Last(Option<Frame<Bytes>>),
    /// Nothing, until the grace is over.
    Nothing,
    Broken,
}

impl Ending {
    /// How the body of an answer with these headers ends for a client that speaks this version of HTTP.
    pub(crate) fn of(headers: &HeaderMap, version: Version) -> Self {
        // What has announced its length cannot end well before.
        if headers.contains_key(CONTENT_LENGTH) {
            return Self::Break;
        }
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
        let is_below = |name: &str| {
            let (start, rest) = essence.split_at(name.len().min(essence.len()));
            start.eq_ignore_ascii_case(name.as_bytes()) && (rest.is_empty() || rest.starts_with(b"+"))
        };
        if is("text/event-stream") {
            Self::Complete
        } else if is_below("application/grpc") && version == Version::HTTP_2 {
            Self::Grpc(Boundary::default())
        } else if is_below("application/grpc-web") {
            Self::GrpcWeb(Boundary::default())
        } else {
            // `application/grpc-web-text` among them: its frames are hidden in Base64 of unknown padding.
            Self::Break
        }
    }

    /// Notes what went by.
    pub(crate) fn pass(&mut self, data: &[u8]) {
        if let Self::Grpc(messages) | Self::GrpcWeb(messages) = self {
            messages.pass(data);
        }
    }

    /// How much of the next piece still belongs to what is under way.
    pub(crate) fn rest(&self, data: &[u8]) -> usize {
        match self {
            Self::Grpc(messages) | Self::GrpcWeb(messages) => messages.rest_of_frame(data),
            Self::Break | Self::Complete | Self::Withhold => 0,
        }
    }

    /// What comes next, now that the lease is over.
    pub(crate) fn next(&self, end: LeaseEnd) -> Next {
        match self {
            Self::Break => Next::Broken,
            Self::Complete => Next::Last(None),
            Self::Withhold => Next::Nothing,
            Self::Grpc(messages) | Self::GrpcWeb(messages) if !messages.is_between_frames() => Next::Through,
            Self::Grpc(_) => Next::Last(Some(Frame::trailers(trailers(end)))),
            // Its trailers have come already.
            Self::GrpcWeb(messages) if messages.has_ended() => Next::Last(None),
            Self::GrpcWeb(_) => Next::Last(Some(Frame::data(web_trailers(end)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_says_how_a_stream_ends() {
        let check = |content_type: &'static str, version: Version, expected: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.parse().expect("a value"));
            let found = format!("{:?}", Ending::of(&headers, version));
            assert!(found.starts_with(expected), "{content_type} over {version:?}: {found}");
            headers.insert(CONTENT_LENGTH, 5.into());
            assert!(matches!(Ending::of(&headers, version), Ending::Break), "{content_type} with a length");
        };
        check("text/event-stream", Version::HTTP_11, "Complete");
        check("Text/Event-Stream; charset=utf-8", Version::HTTP_2, "Complete");
        check("application/grpc", Version::HTTP_2, "Grpc(");
        check("application/grpc+proto", Version::HTTP_2, "Grpc(");
        check("application/grpc", Version::HTTP_11, "Break");
        check("application/grpc-web+proto", Version::HTTP_11, "GrpcWeb(");
        check("application/grpc-web", Version::HTTP_2, "GrpcWeb(");
        check("application/grpc-web-text", Version::HTTP_11, "Break");
        check("application/json", Version::HTTP_2, "Break");
        check("text/event-streams", Version::HTTP_11, "Break");
    }
}
