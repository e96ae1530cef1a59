//! The file of groups: who is in which group, for `group:` members. The format is Firegate's own, because Google exports none:
//!
//! ```yaml
//! claim: groups                # optional: a custom claim that lists the addresses of the user's groups
//! groups:
//!   staff@example.com:
//!     - ada@example.com        # a verified e-mail address: the same as user:ada@example.com
//!     - 4fLpQ2x0YtXkD1cV9aBz   # a user id
//!     - principalSet://…/attribute.tenant/tenant-a
//!     - group:admins@example.com
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::limits::{CLAIM_NAME_BYTES_MAX, MEMBER_BYTES_MAX};
use crate::members::{Member, MemberError, is_email, is_profile_claim};
use crate::suggestion::{nearest, quoted};
use crate::yaml::{Document, Entry, Node, Part, Scalar, ScalarKind, Value};

/// Who is in which group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// The custom claim of a project-level user that holds the address of a group, or a list of such.
    pub claim: Option<String>,
    /// The listed members of each group, by the group's address in lower case.
    pub members: BTreeMap<String, Vec<GroupMember>>,
}

/// One element of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupMember {
    /// A member as in a policy: `user:`, `serviceAccount:`, `domain:`, `group:`, `principal://` or `principalSet://`.
    Member(Member),
    /// The project-level user with this user id.
    Uid(String),
}

impl Groups {
    /// Whether anything says who is in this group.
    pub fn knows(&self, address: &str) -> bool {
        self.claim.is_some() || self.members.contains_key(&address.to_ascii_lowercase())
    }

    /// A group within this one, however deep, of which nothing says who is in it; perhaps this one itself.
    pub(crate) fn unknown_within(&self, address: &str) -> Option<String> {
        let mut met = BTreeSet::from([address.to_ascii_lowercase()]);
        let mut next = Vec::from_iter(met.clone());
        while let Some(address) = next.pop() {
            if !self.knows(&address) {
                return Some(address);
            }
            for member in self.members.get(&address).into_iter().flatten() {
                if let GroupMember::Member(Member::Group(inner)) = member
                    && met.insert(inner.to_ascii_lowercase())
                {
                    next.push(inner.to_ascii_lowercase());
                }
            }
        }
        None
    }
}

/// Reads a file of groups. Everything that is wrong is added to `diagnostics`; what is not, is returned.
pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Groups {
    let mut reader = Reader { document, diagnostics };
    let mut groups = Groups::default();
    for entry in
        reader.mapping(&YamlPath::root(), &document.root, "a mapping with `groups`, and perhaps `claim`")
    {
        let path = YamlPath::root().key(&entry.key);
        match entry.key.as_str() {
            "claim" => groups.claim = reader.claim(&path, &entry.value),
            "groups" => {
                let what = "a mapping from a group's address to its members";
                for group in reader.mapping(&path, &entry.value, what) {
                    let path = path.key(&group.key);
                    if let Some(address) = reader.address(&path, &group.key) {
                        let listed = reader.members(&path, &group.value);
                        groups.members.entry(address).or_default().extend(listed);
                    }
                }
            }
            other => {
                let found = Diagnostic::error(code::UNKNOWN_KEY, format!("unknown key {}", quoted(other)));
                let meant = nearest(other, ["claim", "groups"]).map(|key| format!("did you mean `{key}`?"));
                let hint = meant.unwrap_or_else(|| "a file of groups has `groups` and `claim`".to_owned());
                reader.report(&path, Part::Key, found.hint(hint));
            }
        }
    }
    reader.unlisted_groups(&groups);
    groups
}

