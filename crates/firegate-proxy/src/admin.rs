//! The operators' listener: `/metrics`. It is never on the public address, where whoever finds it would read how many
//! requests are refused and why (CVE-2022-24797).

use http::request::Parts;
use http::{Response, StatusCode};

use crate::metrics::{Exposition, Format};
use crate::private_listener::{refuse_method, response, text};
use crate::request;
use crate::stream::Body;

/// What the listener answers with.
#[derive(Debug)]
pub(crate) struct Admin {
    exposition: Exposition,
    /// Only this machine can connect. Then a page of the Internet could, through the browser of whoever sits at it, by
    /// pointing its own name here (DNS rebinding).
    is_loopback: bool,
}

impl Admin {
    /// An answerer on a listener that is on loopback, or is not.
    pub(crate) fn new(exposition: Exposition, is_loopback: bool) -> Self {
        Self { exposition, is_loopback }
    }

    /// Answers one request.
    pub(crate) fn answer(&self, parts: &Parts) -> Response<Body> {
        let Ok(facts) = request::read(parts, "http") else {
            return text(StatusCode::BAD_REQUEST, "the request is malformed\n");
        };
        if self.is_loopback && !request::is_local_name(&request::host_name(facts.host)) {
            return text(
                StatusCode::BAD_REQUEST,
                "the host is none of this machine's\nhint: ask by an address or by localhost\n",
            );
        }
        if parts.uri.path() != "/metrics" {
            return text(StatusCode::NOT_FOUND, "only /metrics is here\n");
        }
        if let Some(refused) = refuse_method(&parts.method) {
            return refused;
        }
        let format = Format::of(&parts.headers);
        match self.exposition.encode(format) {
            Ok(metrics) => response(StatusCode::OK, format.content_type(), metrics),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n"),
        }
    }
}
