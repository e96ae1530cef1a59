//! A request as a log remembers it: the entries of Google's load balancer, and Firegate's own lines.

use std::net::IpAddr;
use std::time::Duration;

use firegate_core::expressions::Timestamp;
use firegate_core::reason::{Code, MissingToken, Reason};
use serde_json::Value;

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
    /// The reason that Firegate's line names; empty if none.
    pub(super) code: String,
    /// The same in words.
    pub(super) words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WasKind {
    /// It came to a service.
    Forwarded,
    /// It was refused whoever sent it: by a policy, or because nothing is there.
    Refused,
    /// It was refused before anything was matched: for its head, of which the log tells a part, or for want of room.
    RefusedHead,
    /// It was refused for its token's sake, or its user's.
    RefusedToken,
    /// It was refused for want of a token, an app or a binding: where everyone may call, it would not have been.
    RefusedCaller,
    /// It was refused on its way to the service: for its body, which no log carries.
    RefusedOnTheWay,
    /// It was sent elsewhere.
    Redirected,
    /// It was answered without a service.
    Answered,
}

/// The status of every answer to a client of gRPC, whose own status is in a header.
const GRPC_STATUS: u16 = 200;

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
        let was = Was::of(request, said)?;
        let method = needed("requestMethod")?;
        // Over HTTP/2 it is how a WebSocket is asked for (RFC 8441), which is judged as a GET; any other is refused for its
        // head.
        let is_web_socket = method == "CONNECT" && was.kind != WasKind::RefusedHead;
        let at = text(&entry, "timestamp").or_else(|| text(&entry, "time"));
        let of_load_balancer = entry.pointer("/resource/labels/backend_service_name").and_then(Value::as_str);
        Ok(Self {
            method: if is_web_socket { "GET".to_owned() } else { method },
            url: needed("requestUrl")?,
            client: client.to_canonical(),
            user_agent: text(request, "userAgent"),
            referer: text(request, "referer"),
            at: at.and_then(|at| since_1970(&at)),
            was,
            backend: text(said, "backend").or_else(|| of_load_balancer.map(str::to_owned)),
        })
    }
}

fn since_1970(text: &str) -> Option<Duration> {
    Some(Duration::from_nanos(u64::try_from(Timestamp::parse(text)?.nanoseconds()).ok()?))
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
        if ["permit", "respond", "denial", "fault", "would_refuse", "cancelled"].contains(&outcome) {
            return Ok(Self::of_firegate(status, outcome, &text));
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
        Ok(Self { kind, status, code: String::new(), words })
    }

    /// What a line of Firegate's says; `text` has its members.
    fn of_firegate<'a>(status: u16, outcome: &str, text: &dyn Fn(&str) -> &'a str) -> Self {
        let code = text("code");
        let is_redirect = matches!(status, 301..=303 | 307 | 308);
        // A policy's redirect comes after the route, and is told with it.
        let by_policy = text("statusDetails") == "redirected_by_security_policy";
        let kind = match (outcome, text("stage")) {
            ("denial" | "fault", "facts") => WasKind::RefusedHead,
            ("denial", "app_check" | "iam") => WasKind::RefusedCaller,
            ("denial", "identity") if has_no_token(code, text("evidence")) => WasKind::RefusedCaller,
            ("denial", "identity" | "credential") => WasKind::RefusedToken,
            ("denial", "upstream") => WasKind::RefusedOnTheWay,
            ("denial", _) => WasKind::Refused,
            ("respond", _) if is_redirect => WasKind::Redirected,
            ("permit", _) if is_redirect && by_policy => WasKind::Redirected,
            ("respond", _) => WasKind::Answered,
            _ => WasKind::Forwarded,
        };
        let words = match kind {
            WasKind::Redirected | WasKind::Answered => status.to_string(),
            WasKind::Forwarded if outcome != "fault" => format!("forwarded, {}", class(status)),
            _ => format!("{status} {code}"),
        };
        Self { kind, status, code: code.to_owned(), words }
    }

    /// Whether a refusal with this status and code is the one that the log tells of. A client of gRPC gets 200 with any.
    pub(super) fn is_refusal(&self, status: u16, code: &str) -> bool {
        self.status == status || self.status == GRPC_STATUS && self.code == code
    }
}

/// Whether a request was refused for carrying nothing where a token may stand, and not for what stood there.
fn has_no_token(code: &str, evidence: &str) -> bool {
    code == Code::TokenMissing.entry().name
        && evidence == Reason::TokenMissing(MissingToken::Nothing).to_string()
}

/// The class of a status: what a service answers is its own affair.
fn class(status: u16) -> String {
    format!("{}xx", status / 100)
}