struct Reader<'a> {
    document: &'a Document,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Reader<'a> {
    fn mapping(&mut self, path: &YamlPath, node: &'a Node, what: &str) -> &'a [Entry] {
        if let Value::Mapping(entries) = &node.value {
            return entries;
        }
        self.report(path, Part::Value, Diagnostic::error(code::WRONG_TYPE, format!("expected {what}")));
        &[]
    }

    fn claim(&mut self, path: &YamlPath, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar(Scalar { text, .. }) if is_profile_claim(text) => {
                let message = format!("{} is what users write of themselves", quoted(text));
                let found = Diagnostic::error(code::GROUPS, message).hint(
                    "name a custom claim, which administrators alone can set, for example `claim: groups`",
                );
                self.report(path, Part::Value, found);
                None
            }
            Value::Scalar(Scalar { text, kind: ScalarKind::Text })
                if !text.is_empty() && text.len() <= CLAIM_NAME_BYTES_MAX =>
            {
                Some(text.clone())
            }
            _ => {
                let found = Diagnostic::error(code::GROUPS, "`claim` is the name of a custom claim")
                    .hint("write for example `claim: groups`");
                self.report(path, Part::Value, found);
                None
            }
        }
    }

    fn address(&mut self, path: &YamlPath, key: &str) -> Option<String> {
        let address = key.strip_prefix("group:").unwrap_or(key);
        if is_email(address) && address.len() <= MEMBER_BYTES_MAX {
            return Some(address.to_ascii_lowercase());
        }
        let found = Diagnostic::error(code::GROUPS, format!("{} is not the address of a group", quoted(key)))
            .hint("write the address that policies name it by, for example `staff@example.com`");
        self.report(path, Part::Key, found);
        None
    }

    fn members(&mut self, path: &YamlPath, node: &Node) -> Vec<GroupMember> {
        let Value::Sequence(nodes) = &node.value else {
            let found = Diagnostic::error(code::WRONG_TYPE, "expected a list of members")
                .hint("write `[ada@example.com]`, or `[]` for nobody");
            self.report(path, Part::Value, found);
            return Vec::new();
        };
        let each = nodes.iter().enumerate();
        each.filter_map(|(index, node)| self.member(&path.index(index), node)).collect()
    }

    fn member(&mut self, path: &YamlPath, node: &Node) -> Option<GroupMember> {
        let Value::Scalar(Scalar { text, .. }) = &node.value else {
            self.report(path, Part::Value, Diagnostic::error(code::WRONG_TYPE, "expected a member"));
            return None;
        };
        let found = match member(text) {
            Ok(GroupMember::Member(Member::AllUsers | Member::AllAuthenticatedUsers)) => {
                let message = format!("{} is no member of a group", quoted(text));
                Diagnostic::error(code::GROUPS, message).hint("name it in the policy instead of the group")
            }
            Ok(member) => return Some(member),
            Err(error) => Diagnostic::error(code::MEMBER, error.to_string()).hint(hint(&error)),
        };
        self.report(path, Part::Value, found);
        None
    }

    /// A group within a group that nothing says anything of has no members, which is probably a slip.
    fn unlisted_groups(&mut self, groups: &Groups) {
        let Some(Value::Mapping(entries)) = self.document.root.get("groups").map(|node| &node.value) else {
            return;
        };
        for entry in entries {
            let Value::Sequence(nodes) = &entry.value.value else { continue };
            for (index, node) in nodes.iter().enumerate() {
                let Value::Scalar(scalar) = &node.value else { continue };
                let Some(address) = scalar.text.strip_prefix("group:").filter(|text| !groups.knows(text))
                else {
                    continue;
                };
                let message = format!("nothing says who is in the group {}", quoted(address));
                let found = Diagnostic::warning(code::GROUP_UNKNOWN, message)
                    .hint("list its members in this file, or remove it");
                let path = YamlPath::root().key("groups").key(&entry.key).index(index);
                self.report(&path, Part::Value, found);
            }
        }
    }

    fn report(&mut self, path: &YamlPath, part: Part, diagnostic: Diagnostic) {
        self.document.report(self.diagnostics, path, part, diagnostic);
    }
}

/// What to write instead: of the members of a policy a group has not all.
fn hint(error: &MemberError) -> String {
    match error {
        MemberError::Unknown { meant: Some(meant), .. } if !matches!(meant.as_str(), EVERYONE | EVERY_USER) => {
            error.hint()
        }
        MemberError::Unknown { .. } | MemberError::Unprintable => {
            "in a group stand addresses, user ids, and members such as `group:EMAIL`, `domain:NAME` or `principalSet://…`"
                .to_owned()
        }
        _ => error.hint(),
    }
}

