//! The IAM policy of a Cloud Run service, as `gcloud run services get-iam-policy` prints it, and IAM deny policies.
//!
//! Such a policy says who may call *Cloud Run*. Read as a backend's policy, it says who may pass Firegate: `check` compares the
//! two, and the bindings of roles that carry `run.routes.invoke` are what counts.

mod condition;
mod deny;
mod format;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use firegate_expr::Dialect;

pub use condition::Condition;
pub use deny::{DENY_POLICY, DeniedPrincipal, DenyPolicy, DenyRule};
pub use format::POLICY;

use crate::diagnostic::{Diagnostic, Diagnostics, Place, code};
use crate::google_file::{Form, GoogleFile, Located, Part};
use crate::limits::{POLICY_CONDITIONS_OF_ONE_GRANT_MAX, POLICY_GROUPS_MAX, POLICY_PRINCIPALS_MAX};
use crate::members::{Member, MemberError};
use crate::suggestion::{nearest, quoted};
use condition::condition_of;

/// The permission that calling a Cloud Run service takes (<https://cloud.google.com/run/docs/reference/iam/permissions>).
pub const INVOKE_PERMISSION: &str = "run.routes.invoke";

/// Google's roles that carry it (<https://cloud.google.com/run/docs/reference/iam/roles>) and whose purpose is calling: those
/// of administrators are named in `roles` where they are meant.
pub const INVOKER_ROLES: [&str; 2] = ["roles/run.invoker", "roles/run.servicesInvoker"];

/// What `gcloud` and the API call a role whose condition was left out, because the policy was not asked for in version 3
/// (<https://cloud.google.com/iam/docs/troubleshoot-conditions#withcond>).
const LOST_CONDITION: &str = "_withcond_";

/// A policy, checked.
#[derive(Clone, Debug)]
pub struct IamPolicy {
    file: GoogleFile,
    /// The bindings of roles that carry [`INVOKE_PERMISSION`], a member each.
    grants: Arc<[Grant]>,
    /// Whether a condition of any role asks for what Firegate alone knows.
    is_firegate_only: bool,
}

/// That a member may call, perhaps under a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Who.
    pub member: Member,
    /// When; always if absent.
    pub condition: Option<Arc<Condition>>,
    /// Where the member stands.
    pub place: Option<Place>,
}

/// Custom roles and the permissions that each carries.
pub type Roles = BTreeMap<String, Vec<String>>;

/// Why a policy is not written for Google.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportRefused {
    /// The word means everyone with a Google account there.
    #[error("the policy names `allAuthenticatedUsers`: on Cloud Run that is everyone with a Google account")]
    AllAuthenticatedUsers,
    /// A condition that only Firegate knows.
    #[error("a condition of the policy asks for what Firegate alone knows, and Google would refuse it")]
    FiregateOnly,
    /// Google takes no condition there.
    #[error("a condition stands with `allUsers`, and Google takes none there")]
    ConditionOnEveryone,
}

impl IamPolicy {
    /// Reads a policy. Everything that is wrong is added to `diagnostics`; with an error among it the policy is not to be used.
    pub fn read(
        name: &str,
        text: &str,
        dialect: Dialect,
        roles: &Roles,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let file = GoogleFile::parse(name, text, &POLICY, diagnostics)?;
        let mut reader = Reader {
            dialect,
            roles,
            diagnostics,
            grants: Vec::new(),
            is_firegate_only: false,
            principals: 0,
            groups: 0,
        };
        let root = file.root();
        root.list("bindings").for_each(|binding| reader.binding(&root, &binding));
        reader.totals(&root);
        let Reader { grants, is_firegate_only, .. } = reader;
        Some(Self { file, grants: grants.into(), is_firegate_only })
    }

    /// Who may call, in the order of the file.
    pub fn grants(&self) -> &Arc<[Grant]> {
        &self.grants
    }

