//! What the three requests of the welcome come to: by the decision of the front door itself, and by the judgement of the local
//! Cloud Run front. None of them is sent: a service of one's own is not to be called unasked.

use std::net::{IpAddr, Ipv4Addr};

use firegate_core::decision::{Outcome, Respond, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::NoKnownAccounts;
use firegate_core::jose::{KeySet, encode_base64url};
use firegate_core::limiter::NoCounters;
use firegate_core::path::NormalPath;
use firegate_core::reason::Code;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use firegate_emulator::cloud_run::{Arrival, CloudRunService, RefusalCause, RefusalStatus, Verdict, judge};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use super::setup::{Setup, statuses};
use super::{DevArguments, Direct, Expected, SEEDED_EMAIL};
use crate::explain::{drive, keys_that_believe};

/// How long a token of the seeded user lives.
const TOKEN_SECONDS: i64 = 3600;

/// A request that shows the story, by the first route that lets the user pass; if none does, by the first.
pub(super) fn direct(
    setup: &Setup,
    arguments: &DevArguments,
    user_id: Option<&str>,
    now: UnixTime,
) -> anyhow::Result<Option<Direct>> {
    let geography = firegate_proxy::open_geography(&setup.configuration)?;
    let snapshot = Snapshot::compile(&setup.configuration).with_geography(geography);
    let token = user_id.map(|user_id| token_of(user_id, setup.configuration.project.as_ref(), now));
    let mut first = None;
    for (service, mut direct) in setup.directs(arguments) {
        let outcome = token.as_deref().and_then(|token| decided(&snapshot, &direct.path, token, now));
        let passes = matches!(outcome, Some(Outcome::Permit(_) | Outcome::Observed(_)));
        direct.expected = expected(&service, arguments, outcome.as_ref(), token.as_deref(), now);
        if passes {
            return Ok(Some(direct));
        }
        first.get_or_insert(direct);
    }
    Ok(first)
}

/// A token of the seeded user, whose signature nobody made.
fn token_of(user_id: &str, project: &str, now: UnixTime) -> String {
    let now = now.as_seconds();
    let claims = json!({
        "iss": format!("https://securetoken.google.com/{project}"), "aud": project, "sub": user_id, "user_id": user_id,
        "auth_time": now, "iat": now, "exp": now + TOKEN_SECONDS, "email": SEEDED_EMAIL, "email_verified": true, "name": "Ada",
        "firebase": {"identities": {"email": [SEEDED_EMAIL]}, "sign_in_provider": "password"},
    });
    let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
    let header = json!({"alg": "RS256", "kid": "local", "typ": "JWT"});
    format!("{}.{}.{}", part(&header), part(&claims), encode_base64url(b"nobody's"))
}

fn decided(snapshot: &Snapshot, path: &str, token: &str, now: UnixTime) -> Option<Outcome> {
    let headers = bearer(Some(token));
    let path = NormalPath::parse(path).ok()?;
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let facts = RequestFacts { client, host: "localhost", ..RequestFacts::of(&Method::GET, path, &headers) };
    let world = World {
        snapshot,
        keys: &keys_that_believe(token),
        accounts: &NoKnownAccounts,
        counters: &NoCounters,
        now,
    };
    drive(&facts, &world).ok()
}

fn bearer(token: Option<&str>) -> HeaderMap {
    let value = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
    HeaderMap::from_iter(value.map(|value| (AUTHORIZATION, value)))
}

fn expected(
    service: &CloudRunService,
    arguments: &DevArguments,
    outcome: Option<&Outcome>,
    token: Option<&str>,
    now: UnixTime,
) -> Expected {
    let is_sample = arguments.service.is_none() && arguments.config.is_none();
    let answered = |how: &str| match is_sample {
        true => format!("200: {how}"),
        false => format!("what your service answers, {how}"),
    };
    let is_admitted = service.ingress.admits(Arrival::Internet);
    let front = |token: Option<&str>| {
        let verdict = judge(service, &bearer(token), &KeySet::default(), now, &statuses(arguments));
        match verdict {
            _ if !is_admitted => "404: the service's ingress admits internal traffic alone".to_owned(),
            Verdict::Admit(_) => answered("because it is public"),
            Verdict::Refuse(refusal) => {
                let why = match refusal.cause {
                    RefusalCause::NoCredential => "without a token".to_owned(),
                    RefusalCause::FirebaseToken { .. } => {
                        "Cloud Run's IAM does not know Firebase tokens".to_owned()
                    }
                    cause => cause.to_string(),
                };
                format!("{}: {why}", number(refusal.status))
            }
        }
    };
    let refused = |status: u16, code: Code| format!("{status}: Firegate's, {}", code.entry().name);
    let through = match outcome {
        // Whose token it will be is not known.
        None => "through Firegate, if it lets this user pass".to_owned(),
        Some(Outcome::Permit(_) | Outcome::Observed(_)) if !is_admitted => {
            let code = Code::CloudRunRefusedFiregate;
            refused(code.entry().status, code)
        }
        Some(Outcome::Denial(denial)) => refused(denial.reason.status(), denial.reason.code()),
        Some(Outcome::Fault(fault)) => refused(fault.code.entry().status, fault.code),
        Some(Outcome::Respond(Respond::Redirect(answer))) => {
            format!("{}: Firegate's, a redirect", answer.status.as_u16())
        }
        Some(Outcome::Permit(_) | Outcome::Observed(_) | Outcome::Respond(Respond::Preflight(_))) => {
            answered("through Firegate")
        }
    };
    let some_token = token_of("somebody", "some-project", now);
    Expected { direct: front(Some(token.unwrap_or(&some_token))), through, without: front(None) }
}

const fn number(status: RefusalStatus) -> u16 {
    match status {
        RefusalStatus::Unauthorized => 401,
        RefusalStatus::Forbidden => 403,
        RefusalStatus::NotFound => 404,
    }
}
