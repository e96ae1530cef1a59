//! Where a request goes at its service.

use firegate_core::path::NormalPath;
use firegate_core::reason::{Reason, Stage};
use firegate_core::route::RouteEntry;
use firegate_core::token_source::{TokenRemoval, query_without_access_token};
use http::Uri;
use http::uri::PathAndQuery;

use crate::refused::{Refused, denial};
use crate::request::RequestHead;

/// The path and query as they are forwarded: the path that was matched, or what the route makes of it, and the query without
/// the user's token, if the service does not get to see it.
pub(super) fn service_target(
    head: &RequestHead<'_>,
    route: Option<&RouteEntry>,
    removal: TokenRemoval,
    uri: &Uri,
) -> Result<PathAndQuery, Refused> {
    let asked = &head.facts.path;
    target(head, removal, route.map_or(asked, |route| route.path(asked)), uri)
}

/// A path, with the query as it is forwarded.
pub(super) fn target(
    head: &RequestHead<'_>,
    removal: TokenRemoval,
    path: &NormalPath,
    uri: &Uri,
) -> Result<PathAndQuery, Refused> {
    let path = path.as_str();
    let without_token = head.facts.query.filter(|_| removal.query).map(query_without_access_token);
    let query = without_token.as_ref().map_or(head.facts.query, Option::as_deref);
    // Mostly it is what the client asked for, to the byte. A path that is empty is told as `/` too, and is not to be sent so.
    if path.len() > 1
        && let Some(asked) = uri.path_and_query()
        && (asked.path(), asked.query()) == (path, query)
    {
        return Ok(asked.clone());
    }
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let why = "the request's target cannot be forwarded";
    PathAndQuery::from_maybe_shared(target)
        .map_err(|_| denial(Reason::RequestMalformed { why }, Stage::Upstream))
}
