//! The fields of a URL map, as the Compute API (v1) documents them, and what Firegate does with each.

use crate::google_file::{Field, MessageType, Shape};

const TEXTS: Shape = Shape::List(&Shape::Text);

/// A URL map.
pub static URL_MAP: MessageType = MessageType {
    name: "UrlMap",
    kind: Some("compute#urlMap"),
    fields: &[
        Field::output_only("creationTimestamp", Shape::Text),
        Field::evaluated("defaultCustomErrorResponsePolicy", Shape::Message(&ERROR_POLICY)),
        Field::evaluated("defaultRouteAction", Shape::Message(&ROUTE_ACTION)),
        Field::evaluated("defaultService", Shape::Resource),
        Field::evaluated("defaultUrlRedirect", Shape::Message(&URL_REDIRECT)),
        Field::kept("description", Shape::Text),
        Field::kept("fingerprint", Shape::Text),
        Field::evaluated("headerAction", Shape::Message(&HEADER_ACTION)),
        Field::evaluated("hostRules", Shape::List(&Shape::Message(&HOST_RULE))),
        Field::output_only("id", Shape::Integer),
        Field::output_only("kind", Shape::Text),
        Field::evaluated("name", Shape::Text),
        Field::evaluated("pathMatchers", Shape::List(&Shape::Message(&PATH_MATCHER))),
        Field::evaluated("region", Shape::Resource),
        Field::output_only("selfLink", Shape::Text),
        Field::output_only("selfLinkWithId", Shape::Text),
        Field::evaluated("tests", Shape::List(&Shape::Message(&TEST))),
    ],
};

static HOST_RULE: MessageType = MessageType {
    name: "HostRule",
    kind: None,
    fields: &[
        Field::kept("description", Shape::Text),
        Field::evaluated("hosts", TEXTS),
        Field::evaluated("pathMatcher", Shape::Text),
    ],
};

static PATH_MATCHER: MessageType = MessageType {
    name: "PathMatcher",
    kind: None,
    fields: &[
        Field::evaluated("defaultCustomErrorResponsePolicy", Shape::Message(&ERROR_POLICY)),
        Field::evaluated("defaultRouteAction", Shape::Message(&ROUTE_ACTION)),
        Field::evaluated("defaultService", Shape::Resource),
        Field::evaluated("defaultUrlRedirect", Shape::Message(&URL_REDIRECT)),
        Field::kept("description", Shape::Text),
        Field::evaluated("headerAction", Shape::Message(&HEADER_ACTION)),
        Field::evaluated("name", Shape::Text),
        Field::evaluated("pathRules", Shape::List(&Shape::Message(&PATH_RULE))),
        Field::evaluated("routeRules", Shape::List(&Shape::Message(&ROUTE_RULE))),
    ],
};

static PATH_RULE: MessageType = MessageType {
    name: "PathRule",
    kind: None,
    fields: &[
        Field::evaluated("customErrorResponsePolicy", Shape::Message(&ERROR_POLICY)),
        Field::evaluated("paths", TEXTS),
        Field::evaluated("routeAction", Shape::Message(&ROUTE_ACTION)),
        Field::evaluated("service", Shape::Resource),
        Field::evaluated("urlRedirect", Shape::Message(&URL_REDIRECT)),
    ],
};

static ROUTE_RULE: MessageType = MessageType {
    name: "HttpRouteRule",
    kind: None,
    fields: &[
        Field::evaluated("customErrorResponsePolicy", Shape::Message(&ERROR_POLICY)),
        Field::kept("description", Shape::Text),
        Field::evaluated("headerAction", Shape::Message(&HEADER_ACTION)),
        Field::evaluated("matchRules", Shape::List(&Shape::Message(&MATCH_RULE))),
        Field::evaluated("priority", Shape::Integer),
        Field::evaluated("routeAction", Shape::Message(&ROUTE_ACTION)),
        Field::evaluated("service", Shape::Resource),
        Field::evaluated("urlRedirect", Shape::Message(&URL_REDIRECT)),
    ],
};

static ERROR_POLICY: MessageType = MessageType {
    name: "CustomErrorResponsePolicy",
    kind: None,
    fields: &[
        Field::evaluated("errorResponseRules", Shape::List(&Shape::Message(&ERROR_RULE))),
        // A bucket too is the backend with its name.
        Field::evaluated("errorService", Shape::Resource),
    ],
};

static ERROR_RULE: MessageType = MessageType {
    name: "CustomErrorResponsePolicyCustomErrorResponseRule",
    kind: None,
    fields: &[
        Field::evaluated("matchResponseCodes", TEXTS),
        Field::evaluated("overrideResponseCode", Shape::Integer),
        Field::evaluated("path", Shape::Text),
    ],
};