/// Those whom a policy names without their being members of anything.
const EVERYONE: &str = "allUsers";
const EVERY_USER: &str = "allAuthenticatedUsers";

/// An address is a user's, a word of letters, digits, `-` and `_` is a user id, and everything else a member as in a policy.
fn member(text: &str) -> Result<GroupMember, MemberError> {
    if is_email(text) && !text.contains(':') {
        return format!("user:{text}").parse().map(GroupMember::Member);
    }
    let is_uid =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match text.parse::<Member>() {
        Err(MemberError::Unknown { meant: None, .. }) if !text.is_empty() && is_uid(text) => {
            Ok(GroupMember::Uid(text.to_owned()))
        }
        parsed => parsed.map(GroupMember::Member),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    /// The findings, and the groups as they were read.
    fn parsed(text: &str) -> (Vec<String>, Groups) {
        let mut diagnostics = Diagnostics::new();
        let document = yaml::parse("groups.yaml", text, &mut diagnostics).expect("YAML");
        let groups = read(&document, &mut diagnostics);
        (diagnostics.iter().map(|found| format!("{} {}", found.code, found.path)).collect(), groups)
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(parsed(text).0, expected, "{text}");
    }

    #[test]
    fn a_group_has_addresses_user_ids_and_members() {
        let text = "claim: teams\ngroups:\n  Staff@Example.com: [Ada@example.com, 4fLpQ2x0YtXk, 'domain:example.org']\n  \
                    group:empty@example.com: []\n";
        let (findings, groups) = parsed(text);
        assert_eq!(findings, [""; 0]);
        assert_eq!(groups.claim.as_deref(), Some("teams"));
        assert_eq!(
            groups.members["staff@example.com"],
            [
                GroupMember::Member(Member::User("Ada@example.com".to_owned())),
                GroupMember::Uid("4fLpQ2x0YtXk".to_owned()),
                GroupMember::Member(Member::Domain("example.org".to_owned())),
            ]
        );
        assert_eq!(groups.members["empty@example.com"], []);
    }

    #[test]
    fn no_hint_offers_what_is_no_member_of_a_group() {
        let hint = |element: &str| {
            let mut diagnostics = Diagnostics::new();
            let text = format!("groups: {{ a@example.com: ['{element}'] }}");
            let document = yaml::parse("groups.yaml", &text, &mut diagnostics).expect("YAML");
            read(&document, &mut diagnostics);
            diagnostics.iter().next().and_then(|found| found.hint.clone()).expect("a hint")
        };
        let forms = "in a group stand addresses, user ids, and members such as `group:EMAIL`, `domain:NAME` or `principalSet://…`";
        for element in ["two words", "allUser", "a/b"] {
            assert_eq!(hint(element), forms, "{element}");
        }
        assert_eq!(hint("groups:b@example.com"), "did you mean `group:b@example.com`?");
    }

    #[test]
    fn what_cannot_be_read_is_reported_and_never_a_member() {
        check("[]", &["FG005 "]);
        check("claim: 5\n", &["FG420 claim"]);
        check("claim: name\n", &["FG420 claim"]);
        check("group: {}\n", &["FG004 group"]);
        check("groups: { staff: [] }\n", &["FG420 groups.staff"]);
        check("groups: { a@example.com: ada@example.com }\n", &["FG005 groups.\"a@example.com\""]);
        check("groups: { a@example.com: [allUsers] }\n", &["FG420 groups.\"a@example.com\"[0]"]);
        check("groups: { a@example.com: [allAuthenticatedUsers] }\n", &["FG420 groups.\"a@example.com\"[0]"]);
        check("groups: { a@example.com: [allUser] }\n", &["FG111 groups.\"a@example.com\"[0]"]);
        check("groups: { a@example.com: ['user:ada'] }\n", &["FG111 groups.\"a@example.com\"[0]"]);
        check("groups: { a@example.com: ['two words'] }\n", &["FG111 groups.\"a@example.com\"[0]"]);
        check("groups: { a@example.com: ['group:b@example.com'] }\n", &["FG421 groups.\"a@example.com\"[0]"]);
    }
}
