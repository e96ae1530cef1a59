//! What Firegate itself answers on the public listener.

use firegate_core::cors::{CorsPolicy, PreflightAnswer};
use firegate_core::reason::{Reason, Stage};
use firegate_core::route::RedirectAnswer;
use firegate_core::snapshot::Snapshot;
use http::header::LOCATION;
use http::{Response, StatusCode, request::Parts};

use super::{Refused, RequestContext, denial};
use crate::exchange::TOKEN_ENDPOINT;
use crate::request::RequestHead;
use crate::respond::full;
use crate::stream::{Body, ClientBody};
use crate::telemetry::RequestRecord;
use crate::well_known;

/// Paths that are Firegate's own and never routed.
pub(super) const WELL_KNOWN: &str = "/.well-known/firegate/";

impl RequestContext<'_> {
    /// Answers a request for a path of Firegate's own, by the name below [`WELL_KNOWN`].
    pub(super) async fn well_known(
        &self,
        name: &str,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        record: &mut RequestRecord,
    ) -> Result<Response<Body>, Refused> {
        let Snapshot { cors, exchanges_tokens, .. } = &self.generation.snapshot;
        match name {
            TOKEN_ENDPOINT if *exchanges_tokens => match cors {
                Some(cors) if CorsPolicy::is_preflight(&head.facts) => {
                    let answer = cors.preflight(&head.facts);
                    answer.map(preflight).map_err(|reason| denial(reason, Stage::Cors))
                }
                _ => Ok(self.exchange(head, parts, body, record).await),
            },
            "jwks.json" => Ok(well_known::jwk_set(parts, &self.generation.assertions.keys())),
            "ready" => Ok(well_known::ready(parts, self.door.shared.is_ready())),
            _ => Err(denial(Reason::RouteNotFound, Stage::Route)),
        }
    }
}

/// The answer to a preflight.
pub(super) fn preflight(answer: PreflightAnswer) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = answer.headers;
    response.extensions_mut().insert(PreflightMarker);
    response
}

/// The way to somewhere else.
pub(super) fn redirect(answer: RedirectAnswer) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(LOCATION, answer.location);
    response
}

/// Marks an answer whose CORS headers are complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreflightMarker;
