//! The decision: whether Cloud Run's IAM check lets a request through to the container.
//! <https://cloud.google.com/run/docs/securing/authenticating>

use firegate_core::jose::{CompactJws, JsonValue, KeySet};
use firegate_core::time::UnixTime;
use http::HeaderMap;
use url::Url;

use super::verdict::{Admission, Caller, CredentialHeader, Refusal, RefusalCause, RefusalStatus, Verdict};
use crate::google::ServiceAccount;
use crate::member::{Member, Principal};

const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
const SERVICE_ACCOUNT_SUFFIX: &str = ".gserviceaccount.com";
/// What Cloud Run puts in the place of a signature before the container sees the token.
pub(super) const SIGNATURE_REMOVED: &str = "SIGNATURE_REMOVED_BY_GOOGLE";

/// A Cloud Run service and what IAM knows of it.
#[derive(Clone, Debug)]
pub struct CloudRunService {
    /// The values of the `Host` header that are its own, with their port if it is not the scheme's.
    pub hosts: Vec<String>,
    /// Its URL, and its custom audiences.
    pub audiences: Vec<String>,
    /// Who has `roles/run.invoker` on it.
    pub invokers: Vec<Member>,
    /// From where it is reached.
    pub ingress: Ingress,
    /// `false` for a service deployed with `--no-invoker-iam-check`: nobody's token is looked at.
    pub invoker_iam_check: bool,
    /// Where the container listens (`http://` on this machine).
    pub container: Url,
    /// Whether the container is spoken to in HTTP/2 (`--use-http2`), as gRPC needs.
    pub use_http2: bool,
}

/// A service's ingress setting (`run.googleapis.com/ingress`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ingress {
    /// `all`: the Internet too.
    #[default]
    All,
    /// `internal`: the project's networks alone.
    Internal,
    /// `internal-and-cloud-load-balancing`: those, and an external Application Load Balancer.
    InternalAndCloudLoadBalancing,
}

/// Where the requests of a listener come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// From the Internet, at the service's own URL.
    #[default]
    Internet,
    /// Through an external Application Load Balancer.
    LoadBalancer,
    /// From one of the project's networks.
    Internal,
}

impl Ingress {
    /// Whether a request that arrives there is let in.
    pub const fn admits(self, arrival: Arrival) -> bool {
        match self {
            Self::All => true,
            Self::Internal => matches!(arrival, Arrival::Internal),
            Self::InternalAndCloudLoadBalancing => {
                matches!(arrival, Arrival::Internal | Arrival::LoadBalancer)
            }
        }
    }
}

/// What a present but unacceptable token does on a service that is open to `allUsers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PublicServiceToken {
    /// It passes untouched, and nothing vouches for it.
    #[default]
    Pass,
    /// It is refused, as some have seen.
    Refuse,
}

/// The statuses that reports about Cloud Run do not agree on. The defaults are what most of them say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisputedStatuses {
    /// For a valid token whose owner has no binding.
    pub missing_invoker: RefusalStatus,
    /// For a Google token with another audience.
    pub wrong_audience: RefusalStatus,
    /// For a token of another issuer, such as Firebase.
    pub foreign_issuer: RefusalStatus,
    /// For an unacceptable token on a public service.
    pub public_service_token: PublicServiceToken,
    /// Whether a slash at the end of the token's audience is forgiven.
    pub trailing_slash_is_forgiven: bool,
}

impl Default for DisputedStatuses {
    fn default() -> Self {
        Self {
            missing_invoker: RefusalStatus::Forbidden,
            wrong_audience: RefusalStatus::Unauthorized,
            foreign_issuer: RefusalStatus::Unauthorized,
            public_service_token: PublicServiceToken::Pass,
            trailing_slash_is_forgiven: false,
        }
    }
}

impl DisputedStatuses {
    /// What a refusal for this cause looks like.
    pub const fn status(&self, cause: &RefusalCause) -> RefusalStatus {
        match cause {
            RefusalCause::ForeignHost(_) | RefusalCause::IngressBlocked | RefusalCause::ReservedPath(_) => {
                RefusalStatus::NotFound
            }
            RefusalCause::NoCredential => RefusalStatus::Forbidden,
            RefusalCause::NotInvoker(_) => self.missing_invoker,
            RefusalCause::Audience { .. } => self.wrong_audience,
            RefusalCause::FirebaseToken { .. } | RefusalCause::ForeignIssuer(_) => self.foreign_issuer,
            _ => RefusalStatus::Unauthorized,
        }
    }

    pub(super) const fn refuse(&self, cause: RefusalCause) -> Refusal {
        Refusal { status: self.status(&cause), cause }
    }
}

/// Decides by the service's IAM policy and the request's credentials. `keys` are the public keys of Google's ID tokens.
pub fn judge(
    service: &CloudRunService,
    headers: &HeaderMap,
    keys: &KeySet,
    now: UnixTime,
    statuses: &DisputedStatuses,
) -> Verdict {
    if !service.invoker_iam_check {
        return Verdict::Admit(Admission::PUBLIC);
    }
    let is_public = service.invokers.contains(&Member::AllUsers);
    if is_public && statuses.public_service_token == PublicServiceToken::Pass {
        return Verdict::Admit(Admission::PUBLIC);
    }
    match validate(service, headers, keys, now, statuses) {
        Ok((header, caller)) if service.invokers.iter().any(|member| is_named(member, &caller)) => {
            Verdict::Admit(Admission { caller: Some(caller), validated: Some(header) })
        }
        Ok((_, caller)) => Verdict::Refuse(statuses.refuse(RefusalCause::NotInvoker(caller))),
        Err(RefusalCause::NoCredential) if is_public => Verdict::Admit(Admission::PUBLIC),
        Err(cause) => Verdict::Refuse(statuses.refuse(cause)),
    }
}

