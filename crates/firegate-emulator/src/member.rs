//! Who a request is, and how IAM bindings name it. The spelling is that of IAM's principal identifiers:
//! <https://cloud.google.com/iam/docs/principal-identifiers>.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const SUBJECT_PREFIX: &str = "principal://iam.googleapis.com/";
const SET_PREFIX: &str = "principalSet://iam.googleapis.com/";

/// A member of an IAM binding, as far as this machine can judge membership: groups and domains of Google accounts
/// live in directories that are not here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    /// `allUsers`: anyone, without any credential.
    AllUsers,
    /// `allAuthenticatedUsers`: anyone with a Google account or service account. Users of Firebase are not among them.
    AllAuthenticatedUsers,
    /// `user:EMAIL`, a Google account.
    User(String),
    /// `serviceAccount:EMAIL`.
    ServiceAccount(String),
    /// `principal://iam.googleapis.com/POOL/subject/SUBJECT`: one federated user.
    Subject {
        /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL`.
        pool: String,
        /// The `google.subject` that the provider's attribute mapping gives.
        subject: String,
    },
    /// `principalSet://iam.googleapis.com/POOL/group/GROUP`: every federated user with this entry in `google.groups`.
    Group {
        /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL`.
        pool: String,
        /// The group.
        group: String,
    },
    /// `principalSet://iam.googleapis.com/POOL/attribute.NAME/VALUE`.
    Attribute {
        /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL`.
        pool: String,
        /// The attribute's name, without `attribute.`.
        name: String,
        /// The attribute's value.
        value: String,
    },
    /// `principalSet://iam.googleapis.com/POOL/*`: every federated user of the pool.
    Pool {
        /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL`.
        pool: String,
    },
}

/// Why a text is no member that can be judged here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no IAM member that this machine can judge; write allUsers, allAuthenticatedUsers, user:EMAIL, \
     serviceAccount:EMAIL, principal://iam.googleapis.com/… or principalSet://iam.googleapis.com/…"
)]
pub struct MemberError(String);

impl FromStr for Member {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| MemberError(text.to_owned()))
    }
}

impl Member {
    fn parse(text: &str) -> Option<Self> {
        let email = |email: &str| email.contains('@').then(|| email.to_owned());
        match text {
            "allUsers" => return Some(Self::AllUsers),
            "allAuthenticatedUsers" => return Some(Self::AllAuthenticatedUsers),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("user:") {
            return Some(Self::User(email(rest)?));
        }
        if let Some(rest) = text.strip_prefix("serviceAccount:") {
            return Some(Self::ServiceAccount(email(rest)?));
        }
        if let Some(rest) = text.strip_prefix(SUBJECT_PREFIX) {
            let (pool, selector) = split_pool(rest)?;
            let subject = selector.strip_prefix("subject/").filter(|subject| !subject.is_empty())?;
            return Some(Self::Subject { pool, subject: subject.to_owned() });
        }
        let (pool, selector) = split_pool(text.strip_prefix(SET_PREFIX)?)?;
        if selector == "*" {
            return Some(Self::Pool { pool });
        }
        let (kind, value) = selector.split_once('/').filter(|(_, value)| !value.is_empty())?;
        match (kind, kind.strip_prefix("attribute.")) {
            ("group", _) => Some(Self::Group { pool, group: value.to_owned() }),
            (_, Some(name)) if !name.is_empty() => {
                Some(Self::Attribute { pool, name: name.to_owned(), value: value.to_owned() })
            }
            _ => None,
        }
    }

    /// Whether the binding names this principal.
    pub fn includes(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::AllUsers, _) => true,
            (Self::AllAuthenticatedUsers, Principal::User(_) | Principal::ServiceAccount(_)) => true,
            (Self::User(email), Principal::User(found))
            | (Self::ServiceAccount(email), Principal::ServiceAccount(found)) => {
                email.eq_ignore_ascii_case(found)
            }
            (Self::Subject { pool, subject }, Principal::Federated(found)) => {
                *pool == found.pool && *subject == found.subject
            }
            (Self::Group { pool, group }, Principal::Federated(found)) => {
                *pool == found.pool && found.groups.contains(group)
            }
            (Self::Attribute { pool, name, value }, Principal::Federated(found)) => {
                *pool == found.pool && found.attributes.get(name) == Some(value)
            }
            (Self::Pool { pool }, Principal::Federated(found)) => *pool == found.pool,
            _ => false,
        }
    }
}

/// Splits `projects/N/locations/global/workloadIdentityPools/P/REST` before the rest.
fn split_pool(text: &str) -> Option<(String, &str)> {
    let mut slashes = text.match_indices('/').map(|(index, _)| index);
    let end = slashes.nth(5)?;
    let (pool, rest) = (text.get(..end)?, text.get(end + 1..)?);
    let parts: Vec<_> = pool.split('/').collect();
    match parts.as_slice() {
        ["projects", number, "locations", "global", "workloadIdentityPools", name]
            if !number.is_empty() && !name.is_empty() =>
        {
            Some((pool.to_owned(), rest))
        }
        _ => None,
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllUsers => formatter.write_str("allUsers"),
            Self::AllAuthenticatedUsers => formatter.write_str("allAuthenticatedUsers"),
            Self::User(email) => write!(formatter, "user:{email}"),
            Self::ServiceAccount(email) => write!(formatter, "serviceAccount:{email}"),
            Self::Subject { pool, subject } => write!(formatter, "{SUBJECT_PREFIX}{pool}/subject/{subject}"),
            Self::Group { pool, group } => write!(formatter, "{SET_PREFIX}{pool}/group/{group}"),
            Self::Attribute { pool, name, value } => {
                write!(formatter, "{SET_PREFIX}{pool}/attribute.{name}/{value}")
            }
            Self::Pool { pool } => write!(formatter, "{SET_PREFIX}{pool}/*"),
        }
    }
}

/// An authenticated caller of Google's APIs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// A service account, by its e-mail address.
    ServiceAccount(String),
    /// A Google account, by its e-mail address.
    User(String),
    /// A user of a workload identity pool.
    Federated(FederatedPrincipal),
}

/// A user whom a workload identity pool's provider admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedPrincipal {
    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL`.
    pub pool: String,
    /// `google.subject`.
    pub subject: String,
    /// `google.groups`.
    pub groups: Vec<String>,
    /// `attribute.NAME`, by name.
    pub attributes: BTreeMap<String, String>,
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount(email) => write!(formatter, "serviceAccount:{email}"),
            Self::User(email) => write!(formatter, "user:{email}"),
            Self::Federated(found) => {
                write!(formatter, "{SUBJECT_PREFIX}{}/subject/{}", found.pool, found.subject)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = "projects/1/locations/global/workloadIdentityPools/firebase";

    fn alice() -> Principal {
        Principal::Federated(FederatedPrincipal {
            pool: POOL.to_owned(),
            subject: "alice/1".to_owned(),
            groups: vec!["editors".to_owned()],
            attributes: BTreeMap::from([("provider".to_owned(), "password".to_owned())]),
        })
    }

    fn check(member: &str, principal: &Principal, expected: bool) {
        let parsed: Member = member.parse().unwrap();
        assert_eq!(parsed.to_string(), member);
        assert_eq!(parsed.includes(principal), expected, "{member} and {principal}");
    }

    #[test]
    fn each_spelling_names_whom_it_says_and_nobody_else() {
        let account = Principal::ServiceAccount("a@p.iam.gserviceaccount.com".to_owned());
        let user = Principal::User("a@example.com".to_owned());
        check("allUsers", &alice(), true);
        check("allAuthenticatedUsers", &account, true);
        check("allAuthenticatedUsers", &user, true);
        check("allAuthenticatedUsers", &alice(), false);
        check("serviceAccount:A@p.iam.gserviceaccount.com", &account, true);
        check("user:a@p.iam.gserviceaccount.com", &account, false);
        check("user:a@example.com", &user, true);
        check(&format!("principal://iam.googleapis.com/{POOL}/subject/alice/1"), &alice(), true);
        check(&format!("principal://iam.googleapis.com/{POOL}/subject/alice"), &alice(), false);
        check(&format!("principalSet://iam.googleapis.com/{POOL}/group/editors"), &alice(), true);
        check(
            &format!("principalSet://iam.googleapis.com/{POOL}/attribute.provider/password"),
            &alice(),
            true,
        );
        check(
            &format!("principalSet://iam.googleapis.com/{POOL}/attribute.provider/anonymous"),
            &alice(),
            false,
        );
        check(&format!("principalSet://iam.googleapis.com/{POOL}/*"), &alice(), true);
        check(&format!("principalSet://iam.googleapis.com/{POOL}2/*"), &alice(), false);
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        for text in [
            "",
            "group:g@example.com",
            "user:",
            "principal://iam.googleapis.com/projects/1/subject/a",
            "allusers",
        ] {
            assert!(text.parse::<Member>().is_err(), "{text:?}");
        }
    }
}
