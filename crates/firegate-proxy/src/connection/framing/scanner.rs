//! The bytes of a connection as one sequence of heads and bodies. Pure: bytes go in, a verdict comes out.

use std::ops::Range;

use super::head::{Body, Head, WholeHead};
use super::violation::Violation;
use crate::http1::{Chunked, Sender};

/// Reads the requests of one connection, one after the other.
#[derive(Debug, Default)]
pub struct Scanner {
    state: State,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a head is what a connection waits for most of the time, and needs no allocation"
)]
enum State {
    Head(Head),
    Length(u64),
    Chunked(Box<Chunked>),
    Switch,
    /// With what the head says that was refused, of where its origin stands.
    Over(Violation, Option<Range<usize>>),
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

/// The verdict on some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// How many of them may go on.
    pub clean: usize,
    /// What is to be done with the others.
    pub then: Then,
}

/// What is to be done with the bytes behind those that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// They are a head that is not whole: keep them, and show them again in front of what comes next.
    More,
    /// They follow a request to switch protocols: keep them until it is answered. If it is refused, call
    /// [`Scanner::resume`] and show them again.
    AwaitSwitch,
    /// The head that begins with them is refused, and nothing behind it has a meaning.
    Refuse(Violation),
    /// The body that goes on with them breaks off here.
    Break(Violation),
}

/// What some bytes begin with.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it goes no further than to whoever asked for it")]
pub(in crate::connection) enum Step {
    /// A head, which is whole.
    Head(WholeHead),
    /// So many bytes between the pieces of a body, which say where they are.
    Framing(usize),
    /// So many bytes of a body's own.
    Data(usize),
    /// The end of a body, of so many bytes, and the trailers as they came.
    End(usize, Vec<u8>),
    /// Nothing that says anything yet, or may.
    Then(Then),
}

impl Scanner {
    /// Reads on. The verdict does not depend on how the bytes are cut.
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut clean = 0;
        loop {
            clean += match self.step(bytes.get(clean..).unwrap_or_default()) {
                Step::Head(head) => head.length,
                Step::Framing(length) | Step::Data(length) | Step::End(length, _) => length,
                Step::Then(then) => return Scan { clean, then },
            };
        }
    }

    /// Reads one step on: whatever is not [`Then`] was read, and is not to be shown again.
    pub(in crate::connection) fn step(&mut self, bytes: &[u8]) -> Step {
        match &mut self.state {
            State::Head(head) => match head.read(bytes) {
                Ok(Some(head)) => {
                    self.state = State::after(head.body);
                    Step::Head(head)
                }
                Ok(None) => Step::Then(Then::More),
                Err(violation) => {
                    self.state = State::Over(violation, self.origin());
                    Step::Then(Then::Refuse(violation))
                }
            },
            State::Length(0) => {
                self.state = State::default();
                Step::End(0, Vec::new())
            }
            State::Length(left) => match bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX)) {
                0 => Step::Then(Then::More),
                count => {
                    *left -= count as u64;
                    Step::Data(count)
                }
            },
            State::Chunked(body) if body.is_in_data() => match body.take_data(bytes) {
                0 => Step::Then(Then::More),
                count => Step::Data(count),
            },
            State::Chunked(body) => match body.read_framing(bytes) {
                Ok(length) if body.is_over() => {
                    let trailers = body.take_trailers();
                    self.state = State::default();
                    Step::End(length, trailers)
                }
                Ok(0) => Step::Then(Then::More),
                Ok(length) => Step::Framing(length),
                Err((clean, error)) => {
                    let violation = error.into();
                    self.state = State::Over(violation, None);
                    if clean == 0 { Step::Then(Then::Break(violation)) } else { Step::Framing(clean) }
                }
            },
            State::Switch => Step::Then(Then::AwaitSwitch),
            State::Over(violation, _) => Step::Then(Then::Break(*violation)),
        }
    }

    /// Where the head that was refused, or is not whole, says which page the request comes from: from its first byte on, with
    /// the white space around it. What stands behind the fault is not read.
    pub fn origin(&self) -> Option<Range<usize>> {
        match &self.state {
            State::Head(head) => head.origin(),
            State::Over(_, origin) => origin.clone(),
            State::Length(_) | State::Chunked(_) | State::Switch => None,
        }
    }

    /// Whether what comes next belongs to a head.
    pub(in crate::connection) fn awaits_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Whether what comes next is a body's own.
    pub(in crate::connection) fn awaits_data(&self) -> bool {
        match &self.state {
            State::Length(left) => *left > 0,
            State::Chunked(body) => body.is_in_data(),
            State::Head(_) | State::Switch | State::Over(..) => false,
        }
    }

    /// Whether a body is over, of which nothing but its length says so.
    pub(in crate::connection) fn is_at_end(&self) -> bool {
        matches!(self.state, State::Length(0))
    }

    /// The request to switch protocols was refused: what follows is the next request.
    pub fn resume(&mut self) {
        if matches!(self.state, State::Switch) {
            self.state = State::default();
        }
    }
}

impl State {
    fn after(body: Body) -> Self {
        match body {
            Body::None => Self::default(),
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::Chunked(Box::new(Chunked::new(Sender::Client))),
            Body::Switch => Self::Switch,
        }
    }
}
