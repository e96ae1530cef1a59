//! The token endpoint (RFC 8693) and the document that describes it (RFC 8414). What a request says is core's to read, and
//! whether the user may is core's to decide; here the form is received, the token is made, and the answer is written.

use std::time::Duration;

use firegate_core::assertion::{EXCHANGED_TOKEN_TYPE, exchanged_token_claims};
use firegate_core::decision::{Decision, Outcome};
use firegate_core::exchange::{
    ExchangeError, ExchangeErrorCode, ExchangeRequest, ID_TOKEN_TYPE, JWT_TOKEN_TYPE, RequestedToken,
    TOKEN_EXCHANGE_GRANT,
};
use firegate_core::limits::EXCHANGE_FORM_BYTES_MAX;
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Stage};
use firegate_core::time::UnixTime;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode, request::Parts};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::door::RequestContext;
use crate::limits::{EXCHANGE_FORM_TIMEOUT, RETRY_AFTER_SECONDS};
use crate::refused::{Refused, fault};
use crate::request::RequestHead;
use crate::stream::{Body, ClientBody, full};
use crate::telemetry::RequestRecord;

/// Where tokens are exchanged, below the paths that are never routed.
pub(crate) const TOKEN_ENDPOINT: &str = "token";

/// Where clients look for the endpoint (RFC 8414, section 3).
pub(crate) const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// How an exchange was refused, for the counters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExchangeRefused(pub(crate) Code);

/// A token that is handed out.
struct Issued {
    token: String,
    token_type: &'static str,
    expires_in: Duration,
}

impl RequestContext<'_> {
    /// Answers a request to the token endpoint.
    pub(crate) async fn exchange(
        &self,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        record: &mut RequestRecord,
    ) -> Response<Body> {
        match self.exchanged(head, parts, body, record).await {
            Ok(issued) => answer(
                StatusCode::OK,
                &json!({
                    "access_token": issued.token, "issued_token_type": issued.token_type, "token_type": "Bearer",
                    "expires_in": issued.expires_in.as_secs(),
                }),
            ),
            Err(error) => {
                let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
                let mut response = answer(status, &error.body());
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
                }
                if let Some(code) = error.reason {
                    response.extensions_mut().insert(ExchangeRefused(code));
                }
                response
            }
        }
    }

    async fn exchanged(
        &self,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        record: &mut RequestRecord,
    ) -> Result<Issued, ExchangeError> {
        let mut overloaded = |detail| Err(refuse(&fault(Code::Overloaded, Stage::Exchange, detail), record));
        // How long a form takes its client chooses, and with it how long a place is gone.
        let Some(of_client) = self.door.shared.exchange_forms.take(head.client.address) else {
            return overloaded(too_many_forms(head));
        };
        // Nobody queues for a place: an exchange that has to wait for strangers' forms helps no one.
        let Ok(_place) = self.door.shared.exchanges.try_acquire() else {
            return overloaded("too many exchanges are under way");
        };
        let form = form(&parts.headers, body).await?;
        drop(of_client);
        let asked = ExchangeRequest::parse(&form)?;
        let backend = asked.target(&self.generation.snapshot)?;
        record.is_for(backend);
        let outcome = self.decide(|world| Decision::exchange(&head.facts, backend, &asked, world)).await;
        if let Some(screened) = head.facts.screened.get() {
            record.screened(screened);
        }
        if let Outcome::Permit(permit) = &outcome {
            self.note_unchecked(permit, record);
        }
        let mut refuse = |refused: Refused| refuse(&refused, record);
        let permit = match outcome {
            Outcome::Permit(permit) => permit,
            Outcome::Denial(denial) => return Err(refuse(Refused::Denial(denial))),
            Outcome::Fault(fault) => return Err(refuse(Refused::Fault(fault))),
            Outcome::Observed(_) | Outcome::Respond(_) => {
                let detail = "an exchange is neither observed nor a preflight";
                return Err(refuse(fault(Code::Internal, Stage::Exchange, detail)));
            }
        };
        let issued = match asked.requested {
            RequestedToken::Firegate => self.own_token(&permit, &asked.audience),
            RequestedToken::GoogleIdToken => self.federated_token(&permit, head, &asked).await,
        };
        issued.map_err(refuse)
    }

    /// A token of Firegate's own about the permit's user, for one of the backend's audiences.
    fn own_token(&self, permit: &Permit, audience: &str) -> Result<Issued, Refused> {
        let now = self.door.shared.now();
        let internal = |why: &str| fault(Code::Internal, Stage::Exchange, why);
        let user = permit.user().ok_or_else(|| internal("a token is exchanged for a user's alone"))?;
        let issuer = &self.generation.snapshot.identity.issuer;
        let claims = exchanged_token_claims(user, issuer, audience, now);
        let signed = self.generation.assertions.sign(EXCHANGED_TOKEN_TYPE, &claims);
        let token = signed.map_err(|error| fault(Code::Internal, Stage::Exchange, error))?;
        let token =
            token.ok_or_else(|| internal("there is no key to sign with; hint: set `assertion.key`"))?;
        let expires_in = expiry(&claims).map_or(Duration::ZERO, |expires_at| expires_at.since(now));
        Ok(Issued { token, token_type: JWT_TOKEN_TYPE, expires_in })
    }

    /// A Google ID token that the user's own federation yields. Google decides how long it lives.
    async fn federated_token(
        &self,
        permit: &Permit,
        head: &RequestHead<'_>,
        asked: &ExchangeRequest,
    ) -> Result<Issued, Refused> {
        let ExchangeRequest { audience, subject_token, .. } = asked;
        let missing = || fault(Code::CredentialUnavailable, Stage::Exchange, "there is no federated token");
        let token =
            self.generation.control.google_token(permit, audience, &head.facts, Some(subject_token)).await?;
        let token = token.ok_or_else(missing)?;
        let expires_in = token.expires_at().since(self.door.shared.now());
        Ok(Issued { token: token.text().to_owned(), token_type: ID_TOKEN_TYPE, expires_in })
    }
}