static MATCH_RULE: MessageType = MessageType {
    name: "HttpRouteRuleMatch",
    kind: None,
    fields: &[
        Field::evaluated("fullPathMatch", Shape::Text),
        Field::evaluated("headerMatches", Shape::List(&Shape::Message(&HEADER_MATCH))),
        Field::evaluated("ignoreCase", Shape::Boolean),
        Field::refused(
            "metadataFilters",
            Shape::Any,
            "it speaks of the proxies of a service mesh, and without it the rule would match more",
        ),
        Field::evaluated("pathTemplateMatch", Shape::Text),
        Field::evaluated("prefixMatch", Shape::Text),
        Field::evaluated("queryParameterMatches", Shape::List(&Shape::Message(&QUERY_MATCH))),
        Field::evaluated("regexMatch", Shape::Text),
        Field::others_refused("without it the rule might match more"),
    ],
};

static HEADER_MATCH: MessageType = MessageType {
    name: "HttpHeaderMatch",
    kind: None,
    fields: &[
        Field::evaluated("exactMatch", Shape::Text),
        Field::evaluated("headerName", Shape::Text),
        Field::evaluated("invertMatch", Shape::Boolean),
        Field::evaluated("prefixMatch", Shape::Text),
        Field::evaluated("presentMatch", Shape::Boolean),
        Field::evaluated("rangeMatch", Shape::Message(&RANGE)),
        Field::evaluated("regexMatch", Shape::Text),
        Field::evaluated("suffixMatch", Shape::Text),
        Field::others_refused("without it the rule might match more"),
    ],
};

static RANGE: MessageType = MessageType {
    name: "Int64RangeMatch",
    kind: None,
    fields: &[Field::evaluated("rangeEnd", Shape::Integer), Field::evaluated("rangeStart", Shape::Integer)],
};

static QUERY_MATCH: MessageType = MessageType {
    name: "HttpQueryParameterMatch",
    kind: None,
    fields: &[
        Field::evaluated("exactMatch", Shape::Text),
        Field::evaluated("name", Shape::Text),
        Field::evaluated("presentMatch", Shape::Boolean),
        Field::evaluated("regexMatch", Shape::Text),
        Field::others_refused("without it the rule might match more"),
    ],
};

static ROUTE_ACTION: MessageType = MessageType {
    name: "HttpRouteAction",
    kind: None,
    fields: &[
        Field::without_effect("cachePolicy", Shape::Any, "Firegate caches no answers"),
        Field::evaluated("corsPolicy", Shape::Message(&CORS_POLICY)),
        Field::evaluated("faultInjectionPolicy", Shape::Message(&FAULT_INJECTION)),
        Field::evaluated("maxStreamDuration", Shape::Duration),
        Field::evaluated("requestMirrorPolicy", Shape::Message(&MIRROR)),
        Field::evaluated("retryPolicy", Shape::Message(&RETRY_POLICY)),
        Field::evaluated("timeout", Shape::Duration),
        Field::evaluated("urlRewrite", Shape::Message(&URL_REWRITE)),
        Field::evaluated("weightedBackendServices", Shape::List(&Shape::Message(&WEIGHTED_SERVICE))),
    ],
};

static WEIGHTED_SERVICE: MessageType = MessageType {
    name: "WeightedBackendService",
    kind: None,
    fields: &[
        Field::evaluated("backendService", Shape::Resource),
        Field::evaluated("headerAction", Shape::Message(&HEADER_ACTION)),
        Field::evaluated("weight", Shape::Integer),
    ],
};

static URL_REWRITE: MessageType = MessageType {
    name: "UrlRewrite",
    kind: None,
    fields: &[
        // Not towards Cloud Run, which finds a service by its host; a finding says so.
        Field::evaluated("hostRewrite", Shape::Text),
        Field::evaluated("pathPrefixRewrite", Shape::Text),
        Field::evaluated("pathTemplateRewrite", Shape::Text),
        Field::evaluated("regexRewrite", Shape::Message(&REGEX_REWRITE)),
    ],
};

static REGEX_REWRITE: MessageType = MessageType {
    name: "RegexRewrite",
    kind: None,
    fields: &[
        Field::evaluated("pathPattern", Shape::Text),
        Field::evaluated("pathSubstitution", Shape::Text),
    ],
};

