//! IAM's files: a backend's policy, the deny policies, and the roles and groups that they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Checker;
use super::members::{InPlace, Nobody};
use crate::configuration::model::{Access, Backend, PolicyFile};
use crate::configuration::names::BackendName;
use crate::configuration::source::FileSource;
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::groups::{self, Groups};
use crate::iam_policy::{
    DeniedPrincipal, DenyPolicy, Grant, INVOKE_PERMISSION, INVOKER_ROLES, IamPolicy, Roles,
};
use crate::members::Member;
use crate::suggestion::quoted;
use crate::yaml::{self, Part};

impl Checker<'_> {
    /// Who is in which group: nobody in any, if no file says.
    pub(super) fn groups(&mut self, file: Option<String>) -> Option<Groups> {
        let path = YamlPath::root().key("groups");
        let Some(file) = file else { return Some(Groups::default()) };
        let name = self.file_name(&path, Some(file))?;
        let text = self.read_file(&path, &name)?;
        let document = yaml::parse(&name.display().to_string(), &text, self.diagnostics)?;
        Some(groups::read(&document, self.diagnostics))
    }

    /// What custom roles carry.
    pub(super) fn roles(&mut self, roles: Option<Roles>) -> Roles {
        let path = YamlPath::root().key("roles");
        let roles = roles.unwrap_or_default();
        for (role, permissions) in &roles {
            let path = path.key(role);
            if !is_role(role) || INVOKER_ROLES.contains(&role.as_str()) {
                let found = Diagnostic::error(code::IAM_ROLES, format!("{} is no custom role", quoted(role)))
                    .hint(
                        "write its name as bindings have it, for example `projects/my-project/roles/caller`",
                    );
                self.report_part(&path, Part::Key, found);
            }
            for (index, permission) in permissions.iter().enumerate() {
                if permission.contains('/') || permission.split('.').count() != 3 {
                    let found = Diagnostic::error(
                        code::IAM_ROLES,
                        format!("{} is no permission", quoted(permission)),
                    )
                    .hint(format!("write it as roles have it, for example `{INVOKE_PERMISSION}`"));
                    self.report(&path.index(index), found);
                }
            }
        }
        roles
    }

    /// Whom the policy at `path` lets in. `allow` stands beside it, and confirms that the policy lets in everyone.
    pub(super) fn iam_policy(
        &mut self,
        path: &YamlPath,
        source: FileSource,
        allow: Option<Vec<String>>,
        roles: &Roles,
    ) -> Option<Access> {
        let allow_path = path.key("allow");
        let path = path.key("iam_policy");
        let is_confirmed = match &allow {
            None => Some(false),
            Some(allow) if allow.iter().eq(["allUsers"]) => Some(true),
            Some(_) => {
                let message = "beside `iam_policy`, `allow` has nothing but the confirmation `[allUsers]`";
                let found = Diagnostic::error(code::EITHER_OR, message)
                    .hint("keep one of them, or let the policy name who may call");
                self.report_part(&path, Part::Key, found);
                None
            }
        };
        let PolicyFile { file, text, dialect, .. } = self.iam_file(&path, source)?;
        let name = file.display().to_string();
        let policy = IamPolicy::read(&name, &text, dialect, roles, self.diagnostics)?;
        let grants = Arc::clone(policy.grants());
        let opens = grants.iter().find(|grant| grant.member == Member::AllUsers);
        match (opens, is_confirmed?) {
            (Some(grant), false) => {
                let line =
                    grant.place.as_ref().map(|place| format!(", line {}", place.line)).unwrap_or_default();
                let message = format!(
                    "`allUsers` in {}{line} would let everyone pass Firegate: an exported policy says who may call Cloud Run, \
                     not which users may pass",
                    quoted(&name)
                );
                let found = Diagnostic::error(code::IAM_EVERYONE, message).hint(
                    "name users instead, for example `allAuthenticatedUsers`; or, if everyone is meant, add `allow: [allUsers]` \
                     beside `iam_policy`",
                );
                self.report(&path, found);
                None
            }
            (None, true) => {
                let message = format!("`allow: [allUsers]` confirms what {} does not say", quoted(&name));
                let found = Diagnostic::error(code::IAM_EVERYONE, message)
                    .hint("remove `allow`: the policy names who may call");
                self.report(&allow_path, found);
                None
            }
            (Some(_), true) | (None, false) => Some(Access::Policy { file, grants }),
        }
    }

    /// A file of IAM's, of which nothing is evaluated anywhere else.
    fn iam_file(&mut self, path: &YamlPath, source: FileSource) -> Option<PolicyFile> {
        let file = self.policy_file(path, source)?;
        if file.assume_evaluated_upstream {
            let found = Diagnostic::error(code::EITHER_OR, "nothing evaluates IAM's files before Firegate")
                .hint("remove `assume`: it is for security policies");
            self.report(&path.key("assume"), found);
            return None;
        }
        Some(file)
    }

    /// Who may call no backend.
    pub(super) fn deny_policies(
        &mut self,
        files: Option<Vec<FileSource>>,
        judged: InPlace<'_>,
    ) -> Option<Vec<DenyPolicy>> {
        let mut policies = Some(Vec::new());
        for (index, source) in files.unwrap_or_default().into_iter().enumerate() {
            let path = YamlPath::root().key("deny_policies").index(index);
            let read = self.iam_file(&path, source).and_then(|PolicyFile { file, text, dialect, .. }| {
                DenyPolicy::read(&file.display().to_string(), &text, dialect, self.diagnostics)
            });
            if let Some(policy) = &read {
                self.denied_in_place(policy, judged);
            }
            policies = policies.zip(read).map(|(mut all, one)| {
                all.push(one);
                all
            });
        }
        policies
    }

    /// Of a group that is denied it has to be known who is in it, and in the groups that it holds: else nobody of them would
    /// be. A pool that is not the users' may be Google's for something else, or a slip by which nobody is denied, as what is no
    /// attribute is.
    fn denied_in_place(&mut self, policy: &DenyPolicy, judged: InPlace<'_>) {
        for rule in &policy.rules {
            for principal in &rule.denied {
                let DeniedPrincipal::Member(member) = principal else { continue };
                let found = match member {
                    Member::Group(address) => {
                        let unknown = judged.groups.and_then(|groups| groups.unknown_within(address));
                        let Some(unknown) = unknown else { continue };
                        let message = if unknown.eq_ignore_ascii_case(address) {
                            format!("nothing says who is in the group {}, which is denied", quoted(address))
                        } else {
                            let (inner, outer) = (quoted(&unknown), quoted(address));
                            format!("nothing says who is in the group {inner}, which is denied with {outer}")
                        };
                        Diagnostic::error(code::GROUP_UNKNOWN, message)
                            .hint("list its members in the file that `groups` names")
                    }
                    member => {
                        let Some(Nobody { why, hint }) = judged.names_nobody(member) else { continue };
                        let message = format!("the rule denies nobody as `{member}`: {why}");
                        Diagnostic::warning(code::DENY_RULE, message).hint(hint)
                    }
                };
                self.diagnostics.push(Diagnostic { place: rule.place.clone(), ..found });
            }
        }
    }

    /// Compares policies, which were written for Cloud Run, with the users that may pass here.
    pub(super) fn policies_in_place(
        &mut self,
        backends: &BTreeMap<BackendName, Backend>,
        judged: InPlace<'_>,
    ) {
        for (name, backend) in backends {
            let Access::Policy { file, grants } = &backend.access else { continue };
            let path = YamlPath::root().key("backends").key(name.as_str()).key("iam_policy");
            let mut lets_in = [false, false];
            for grant in grants.iter() {
                let nobody = judged.matches_nobody(&grant.member);
                let is_account = matches!(grant.member, Member::ServiceAccount(_));
                lets_in[usize::from(is_account)] |= nobody.is_none();
                self.grant_in_place(grant, nobody);
            }
            let file = quoted(&file.display().to_string());
            let hint = "an exported policy names who may call Cloud Run, which is Firegate's own service account; write who may \
                        pass Firegate, for example a binding of `roles/run.invoker` with the member `allAuthenticatedUsers`";
            match lets_in {
                [true, _] => {}
                [false, true] => {
                    let message =
                        format!("{file} lets in service accounts alone, and no user of the project");
                    self.report(&path, Diagnostic::warning(code::IAM_NOBODY, message).hint(hint));
                }
                // A binding that cannot be read may name somebody.
                [false, false] if self.diagnostics.has_errors() => {}
                [false, false] => {
                    let message = format!("no member of {file} can match a user of the project");
                    self.report(&path, Diagnostic::error(code::IAM_NOBODY, message).hint(hint));
                }
            }
        }
    }

    fn grant_in_place(&mut self, grant: &Grant, nobody: Option<Nobody>) {
        let found = match (&grant.member, nobody) {
            (_, Some(Nobody { why, hint })) => {
                let message = format!("`{}` matches nobody: {why}", grant.member);
                Diagnostic::note(code::MEMBER_MATCHES_NOBODY, message).hint(hint)
            }
            (Member::AllAuthenticatedUsers, None) => Diagnostic::warning(
                code::IAM_OTHER_MEANING,
                "`allAuthenticatedUsers` is everyone with a Google account for Google, and here every signed-in user of the \
                 Firebase project",
            )
            .hint("that is usually meant; attach the policy to Firegate and not to the Cloud Run service"),
            (_, None) => return,
        };
        self.diagnostics.push(Diagnostic { place: grant.place.clone(), ..found });
    }
}

/// `projects/P/roles/R`, `organizations/N/roles/R` or `roles/R`.
fn is_role(role: &str) -> bool {
    let name = match role.split('/').collect::<Vec<_>>().as_slice() {
        ["roles", name] => (*name).to_owned(),
        ["projects" | "organizations", parent, "roles", name] if !parent.is_empty() => (*name).to_owned(),
        _ => return false,
    };
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
}
