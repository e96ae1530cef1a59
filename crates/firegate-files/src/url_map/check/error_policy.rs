//! What takes the place of the errors that services answer with.

use std::collections::BTreeSet;

use super::super::model::{ErrorCodes, ErrorPolicy, ErrorRule};
use super::Checker;
use crate::diagnostic::code;
use crate::google_file::Located;
use crate::suggestion::quoted;

impl Checker<'_> {
    pub(super) fn error_policy(&mut self, policy: &Located<'_>) -> Option<ErrorPolicy> {
        let service = match policy.get("errorService") {
            Some(service) => Some(self.service(&service)?),
            None => None,
        };
        let mut seen = BTreeSet::new();
        let mut rules = Some(Vec::new());
        for rule in policy.list("errorResponseRules") {
            let checked = self.error_rule(&rule, service.is_some(), &mut seen);
            rules = rules.zip(checked).map(|(mut rules, rule)| {
                rules.push(rule);
                rules
            });
        }
        Some(ErrorPolicy { service, rules: rules? })
    }

    fn error_rule(
        &mut self,
        rule: &Located<'_>,
        has_service: bool,
        seen: &mut BTreeSet<ErrorCodes>,
    ) -> Option<ErrorRule> {
        let mut codes = Vec::new();
        for located in rule.list("matchResponseCodes") {
            let text = located.text().unwrap_or_default();
            let (found, hint) = match error_codes(text) {
                Some(code) if seen.insert(code) => {
                    codes.push(code);
                    continue;
                }
                Some(_) => (format!("{} stands in two rules", quoted(text)), "remove one of them"),
                None => (
                    format!("{} is no status of an error", quoted(text)),
                    "write one from 400 to 599, or `4xx` or `5xx`",
                ),
            };
            self.error(&located, code::URL_MAP_ERROR_POLICY, found, hint);
            return None;
        }
        let path = match rule.get("path") {
            Some(path) => Some(self.made_path(&path, code::URL_MAP_ERROR_POLICY)?),
            None => None,
        };
        let status = rule.get("overrideResponseCode").map(|status| status.integer());
        let status = status.map(|status| status.and_then(|status| u16::try_from(status).ok()));
        let (message, hint) = match (&path, status, has_service) {
            _ if codes.is_empty() => ("the rule is for no error", "add `matchResponseCodes: ['404']`"),
            (None, None, _) => ("the rule does nothing", "add a `path`, an `overrideResponseCode` or both"),
            (Some(_), _, false) => (
                "nothing says where the page is",
                "add the `errorService` beside the rules, at this level too",
            ),
            (_, Some(status), _) if !status.is_some_and(|status| (200..=599).contains(&status)) => {
                ("the status is out of range", "from 200 to 599")
            }
            _ => return Some(ErrorRule { codes, path, status: status.flatten() }),
        };
        self.error(rule, code::URL_MAP_ERROR_POLICY, message, hint);
        None
    }
}

/// `404`, `4xx` and the like.
fn error_codes(text: &str) -> Option<ErrorCodes> {
    match text {
        "4xx" => Some(ErrorCodes::Class(4)),
        "5xx" => Some(ErrorCodes::Class(5)),
        _ => text.parse().ok().filter(|status| (400..=599).contains(status)).map(ErrorCodes::One),
    }
}
