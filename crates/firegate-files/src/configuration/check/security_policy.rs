//! Security policies: their files, and what of them depends on the rest of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Checker;
use crate::configuration::model::{AppCheck, Backend, Behind, PolicyFile, Routing};
use crate::configuration::names::BackendName;
use crate::configuration::source::FileSource;
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::security_policy::{self, Attachment, Key, Matcher, Rule, SecurityPolicy};
use crate::yaml::Part;

impl Checker<'_> {
    /// Reads the policy that `path` names, for a backend that gets paths with encoded slashes or does not.
    pub(super) fn security_policy(
        &mut self,
        path: &YamlPath,
        file: FileSource,
        may_see_encoded_slash: bool,
    ) -> Option<Arc<SecurityPolicy>> {
        let PolicyFile { file, text, dialect, assume_evaluated_upstream } = self.policy_file(path, file)?;
        let attachment =
            Attachment { dialect, evaluated_upstream: assume_evaluated_upstream, may_see_encoded_slash };
        security_policy::parse(&file.display().to_string(), &text, attachment, self.diagnostics).map(Arc::new)
    }

    /// What the policies need, and what was counted before.
    pub(super) fn security_policies(
        &mut self,
        backends: Option<&BTreeMap<BackendName, Backend>>,
        behind: Option<&Option<Behind>>,
        knows_regions: bool,
    ) {
        let policies = backends.into_iter().flatten();
        for (name, backend) in policies {
            let Some(policy) = &backend.security_policy else { continue };
            let path = YamlPath::root().key("backends").key(name.as_str());
            self.limits_exist(&path.key("rate_limits").key("rules"), backend, policy);
            let path = path.key("security_policy");
            if policy.needs_regions() && !knows_regions {
                let message = "the policy asks where clients are, and nothing says so";
                let hint = "name a database: `geo: { mmdb: country.mmdb }`; GeoLite2, IPinfo Lite and DB-IP Lite have the format";
                self.report(&path, Diagnostic::error(code::REGIONS_MISSING, message).hint(hint));
            }
            if backend.app_check == AppCheck::Off && policy.rules.iter().any(counts_by_app) {
                let message = "the policy counts by `APP_ID`, and no app is asked for: each request is counted by its address";
                let hint = "ask for it, `app_check: required`, or count by another key, such as `AUTH_UID`";
                self.report(&path, Diagnostic::warning(code::RATE_LIMIT_KEY, message).hint(hint));
            }
            if behind.is_some_and(|behind| *behind == Some(Behind::GoogleLoadBalancer)) {
                self.counted_upstream(&path, policy);
            }
        }
    }

    /// A header that is to say where clients are says nothing without a database.
    pub(super) fn regions_of_headers(
        &mut self,
        routing: Option<&Routing>,
        backends: Option<&BTreeMap<BackendName, Backend>>,
        knows_regions: bool,
    ) {
        let in_map = matches!(routing, Some(Routing::UrlMap(map)) if map.asks_for_regions());
        let in_service =
            backends.into_iter().flatten().any(|(_, backend)| backend.header_action.asks_for_regions());
        if (in_map || in_service) && !knows_regions {
            let message = "`{client_region}` is empty: a header asks where clients are, and nothing says so";
            let hint = "name a database: `geo: { mmdb: country.mmdb }`";
            let path = YamlPath::root().key(if in_map { "url_map" } else { "load_balancer" });
            self.report(&path, Diagnostic::warning(code::REGIONS_MISSING, message).hint(hint));
        }
    }

    /// Settings for rules that limit nothing would be without effect.
    fn limits_exist(&mut self, path: &YamlPath, backend: &Backend, policy: &SecurityPolicy) {
        let limits = |priority: &u32| {
            let rule = policy.rules.iter().find(|rule| rule.priority == *priority);
            rule.is_some_and(|rule| rule.action.rate_limit().is_some())
        };
        for priority in backend.rate_limits.rules.keys().filter(|priority| !limits(priority)) {
            let message = format!("the policy has no limit of the priority {priority}");
            let hint = "name a rule whose action is `throttle` or `rate_based_ban`";
            let found = Diagnostic::error(code::RATE_LIMITS, message).hint(hint);
            self.report_part(&path.key(&priority.to_string()), Part::Key, found);
        }
    }

    /// A limit that the load balancer knows too is counted twice if the policy is attached there as well.
    fn counted_upstream(&mut self, path: &YamlPath, policy: &SecurityPolicy) {
        let counted = policy.rules.iter().filter(|rule| is_googles_limit(rule));
        let priorities: Vec<String> = counted.map(|rule| rule.priority.to_string()).collect();
        if priorities.is_empty() || policy.evaluated_upstream {
            return;
        }
        let message = format!(
            "if the load balancer has this policy too, it has already counted the requests of the limits {}",
            priorities.join(", ")
        );
        let hint = "Firegate counts those that came through, by its own windows; keep the limits of the verified user here, and the \
            others there";
        self.report(path, Diagnostic::note(code::COUNTED_UPSTREAM, message).hint(hint));
    }
}

fn counts_by_app(rule: &Rule) -> bool {
    rule.action.rate_limit().is_some_and(|limit| limit.keys.contains(&Key::AppId))
}

/// Whether a rule limits by nothing that Google does not know.
fn is_googles_limit(rule: &Rule) -> bool {
    let by_user = match &rule.matcher {
        Matcher::Expression(expression) => expression.uses_user(),
        Matcher::Everything | Matcher::SourceRanges(_) => false,
    };
    let limit = rule.action.rate_limit();
    limit.is_some_and(|limit| !by_user && !limit.keys.iter().any(Key::is_of_user))
}
