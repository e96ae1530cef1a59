//! Why a request is not forwarded, and the one line of the log that says so.

use std::net::IpAddr;

use firegate_core::limiter::Count;
use firegate_core::reason::{Code, Denial, Fault, Reason, Stage};
use http::header::AUTHORIZATION;
use http::request::Parts;

/// Why a request is not forwarded, or its answer not handed on.
#[derive(Debug)]
pub(crate) enum Refused {
    Denial(Denial),
    Fault(Fault),
}

pub(crate) fn denial(reason: Reason, stage: Stage) -> Refused {
    Refused::Denial(Denial { reason, stage })
}

pub(crate) fn fault(code: Code, stage: Stage, detail: impl ToString) -> Refused {
    Refused::Fault(Fault { code, stage, detail: detail.to_string() })
}

impl Refused {
    /// The stable name.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Denial(denial) => denial.reason.code(),
            Self::Fault(fault) => fault.code,
        }
    }

    /// The HTTP status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Denial(denial) => denial.reason.status(),
            Self::Fault(fault) => fault.code.entry().status,
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

/// One line for every refusal, with the evidence that the client does not get.
pub(super) fn log_refusal(refused: &Refused, request_id: &str, parts: &Parts, peer: IpAddr) {
    let (method, path, with_token) =
        (&parts.method, parts.uri.path(), parts.headers.contains_key(AUTHORIZATION));
    let (code, status, hint) = (refused.code(), refused.status(), refused.code().entry().fix);
    match refused {
        Refused::Denial(Denial { reason, stage }) => tracing::info!(
            %code, status, stage = stage.as_str(), request_id, %method, path, %peer, with_token,
            evidence = %reason, hint, "refused"
        ),
        Refused::Fault(Fault { stage, detail, .. }) => tracing::warn!(
            %code, status, stage = stage.as_str(), request_id, %method, path, %peer, with_token, detail, hint,
            "failed"
        ),
    }
}
