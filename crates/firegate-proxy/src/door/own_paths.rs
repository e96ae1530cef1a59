//! What Firegate itself answers on the public listener.

use firegate_core::cors::{CorsPolicy, PreflightAnswer};
use firegate_core::facts::RequestFacts;
use firegate_core::reason::{Reason, Stage};
use firegate_core::route::RedirectAnswer;
use firegate_core::snapshot::Snapshot;
use firegate_files::configuration::RESERVED_PREFIX;
use http::header::LOCATION;
use http::{Method, Response, StatusCode, request::Parts};

use super::{Refused, RequestContext, denial};
use crate::exchange::{METADATA_PATH, TOKEN_ENDPOINT};
use crate::request::RequestHead;
use crate::respond::full;
use crate::stream::{Body, ClientBody};
use crate::telemetry::RequestRecord;
use crate::well_known;

/// Where the signing keys are published, below [`RESERVED_PREFIX`].
const JWK_SET: &str = "jwks.json";

/// Where it is said whether requests may come.
const READY: &str = "ready";

/// A path that is Firegate's own and never routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPath<'a> {
    /// Below `/.well-known/firegate/`, by its name there.
    WellKnown(&'a str),
    /// The metadata of the token exchange.
    Metadata,
}

impl<'a> OwnPath<'a> {
    /// Which of Firegate's own paths a request is for, if it is for one.
    ///
    /// # Errors
    /// If it is for one to a server that decodes its slashes or cuts its parameters off.
    pub fn of(facts: &'a RequestFacts<'_>, exchanges_tokens: bool) -> Result<Option<Self>, Reason> {
        if let Some(name) = facts.path.as_str().strip_prefix(RESERVED_PREFIX) {
            return Ok(Some(Self::WellKnown(name)));
        }
        if facts.path.may_be_read_in(RESERVED_PREFIX) {
            let why =
                "the path would lead to Firegate's own paths if it were decoded, or its parameters cut off";
            return Err(Reason::RequestMalformed { why });
        }
        Ok((exchanges_tokens && facts.path.as_str() == METADATA_PATH).then_some(Self::Metadata))
    }

    /// Whether anything answers there.
    pub fn is_answered(self, exchanges_tokens: bool) -> bool {
        match self {
            Self::WellKnown(TOKEN_ENDPOINT) => exchanges_tokens,
            Self::WellKnown(name) => matches!(name, JWK_SET | READY),
            Self::Metadata => true,
        }
    }
}

impl OwnPath<'_> {
    /// The methods that are answered there instead, if that of the request is not (405).
    pub fn methods_instead(self, facts: &RequestFacts<'_>) -> Option<&'static str> {
        let (methods, is_answered) = match self {
            Self::WellKnown(TOKEN_ENDPOINT) => {
                ("POST", facts.method == Method::POST || CorsPolicy::is_preflight(facts))
            }
            Self::WellKnown(_) | Self::Metadata => {
                ("GET, HEAD", [Method::GET, Method::HEAD].contains(facts.method))
            }
        };
        (!is_answered).then_some(methods)
    }
}

impl RequestContext<'_> {
    /// Answers a request for a path of Firegate's own, by the name below [`RESERVED_PREFIX`].
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
            JWK_SET => Ok(well_known::jwk_set(parts, &self.generation.assertions.keys())),
            READY => Ok(well_known::ready(parts, self.door.shared.is_ready())),
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