static URL_REDIRECT: MessageType = MessageType {
    name: "HttpRedirectAction",
    kind: None,
    fields: &[
        Field::evaluated("hostRedirect", Shape::Text),
        Field::evaluated("httpsRedirect", Shape::Boolean),
        Field::evaluated("pathRedirect", Shape::Text),
        Field::evaluated("prefixRedirect", Shape::Text),
        Field::evaluated("redirectResponseCode", Shape::Word(&REDIRECT_CODES)),
        Field::evaluated("stripQuery", Shape::Boolean),
    ],
};

/// The words for the status of a redirect.
pub(super) const REDIRECT_CODES: [&str; 5] =
    ["FOUND", "MOVED_PERMANENTLY_DEFAULT", "PERMANENT_REDIRECT", "SEE_OTHER", "TEMPORARY_REDIRECT"];

static HEADER_ACTION: MessageType = MessageType {
    name: "HttpHeaderAction",
    kind: None,
    fields: &[
        Field::evaluated("requestHeadersToAdd", Shape::List(&Shape::Message(&HEADER_OPTION))),
        Field::evaluated("requestHeadersToRemove", TEXTS),
        Field::evaluated("responseHeadersToAdd", Shape::List(&Shape::Message(&HEADER_OPTION))),
        Field::evaluated("responseHeadersToRemove", TEXTS),
    ],
};

static HEADER_OPTION: MessageType = MessageType {
    name: "HttpHeaderOption",
    kind: None,
    fields: &[
        Field::evaluated("headerName", Shape::Text),
        Field::evaluated("headerValue", Shape::Text),
        Field::evaluated("replace", Shape::Boolean),
    ],
};

static RETRY_POLICY: MessageType = MessageType {
    name: "HttpRetryPolicy",
    kind: None,
    fields: &[
        Field::evaluated("numRetries", Shape::Integer),
        Field::evaluated("perTryTimeout", Shape::Duration),
        Field::evaluated("retryConditions", Shape::List(&Shape::Word(&RETRY_CONDITIONS))),
    ],
};

/// The words for when a request is tried again.
pub(super) const RETRY_CONDITIONS: [&str; 10] = [
    "5xx",
    "gateway-error",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

static MIRROR: MessageType = MessageType {
    name: "RequestMirrorPolicy",
    kind: None,
    fields: &[
        Field::evaluated("backendService", Shape::Resource),
        Field::evaluated("mirrorPercent", Shape::Number),
    ],
};

static CORS_POLICY: MessageType = MessageType {
    name: "CorsPolicy",
    kind: None,
    fields: &[
        Field::evaluated("allowCredentials", Shape::Boolean),
        Field::evaluated("allowHeaders", TEXTS),
        Field::evaluated("allowMethods", TEXTS),
        Field::evaluated("allowOriginRegexes", TEXTS),
        Field::evaluated("allowOrigins", TEXTS),
        Field::evaluated("disabled", Shape::Boolean),
        Field::evaluated("exposeHeaders", TEXTS),
        Field::evaluated("maxAge", Shape::Integer),
    ],
};

static FAULT_INJECTION: MessageType = MessageType {
    name: "HttpFaultInjection",
    kind: None,
    fields: &[
        Field::evaluated("abort", Shape::Message(&FAULT_ABORT)),
        Field::evaluated("delay", Shape::Message(&FAULT_DELAY)),
    ],
};

static FAULT_ABORT: MessageType = MessageType {
    name: "HttpFaultAbort",
    kind: None,
    fields: &[Field::evaluated("httpStatus", Shape::Integer), Field::evaluated("percentage", Shape::Number)],
};

static FAULT_DELAY: MessageType = MessageType {
    name: "HttpFaultDelay",
    kind: None,
    fields: &[Field::evaluated("fixedDelay", Shape::Duration), Field::evaluated("percentage", Shape::Number)],
};

static TEST: MessageType = MessageType {
    name: "UrlMapTest",
    kind: None,
    fields: &[
        Field::kept("backendServiceWeight", Shape::Integer),
        Field::kept("description", Shape::Text),
        Field::evaluated("expectedOutputUrl", Shape::Text),
        Field::evaluated("expectedRedirectResponseCode", Shape::Integer),
        Field::evaluated("headers", Shape::List(&Shape::Message(&TEST_HEADER))),
        Field::evaluated("host", Shape::Text),
        Field::evaluated("path", Shape::Text),
        Field::evaluated("service", Shape::Resource),
    ],
};

static TEST_HEADER: MessageType = MessageType {
    name: "UrlMapTestHeader",
    kind: None,
    fields: &[Field::evaluated("name", Shape::Text), Field::evaluated("value", Shape::Text)],
};
