//! How a stream is ended before its own end, when its user's lease or its time is over: by its protocol's own close where there
//! is one, and else so that nobody takes the part for the whole.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Version};
use http_body::Frame;

use super::body::BodyError;
use super::boundary::Boundary;
use super::grpc::{GrpcFraming, trailers, web_trailers};
use super::lease::LeaseEnd;

/// Why a stream is ended before its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    LeaseOver(LeaseEnd),
    /// The request and its answer took longer than they may in all.
    TooLong,
    /// Nothing more came in time.
    Idle,
    /// Less came in a second than has to.
    TooSlow,
}

/// The end of a body whose lease or whose time is over.
#[derive(Debug, Default)]
pub(crate) enum Ending {
    /// Its connection or stream is broken off.
    #[default]
    Break,
    /// It ends like one that is whole, if its lease is over. An `EventSource` throws an unfinished event away, connects again,
    /// and is answered 401 (HTML, section 9.2).
    Complete,
    /// After the message that is under way come trailers with a status.
    Grpc(Boundary<GrpcFraming>),
    /// The same, in a frame of the body.
    GrpcWeb(Boundary<GrpcFraming>),
    /// Nothing more of it goes on; the other half of the exchange ends, and takes it along. For bodies of requests.
    Withhold,
}

/// What comes next of a body that is ended.
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

    /// What comes next, now that it is ended. Only in gRPC is there a way to say that the time was over.
    pub(super) fn next(&self, end: StreamEnd) -> Next {
        match self {
            Self::Complete if end.is_of_lease() => Next::Last(None),
            Self::Withhold if end.is_of_lease() => Next::Nothing,
            Self::Break | Self::Complete | Self::Withhold => Next::Broken,
            Self::Grpc(messages) | Self::GrpcWeb(messages) if !messages.is_between_frames() => Next::Through,
            Self::Grpc(_) => Next::Last(Some(Frame::trailers(trailers(end)))),
            // Its trailers have come already.
            Self::GrpcWeb(messages) if messages.has_ended() => Next::Last(None),
            Self::GrpcWeb(_) => Next::Last(Some(Frame::data(web_trailers(end)))),
        }
    }
}

impl StreamEnd {
    fn is_of_lease(self) -> bool {
        matches!(self, Self::LeaseOver(_))
    }

    /// What it is to a body that has no better end.
    pub(super) fn error(self) -> BodyError {
        match self {
            Self::LeaseOver(end) => BodyError::LeaseOver(end),
            Self::TooLong => BodyError::TooLong,
            Self::Idle => BodyError::Idle,
            Self::TooSlow => BodyError::TooSlow,
        }
    }

    /// What happened.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::LeaseOver(end) => end.as_str(),
            Self::TooLong => "the request and its answer took longer than they may in all",
            Self::Idle => "no more of the body came in time",
            Self::TooSlow => "the body is sent too slowly",
        }
    }

    /// What is told beside the answer as the reason why it was cut: of a lease nothing, which ends as it was promised.
    pub(super) fn cut(self) -> Option<&'static str> {
        (!self.is_of_lease()).then(|| self.as_str())
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

    /// A part that ends well by its time is told as one alone in gRPC.
    #[test]
    fn what_takes_too_long_ends_well_in_no_protocol_that_cannot_say_so() {
        let ending = |content_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.parse().expect("a value"));
            Ending::of(&headers, Version::HTTP_2)
        };
        for end in [StreamEnd::TooLong, StreamEnd::Idle, StreamEnd::TooSlow] {
            for content_type in ["text/event-stream", "application/json", "application/grpc-web-text"] {
                assert!(matches!(ending(content_type).next(end), Next::Broken), "{content_type}");
            }
            assert!(matches!(Ending::Withhold.next(end), Next::Broken));
            let Next::Last(Some(frame)) = ending("application/grpc").next(end) else { panic!("trailers") };
            let trailers = frame.into_trailers().expect("trailers");
            assert_eq!(trailers["grpc-status"], "4");
            assert_eq!(trailers["grpc-message"], end.as_str());
            // The rest of a message that is under way comes before.
            let mut under_way = ending("application/grpc");
            under_way.pass(b"\0\0\0\0\x05one");
            assert!(matches!(under_way.next(end), Next::Through));
            let Next::Last(Some(frame)) = ending("application/grpc-web").next(end) else { panic!("a frame") };
            assert!(frame.into_data().expect("data").starts_with(b"\x80"));
        }
    }
}
