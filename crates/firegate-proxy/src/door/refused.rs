//! Why a request is not forwarded, and the one line of the log that says so.

use std::net::IpAddr;

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

/// One line for every refusal, with the evidence that the client does not get.
pub(super) fn log_refusal(refused: &Refused, request_id: &str, parts: &Parts, peer: IpAddr) -> Code {
    let (method, path, with_token) =
        (&parts.method, parts.uri.path(), parts.headers.contains_key(AUTHORIZATION));
    match refused {
        Refused::Denial(Denial { reason, stage }) => {
            let (code, hint) = (reason.code(), reason.code().entry().fix);
            let status = code.entry().status;
            tracing::info!(
                %code, status, stage = stage.as_str(), request_id, %method, path, %peer, with_token,
                evidence = %reason, hint, "refused"
            );
            code
        }
        Refused::Fault(Fault { code, stage, detail }) => {
            let (status, hint) = (code.entry().status, code.entry().fix);
            tracing::warn!(
                %code, status, stage = stage.as_str(), request_id, %method, path, %peer, with_token, detail, hint,
                "failed"
            );
            *code
        }
    }
}