    /// The file, as Google's import takes it.
    ///
    /// # Errors
    /// If Google would refuse it, or would let in others than Firegate does.
    pub fn export(&self, form: Form) -> Result<String, ExportRefused> {
        let everyone = ["allUsers", "allAuthenticatedUsers"];
        for binding in self.file.root().list("bindings") {
            let members = binding.list("members").filter_map(|member| member.text()).collect::<Vec<_>>();
            if members.contains(&"allAuthenticatedUsers") {
                return Err(ExportRefused::AllAuthenticatedUsers);
            }
            if binding.get("condition").is_some() && members.iter().any(|member| everyone.contains(member)) {
                return Err(ExportRefused::ConditionOnEveryone);
            }
        }
        if self.is_firegate_only {
            return Err(ExportRefused::FiregateOnly);
        }
        Ok(self.file.export(form))
    }
}

struct Reader<'a> {
    dialect: Dialect,
    roles: &'a Roles,
    diagnostics: &'a mut Diagnostics,
    grants: Vec<Grant>,
    is_firegate_only: bool,
    principals: usize,
    groups: usize,
}

impl Reader<'_> {
    fn binding(&mut self, root: &Located<'_>, binding: &Located<'_>) {
        let members = binding.list("members").collect::<Vec<_>>();
        self.principals += members.len();
        let is_group = |member: &Located<'_>| member.text().is_some_and(|text| text.starts_with("group:"));
        self.groups += members.iter().filter(|member| is_group(member)).count();
        let Some(role) = binding.get("role").and_then(|role| role.text()) else {
            let found = Diagnostic::error(code::MISSING_KEY, "a binding has no `role`");
            binding.report_field("role", self.diagnostics, found);
            return;
        };
        let grants_nothing = "the binding grants nothing";
        let Ok(condition) =
            condition_of(binding, "condition", self.dialect, grants_nothing, self.diagnostics)
        else {
            return;
        };
        if let Some(condition) = &condition {
            self.is_firegate_only |= condition.expression.is_firegate_only();
            self.version(root);
        }
        if !self.is_invoker(role, binding) {
            return;
        }
        let found = members.iter().filter_map(|member| Some((self.member(member)?, member.place())));
        let found = found.collect::<Vec<_>>();
        let everyone = found.iter().any(|(member, _)| is_everyone(member));
        if everyone && condition.is_some() && self.dialect == Dialect::Gcloud {
            let message = "Google takes no condition with `allUsers` or `allAuthenticatedUsers`";
            let hint =
                "remove the condition, or attach the file with `dialect: firegate`, in which it counts";
            if let Some(given) = binding.get("condition") {
                given.report(
                    self.diagnostics,
                    Part::Key,
                    Diagnostic::error(code::IAM_CONDITION, message).hint(hint),
                );
            }
            return;
        }
        self.grants.extend(found.into_iter().map(|(member, place)| Grant {
            member,
            condition: condition.clone(),
            place,
        }));
    }

    /// A condition is only kept where the policy is of version 3.
    fn version(&mut self, root: &Located<'_>) {
        let version = root.get("version").and_then(|version| version.integer());
        if self.dialect == Dialect::Gcloud && version != Some(3) {
            let found = Diagnostic::warning(code::IAM_VERSION, "a policy with conditions is of `version: 3`")
                .hint("write `version: 3`: Google refuses such a policy of another version");
            root.report_field("version", self.diagnostics, found);
        }
    }

    fn is_invoker(&mut self, role: &str, binding: &Located<'_>) -> bool {
        let Some(located) = binding.get("role") else { return false };
        if let Some((bare, _)) = role.split_once(LOST_CONDITION) {
            let message = format!(
                "the condition of this binding of {} was lost when the policy was read",
                quoted(bare)
            );
            let found = Diagnostic::error(code::IAM_CONDITION_LOST, message).hint(
                "export it again: gcloud run services get-iam-policy SERVICE --region REGION --format=yaml; by the API ask \
                 for options.requestedPolicyVersion=3",
            );
            located.report(self.diagnostics, Part::Value, found);
            return false;
        }
        if INVOKER_ROLES.contains(&role) {
            return true;
        }
        if let Some(permissions) = self.roles.get(role) {
            return permissions.iter().any(|permission| permission == INVOKE_PERMISSION);
        }
        let message =
            format!("the role {} lets nobody in: Firegate does not know what it carries", quoted(role));
        let found = Diagnostic::warning(code::IAM_ROLE_UNKNOWN, message);
        let known = INVOKER_ROLES.into_iter().chain(self.roles.keys().map(String::as_str));
        let whole = format!("roles/{role}");
        let meant = INVOKER_ROLES.into_iter().find(|known| *known == whole).or_else(|| nearest(role, known));
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("if it is for callers, add `{role}: [{INVOKE_PERMISSION}]` to `roles`"),
        };
        located.report(self.diagnostics, Part::Value, found.hint(hint));
        false
    }

    fn member(&mut self, located: &Located<'_>) -> Option<Member> {
        let text = located.text()?;
        let error = match text.parse::<Member>() {
            Ok(member) => return Some(member),
            Err(error) => error,
        };
        let found = match &error {
            MemberError::Deleted { .. } => {
                let message = format!("{} no longer exists and lets nobody in", quoted(text));
                Diagnostic::note(code::IAM_MEMBER_FOREIGN, message)
            }
            _ if is_googles_alone(text) => {
                let message = format!("{} is no user of the project and lets nobody in here", quoted(text));
                Diagnostic::note(code::IAM_MEMBER_FOREIGN, message)
            }
            _ => Diagnostic::error(code::MEMBER, error.to_string()).hint(error.hint()),
        };
        located.report(self.diagnostics, Part::Value, found);
        None
    }

    /// <https://cloud.google.com/iam/quotas#limits>
    fn totals(&mut self, root: &Located<'_>) {
        if self.dialect == Dialect::Firegate {
            return;
        }
        let totals =
            [(self.principals, POLICY_PRINCIPALS_MAX, "members"), (self.groups, POLICY_GROUPS_MAX, "groups")];
        for (count, max, what) in totals {
            if count > max {
                let message = format!("the policy has {count} {what}, and Google takes at most {max}");
                let hint =
                    "let a group or a claim stand for many, or attach the file with `dialect: firegate`";
                let found = Diagnostic::error(code::IAM_POLICY_TOO_LARGE, message).hint(hint);
                root.report_field("bindings", self.diagnostics, found);
            }
        }
        self.conditions_of_one_grant(root);
    }

    /// How many conditions one role and one member may have, each in a binding of its own.
    fn conditions_of_one_grant(&mut self, root: &Located<'_>) {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for binding in root.list("bindings").filter(|binding| binding.get("condition").is_some()) {
            let Some(role) = binding.get("role").and_then(|role| role.text()) else { continue };
            for member in binding.list("members") {
                let Some(text) = member.text() else { continue };
                let count = counts.entry((role, text)).or_default();
                *count += 1;
                if *count == POLICY_CONDITIONS_OF_ONE_GRANT_MAX + 1 {
                    let message = format!(
                        "{} has the role {} under more than {POLICY_CONDITIONS_OF_ONE_GRANT_MAX} conditions, which Google refuses",
                        quoted(text),
                        quoted(role)
                    );
                    let hint = "join conditions by `||`, or attach the file with `dialect: firegate`";
                    let found = Diagnostic::error(code::IAM_POLICY_TOO_LARGE, message).hint(hint);
                    member.report(self.diagnostics, Part::Value, found);
                }
            }
        }
    }
}

fn is_everyone(member: &Member) -> bool {
    matches!(member, Member::AllUsers | Member::AllAuthenticatedUsers)
}

/// Members that IAM knows and that are never users of a Firebase project: workforces, other kinds of sets, the conveniences of
/// projects, Kubernetes' accounts (<https://cloud.google.com/iam/docs/principal-identifiers>).
fn is_googles_alone(text: &str) -> bool {
    const PREFIXES: [&str; 7] = [
        "projectOwner:",
        "projectEditor:",
        "projectViewer:",
        "principal://iam.googleapis.com/locations/global/workforcePools/",
        "principalSet://iam.googleapis.com/locations/global/workforcePools/",
        "principalSet://cloudresourcemanager.googleapis.com/",
        "principalHierarchy://",
    ];
    let is_set_of_group =
        text.starts_with("principalSet://iam.googleapis.com/projects/") && text.contains("/group/");
    let is_kubernetes = text.starts_with("serviceAccount:") && text.contains(".svc.id.goog[");
    is_set_of_group || is_kubernetes || PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}
