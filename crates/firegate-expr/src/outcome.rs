//! What an evaluation ends with, and how what is not a value combines.
//!
//! The logic is Kleene's with errors as CEL has them: a `false` decides an `&&` and a `true` an `||`, whatever stands beside
//! it. Where nothing decides, the gravest wins: an error, then what is unknown, then the missing user. An error comes before
//! what is unknown because of deny rules: "unknown" does not match, an error in a strict deny rule denies, and an expression
//! that could have been an error must not be let off by a function that nobody evaluates.

use std::fmt;
use std::ops::Range;

/// What an expression says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It matches.
    True,
    /// It does not match.
    False,
    /// It depends on something that Firegate does not know; the name of it.
    Unknown(&'static str),
    /// It cannot be evaluated for this request.
    Error(EvaluationError),
}

impl Outcome {
    /// Whether it matches: nothing but `True` does.
    pub const fn is_true(self) -> bool {
        matches!(self, Self::True)
    }
}

impl From<bool> for Outcome {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Why an expression cannot be evaluated, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationError {
    /// What happened.
    pub kind: ErrorKind,
    /// The bytes of the expression where it happened.
    start: u32,
    end: u32,
}

impl EvaluationError {
    pub(crate) const fn new(kind: ErrorKind, (start, end): (u32, u32)) -> Self {
        Self { kind, start, end }
    }

    /// The bytes of the expression where it happened.
    pub const fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether it says no more than that there is no verified user: a rule that asks for one does not match then, and is not
    /// at fault.
    pub const fn is_missing_user(&self) -> bool {
        matches!(self.kind, ErrorKind::NoUser)
    }
}

/// The kinds of evaluation errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The expression asks for the verified user, and there is none.
    NoUser,
    /// A header, a claim or a member that the request does not have.
    NoSuchKey,
    /// A text that is no IP address.
    NoAddress,
    /// A text that is no range of IP addresses.
    NoRange,
    /// A text that is no number.
    NoNumber,
    /// A text that is no time or no length of time.
    NoTime,
    /// A text that is no time zone.
    NoTimeZone,
    /// An index behind the end of a list.
    NoSuchIndex,
    /// An operator or a function for which this value has the wrong type.
    WrongType,
    /// A number or a time beyond its range.
    Overflow,
    /// A division by zero.
    DivisionByZero,
    /// More than [`crate::limits`] allows.
    TooLarge,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoUser => "there is no verified user",
            Self::NoSuchKey => "no such key",
            Self::NoAddress => "invalid IP address",
            Self::NoRange => "invalid IP range",
            Self::NoNumber => "invalid number",
            Self::NoTime => "invalid time",
            Self::NoTimeZone => "invalid time zone",
            Self::NoSuchIndex => "index out of range",
            Self::WrongType => "no such overload",
            Self::Overflow => "overflow",
            Self::DivisionByZero => "division by zero",
            Self::TooLarge => "the evaluation takes too much",
        })
    }
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

impl std::error::Error for EvaluationError {}

/// Why a part has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Unknown(&'static str),
    Error(EvaluationError),
}

impl Stop {
    /// The larger the graver; see the module.
    const fn gravity(self) -> u8 {
        match self {
            Self::Error(error) if error.is_missing_user() => 0,
            Self::Unknown(_) => 1,
            Self::Error(_) => 2,
        }
    }

    /// The graver of two; of two alike the first.
    pub(crate) fn or(self, other: Self) -> Self {
        if other.gravity() > self.gravity() { other } else { self }
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Unknown(name) => Self::Unknown(name),
            Stop::Error(error) => Self::Error(error),
        }
    }
}
