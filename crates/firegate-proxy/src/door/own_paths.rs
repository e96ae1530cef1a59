//! What Firegate itself answers on the public listener.

use firegate_core::cors::{CorsPolicy, PreflightAnswer};
use firegate_core::facts::RequestFacts;
use firegate_core::reason::{Denial, Reason, Stage};
use firegate_core::route::RedirectAnswer;
use firegate_core::snapshot::Snapshot;
use firegate_files::configuration::RESERVED_PREFIX;
use http::header::LOCATION;
use http::{Response, StatusCode, request::Parts};

use super::RequestContext;
use crate::exchange::{self, METADATA_PATH, TOKEN_ENDPOINT};
use crate::request::RequestHead;
use crate::stream::{Body, ClientBody, full};
use crate::telemetry::RequestRecord;
use crate::well_known;

/// Where the signing keys are published, below [`RESERVED_PREFIX`].
const JWK_SET: &str = "jwks.json";

/// Where it is said whether requests may come.
const READY: &str = "ready";

/// A path that is Firegate's own and never routed, where something is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPath {
    /// The keys that assertions are verified with.
    JwkSet,
    /// Whether requests may come.
    Ready,
    /// The token exchange.
    TokenEndpoint,
    /// The metadata of the token exchange.
    Metadata,
}

/// What is answered at one of Firegate's own paths, for whoever answers and for whoever tells of it.
#[derive(Debug)]
pub enum OwnAnswer {
    /// What the path is there for.
    Served(OwnPath),
    /// To a preflight of the token endpoint.
    Preflight(PreflightAnswer),
    /// To a method that the token endpoint does not serve (405), in its own form.
    OtherMethod,
}

impl OwnPath {
    /// The path of a request, if it is one of Firegate's own.
    fn of(facts: &RequestFacts<'_>, exchanges_tokens: bool) -> Result<Option<Self>, Denial> {
        if let Some(name) = facts.path.as_str().strip_prefix(RESERVED_PREFIX) {
            return match name {
                TOKEN_ENDPOINT if exchanges_tokens => Ok(Some(Self::TokenEndpoint)),
                JWK_SET => Ok(Some(Self::JwkSet)),
                READY => Ok(Some(Self::Ready)),
                name => {
                    let is_exchange = name == TOKEN_ENDPOINT;
                    Err(Denial { reason: Reason::OwnPathNotServed { is_exchange }, stage: Stage::Route })
                }
            };
        }
        if facts.path.may_be_read_in(RESERVED_PREFIX) {
            let why =
                "the path would lead to Firegate's own paths if it were decoded, or its parameters cut off";
            return Err(Denial { reason: Reason::RequestMalformed { why }, stage: Stage::Facts });
        }
        Ok((exchanges_tokens && facts.path.as_str() == METADATA_PATH).then_some(Self::Metadata))
    }

    /// The methods that are served there, as the field `Allow` has them.
    pub fn methods(self) -> &'static str {
        match self {
            Self::TokenEndpoint => "POST",
            Self::JwkSet | Self::Ready | Self::Metadata => "GET, HEAD",
        }
    }
}

impl OwnAnswer {
    /// What is answered to a request, if its path is one of Firegate's own; any other is routed.
    ///
    /// # Errors
    /// If nothing is there, or nothing by this method; if a server that decodes slashes or cuts parameters off would find
    /// one of them in the path; or if `cors` refuses the preflight.
    pub fn of(facts: &RequestFacts<'_>, snapshot: &Snapshot) -> Result<Option<Self>, Denial> {
        let Some(path) = OwnPath::of(facts, snapshot.exchanges_tokens)? else { return Ok(None) };
        if let (OwnPath::TokenEndpoint, Some(cors)) = (path, &snapshot.cors)
            && CorsPolicy::is_preflight(facts)
        {
            let answer = cors.preflight(facts).map_err(|reason| Denial { reason, stage: Stage::Cors })?;
            return Ok(Some(Self::Preflight(answer)));
        }
        let is_served = path.methods().split(", ").any(|method| method == facts.method.as_str());
        match path {
            _ if is_served => Ok(Some(Self::Served(path))),
            OwnPath::TokenEndpoint => Ok(Some(Self::OtherMethod)),
            OwnPath::JwkSet | OwnPath::Ready | OwnPath::Metadata => {
                let reason = Reason::MethodNotAllowed { allowed: path.methods() };
                Err(Denial { reason, stage: Stage::Route })
            }
        }
    }
}

impl RequestContext<'_> {
    /// Answers a request for a path of Firegate's own.
    pub(super) async fn at_own_path(
        &self,
        answer: OwnAnswer,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        record: &mut RequestRecord,
    ) -> Response<Body> {
        match answer {
            OwnAnswer::Preflight(answer) => preflight(answer),
            OwnAnswer::OtherMethod => exchange::other_method(OwnPath::TokenEndpoint.methods()),
            OwnAnswer::Served(OwnPath::TokenEndpoint) => self.exchange(head, parts, body, record).await,
            OwnAnswer::Served(OwnPath::Metadata) => {
                exchange::metadata(&self.generation.snapshot.identity.issuer)
            }
            OwnAnswer::Served(OwnPath::JwkSet) => {
                well_known::jwk_set(parts, &self.generation.assertions.keys())
            }
            OwnAnswer::Served(OwnPath::Ready) => well_known::ready(self.door.shared.is_ready()),
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
