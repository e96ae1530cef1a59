//! IAM v2 deny policies, <https://cloud.google.com/iam/docs/reference/rest/v2/policies>: principals in their v2 spelling,
//! permissions as `service.googleapis.com/resource.verb`.

use std::sync::Arc;

use firegate_expr::Dialect;

use super::condition::{Condition, condition_of};
use super::format::CONDITION;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, code};
use crate::google_file::{Field, GoogleFile, Located, MessageType, Part, Shape};
use crate::members::Member;
use crate::suggestion::quoted;

/// A deny policy, as the API and `gcloud iam policies get` write it.
pub static DENY_POLICY: MessageType = MessageType {
    name: "DenyPolicy",
    kind: None,
    fields: &[
        Field::kept("name", Shape::Text),
        Field::output_only("uid", Shape::Text),
        Field::output_only("kind", Shape::Text),
        Field::kept("displayName", Shape::Text),
        Field::kept("annotations", Shape::Map(&Shape::Text)),
        Field::kept("etag", Shape::Text),
        Field::output_only("createTime", Shape::Text),
        Field::output_only("updateTime", Shape::Text),
        Field::output_only("deleteTime", Shape::Text),
        Field::output_only("managingAuthority", Shape::Text),
        Field::evaluated("rules", Shape::List(&Shape::Message(&RULE))),
    ],
};

static RULE: MessageType = MessageType {
    name: "PolicyRule",
    kind: None,
    fields: &[
        Field::kept("description", Shape::Text),
        Field::evaluated("denyRule", Shape::Message(&DENY_RULE)),
    ],
};

static DENY_RULE: MessageType = MessageType {
    name: "DenyRule",
    kind: None,
    fields: &[
        Field::evaluated("deniedPrincipals", Shape::List(&Shape::Text)),
        Field::evaluated("exceptionPrincipals", Shape::List(&Shape::Text)),
        Field::evaluated("deniedPermissions", Shape::List(&Shape::Text)),
        Field::evaluated("exceptionPermissions", Shape::List(&Shape::Text)),
        Field::evaluated("denialCondition", Shape::Message(&CONDITION)),
        Field::others_refused("it may say whom the rule denies"),
    ],
};

/// The v2 spelling of the permission that a call takes.
const INVOKE_V2: [&str; 3] = ["run.googleapis.com", "routes", "invoke"];

/// The rules of a deny policy that concern calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DenyPolicy {
    /// In the order of the file.
    pub rules: Vec<DenyRule>,
}

/// Who may not call.
#[derive(Clone, Debug, PartialEq)]
pub struct DenyRule {
    /// What it is for, in the words of the file; perhaps empty.
    pub description: String,
    /// Whom it denies.
    pub denied: Vec<DeniedPrincipal>,
    /// Whom it spares.
    pub exceptions: Vec<DeniedPrincipal>,
    /// When it holds; always if absent.
    pub condition: Option<Arc<Condition>>,
    /// Where it stands.
    pub place: Option<Place>,
}

/// A principal in the spelling of IAM v2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeniedPrincipal {
    /// `principalSet://goog/public:all`: everyone, with or without a token.
    Everyone,
    /// A member by another name.
    Member(Member),
}

impl DenyPolicy {
    /// Reads a deny policy. Everything that is wrong is added to `diagnostics`; with an error among it the policy is not to be
    /// used.
    pub fn read(name: &str, text: &str, dialect: Dialect, diagnostics: &mut Diagnostics) -> Option<Self> {
        let file = GoogleFile::parse(name, text, &DENY_POLICY, diagnostics)?;
        let mut reader = Reader { dialect, diagnostics };
        let root = file.root();
        if root.list("rules").next().is_none() {
            let found = Diagnostic::error(code::MISSING_KEY, "this deny policy has no `rules`, and denies nobody").hint(
                "`gcloud iam policies list` leaves them out; export each policy by its name: gcloud iam policies get NAME \
                 --attachment-point=… --kind=denypolicies --format=json",
            );
            root.report_field("rules", reader.diagnostics, found);
        }
        let rules: Vec<DenyRule> = root.list("rules").filter_map(|rule| reader.rule(&rule)).collect();
        if let (true, Some(given), false) =
            (rules.is_empty(), root.get("rules"), reader.diagnostics.has_errors())
        {
            let message = "no rule of this policy denies calls";
            let found = Diagnostic::warning(code::DENY_RULE, message)
                .hint("calls are `run.googleapis.com/routes.invoke` in `deniedPermissions`");
            given.report(reader.diagnostics, Part::Key, found);
        }
        Some(Self { rules })
    }
}

