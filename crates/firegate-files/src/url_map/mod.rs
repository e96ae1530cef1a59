//! URL maps, as `gcloud compute url-maps export` writes them: which host and path goes to which backend service, and how.
//!
//! `format` is the table of the fields, `check` makes the checked map of a file, and `model` is that map. Where a request goes
//! by it is decided in `firegate_core::route`.

mod check;
mod format;
mod model;
mod path_template;
mod service;

pub use check::parse;
pub(crate) use check::{header_value, is_header_name};
pub use format::URL_MAP;
pub use model::{
    Action, AddedHeader, CorsPolicy, ErrorCodes, ErrorPolicy, ErrorRule, FaultInjection, HeaderAction,
    HeaderMatch, HeaderValueTemplate, HeaderVariable, HostPattern, HostRule, MapTest, MirrorPolicy,
    PathMatch, PathMatcher, PathRegex, PathRewrite, PathRule, QueryMatch, RedirectPath, RetryCondition,
    RetryPolicy, RouteAction, RouteMatch, RouteRule, RulePath, RulePlace, Rules, Share, Target, UrlMap,
    UrlRedirect, UrlRewrite, ValueMatch, ValuePart, WeightedService,
};
pub use path_template::{PathTemplate, TemplateError, TemplateRewrite};
pub use service::ServiceName;

#[cfg(test)]
mod tests;
