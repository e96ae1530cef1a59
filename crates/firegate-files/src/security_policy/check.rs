//! From a file that has the shape of a policy to the checked model. Every problem is reported; no check stops another.

use std::collections::BTreeMap;
use std::path::Path;

use firegate_expr::Dialect;
use url::Url;

use super::format::TYPES;
use super::model::{Action, DEFAULT_RULE_PRIORITY, DenyStatus, Matcher, Redirect, Rule, SecurityPolicy};
use super::{lint, matcher, rate_limit};
use crate::diagnostic::{Diagnostic, Diagnostics, code};
use crate::google_file::{GoogleFile, Located, Part};
use crate::header_names::is_reserved;
use crate::limits::{GOOGLE_DESCRIPTION_CHARACTERS_MAX, SECURITY_POLICY_RULES_MAX, SOURCE_RANGES_MAX};
use crate::suggestion::{nearest, quoted};

/// How a file is attached to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// How it is read.
    pub dialect: Dialect,
    /// Whether a load balancer before Firegate has evaluated the same policy.
    pub evaluated_upstream: bool,
    /// Whether a path with an encoded slash may come to it. For an exported policy nobody knows yet whose it will be.
    pub may_see_encoded_slash: bool,
}

/// What a check reads and where it reports.
pub(super) struct Checker<'a> {
    pub attachment: Attachment,
    pub diagnostics: &'a mut Diagnostics,
}

/// Every action that a rule can have, for a did-you-mean.
const ACTIONS: [&str; 7] =
    ["allow", "deny(403)", "deny(404)", "deny(502)", "redirect", "throttle", "rate_based_ban"];