/// Whether the headers hold anything that keys are needed for.
pub(super) fn has_credential(headers: &HeaderMap) -> bool {
    !matches!(bearer_token(headers), Err(RefusalCause::NoCredential))
}

/// The one token that counts.
fn bearer_token(headers: &HeaderMap) -> Result<(CredentialHeader, &str), RefusalCause> {
    let which = if headers.contains_key(CredentialHeader::ServerlessAuthorization.name()) {
        CredentialHeader::ServerlessAuthorization
    } else {
        CredentialHeader::Authorization
    };
    let mut values = headers.get_all(which.name()).iter();
    let value = values.next().ok_or(RefusalCause::NoCredential)?;
    if values.next().is_some() {
        return Err(RefusalCause::RepeatedHeader(which));
    }
    let text = value.to_str().map_err(|_| RefusalCause::NotBearer(which))?.trim();
    if text.is_empty() {
        return Err(RefusalCause::NoCredential);
    }
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(RefusalCause::NotBearer(which));
    }
    match token.trim() {
        "" => Err(RefusalCause::NoCredential),
        token => Ok((which, token)),
    }
}

fn validate(
    service: &CloudRunService,
    headers: &HeaderMap,
    keys: &KeySet,
    now: UnixTime,
    statuses: &DisputedStatuses,
) -> Result<(CredentialHeader, Caller), RefusalCause> {
    let (which, text) = bearer_token(headers)?;
    if text.starts_with("ya29.") {
        return Err(RefusalCause::AccessToken);
    }
    if text.ends_with(SIGNATURE_REMOVED) {
        return Err(RefusalCause::SignatureRemoved);
    }
    let token = CompactJws::parse(text).map_err(RefusalCause::Malformed)?;
    check_issuer(&token)?;
    let algorithm = token.header_text("alg").unwrap_or_default();
    if algorithm != "RS256" {
        return Err(RefusalCause::Algorithm(algorithm.to_owned()));
    }
    let key_id = token.header_text("kid").unwrap_or_default();
    let key = keys.find(key_id).ok_or_else(|| RefusalCause::UnknownKey(key_id.to_owned()))?;
    if !key.verifies(&token) {
        return Err(RefusalCause::BadSignature);
    }
    check_audience(service, &token, statuses)?;
    let expired_at = token.payload().integer("exp").map(UnixTime::from_seconds);
    let expired_at = expired_at.ok_or(RefusalCause::MissingClaim("exp"))?;
    if expired_at <= now {
        return Err(RefusalCause::Expired { expired_at, now });
    }
    let subject = token.payload_text("sub").ok_or(RefusalCause::MissingClaim("sub"))?.to_owned();
    let is_verified = token.payload().get("email_verified").and_then(JsonValue::as_bool) == Some(true);
    let email = token.payload_text("email").filter(|_| is_verified).map(str::to_owned);
    Ok((which, Caller { email, subject }))
}

fn check_issuer(token: &CompactJws<'_>) -> Result<(), RefusalCause> {
    let issuer = token.payload_text("iss").unwrap_or_default();
    if GOOGLE_ISSUERS.contains(&issuer) {
        return Ok(());
    }
    let issuer = issuer.to_owned();
    let is_firebase = ["https://securetoken.google.com/", "https://session.firebase.google.com/"]
        .iter()
        .any(|prefix| issuer.starts_with(prefix));
    Err(if is_firebase {
        RefusalCause::FirebaseToken { issuer }
    } else {
        RefusalCause::ForeignIssuer(issuer)
    })
}

fn check_audience(
    service: &CloudRunService,
    token: &CompactJws<'_>,
    statuses: &DisputedStatuses,
) -> Result<(), RefusalCause> {
    let found = token.payload_text("aud").unwrap_or_default();
    let forgiven = match found.strip_suffix('/') {
        Some(stripped) if statuses.trailing_slash_is_forgiven => stripped,
        _ => found,
    };
    if service.audiences.iter().any(|audience| audience == found || audience == forgiven) && !found.is_empty()
    {
        return Ok(());
    }
    Err(RefusalCause::Audience { found: found.to_owned(), accepted: service.audiences.clone() })
}

/// Whether a binding names the caller. A token without an address is matched by the account's numeric id.
fn is_named(member: &Member, caller: &Caller) -> bool {
    match (&caller.email, member) {
        (_, Member::AllUsers | Member::AllAuthenticatedUsers) => true,
        (Some(email), member) if email.to_ascii_lowercase().ends_with(SERVICE_ACCOUNT_SUFFIX) => {
            member.includes(&Principal::ServiceAccount(email.clone()))
        }
        (Some(email), member) => member.includes(&Principal::User(email.clone())),
        (None, Member::User(email) | Member::ServiceAccount(email)) => {
            ServiceAccount::new(email.as_str()).unique_id() == caller.subject
        }
        (None, _) => false,
    }
}
