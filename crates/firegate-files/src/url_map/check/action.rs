//! What is done with a request: services, and what happens on the way.

use std::time::Duration;

use super::super::format::RETRY_CONDITIONS;
use super::super::model::{
    Action, CorsPolicy, FaultInjection, MirrorPolicy, RetryCondition, RetryPolicy, RouteAction, Share,
    Target, UrlRewrite, WeightedService,
};
use super::super::service::ServiceName;
use super::{Checker, Fields, place};
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::{Located, Part};
use crate::limits::{TIMEOUT_MAX, URL_MAP_RETRIES_MAX, URL_MAP_WEIGHT_MAX};
use crate::optional;
use crate::suggestion::{nearest, quoted};

impl Checker<'_> {
    /// What is done with what no rule takes.
    pub(super) fn default_action(&mut self, message: &Located<'_>) -> Option<Action> {
        self.action(message, &Fields::DEFAULT)
    }

    /// What a rule or a default does: exactly one of a service, weighted services and a redirect.
    pub(super) fn action(&mut self, message: &Located<'_>, fields: &Fields) -> Option<Action> {
        let Fields { service, redirect, action, errors } = fields;
        let (given_service, given_redirect) = (message.get(service), message.get(redirect));
        let given_action = message.get(action);
        let weighted =
            given_action.as_ref().map(|action| action.list("weightedBackendServices").collect::<Vec<_>>());
        let weighted = weighted.unwrap_or_default();
        let count = [given_service.is_some(), given_redirect.is_some(), !weighted.is_empty()];
        if count.iter().filter(|given| **given).count() != 1 {
            let what = if count.contains(&true) { "more than one of" } else { "none of" };
            let text =
                format!("{what} `{service}`, `{redirect}` and `{action}.weightedBackendServices` is given");
            self.error_in(
                message,
                service,
                code::URL_MAP_TARGET,
                text,
                "exactly one of them says where requests go",
            );
            return None;
        }
        if let (Some(_), Some(unused)) = (&given_redirect, &given_action)
            && unused.entries().next().is_some()
        {
            let text = format!("`{action}` has no effect beside `{redirect}`");
            self.error(unused, code::URL_MAP_TARGET, text, "keep one of them: Google takes one alone");
            return None;
        }
        let place = match (&given_service, &given_redirect, &given_action) {
            // A default has no place of its own in the file but that of its field.
            (Some(given), ..) | (None, Some(given), _) | (None, None, Some(given))
                if *service == "defaultService" =>
            {
                place(given)
            }
            _ => place(message),
        };
        let target = match given_redirect {
            Some(redirect) => Target::Redirect(self.redirect(&redirect)?),
            None => {
                let services = match &given_service {
                    Some(service) => vec![WeightedService {
                        service: self.target(service)?,
                        weight: 1,
                        header_action: Default::default(),
                    }],
                    None => self.weighted(&weighted)?,
                };
                Target::Services(Box::new(self.route_action(message, given_action.as_ref(), services)?))
            }
        };
        let error_policy = message.get(errors).map(|policy| self.error_policy(&policy));
        Some(Action { place, target, error_policy: optional(error_policy)? })
    }

    /// A service that requests go to. A backend bucket may have the name of a backend service, and is something else.
    fn target(&mut self, service: &Located<'_>) -> Option<ServiceName> {
        let name = self.service(service)?;
        if !is_bucket(service.text().unwrap_or_default()) {
            return Some(name);
        }
        let message = format!("{} is a backend bucket here, and no backend", quoted(name.as_str()));
        self.error(service, code::URL_MAP_SERVICE, message, BUCKET_HINT);
        None
    }

    /// A service, or the bucket in whose place the backend of its name stands.
    pub(super) fn service(&mut self, service: &Located<'_>) -> Option<ServiceName> {
        let reference = service.text().unwrap_or_default();
        let name = ServiceName::of(reference);
        let Some(name) = name else {
            let message = format!("{} names no backend service", quoted(service.text().unwrap_or_default()));
            self.error(
                service,
                code::URL_MAP_SERVICE,
                message,
                "write its name, or its URL, whose last segment is the name",
            );
            return None;
        };
        let Some(backends) = self.backends else { return Some(name) };
        if backends.iter().any(|backend| backend == name.as_str()) {
            return Some(name);
        }
        let known = backends.iter().map(String::as_str);
        let hint = match nearest(name.as_str(), known) {
            _ if is_bucket(reference) => BUCKET_HINT.to_owned(),
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!(
                "a backend service is the backend of the configuration with its name: add `{name}: URL` to `backends`"
            ),
        };
        self.error(
            service,
            code::URL_MAP_SERVICE,
            format!("there is no backend {}", quoted(name.as_str())),
            hint,
        );
        None
    }

    fn weighted(&mut self, weighted: &[Located<'_>]) -> Option<Vec<WeightedService>> {
        let mut services = Some(Vec::new());
        for one in weighted {
            let weight = one.get("weight").map_or(Some(0), |weight| weight.integer());
            let weight = weight
                .and_then(|weight| u32::try_from(weight).ok())
                .filter(|weight| *weight <= URL_MAP_WEIGHT_MAX);
            if weight.is_none() {
                self.error_in(
                    one,
                    "weight",
                    code::URL_MAP_ROUTE_ACTION,
                    "the weight is out of range",
                    format!("from 0 to {URL_MAP_WEIGHT_MAX}"),
                );
            }
            let service = one.get("backendService");
            if service.is_none() {
                self.error_in(
                    one,
                    "backendService",
                    code::URL_MAP_SERVICE,
                    "the weighted service has no `backendService`",
                    "add its name or URL",
                );
            }
            let service = service.and_then(|service| self.target(&service));
            let header_action = self.header_action(one.get("headerAction"));
            match (&mut services, service, weight) {
                (Some(services), Some(service), Some(weight)) => {
                    services.push(WeightedService { service, weight, header_action });
                }
                _ => services = None,
            }
        }
        let services = services?;
        if services.iter().all(|service| service.weight == 0) {
            let first = weighted.first()?;
            self.error_in(
                first,
                "weight",
                code::URL_MAP_ROUTE_ACTION,
                "no service has a weight, so none would get a request",
                "give one of them a weight from 1 to 1000",
            );
            return None;
        }
        Some(services)
    }

    fn route_action(
        &mut self,
        rule: &Located<'_>,
        action: Option<&Located<'_>>,
        services: Vec<WeightedService>,
    ) -> Option<RouteAction> {
        let Some(action) = action else { return Some(RouteAction { services, ..RouteAction::default() }) };
        let rewrite = action.get("urlRewrite").map(|rewrite| self.rewrite(rule, &rewrite));
        let timeout = action.get("timeout").map(|timeout| self.span(&timeout));
        let max_stream = action.get("maxStreamDuration").map(|duration| self.span(&duration));
        let retry = action.get("retryPolicy").map(|policy| self.retry(&policy));
        let mirror = action.get("requestMirrorPolicy").map(|policy| self.mirror(&policy));
        let cors = action.get("corsPolicy").map(|policy| self.cors(&policy));
        let fault = action.get("faultInjectionPolicy").map(|policy| self.fault(&policy));
        Some(RouteAction {
            services,
            rewrite: rewrite.map_or(Some(UrlRewrite::default()), |rewrite| rewrite)?,
            timeout: optional(timeout)?,
            max_stream_duration: optional(max_stream)?,
            retry: optional(retry)?,
            mirror: optional(mirror)?,
            cors: optional(cors)?,
            fault: fault.map_or(Some(FaultInjection::default()), |fault| fault)?,
        })
    }

    /// A duration from above 0 to an hour.
    fn span(&mut self, located: &Located<'_>) -> Option<Duration> {
        // What is no duration at all was reported when the shape was checked.
        let span = located.duration().filter(|_| located.entries().next().is_some())?;
        if span > Duration::ZERO && span <= TIMEOUT_MAX {
            return Some(span);
        }
        self.error(
            located,
            code::URL_MAP_ROUTE_ACTION,
            "the duration is out of range",
            format!("above 0 and at most {} seconds", TIMEOUT_MAX.as_secs()),
        );
        None
    }

    fn retry(&mut self, policy: &Located<'_>) -> Option<RetryPolicy> {
        let retries = policy.get("numRetries").map_or(Some(1), |number| number.integer());
        let retries = retries.and_then(|number| u32::try_from(number).ok());
        let retries = retries.filter(|number| (1..=URL_MAP_RETRIES_MAX).contains(number));
        if retries.is_none() {
            self.error_in(
                policy,
                "numRetries",
                code::URL_MAP_ROUTE_ACTION,
                "the number of retries is out of range",
                format!("from 1 to {URL_MAP_RETRIES_MAX}"),
            );
        }
        let per_try_timeout = policy.get("perTryTimeout").map(|timeout| self.span(&timeout));
        let conditions =
            policy.list("retryConditions").filter_map(|word| condition(word.word(&RETRY_CONDITIONS)?));
        Some(RetryPolicy {
            retries: retries?,
            per_try_timeout: optional(per_try_timeout)?,
            conditions: conditions.collect(),
        })
    }

    fn mirror(&mut self, policy: &Located<'_>) -> Option<MirrorPolicy> {
        let Some(service) = policy.get("backendService") else {
            self.error_in(
                policy,
                "backendService",
                code::URL_MAP_SERVICE,
                "the mirror has no `backendService`",
                "add its name or URL",
            );
            return None;
        };
        let service = self.target(&service);
        let share = self.share(policy, "mirrorPercent", Share::ALL);
        Some(MirrorPolicy { service: service?, share: share? })
    }

    fn fault(&mut self, policy: &Located<'_>) -> Option<FaultInjection> {
        let delay = policy.get("delay").map(|delay| {
            let span = delay.get("fixedDelay").and_then(|span| self.span(&span));
            let share = self.share(&delay, "percentage", Share::NONE);
            span.zip(share)
        });
        let abort = policy.get("abort").map(|abort| {
            let status = abort.get("httpStatus").and_then(|status| status.integer());
            let status = status
                .and_then(|status| u16::try_from(status).ok())
                .filter(|status| (200..=599).contains(status));
            if status.is_none() {
                self.error_in(
                    &abort,
                    "httpStatus",
                    code::URL_MAP_ROUTE_ACTION,
                    "the status is out of range",
                    "from 200 to 599",
                );
            }
            status.zip(self.share(&abort, "percentage", Share::NONE))
        });
        Some(FaultInjection { delay: optional(delay)?, abort: optional(abort)? })
    }

    fn share(&mut self, message: &Located<'_>, name: &str, default: Share) -> Option<Share> {
        let Some(percent) = message.get(name) else { return Some(default) };
        let share = percent.number().and_then(Share::of_percent);
        if share.is_none() {
            self.error(
                &percent,
                code::URL_MAP_ROUTE_ACTION,
                "the percentage is out of range",
                "from 0.0 to 100.0",
            );
        }
        share
    }

    fn cors(&mut self, policy: &Located<'_>) -> Option<CorsPolicy> {
        let texts = |name: &str| {
            policy.list(name).filter_map(|text| text.text()).map(str::to_owned).collect::<Vec<_>>()
        };
        let origin_patterns =
            policy.list("allowOriginRegexes").map(|text| self.whole_regex(&text)).collect::<Option<Vec<_>>>();
        let max_age = policy
            .get("maxAge")
            .map(|seconds| seconds.integer().and_then(|seconds| u32::try_from(seconds).ok()));
        if max_age == Some(None) {
            self.error_in(
                policy,
                "maxAge",
                code::URL_MAP_ROUTE_ACTION,
                "the age is out of range",
                "write a number of seconds from 0",
            );
        }
        let cors = CorsPolicy {
            disabled: is_true(Some(policy), "disabled"),
            origins: texts("allowOrigins"),
            origin_patterns: origin_patterns?,
            methods: texts("allowMethods"),
            headers: texts("allowHeaders"),
            exposed_headers: texts("exposeHeaders"),
            max_age_seconds: optional(max_age)?,
            credentials: is_true(Some(policy), "allowCredentials"),
        };
        let admits_all = cors.origins.iter().any(|origin| origin == "*");
        if cors.credentials && admits_all && !cors.disabled {
            self.error(
                policy,
                code::URL_MAP_ROUTE_ACTION,
                "every page of the Internet could call with its visitors' cookies",
                "list the origins, or remove `allowCredentials`",
            );
            return None;
        }
        for name in ["allowMethods", "allowHeaders"].into_iter().filter(|_| cors.credentials) {
            if let Some(star) = policy.list(name).find(|word| word.text() == Some("*")) {
                let message = "`*` stands for itself beside `allowCredentials`, as browsers read it";
                let finding = Diagnostic::warning(code::URL_MAP_ROUTE_ACTION, message);
                star.report(self.diagnostics, Part::Value, finding.hint("list what pages may use"));
            }
        }
        Some(cors)
    }
}

const BUCKET_HINT: &str =
    "a backend bucket is Cloud Storage, which Firegate does not serve: let the rule lead to a service";

fn is_bucket(reference: &str) -> bool {
    reference.contains("backendBuckets/")
}

pub(super) fn is_true(message: Option<&Located<'_>>, name: &str) -> bool {
    message.and_then(|message| message.get(name)?.boolean()).unwrap_or(false)
}

fn condition(word: &str) -> Option<RetryCondition> {
    Some(match word {
        "5xx" => RetryCondition::Any5xx,
        "gateway-error" => RetryCondition::GatewayError,
        "connect-failure" => RetryCondition::ConnectFailure,
        "retriable-4xx" => RetryCondition::Retriable4xx,
        "refused-stream" => RetryCondition::RefusedStream,
        "cancelled" => RetryCondition::Cancelled,
        "deadline-exceeded" => RetryCondition::DeadlineExceeded,
        "internal" => RetryCondition::Internal,
        "resource-exhausted" => RetryCondition::ResourceExhausted,
        "unavailable" => RetryCondition::Unavailable,
        _ => return None,
    })
}
