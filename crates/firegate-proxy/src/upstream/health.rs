//! Active health checks: a request now and then to an endpoint that runs anyway, and whose answer says how it does.

use std::sync::{Arc, Weak};

use firegate_files::configuration::HealthCheck;
use http::header::USER_AGENT;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri};
use tokio::time::{sleep, timeout};

use super::connect::Opened;
use super::endpoint::Endpoint;
use super::headers::OwnFields;
use super::http1::RequestTarget;
use crate::stream::{Body, full};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("firegate-health/", env!("CARGO_PKG_VERSION")));

/// Checks an endpoint for as long as a generation of the configuration has it.
pub(super) async fn check(endpoint: Weak<Endpoint>, check: HealthCheck) {
    while let Some(endpoint) = endpoint.upgrade() {
        let outcome = timeout(check.timeout, ask(&endpoint, &check.path)).await;
        let outcome = outcome.unwrap_or_else(|_| Some(Err("there was no answer in time".to_owned())));
        outcome.into_iter().for_each(|outcome| endpoint.checked(outcome));
        drop(endpoint);
        sleep(check.interval).await;
    }
}

/// Asks once, by a connection of its own: whether a new one can be made is part of the question. Nothing is found out if it is
/// this machine that has none.
async fn ask(endpoint: &Arc<Endpoint>, path: &str) -> Option<Result<(), String>> {
    match endpoint.connect().await {
        Ok(opened) => Some(ask_by(opened, endpoint, path).await),
        Err(error) => error.kind.is_endpoints().then(|| Err(error.to_string())),
    }
}

async fn ask_by(opened: Opened, endpoint: &Endpoint, path: &str) -> Result<(), String> {
    let request = |uri: Uri| {
        let mut request: Request<Body> = Request::new(full(""));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        request.headers_mut().insert(USER_AGENT, AGENT);
        request
    };
    let uncallable = |error: http::Error| error.to_string();
    let status = match opened {
        Opened::Http1(own) => {
            let target = path.parse::<PathAndQuery>().map_err(|error| error.to_string())?;
            let own_fields = &OwnFields::default();
            let target = RequestTarget { target: &target, host: &endpoint.host, own_fields };
            let answer = own.exchange(request(Uri::default()), &target, None).await;
            answer.map_err(|unanswered| unanswered.to_string())?.status()
        }
        Opened::Http2(shared) => {
            let uri = Uri::builder().scheme(endpoint.scheme.clone()).authority(endpoint.authority.clone());
            let request = request(uri.path_and_query(path).build().map_err(uncallable)?);
            let answer = shared.into_dispatch().send_request(request).await;
            answer.map_err(|error| error.to_string())?.status()
        }
    };
    match status {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answered {status}")),
    }
}