pub(super) fn policy(
    file: &GoogleFile,
    attachment: Attachment,
    diagnostics: &mut Diagnostics,
) -> Option<SecurityPolicy> {
    let root = file.root();
    let mut checker = Checker { attachment, diagnostics };
    checker.policy_type(&root);
    let stem = || Path::new(&**file.name()).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let named = root.get("name").and_then(|name| name.text()).map(str::to_owned);
    let user_ip_request_headers = checker.user_ip_headers(&root);
    if root.list("rules").next().is_none() {
        // Google's policies have a default rule at least, so that one without rules lost them on its way here.
        let found =
            Diagnostic::error(code::MISSING_KEY, "the policy has no `rules`, and would refuse nobody").hint(
                "export it again: gcloud compute security-policies export POLICY --file-name=armor.yaml",
            );
        checker.report(&root, found);
        return None;
    }
    let elements: Vec<Located<'_>> = root.list("rules").collect();
    if elements.len() > SECURITY_POLICY_RULES_MAX {
        let message =
            format!("{} rules are more than the {SECURITY_POLICY_RULES_MAX} that are read", elements.len());
        root.report_field("rules", checker.diagnostics, Diagnostic::error(code::TOO_LARGE, message));
        return None;
    }
    let mut rules: Vec<(Rule, &Located<'_>)> = Vec::new();
    let mut is_whole = true;
    for element in &elements {
        match checker.rule(element) {
            Some(rule) => rules.push((rule, element)),
            None => is_whole = false,
        }
    }
    checker.priorities_are_unique(&elements);
    checker.ranges_are_few(&root, &rules);
    rules.sort_by_key(|(rule, _)| rule.priority);
    lint::each_rule(&mut checker, &root, &rules);
    if is_whole {
        // What is said of rules side by side would be wrong if one of them is missing.
        lint::rules_side_by_side(&mut checker, &root, &rules);
    }
    Some(SecurityPolicy {
        name: named.or_else(stem).unwrap_or_default(),
        file: file.name().clone(),
        dialect: attachment.dialect,
        evaluated_upstream: attachment.evaluated_upstream,
        user_ip_request_headers: user_ip_request_headers?,
        rules: rules.into_iter().map(|(rule, _)| rule).collect(),
    })
    .filter(|_| is_whole)
}

impl Checker<'_> {
    pub(super) fn report(&mut self, at: &Located<'_>, diagnostic: Diagnostic) {
        at.report(self.diagnostics, Part::Value, diagnostic);
    }

    pub(super) fn report_field(&mut self, at: &Located<'_>, name: &str, diagnostic: Diagnostic) {
        at.report_field(name, self.diagnostics, diagnostic);
    }

    pub(super) fn is_gcloud(&self) -> bool {
        self.attachment.dialect == Dialect::Gcloud
    }

    /// Something that Google refuses: an error for whoever has to feed the file to Google.
    pub(super) fn google_limit(&mut self, at: &Located<'_>, message: String, hint: &str) {
        if self.is_gcloud() {
            let hint = format!(
                "{hint}; or attach the file with `dialect: firegate`, where this limit does not hold"
            );
            self.report(at, Diagnostic::error(code::GOOGLE_LIMIT, message).hint(hint));
        }
    }

    fn policy_type(&mut self, root: &Located<'_>) {
        let Some(given) = root.get("type") else { return };
        if let Some(found @ ("CLOUD_ARMOR_INTERNAL_SERVICE" | "CLOUD_ARMOR_NETWORK")) = given.word(&TYPES) {
            let message = format!(
                "a policy of the type `{found}` is for another product than a load balancer's backend"
            );
            let hint = "attach a policy of the type `CLOUD_ARMOR`";
            self.report(&given, Diagnostic::error(code::SECURITY_POLICY, message).hint(hint));
        }
    }

    fn user_ip_headers(&mut self, root: &Located<'_>) -> Option<Vec<String>> {
        let Some(options) = root.get("advancedOptionsConfig") else { return Some(Vec::new()) };
        let mut names = Some(Vec::new());
        for element in options.list("userIpRequestHeaders") {
            let name = element.text().map(str::to_ascii_lowercase).filter(|name| is_header_name(name));
            match (name, &mut names) {
                (Some(name), Some(names)) => names.push(name),
                (Some(_), None) => {}
                (None, _) => {
                    let found = Diagnostic::error(code::USER_IP_HEADER, "this is no header's name");
                    self.report(&element, found);
                    names = None;
                }
            }
        }
        names
    }

    fn rule(&mut self, rule: &Located<'_>) -> Option<Rule> {
        let priority = self.priority(rule);
        let description = rule.get("description").and_then(|text| text.text()).unwrap_or_default();
        if description.chars().count() > GOOGLE_DESCRIPTION_CHARACTERS_MAX
            && let Some(at) = rule.get("description")
        {
            let message =
                format!("the description has more than {GOOGLE_DESCRIPTION_CHARACTERS_MAX} characters");
            self.google_limit(&at, message, "shorten it");
        }
        let action = self.action(rule);
        let matcher = matcher::read(self, rule, action.as_ref());
        let request_headers = self.header_action(rule, action.as_ref());
        Some(Rule {
            priority: priority?,
            line: line_of(rule),
            description: description.to_owned(),
            preview: rule.get("preview").and_then(|preview| preview.boolean()).unwrap_or(false),
            matcher: matcher?,
            action: action?,
            request_headers: request_headers?,
        })
    }

    fn priority(&mut self, rule: &Located<'_>) -> Option<u32> {
        let Some(given) = rule.get("priority") else {
            let message = "the rule has no `priority`";
            let hint = format!(
                "give it a number from 0 to {DEFAULT_RULE_PRIORITY}, the last one being the default rule's"
            );
            self.report_field(rule, "priority", Diagnostic::error(code::RULE_PRIORITY, message).hint(hint));
            return None;
        };
        given.integer()?;
        let priority = priority(&given);
        if priority.is_none() {
            let message = format!("a priority is a number from 0 to {DEFAULT_RULE_PRIORITY}");
            self.report(&given, Diagnostic::error(code::RULE_PRIORITY, message));
        }
        priority
    }

    /// A rule that is wrong otherwise has its priority all the same.
    fn priorities_are_unique(&mut self, rules: &[Located<'_>]) {
        let mut lines = BTreeMap::new();
        for located in rules {
            let Some(priority) = located.get("priority").and_then(|given| priority(&given)) else { continue };
            if let Some(line) = lines.insert(priority, line_of(located)) {
                let message = format!("the rule in line {line} has the priority {priority} too");
                let hint = "every rule of a policy has a priority of its own";
                self.report_field(
                    located,
                    "priority",
                    Diagnostic::error(code::RULE_PRIORITY, message).hint(hint),
                );
            }
        }
    }

    fn ranges_are_few(&mut self, root: &Located<'_>, rules: &[(Rule, &Located<'_>)]) {
        let ranges: usize = rules
            .iter()
            .map(|(rule, _)| match &rule.matcher {
                Matcher::SourceRanges(ranges) => ranges.len(),
                Matcher::Everything | Matcher::Expression(_) => 0,
            })
            .sum();
        if ranges > SOURCE_RANGES_MAX {
            let message =
                format!("{ranges} ranges of addresses are more than the {SOURCE_RANGES_MAX} that are read");
            self.report_field(root, "rules", Diagnostic::error(code::TOO_LARGE, message));
        }
    }

    fn action(&mut self, rule: &Located<'_>) -> Option<Action> {
        let Some(given) = rule.get("action") else {
            let message = "the rule has no `action`";
            let hint = "write for example `action: deny(403)`";
            self.report_field(rule, "action", Diagnostic::error(code::RULE_ACTION, message).hint(hint));
            return None;
        };
        let text = given.text()?;
        let action = match text {
            "allow" => Some(Action::Allow),
            "redirect" => self.redirect(rule, "redirectOptions").map(Action::Redirect),
            "throttle" => rate_limit::read(self, rule, false).map(|(limit, _)| Action::Throttle(limit)),
            "rate_based_ban" => rate_limit::read(self, rule, true)
                .and_then(|(limit, ban)| Some(Action::RateBasedBan(limit, ban?))),
            _ => {
                match self.deny_status(&given, text) {
                    Deny::Status(status) => Some(Action::Deny(status)),
                    Deny::Refused => None,
                    Deny::OtherAction => {
                        let message = format!("{} is no action", quoted(text));
                        let hint = match nearest(text, ACTIONS) {
                        Some(action) => format!("did you mean `{action}`?"),
                        None => "write `allow`, `deny(403)`, `deny(404)`, `deny(502)`, `redirect`, `throttle` or \
                                 `rate_based_ban`"
                            .to_owned(),
                    };
                        self.report(&given, Diagnostic::error(code::RULE_ACTION, message).hint(hint));
                        None
                    }
                }
            }
        };
        if let Some(at) =
            rule.get("rateLimitOptions").filter(|_| !matches!(text, "throttle" | "rate_based_ban"))
        {
            let message = "`rateLimitOptions` is for `throttle` and `rate_based_ban` alone";
            let hint = "remove it; Google refuses a rule of another action that has it";
            self.report(&at, Diagnostic::error(code::RATE_LIMIT, message).hint(hint));
        }
        if let Some(at) = rule.get("redirectOptions").filter(|_| text != "redirect") {
            let message = "`redirectOptions` is for `redirect` alone";
            let hint = "remove it, or make the action `redirect`";
            self.report(&at, Diagnostic::error(code::REDIRECT, message).hint(hint));
        }
        action
    }

    /// Reads `deny(STATUS)`. 429 is the status of a limit; as an action of its own Google's documentation does not have it.
    pub(super) fn deny_status(&mut self, at: &Located<'_>, text: &str) -> Deny {
        let status = match text {
            "deny(403)" => DenyStatus::Forbidden,
            "deny(404)" => DenyStatus::NotFound,
            "deny(502)" => DenyStatus::BadGateway,
            "deny(429)" => DenyStatus::TooManyRequests,
            _ if text == "deny" || text.starts_with("deny(") || text.starts_with("deny-") => {
                let message = match text.starts_with("deny-") {
                    true => {
                        format!("{} is how gcloud's flags spell an action, and not its files", quoted(text))
                    }
                    false => format!("{} does not say with which status", quoted(text)),
                };
                let is_action = at.path().to_string().ends_with(".action");
                let hint = match text.strip_prefix("deny-") {
                    Some(status @ ("403" | "404" | "502")) => format!("write `deny({status})`"),
                    Some("429") if !is_action => "write `deny(429)`".to_owned(),
                    _ if is_action => "write `deny(403)`, `deny(404)` or `deny(502)`".to_owned(),
                    _ => "write `deny(429)`, or `deny(403)`, `deny(404)` or `deny(502)`".to_owned(),
                };
                self.report(at, Diagnostic::error(code::RULE_ACTION, message).hint(hint));
                return Deny::Refused;
            }
            _ => return Deny::OtherAction,
        };
        if status == DenyStatus::TooManyRequests && at.path().to_string().ends_with(".action") {
            let message = "Google documents `deny(429)` for limits alone, not as the action of a rule";
            let hint = "write `deny(403)`, or expect that Google refuses the file";
            self.report(at, Diagnostic::warning(code::RULE_ACTION, message).hint(hint));
        }
        Deny::Status(status)
    }

    /// Reads the redirect in the field `name`.
    pub(super) fn redirect(&mut self, at: &Located<'_>, name: &str) -> Option<Redirect> {
        let Some(options) = at.get(name) else {
            let message = format!("a redirect needs `{name}`");
            let hint = format!("add `{name}: {{type: EXTERNAL_302, target: 'https://…'}}`");
            self.report_field(at, name, Diagnostic::error(code::REDIRECT, message).hint(hint));
            return None;
        };
        let target = options.get("target");
        match options.get("type").map(|given| given.text()) {
            None => {
                let message = "the redirect has no `type`";
                let hint = "write `EXTERNAL_302` or `GOOGLE_RECAPTCHA`";
                self.report_field(&options, "type", Diagnostic::error(code::REDIRECT, message).hint(hint));
                None
            }
            Some(Some("GOOGLE_RECAPTCHA")) => {
                if let Some(target) = target {
                    let message = "a redirect to reCAPTCHA has no `target`";
                    self.report(&target, Diagnostic::error(code::REDIRECT, message).hint("remove it"));
                }
                Some(Redirect::GoogleRecaptcha)
            }
            Some(_) => {
                let Some(target) = target else {
                    let message = "the redirect has no `target`";
                    self.report_field(&options, "target", Diagnostic::error(code::REDIRECT, message));
                    return None;
                };
                let url = target.text().and_then(|text| Url::parse(text).ok());
                let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
                if url.is_none() {
                    let found = Diagnostic::error(code::REDIRECT, "the target is no URL of a page")
                        .hint("write a whole URL: `https://example.com/blocked`");
                    self.report(&target, found);
                }
                url.map(Redirect::External)
            }
        }
    }

    fn header_action(
        &mut self,
        rule: &Located<'_>,
        action: Option<&Action>,
    ) -> Option<Vec<(String, String)>> {
        let Some(given) = rule.get("headerAction") else { return Some(Vec::new()) };
        if action.is_some_and(|action| action.rate_limit().is_some()) {
            let message = "a `headerAction` on a limit makes Google accept every request";
            let hint = "remove it, and set the header by an `allow` rule or in the URL map";
            self.report(&given, Diagnostic::error(code::HEADER_ACTION, message).hint(hint));
        }
        let mut headers = Some(Vec::new());
        for header in given.list("requestHeadersToAdds") {
            let name = header.get("headerName").and_then(|name| name.text()).map(str::to_ascii_lowercase);
            let value = header.get("headerValue").and_then(|value| value.text()).unwrap_or_default();
            let problem = match &name {
                None => Some("the header has no `headerName`"),
                Some(name) if !is_header_name(name) => Some("this is no header's name"),
                Some(_) if !is_header_value(value) => Some("this is no header's value"),
                Some(name) if is_reserved(name) => {
                    Some("this header says who calls or how the request is framed, and no file can set it")
                }
                Some(_) => None,
            };
            match (problem, name, &mut headers) {
                (Some(message), _, _) => {
                    self.report(&header, Diagnostic::error(code::HEADER_ACTION, message));
                    headers = None;
                }
                (None, Some(name), Some(headers)) => headers.push((name, value.to_owned())),
                (None, ..) => {}
            }
        }
        headers
    }
}

/// The priority that is given, if it is one.
fn priority(given: &Located<'_>) -> Option<u32> {
    u32::try_from(given.integer()?).ok().filter(|number| *number <= DEFAULT_RULE_PRIORITY)
}

/// The line in which a rule begins.
fn line_of(rule: &Located<'_>) -> usize {
    rule.beginning().map_or(1, |place| place.line)
}

/// What `deny(…)` says.
pub(super) enum Deny {
    /// This.
    Status(DenyStatus),
    /// It is a deny, and was reported.
    Refused,
    /// It is none.
    OtherAction,
}

/// RFC 9110, section 5.1, in lower case.
pub(super) fn is_header_name(name: &str) -> bool {
    let is_token =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 256 && name.bytes().all(is_token)
}

/// Visible ASCII and blanks, not at the ends.
fn is_header_value(value: &str) -> bool {
    value.len() <= 8192 && value.trim() == value && value.bytes().all(|byte| (b' '..0x7f).contains(&byte))
}
