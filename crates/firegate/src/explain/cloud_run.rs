//! What Cloud Run's IAM check answers to the same token, sent straight to the service.

use firegate_core::jose::{CompactJws, KeySet};
use firegate_core::snapshot::Backend;
use firegate_core::time::UnixTime;
use firegate_emulator::cloud_run::{
    CloudRunService, DisputedStatuses, Ingress, Refusal, RefusalCause, RefusalStatus, Verdict, judge,
};
use firegate_emulator::member::Member;
use firegate_files::configuration::Credential;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use super::firegate_door::DoorVerdict;

/// What Cloud Run's IAM check answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloudRunAnswer {
    /// The service's URL.
    pub url: String,
    /// The answer in one word.
    pub verdict: DoorVerdict,
    /// The HTTP status of a refusal.
    pub status: Option<u16>,
    /// Why it is refused, as a stable name.
    pub cause: Option<&'static str>,
    /// The same in a sentence; of a token that is not refused outright, on what it depends.
    pub message: String,
    /// What a refusal looks like to the client.
    pub body: Option<&'static str>,
    /// What the service's own request log says about a refusal.
    pub log_text: Option<&'static str>,
    /// What else there is to know.
    pub remarks: Vec<String>,
}

/// Judges the token as the front of `backend` would, were `roles/run.invoker` bound to Google's
/// `allAuthenticatedUsers`. `keys` are those of Google's ID tokens; without them nothing is said about a signature.
pub(super) fn judge_token(
    backend: &Backend,
    token: &str,
    keys: Option<&KeySet>,
    now: UnixTime,
) -> CloudRunAnswer {
    let mut answer = ask(backend, token, keys, now);
    if backend.settings.endpoints().count() > 1 {
        let remark = "the backend has several endpoints; this is what the first of them answers";
        answer.remarks.push(remark.to_owned());
    }
    if *backend.credential() == Credential::None {
        let remark = "the configuration has `credential: none`, so that probably no IAM check stands before this \
                      service; this is what one would answer";
        answer.remarks.push(remark.to_owned());
    }
    answer
}

fn ask(backend: &Backend, token: &str, keys: Option<&KeySet>, now: UnixTime) -> CloudRunAnswer {
    let service = service(backend);
    let url = origin(backend);
    let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) else {
        let message = "the token holds characters that no HTTP header can carry".to_owned();
        return CloudRunAnswer { message, ..unrefused(url, DoorVerdict::Refused) };
    };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    let none = KeySet::default();
    let verdict = judge(&service, &headers, keys.unwrap_or(&none), now, &DisputedStatuses::default());
    match verdict {
        Verdict::Admit(admission) => {
            let caller = admission.caller.map(|caller| caller.email.unwrap_or(caller.subject));
            depends(url, &caller.unwrap_or_default())
        }
        Verdict::Refuse(refusal) if keys.is_none() && is_about_keys(&refusal) => {
            without_keys(&service, url, token, now, refusal.status)
        }
        Verdict::Refuse(refusal) => refused(url, &refusal),
    }
}

/// The service, as far as the configuration tells: it answers to its URL and to the audience that Firegate uses.
fn service(backend: &Backend) -> CloudRunService {
    let mut audiences = vec![origin(backend)];
    if !audiences.contains(&backend.endpoint().audience) {
        audiences.push(backend.endpoint().audience.clone());
    }
    CloudRunService {
        hosts: Vec::new(),
        audiences,
        invokers: vec![Member::AllAuthenticatedUsers],
        ingress: Ingress::All,
        invoker_iam_check: true,
        container: backend.endpoint().url.clone(),
        use_http2: false,
    }
}

/// The URL as an audience has it: without a trailing slash.
fn origin(backend: &Backend) -> String {
    backend.endpoint().url.origin().ascii_serialization()
}

fn is_about_keys(refusal: &Refusal) -> bool {
    matches!(refusal.cause, RefusalCause::UnknownKey(_))
}

