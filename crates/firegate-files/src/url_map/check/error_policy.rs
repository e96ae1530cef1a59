//! What takes the place of the errors that services answer with.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use super::super::model::{ErrorCodes, ErrorPolicy, ErrorRule};
use super::super::service::ServiceName;
use super::{Checker, Fields};
use crate::diagnostic::code;
use crate::google_file::Located;
use crate::suggestion::quoted;

const ERROR_SERVICE: &str = "errorService";

/// Statuses of answers that have no body, so that the service's would be no part of them.
const WITHOUT_BODY: [u16; 3] = [204, 205, 304];

impl Checker<'_> {
    /// The service of the levels below, which may name one of their own. What is wrong with it is said where it stands.
    pub(super) fn error_service_below(&self, message: &Located<'_>) -> Option<ServiceName> {
        let own = message.get(Fields::DEFAULT.errors).and_then(|policy| policy.get(ERROR_SERVICE));
        own.and_then(|service| ServiceName::of(service.text()?)).or_else(|| self.error_service.clone())
    }

    pub(super) fn error_policy(&mut self, policy: &Located<'_>) -> Option<ErrorPolicy> {
        let has_path = policy.list("errorResponseRules").any(|rule| rule.get("path").is_some());
        let service = match policy.get(ERROR_SERVICE) {
            Some(service) => Some(self.service(&service)?),
            None => self.error_service.clone().filter(|_| has_path),
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
            Some(path) => Some(self.page_path(&path)?),
            None => None,
        };
        let status = rule.get("overrideResponseCode").map(|status| status.integer());
        let status = status.map(|status| status.and_then(|status| u16::try_from(status).ok()));
        let (message, hint) = match (&path, status, has_service) {
            _ if codes.is_empty() => ("the rule is for no error", "add `matchResponseCodes: ['404']`"),
            (None, None, _) => ("the rule does nothing", "add a `path`, an `overrideResponseCode` or both"),
            (Some(_), _, false) => (
                "nothing says where the page is",
                "add the `errorService` beside the rules, or at a level above",
            ),
            (_, Some(status), _) if !status.is_some_and(|status| (200..=599).contains(&status)) => {
                ("the status is out of range", "from 200 to 599")
            }
            (_, Some(Some(status)), _) if WITHOUT_BODY.contains(&status) => (
                "an answer with this status has no body, and an error has one",
                "write another status, such as 200",
            ),
            _ => return Some(ErrorRule { codes, path, status: status.flatten() }),
        };
        self.error(rule, code::URL_MAP_ERROR_POLICY, message, hint);
        None
    }
}

impl Checker<'_> {
    /// The path of a page. It is sent as it stands, and conditions see it so: it has to be what they would see of a request.
    fn page_path(&mut self, located: &Located<'_>) -> Option<String> {
        let target = self.made_path(located, code::URL_MAP_ERROR_POLICY)?;
        if is_normal(target.split('?').next().unwrap_or_default()) {
            return Some(target);
        }
        let message = format!("{} is not the path of a page: it is not normalised", quoted(&target));
        let hint = "write it without `//`, `;` and needless escapes, for example `/errors/not%20found.html`";
        self.error(located, code::URL_MAP_ERROR_POLICY, message, hint);
        None
    }
}

/// Whether a path has one reading, which is itself: no empty segment, no parameters, and only what must be is escaped, which is
/// UTF-8, neither a separator nor an escape itself nor a control character.
fn is_normal(path: &str) -> bool {
    let is_unescaped = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@!$&'()*+,=/".contains(&byte);
    let Ok(decoded) = percent_decode_str(path).decode_utf8() else { return false };
    let is_escaped = |pair: &str| {
        let byte = pair.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_some_and(|byte| {
            !byte.is_ascii_control() && !b"/\\%;-._~".contains(&byte) && !byte.is_ascii_alphanumeric()
        }) && !pair.bytes().take(2).any(|digit| digit.is_ascii_lowercase() || digit == b'+')
    };
    let mut pieces = path.split('%');
    let before = pieces.next().unwrap_or_default();
    let are_plain = |text: &str| text.bytes().all(is_unescaped);
    are_plain(before)
        && pieces.all(|piece| is_escaped(piece) && piece.get(2..).is_some_and(are_plain))
        && !path.contains("//")
        && !decoded.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// `404`, `4xx` and the like.
fn error_codes(text: &str) -> Option<ErrorCodes> {
    match text {
        "4xx" => Some(ErrorCodes::Class(4)),
        "5xx" => Some(ErrorCodes::Class(5)),
        _ => text.parse().ok().filter(|status| (400..=599).contains(status)).map(ErrorCodes::One),
    }
}
