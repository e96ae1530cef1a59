//! The bytes of a connection as one sequence of heads and bodies. Pure: bytes go in, a verdict comes out.

use std::ops::Range;

use super::chunked::Chunked;
use super::head::{Body, Head};
use super::violation::Violation;

/// Reads the requests of one connection, one after the other.
#[derive(Debug, Default)]
pub struct Scanner {
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Length(u64),
    Chunked(Chunked),
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

impl Scanner {
    /// Reads on. The verdict does not depend on how the bytes are cut.
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut clean = 0;
        loop {
            let rest = bytes.get(clean..).unwrap_or_default();
            let then = match &mut self.state {
                State::Head(head) => match head.read(rest) {
                    Ok(Some((length, body))) => {
                        clean += length;
                        self.state = State::after(body);
                        continue;
                    }
                    Ok(None) => Then::More,
                    Err(violation) => Then::Refuse(violation),
                },
                State::Length(left) => {
                    let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    clean += count;
                    *left -= count as u64;
                    if *left == 0 {
                        self.state = State::default();
                        continue;
                    }
                    Then::More
                }
                State::Chunked(body) => match body.read(rest) {
                    Ok(count) => {
                        clean += count;
                        if body.is_over() {
                            self.state = State::default();
                            continue;
                        }
                        Then::More
                    }
                    Err((count, violation)) => {
                        clean += count;
                        Then::Break(violation)
                    }
                },
                State::Switch => Then::AwaitSwitch,
                State::Over(violation, _) => Then::Break(*violation),
            };
            if let Then::Refuse(violation) | Then::Break(violation) = then {
                self.state = State::Over(violation, self.origin());
            }
            return Scan { clean, then };
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
    pub fn awaits_head(&self) -> bool {
        matches!(self.state, State::Head(_))
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
            Body::Chunked => Self::Chunked(Chunked::new()),
            Body::Switch => Self::Switch,
        }
    }
}
