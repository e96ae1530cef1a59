//! What is asked: everything that is sent bears the number of its request.

use std::sync::{Arc, Mutex, PoisonError};

/// What a service does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// It reads the request and answers it with a length.
    Answer,
    /// In chunks.
    Chunks,
    /// In chunks, with a trailer.
    Trailer,
    /// In many pieces.
    Pieces,
    /// After two interim answers.
    Interim,
    /// Without content.
    Empty,
    /// And closes, as it has said.
    LastAnswer,
    /// Until it closes.
    UntilClosed,
    /// Before it reads the request's content.
    Early,
    /// The same, and closes without reading it.
    EarlyAndClosed,
    /// With something behind it.
    Planted,
    /// In one chunk, with something behind the last one.
    PlantedChunk,
    /// Without content, and with something behind it.
    PlantedEmpty,
    /// It closes in the middle of an answer with a length.
    CutOff,
    /// It closes in the middle of an answer in chunks.
    CutChunks,
    /// It breaks the connection in the middle of an answer whose end is that of the connection.
    CutUntilClosed,
    /// It closes without an answer, the first time.
    NoAnswer,
    /// It resets the connection, the first time.
    Reset,
    /// It says nothing, the first time.
    Stalls,
    /// It says nothing and takes nothing, the first time.
    StallsUpload,
    /// It says no more in the middle of an answer.
    StallsInside,
    /// It goes on to say a little.
    Trickles,
    /// It says one message of gRPC after the other.
    Messages,
    /// It switches to a WebSocket.
    Tunnel,
    /// The same, and says something at once.
    EarlyTunnel,
    /// It breaks a WebSocket off.
    CutTunnel,
}

impl Plan {
    /// Of services that are bad.
    pub(super) const USUAL: &[Self] = &[
        Self::Answer,
        Self::Chunks,
        Self::Trailer,
        Self::Pieces,
        Self::Interim,
        Self::Empty,
        Self::LastAnswer,
        Self::UntilClosed,
        Self::Early,
        Self::EarlyAndClosed,
        Self::Planted,
        Self::PlantedChunk,
        Self::PlantedEmpty,
        Self::CutOff,
        Self::CutChunks,
        Self::CutUntilClosed,
        Self::NoAnswer,
        Self::Reset,
    ];

    /// Of services that are slow, too.
    pub(super) const SLOW: &[Self] = &[
        Self::Answer,
        Self::Chunks,
        Self::Trailer,
        Self::Pieces,
        Self::LastAnswer,
        Self::Early,
        Self::Planted,
        Self::CutOff,
        Self::NoAnswer,
        Self::Stalls,
        Self::StallsUpload,
        Self::StallsInside,
        Self::Trickles,
    ];

    /// Of services that answer in streams.
    pub(super) const STREAMS: &[Self] = &[
        Self::Messages,
        Self::Messages,
        Self::Messages,
        Self::Pieces,
        Self::Answer,
        Self::Chunks,
        Self::Trailer,
    ];

    /// How a service takes a WebSocket. By any other plan it answers without one.
    pub(super) const TUNNELS: &[Self] = &[Self::Tunnel, Self::EarlyTunnel, Self::CutTunnel];

    const ALL: [&[Self]; 4] = [Self::USUAL, Self::SLOW, Self::STREAMS, Self::TUNNELS];

    /// Whether the answer is one that a client who stays gets as a whole.
    pub(super) fn is_whole(self) -> bool {
        match self {
            Self::Early
            | Self::EarlyAndClosed
            | Self::CutOff
            | Self::CutChunks
            | Self::CutUntilClosed
            | Self::NoAnswer
            | Self::Reset
            | Self::Stalls
            | Self::StallsUpload
            | Self::StallsInside
            | Self::Trickles
            | Self::CutTunnel => false,
            Self::Answer
            | Self::Chunks
            | Self::Trailer
            | Self::Pieces
            | Self::Interim
            | Self::Empty
            | Self::LastAnswer
            | Self::UntilClosed
            | Self::Planted
            | Self::PlantedChunk
            | Self::PlantedEmpty
            | Self::Messages
            | Self::Tunnel
            | Self::EarlyTunnel => true,
        }
    }

    /// Whether the answer has no content.
    pub(super) fn is_empty(self) -> bool {
        matches!(self, Self::Empty | Self::PlantedEmpty)
    }

    pub(super) fn is_tunnel(self) -> bool {
        Self::TUNNELS.contains(&self)
    }

    fn name(self) -> String {
        format!("{self:?}")
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().flatten().copied().find(|plan| plan.name() == name)
    }
}

/// One request, as its path tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) user: usize,
    pub(super) number: u64,
    pub(super) plan: Plan,
    /// How much of the answer's content there is.
    pub(super) answer_bytes: usize,
}

impl Asked {
    pub(super) fn path(&self) -> String {
        format!("/{}/{}/{}/{}", self.user, self.number, self.plan.name(), self.answer_bytes)
    }

    pub(super) fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        Some(Self {
            user: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
            plan: Plan::of_name(parts.next()?)?,
            answer_bytes: parts.next()?.parse().ok()?,
        })
    }
}

/// What has the request's number at every place.
pub(super) fn content(mark: char, number: u64, bytes: usize) -> Vec<u8> {
    format!("{mark}{number:07}").into_bytes().into_iter().cycle().take(bytes).collect()
}

/// A message of gRPC with so much content: not compressed, and with its length.
pub(super) fn message(number: u64, bytes: usize) -> Vec<u8> {
    let length = u32::try_from(bytes).expect("it is short").to_be_bytes();
    [&[0], &length[..], &content('d', number, bytes)].concat()
}

/// How much content there is in whole messages of this number; nothing if there is anything else.
pub(super) fn messages(number: u64, mut bytes: &[u8]) -> Option<usize> {
    let mut whole = 0;
    while let Some((&[0, a, b, c, d], rest)) = bytes.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let (message, rest) = rest.split_at_checked(length)?;
        (message == content('d', number, length)).then_some(())?;
        (whole, bytes) = (whole + length, rest);
    }
    bytes.is_empty().then_some(whole)
}

/// What went wrong, on either side.
#[derive(Clone, Debug, Default)]
pub(super) struct Found(Arc<Mutex<Vec<String>>>);

impl Found {
    pub(super) fn add(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    pub(super) fn check(&self, what: impl FnOnce() -> String, holds: bool) {
        if !holds {
            self.add(what());
        }
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Numbers that look as if by chance, the same with every run (Marsaglia, "Xorshift RNGs").
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn of(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed + 1))
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(super) fn size(&mut self, bound: u64) -> usize {
        usize::try_from(self.below(bound)).expect("it is small")
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.size(all.len() as u64)]
    }
}