struct Reader<'a> {
    dialect: Dialect,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn rule(&mut self, located: &Located<'_>) -> Option<DenyRule> {
        let Some(rule) = located.get("denyRule") else {
            let found = Diagnostic::error(code::MISSING_KEY, "a rule has no `denyRule`");
            located.report_field("denyRule", self.diagnostics, found);
            return None;
        };
        for (field, denies) in [("deniedPrincipals", "nobody"), ("deniedPermissions", "nothing")] {
            if rule.list(field).next().is_none() {
                let found =
                    Diagnostic::error(code::MISSING_KEY, format!("a rule without `{field}` denies {denies}"));
                rule.report_field(field, self.diagnostics, found);
            }
        }
        let concerns_calls = self.names_invoke(&rule, "deniedPermissions");
        let is_excepted = self.names_invoke(&rule, "exceptionPermissions");
        let condition =
            condition_of(&rule, "denialCondition", self.dialect, "the rule denies", self.diagnostics).ok()?;
        let denied = self.principals(&rule, "deniedPrincipals", true);
        let exceptions = self.principals(&rule, "exceptionPrincipals", false);
        if !concerns_calls || is_excepted {
            return None;
        }
        if denied.is_empty() && rule.list("deniedPrincipals").next().is_some() {
            let found = Diagnostic::warning(code::DENY_RULE, "this rule denies nobody")
                .hint("name somebody in `deniedPrincipals`, for example `principalSet://goog/public:all`");
            rule.report_field("deniedPrincipals", self.diagnostics, found);
        }
        if let Some(condition) = condition.as_ref().filter(|c| !c.expression.unknown_parts().is_empty()) {
            let names = condition.expression.unknown_functions().join(", ");
            let message = format!(
                "the condition asks for {names}, which is not known here: the rule denies as if it were true"
            );
            if let Some(given) = rule.get("denialCondition") {
                let found = Diagnostic::warning(code::DENY_RULE, message)
                    .hint("remove the condition if that is meant, or the rule");
                given.report(self.diagnostics, Part::Key, found);
            }
        }
        let description = located.get("description").and_then(|text| text.text()).unwrap_or_default();
        let place = rule.place().or_else(|| located.place());
        Some(DenyRule { description: description.to_owned(), denied, exceptions, condition, place })
    }

    fn names_invoke(&mut self, rule: &Located<'_>, field: &str) -> bool {
        let mut names = false;
        for permission in rule.list(field) {
            let Some(text) = permission.text() else { continue };
            let parts =
                text.split_once('/').and_then(|(service, rest)| Some((service, rest.split_once('.')?)));
            match parts {
                Some((service, (resource, verb))) => {
                    let fits = |written: &str, expected: &str| written == expected || written == "*";
                    let [expected_service, expected_resource, expected_verb] = INVOKE_V2;
                    names |= service == expected_service
                        && fits(resource, expected_resource)
                        && fits(verb, expected_verb);
                }
                None => {
                    let message =
                        format!("{} is no permission in the spelling of deny policies", quoted(text));
                    let found = Diagnostic::error(code::DENY_RULE, message)
                        .hint("write for example `run.googleapis.com/routes.invoke`");
                    permission.report(self.diagnostics, Part::Value, found);
                }
            }
        }
        names
    }

    /// Of those that are denied nobody may be lost; of the exceptions whoever cannot be told is not spared.
    fn principals(&mut self, rule: &Located<'_>, field: &str, must_be_known: bool) -> Vec<DeniedPrincipal> {
        let mut found = Vec::new();
        for located in rule.list(field) {
            let Some(text) = located.text() else { continue };
            let diagnostic = match principal(text) {
                Spelled::Principal(principal) => {
                    found.push(principal);
                    continue;
                }
                Spelled::Foreign => {
                    let message = format!("{} is no user of the project, and nobody here", quoted(text));
                    Diagnostic::note(code::IAM_MEMBER_FOREIGN, message)
                }
                Spelled::Unknowable => {
                    let message = format!("nobody can tell here who {} is", quoted(text));
                    let hint =
                        "name the users one by one, or by a group, `principalSet://goog/group/ADDRESS`";
                    let diagnostic = if must_be_known {
                        Diagnostic::error(code::DENY_RULE, message)
                    } else {
                        Diagnostic::warning(
                            code::DENY_RULE,
                            format!("{message}: the rule spares none of them"),
                        )
                    };
                    diagnostic.hint(hint)
                }
                Spelled::Wrong => {
                    let message =
                        format!("{} is no principal in the spelling of deny policies", quoted(text));
                    Diagnostic::error(code::DENY_RULE, message).hint(
                        "write for example `principalSet://goog/public:all`, `principal://goog/subject/ada@example.com` or \
                         `principalSet://goog/group/staff@example.com`",
                    )
                }
            };
            located.report(self.diagnostics, Part::Value, diagnostic);
        }
        found
    }
}

enum Spelled {
    Principal(DeniedPrincipal),
    /// Somebody who never calls as a user of the project.
    Foreign,
    /// A set of which nobody here knows who is in it.
    Unknowable,
    Wrong,
}

/// <https://cloud.google.com/iam/docs/principal-identifiers#v2>
fn principal(text: &str) -> Spelled {
    let member = |text: String| match text.parse::<Member>() {
        Ok(member) => Spelled::Principal(DeniedPrincipal::Member(member)),
        Err(_) => Spelled::Wrong,
    };
    if text == "principalSet://goog/public:all" {
        return Spelled::Principal(DeniedPrincipal::Everyone);
    }
    if let Some(address) = text.strip_prefix("principal://goog/subject/") {
        return member(format!("user:{address}"));
    }
    if let Some(address) = text.strip_prefix("principalSet://goog/group/") {
        return member(format!("group:{address}"));
    }
    if let Some(address) = text.strip_prefix("principal://iam.googleapis.com/projects/-/serviceAccounts/") {
        return member(format!("serviceAccount:{address}"));
    }
    if text.starts_with("deleted:") || text.contains("/workforcePools/") {
        return Spelled::Foreign;
    }
    if text.starts_with("principalSet://goog/cloudIdentityCustomerId/")
        || text.starts_with("principalSet://cloudresourcemanager.googleapis.com/")
        || (text.starts_with("principalSet://iam.googleapis.com/projects/") && text.contains("/group/"))
    {
        return Spelled::Unknowable;
    }
    if text.contains("/workloadIdentityPools/") { member(text.to_owned()) } else { Spelled::Wrong }
}