/// A token of Google's whose signature cannot be checked here: the rest decides as far as it can.
fn without_keys(
    service: &CloudRunService,
    url: String,
    token: &str,
    now: UnixTime,
    status: RefusalStatus,
) -> CloudRunAnswer {
    let Ok(jws) = CompactJws::parse(token) else {
        return unrefused(url, DoorVerdict::Refused);
    };
    let audience = jws.payload_text("aud").unwrap_or_default();
    let expires = jws.payload().integer("exp").map(UnixTime::from_seconds);
    let cause = if !service.audiences.iter().any(|accepted| accepted == audience) {
        Some(RefusalCause::Audience { found: audience.to_owned(), accepted: service.audiences.clone() })
    } else {
        expires.filter(|at| *at <= now).map(|expired_at| RefusalCause::Expired { expired_at, now })
    };
    match cause {
        Some(cause) => refused(url, &Refusal { status, cause }),
        None => {
            let caller = jws.payload_text("email").or(jws.payload_text("sub")).unwrap_or_default();
            let mut answer = depends(url, caller);
            answer.message =
                format!("if the signature is Google's, which was not checked, and {}", answer.message);
            answer
        }
    }
}

fn depends(url: String, caller: &str) -> CloudRunAnswer {
    let message = format!(
        "if {caller:?} has roles/run.invoker on the service it passes, else it is 403; issuer, audience and expiry are in order"
    );
    let remark =
        "who has the role is not known here: `gcloud run services get-iam-policy SERVICE` lists the bindings";
    CloudRunAnswer { message, remarks: vec![remark.to_owned()], ..unrefused(url, DoorVerdict::Depends) }
}

fn refused(url: String, refusal: &Refusal) -> CloudRunAnswer {
    let (status, body) = match refusal.status {
        RefusalStatus::Unauthorized => {
            (401, "an HTML page, and `www-authenticate: Bearer error=\"invalid_token\"`")
        }
        RefusalStatus::Forbidden => (403, "an HTML page"),
        RefusalStatus::NotFound => (404, "an HTML page"),
    };
    CloudRunAnswer {
        status: Some(status),
        cause: Some(cause_name(&refusal.cause)),
        message: message(&refusal.cause),
        body: Some(body),
        log_text: Some(refusal.cause.log_text()),
        remarks: remarks(&refusal.cause),
        ..unrefused(url, DoorVerdict::Refused)
    }
}

fn unrefused(url: String, verdict: DoorVerdict) -> CloudRunAnswer {
    CloudRunAnswer {
        url,
        verdict,
        status: None,
        cause: None,
        message: String::new(),
        body: None,
        log_text: None,
        remarks: Vec::new(),
    }
}

/// What was expected and what was found.
fn message(cause: &RefusalCause) -> String {
    match cause {
        RefusalCause::FirebaseToken { issuer } => {
            format!("the issuer is not Google: expected https://accounts.google.com, found {issuer}")
        }
        cause => cause.to_string(),
    }
}

/// What people try next, and why it does not help.
fn remarks(cause: &RefusalCause) -> Vec<String> {
    match cause {
        RefusalCause::FirebaseToken { .. } => vec![
            "a custom audience cannot help: it adds to the audiences that are accepted, not to the issuers".to_owned(),
            "`allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users of Firebase are not \
             among them"
                .to_owned(),
            "`allUsers` makes the 401 go away because nobody's token is asked for any more: the service is open to \
             the world"
                .to_owned(),
        ],
        _ => Vec::new(),
    }
}

/// The stable names of the causes.
const fn cause_name(cause: &RefusalCause) -> &'static str {
    match cause {
        RefusalCause::ForeignHost(_) => "FOREIGN_HOST",
        RefusalCause::IngressBlocked => "INGRESS_BLOCKED",
        RefusalCause::ReservedPath(_) => "RESERVED_PATH",
        RefusalCause::NoCredential => "NO_CREDENTIAL",
        RefusalCause::RepeatedHeader(_) => "REPEATED_HEADER",
        RefusalCause::NotBearer(_) => "NOT_BEARER",
        RefusalCause::AccessToken => "ACCESS_TOKEN",
        RefusalCause::Malformed(_) => "MALFORMED",
        RefusalCause::SignatureRemoved => "SIGNATURE_REMOVED",
        RefusalCause::FirebaseToken { .. } => "FIREBASE_TOKEN",
        RefusalCause::ForeignIssuer(_) => "FOREIGN_ISSUER",
        RefusalCause::Algorithm(_) => "ALGORITHM",
        RefusalCause::UnknownKey(_) => "UNKNOWN_KEY",
        RefusalCause::BadSignature => "BAD_SIGNATURE",
        RefusalCause::Audience { .. } => "AUDIENCE",
        RefusalCause::Expired { .. } => "EXPIRED",
        RefusalCause::MissingClaim(_) => "MISSING_CLAIM",
        RefusalCause::NotInvoker(_) => "NOT_INVOKER",
    }
}
