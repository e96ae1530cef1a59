//! A request as a log remembers it: the entries of Google's load balancer, and Firegate's own lines.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a log says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) method: String,
    /// The whole URL.
    pub(super) url: String,
    pub(super) client: IpAddr,
    pub(super) user_agent: Option<String>,
    pub(super) referer: Option<String>,
    /// When it came, since 1970; none if the entry does not say.
    pub(super) at: Option<Duration>,
    pub(super) was: Was,
    /// Where it went, if the entry says.
    pub(super) backend: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Was {
    pub(super) kind: WasKind,
    pub(super) status: u16,
    /// The same in words.
    pub(super) words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WasKind {
    /// It came to a service.
    Forwarded,
    /// It was refused whoever sent it: by a policy, or because nothing is there.
    Refused,
    /// It was refused for its token's sake, or its user's.
    RefusedToken,
    /// It was sent elsewhere.
    Redirected,
    /// It was answered without a service.
    Answered,
}

impl Recorded {
    /// Reads an entry.
    ///
    /// # Errors
    /// Why it is none of a request.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let entry: Value =
            serde_json::from_slice(text).map_err(|error| format!("this is no JSON: {error}"))?;
        let request = entry.get("httpRequest").ok_or("it has no `httpRequest`: it is about no request")?;
        let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
        let needed = |name: &str| text(request, name).ok_or(format!("`httpRequest.{name}` is missing"));
        // Firegate's line has them itself, and within a payload once Cloud Logging has read it.
        let said = entry.get("jsonPayload").unwrap_or(&entry);
        let client = needed("remoteIp")?;
        let client: IpAddr =
            client.parse().map_err(|_| format!("`httpRequest.remoteIp` is no address: {client:?}"))?;
        let at = text(&entry, "timestamp").or_else(|| text(&entry, "time"));
        let of_load_balancer = entry.pointer("/resource/labels/backend_service_name").and_then(Value::as_str);
        Ok(Self {
            method: needed("requestMethod")?,
            url: needed("requestUrl")?,
            client: client.to_canonical(),
            user_agent: text(request, "userAgent"),
            referer: text(request, "referer"),
            at: at.and_then(|at| since_1970(&at)),
            was: Was::of(request, said)?,
            backend: text(said, "backend").or_else(|| of_load_balancer.map(str::to_owned)),
        })
    }
}

fn since_1970(text: &str) -> Option<Duration> {
    let nanoseconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    Some(Duration::from_nanos(u64::try_from(nanoseconds).ok()?))
}

impl Was {
    fn of(request: &Value, said: &Value) -> Result<Self, String> {
        let status = request
            .get("status")
            .and_then(|status| status.as_u64().or_else(|| status.as_str()?.parse().ok()));
        let status = status.and_then(|status| u16::try_from(status).ok());
        let status = status.ok_or("`httpRequest.status` is missing")?;
        let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
        let (outcome, details) = (text("outcome"), text("statusDetails"));
        if ["permit", "respond", "denial", "fault", "cancelled"].contains(&outcome) {
            return Ok(Self::of_firegate(status, outcome, text("code"), text("stage")));
        }
        let policy = said.get("enforcedSecurityPolicy");
        let of_policy = |name: &str| policy.and_then(|policy| policy.get(name));
        let enforced = of_policy("outcome").and_then(Value::as_str).unwrap_or_default();
        let by = || {
            let name = of_policy("name").and_then(Value::as_str).unwrap_or_default();
            match of_policy("priority").and_then(Value::as_u64) {
                Some(priority) => format!("by rule {priority} of policy {name:?}"),
                None => "by a policy".to_owned(),
            }
        };
        let (kind, words) = match (enforced, details) {
            ("DENY", _) => (WasKind::Refused, format!("{status} {}", by())),
            (_, "denied_by_security_policy" | "body_denied_by_security_policy") => {
                (WasKind::Refused, format!("{status} {}", by()))
            }
            // Its URL map spoilt it on purpose: it did not come to the service.
            (_, "fault_filter_abort") => (WasKind::Refused, format!("{status} by fault injection")),
            ("REDIRECT", _) | (_, "redirected_by_security_policy") => {
                (WasKind::Redirected, format!("{status} {}", by()))
            }
            (_, "" | "response_sent_by_backend") => {
                (WasKind::Forwarded, format!("forwarded, {}", class(status)))
            }
            (_, details) if details.starts_with("response_from_cache") => {
                (WasKind::Forwarded, format!("from the cache, {}", class(status)))
            }
            (_, details) if (300..400).contains(&status) => {
                (WasKind::Redirected, format!("{status} ({details})"))
            }
            (_, details) => (WasKind::Forwarded, format!("forwarded, {status} ({details})")),
        };
        Ok(Self { kind, status, words })
    }

    fn of_firegate(status: u16, outcome: &str, code: &str, stage: &str) -> Self {
        let (kind, words) = match (outcome, stage) {
            ("denial", "identity" | "app_check" | "iam") => {
                (WasKind::RefusedToken, format!("{status} {code}"))
            }
            ("denial", _) => (WasKind::Refused, format!("{status} {code}")),
            ("respond", _) if (300..400).contains(&status) => (WasKind::Redirected, format!("{status}")),
            ("respond", _) => (WasKind::Answered, format!("{status}")),
            ("fault", _) => (WasKind::Forwarded, format!("{status} {code}")),
            _ => (WasKind::Forwarded, format!("forwarded, {}", class(status))),
        };
        Self { kind, status, words }
    }
}

/// The class of a status: what a service answers is its own affair.
fn class(status: u16) -> String {
    format!("{}xx", status / 100)
}
