//! The probes' own listener: `/livez` says that the process runs, `/readyz` that it can decide. They are not on the
//! public listener, where a load balancer's idea of a health check could become a way around it.

use http::request::Parts;
use http::{Response, StatusCode};

use crate::door::Shared;
use crate::private_listener::text;
use crate::stream::Body;

/// Answers one probe.
pub(crate) fn answer(parts: &Parts, shared: &Shared) -> Response<Body> {
    match parts.uri.path() {
        "/livez" => text(StatusCode::OK, "alive\n"),
        "/readyz" if shared.entrance.is_stopping() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "not ready: stopping\n")
        }
        "/readyz" if shared.is_ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => {
            text(StatusCode::SERVICE_UNAVAILABLE, "not ready: the issuer's keys were not fetched yet\n")
        }
        _ => text(StatusCode::NOT_FOUND, "only /livez and /readyz are here\n"),
    }
}