/// What the log says of a client that has its places. All who come through a proxy that nobody told of count as one.
fn too_many_forms(head: &RequestHead<'_>) -> &'static str {
    if head.client.address == head.arrival.peer.ip().to_canonical() {
        "the client has too many forms under way; hint: if its address is a load balancer's or a proxy's, set `behind`"
    } else {
        "the client has too many forms under way"
    }
}

/// What a refusal is to the client, and to the log, which gets the evidence too.
fn refuse(refused: &Refused, record: &mut RequestRecord) -> ExchangeError {
    record.refused(refused);
    match refused {
        Refused::Denial(denial) | Refused::Departed(denial) => ExchangeError::of_denial(denial),
        Refused::Fault(fault) => ExchangeError::of_fault(fault),
    }
}

/// The authorisation server's metadata, RFC 8414, section 2: what clients need to find and use the endpoint.
pub(crate) fn metadata(issuer: &str) -> Response<Body> {
    let base = issuer.trim_end_matches('/');
    let mut response = answer(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "token_endpoint": format!("{base}/.well-known/firegate/{TOKEN_ENDPOINT}"),
            "jwks_uri": format!("{base}/.well-known/firegate/jwks.json"),
            "grant_types_supported": [TOKEN_EXCHANGE_GRANT],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["none"],
        }),
    );
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response.headers_mut().remove(PRAGMA);
    response
}

/// The answer to a request by another method than those that are served (RFC 9110, section 15.5.6).
pub(crate) fn other_method(served: &'static str) -> Response<Body> {
    let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "invalid_request"}));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(served));
    response
}

/// Receives the form. Parameters count in the body alone (RFC 6749, section 3.2).
async fn form(headers: &HeaderMap, body: ClientBody) -> Result<Vec<u8>, ExchangeError> {
    let invalid = |why: &str| ExchangeError::new(ExchangeErrorCode::InvalidRequest, why);
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let media_type = match (types.next().and_then(|value| value.to_str().ok()), types.next()) {
        (Some(value), None) => value.split(';').next().unwrap_or_default().trim(),
        _ => "",
    };
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(invalid("the Content-Type has to be application/x-www-form-urlencoded"));
    }
    match tokio::time::timeout(EXCHANGE_FORM_TIMEOUT, collected(body)).await {
        Ok(Some(form)) => Ok(form),
        Ok(None) => Err(invalid("the form is too long, or broke off")),
        Err(_) => Err(invalid("the form did not come in time")),
    }
}

/// The whole body in one piece: a client that sends single bytes must not make each of them cost a buffer.
async fn collected(mut body: ClientBody) -> Option<Vec<u8>> {
    let mut form = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.ok()?.data_ref() {
            if form.len() + data.len() > EXCHANGE_FORM_BYTES_MAX {
                return None;
            }
            form.extend_from_slice(data);
        }
    }
    Some(form)
}

fn expiry(claims: &Value) -> Option<UnixTime> {
    claims.get("exp").and_then(Value::as_i64).map(UnixTime::from_seconds)
}

/// An answer that no cache keeps (RFC 6749, section 5.1).
fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(full(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
