//! Why a request is not forwarded.

use firegate_core::limiter::Count;
use firegate_core::reason::{Code, Denial, Fault, Reason, Stage};

/// Why a request is not forwarded, or its answer not handed on.
#[derive(Debug)]
pub(crate) enum Refused {
    Denial(Denial),
    Fault(Fault),
    /// The client left before the end of its request. Whoever reads on all the same is told what was wrong with it.
    Departed(Denial),
}

impl Refused {
    /// What the client is told of it.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Denial(denial) | Self::Departed(denial) => denial.reason.code(),
            Self::Fault(fault) => fault.code,
        }
    }

    /// The HTTP status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Denial(denial) | Self::Departed(denial) => denial.reason.status(),
            Self::Fault(fault) => fault.code.entry().status,
        }
    }

    /// Whether the request's head is at fault: it says nothing, or could be read in two ways.
    pub(crate) fn is_of_the_head(&self) -> bool {
        matches!(self, Self::Denial(Denial { stage: Stage::Facts, .. }))
    }

    /// The methods that are answered there, if it was another one (RFC 9110, section 15.5.6).
    pub(crate) fn allowed_methods(&self) -> Option<&'static str> {
        match self {
            Self::Denial(Denial { reason: Reason::MethodNotAllowed { allowed }, .. }) => Some(allowed),
            _ => None,
        }
    }

    /// What the limit came to that refuses the request, if one does.
    pub(crate) fn limit(&self) -> Option<&Count> {
        match self {
            Self::Denial(Denial { reason: Reason::RateLimited(exceeded), .. }) => Some(&exceeded.count),
            _ => None,
        }
    }
}

pub(crate) fn denial(reason: Reason, stage: Stage) -> Refused {
    Refused::Denial(Denial { reason, stage })
}

pub(crate) fn fault(code: Code, stage: Stage, detail: impl ToString) -> Refused {
    Refused::Fault(Fault { code, stage, detail: detail.to_string() })
}
