//! Lists of members, and whether they can match anybody.

use std::collections::BTreeMap;

use super::Checker;
use crate::configuration::model::{AcceptedToken, Access, Backend, Credential, Tenants, Users};
use crate::configuration::names::{BackendName, ProjectNumber};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::groups::Groups;
use crate::limits::MEMBERS_MAX;
use crate::members::{Member, is_profile_claim, is_registered_claim};
use crate::yaml::Part;

impl Checker<'_> {
    /// The members of an `allow` list, if all are members.
    pub(super) fn members(&mut self, path: &YamlPath, allow: Vec<String>) -> Option<Vec<Member>> {
        if allow.is_empty() {
            let found = Diagnostic::warning(code::NO_ALLOW, "an empty `allow` lets nobody in").hint(
                "add who may call, for example `allAuthenticatedUsers` for every user who is signed in",
            );
            self.report_part(path, Part::Key, found);
        }
        if allow.len() > MEMBERS_MAX {
            let message = format!("there are {} members, the most is {MEMBERS_MAX}", allow.len());
            let hint =
                "let a whole group in by `domain:…` or by a claim, `principalSet://…/attribute.NAME/VALUE`";
            self.report_part(path, Part::Key, Diagnostic::error(code::TOO_LARGE, message).hint(hint));
            return None;
        }
        let mut members = Vec::with_capacity(allow.len());
        for (index, text) in allow.iter().enumerate() {
            let path = path.index(index);
            match text.parse::<Member>() {
                Ok(member) => {
                    self.listed_members.push((path, member.clone()));
                    members.push(member);
                }
                Err(error) => {
                    let found = Diagnostic::error(code::MEMBER, error.to_string()).hint(error.hint());
                    self.report(&path, found);
                }
            }
        }
        (members.len() == allow.len()).then_some(members)
    }

    /// Warns of members that can match nobody under the rest of the configuration, whatever else is wrong with their list.
    pub(super) fn members_in_place(
        &mut self,
        backends: Option<&BTreeMap<BackendName, Backend>>,
        judged: InPlace<'_>,
    ) {
        for (path, member) in std::mem::take(&mut self.listed_members) {
            if let Some(Nobody { why, hint }) = judged.matches_nobody(&member) {
                let message = format!("this member matches nobody: {why}");
                self.report(&path, Diagnostic::warning(code::MEMBER_MATCHES_NOBODY, message).hint(hint));
            }
        }
        let Some(backends) = backends else { return };
        for (name, backend) in backends {
            let Access::Members(members) = &backend.access else { continue };
            let own = YamlPath::root().key("backends").key(name.as_str()).key("allow");
            let list = if self.stands_at(&own) { own } else { YamlPath::root().key("allow") };
            let federated = matches!(backend.credential, Credential::FederateUser { .. });
            if federated && members.contains(&Member::AllUsers) {
                let message =
                    format!("requests without a user cannot reach `{name}`, although `allUsers` may call it");
                let hint = "with `credential: federate_user` only a user's own token opens the service; write `allAuthenticatedUsers`";
                self.report_part(
                    &list,
                    Part::Value,
                    Diagnostic::warning(code::CREDENTIAL, message).hint(hint),
                );
            }
        }
    }
}

/// What members are judged by; what did not pass is absent.
#[derive(Clone, Copy)]
pub(super) struct InPlace<'a> {
    pub(super) users: Option<&'a Users>,
    pub(super) project_number: Option<&'a ProjectNumber>,
    pub(super) groups: Option<&'a Groups>,
}

/// Why a member is nobody, and what to do about it.
pub(super) struct Nobody {
    pub(super) why: String,
    pub(super) hint: String,
}

impl Nobody {
    fn because(why: impl Into<String>, hint: impl Into<String>) -> Option<Self> {
        Some(Self { why: why.into(), hint: hint.into() })
    }
}

impl InPlace<'_> {
    /// Why a member can match nobody, if so.
    pub(super) fn matches_nobody(&self, member: &Member) -> Option<Nobody> {
        if let (Member::Group(address), Some(groups)) = (member, self.groups)
            && !groups.knows(address)
        {
            return Nobody::because(
                "nothing says who is in the group",
                "list its members in the file that `groups` names, or name there the `claim` that holds a user's groups",
            );
        }
        let users = self.users?;
        if let Some(found) = self.names_nobody(member) {
            return Some(found);
        }
        if let Member::PrincipalSet { attribute, .. } = member
            && is_profile_claim(attribute)
        {
            return Nobody::because(
                format!("`{attribute}` is what users write of themselves, and lets nobody in"),
                "let them in by a custom claim of another name, which administrators alone can set",
            );
        }
        shut_out(member, users)
    }

    /// Why a member can be nobody's name, whoever is let in: it is of another pool than the users are, or asks for what is no
    /// attribute.
    pub(super) fn names_nobody(&self, member: &Member) -> Option<Nobody> {
        let (users, pool) = (self.users?, member.pool()?);
        if pool.name != users.identity_pool {
            let why = format!(
                "it names the pool `{}`, and `users.identity_pool` is `{}`",
                pool.name, users.identity_pool
            );
            return Nobody::because(why, "name the same pool in both");
        }
        if let Some(number) = self.project_number.filter(|number| number.as_str() != pool.project_number) {
            let why =
                format!("it names the project {}, and `project_number` is {number}", pool.project_number);
            return Nobody::because(why, format!("write `projects/{number}` in the member"));
        }
        match member {
            Member::PrincipalSet { attribute, .. }
                if attribute != "email" && is_registered_claim(attribute) =>
            {
                Nobody::because(
                    format!("`{attribute}` is no attribute: it is a claim of every token, and no custom one"),
                    "attributes are `provider`, `email`, `tenant` and custom claims; a user by their id is \
                     `principal://…/subject/UID`, and a condition may ask for any claim",
                )
            }
            _ => None,
        }
    }
}

/// Why `users` lets nobody in whom the member could mean, if so.
fn shut_out(member: &Member, users: &Users) -> Option<Nobody> {
    let google_alone = users.accept.iter().all(|kind| *kind == AcceptedToken::GoogleIdToken);
    match (member, &users.tenants) {
        (Member::AllUsers | Member::ServiceAccount(_), _) if google_alone => None,
        _ if google_alone => Nobody::because(
            "`users.accept` lets in no users, only `google_id_token`",
            "add `id_token` to `users.accept`, or remove the member",
        ),
        (Member::ServiceAccount(_), _) if !users.accept.contains(&AcceptedToken::GoogleIdToken) => {
            Nobody::because(
                "service accounts do not sign in with Firebase, and `users.accept` has no `google_id_token`",
                "add `google_id_token` to `users.accept`, and `users.google_audiences`; or remove the member",
            )
        }
        (Member::User(address), _) if address.ends_with(".gserviceaccount.com") => Nobody::because(
            "the address is a service account's, and those do not sign in with Firebase",
            format!("write `serviceAccount:{address}`, or remove the member"),
        ),
        (Member::PrincipalSet { attribute, value, .. }, Tenants::None) if attribute == "tenant" => {
            Nobody::because(
                "`users.tenants` is `none`",
                format!("write `tenants: [{value}]` in `users`, or remove the member"),
            )
        }
        (Member::PrincipalSet { attribute, value, .. }, Tenants::Listed(tenants))
            if attribute == "tenant" && !tenants.iter().any(|tenant| tenant.as_str() == value) =>
        {
            Nobody::because(
                format!("`users.tenants` does not list `{value}`"),
                format!("add `{value}` to `users.tenants`, or remove the member"),
            )
        }
        _ => None,
    }
}
