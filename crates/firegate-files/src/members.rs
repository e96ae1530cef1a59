//! IAM members: who may call a backend, in Google's own spelling.
//!
//! Users are spelled as workload identity federation spells them, because a Firebase project can be a provider of a
//! pool (<https://cloud.google.com/iam/docs/principal-identifiers>). One word has another meaning here:
//! `allAuthenticatedUsers` are the signed-in users of the Firebase project, not the holders of a Google account.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::limits::MEMBER_BYTES_MAX;
use crate::suggestion::{nearest, quoted};

/// What precedes the pool in every principal identifier.
const PRINCIPAL_PREFIX: &str = "iam.googleapis.com/projects/";

/// How long a text is that is taken for a user id where a member belongs. Firebase makes ids of 28 characters; older ones have
/// 20 and more.
const USER_ID_BYTES_TYPICAL_MIN: usize = 20;

/// The forms a member may have, for messages.
const FORMS: &str = "`allUsers`, `allAuthenticatedUsers`, `user:EMAIL`, `serviceAccount:EMAIL`, `group:EMAIL`, \
                     `domain:NAME`, `principal://…` or `principalSet://…`";

/// Who may call a backend. Parsing and printing are inverse to each other.
///
/// E-mail addresses and domains are kept as written; IAM compares them without regard to case, and so must who
/// matches them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    /// Everyone, with or without a token.
    AllUsers,
    /// Every signed-in user of the Firebase project that `users` admits. For Google this word means every holder of
    /// a Google account; there are none of these here.
    AllAuthenticatedUsers,
    /// The project-level user with this verified e-mail address.
    User(String),
    /// The Google service account with this e-mail address.
    ServiceAccount(String),
    /// Every project-level user with a verified e-mail address in this domain.
    Domain(String),
    /// The members of the group with this e-mail address.
    Group(String),
    /// The project-level user with this user id.
    Principal {
        /// The project and pool it is named in.
        pool: Pool,
        /// The user id.
        subject: String,
    },
    /// Every user with this value among the attribute's.
    PrincipalSet {
        /// The project and pool it is named in.
        pool: Pool,
        /// `tenant`, `provider`, `email` or a top-level custom claim.
        attribute: String,
        /// The value, compared exactly.
        value: String,
    },
    /// Every user of the pool.
    PrincipalSetAll {
        /// The project and pool.
        pool: Pool,
    },
}

/// A workload identity pool, as principal identifiers name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// The project number, decimal digits.
    pub project_number: String,
    /// The pool's ID.
    pub name: String,
}

/// Why a text is no member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// It has none of the forms.
    #[error("{} is not a member", quoted(.written))]
    Unknown {
        /// What was written.
        written: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// `user:`, `serviceAccount:` or `group:` without an e-mail address.
    #[error("{} does not name an e-mail address", quoted(.written))]
    NotAnEmail {
        /// What was written.
        written: String,
    },
    /// `serviceAccount:` in the form for Kubernetes service accounts.
    #[error("{} names a Kubernetes service account, which cannot call Firegate", quoted(.written))]
    KubernetesServiceAccount {
        /// What was written.
        written: String,
    },
    /// `domain:` without the name of a domain.
    #[error("{} does not name a domain", quoted(.written))]
    NotADomain {
        /// What was written.
        written: String,
    },
    /// A `principal://` or `principalSet://` that is not built as a workload identity pool's.
    #[error("{} is not a principal of a workload identity pool", quoted(.written))]
    NotAPrincipal {
        /// What was written.
        written: String,
        /// What it must look like.
        expected: &'static str,
    },
    /// A project ID where the number belongs.
    #[error("a principal names the project by its number, not by its ID {}", quoted(.written))]
    ProjectIdInPrincipal {
        /// The project ID that was written.
        written: String,
    },
    /// `deleted:…`, which IAM writes for members that no longer exist.
    #[error("{} was deleted and matches nobody", quoted(.written))]
    Deleted {
        /// What was written.
        written: String,
    },
    /// Longer than [`MEMBER_BYTES_MAX`], or with control characters.
    #[error("a member has at most {MEMBER_BYTES_MAX} bytes and no control characters")]
    Unprintable,
}

const PRINCIPAL_FORM: &str = "principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/POOL/subject/UID";
const PRINCIPAL_SET_FORM: &str = "principalSet://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/\
                                  workloadIdentityPools/POOL/attribute.NAME/VALUE";

impl MemberError {
    /// What to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { meant: Some(meant), .. } => format!("did you mean `{meant}`?"),
            Self::Unknown { meant: None, written } => {
                named_as_principal(written).unwrap_or_else(|| format!("a member is {FORMS}"))
            }
            Self::NotAnEmail { written } => {
                let kind = written.split(':').next().unwrap_or(written);
                format!("write the whole address, for example `{kind}:someone@example.com`")
            }
            Self::KubernetesServiceAccount { .. } => {
                "name the Google service account that it impersonates".to_owned()
            }
            Self::NotADomain { .. } => {
                "write `domain:` and the name, for example `domain:example.com`".to_owned()
            }
            Self::NotAPrincipal { expected, .. } => format!("it must look like `{expected}`"),
            Self::ProjectIdInPrincipal { written } => {
                format!(
                    "`gcloud projects describe {written} --format='value(projectNumber)'` prints the number"
                )
            }
            Self::Deleted { .. } => "remove it".to_owned(),
            Self::Unprintable => format!("a member is {FORMS}"),
        }
    }
}

impl Member {
    /// The pool that a principal is named in.
    pub fn pool(&self) -> Option<&Pool> {
        match self {
            Self::Principal { pool, .. }
            | Self::PrincipalSet { pool, .. }
            | Self::PrincipalSetAll { pool } => Some(pool),
            Self::AllUsers
            | Self::AllAuthenticatedUsers
            | Self::User(_)
            | Self::ServiceAccount(_)
            | Self::Domain(_)
            | Self::Group(_) => None,
        }
    }
}

impl FromStr for Member {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        if text.len() > MEMBER_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(MemberError::Unprintable);
        }
        match text {
            "allUsers" => return Ok(Self::AllUsers),
            "allAuthenticatedUsers" => return Ok(Self::AllAuthenticatedUsers),
            _ => {}
        }
        let Some((kind, name)) = text.split_once(':') else {
            return Err(unknown(text, text));
        };
        let email = |name: &str| {
            if is_email(name) {
                Ok(name.to_owned())
            } else {
                Err(MemberError::NotAnEmail { written: text.to_owned() })
            }
        };
        match kind {
            "user" => Ok(Self::User(email(name)?)),
            "group" => Ok(Self::Group(email(name)?)),
            "serviceAccount" if name.contains(".svc.id.goog[") => {
                Err(MemberError::KubernetesServiceAccount { written: text.to_owned() })
            }
            "serviceAccount" => Ok(Self::ServiceAccount(email(name)?)),
            "domain" if is_domain(name) => Ok(Self::Domain(name.to_owned())),
            "domain" => Err(MemberError::NotADomain { written: text.to_owned() }),
            "deleted" => Err(MemberError::Deleted { written: text.to_owned() }),
            "principal" => principal(text, name),
            "principalSet" => principal_set(text, name),
            _ => Err(unknown(text, kind)),
        }
    }
}

impl Display for Member {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllUsers => formatter.write_str("allUsers"),
            Self::AllAuthenticatedUsers => formatter.write_str("allAuthenticatedUsers"),
            Self::User(email) => write!(formatter, "user:{email}"),
            Self::ServiceAccount(email) => write!(formatter, "serviceAccount:{email}"),
            Self::Domain(name) => write!(formatter, "domain:{name}"),
            Self::Group(email) => write!(formatter, "group:{email}"),
            Self::Principal { pool, subject } => write!(formatter, "principal://{pool}/subject/{subject}"),
            Self::PrincipalSet { pool, attribute, value } => {
                write!(formatter, "principalSet://{pool}/attribute.{attribute}/{value}")
            }
            Self::PrincipalSetAll { pool } => write!(formatter, "principalSet://{pool}/*"),
        }
    }
}

impl Display for Pool {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { project_number, name } = self;
        write!(formatter, "{PRINCIPAL_PREFIX}{project_number}/locations/global/workloadIdentityPools/{name}")
    }
}

fn unknown(written: &str, word: &str) -> MemberError {
    let words = ["allUsers", "allAuthenticatedUsers"];
    let kinds = ["user", "serviceAccount", "group", "domain", "principal", "principalSet"];
    let meant = match written.split_once(':') {
        Some((_, name)) => nearest(word, kinds).map(|kind| format!("{kind}:{name}")),
        None => nearest(word, words).map(str::to_owned).or_else(|| bare_name(written)),
    };
    MemberError::Unknown { written: written.to_owned(), meant }
}

/// What a name without its kind probably is.
fn bare_name(written: &str) -> Option<String> {
    if is_email(written) {
        let kind = if written.ends_with(".gserviceaccount.com") { "serviceAccount" } else { "user" };
        return Some(format!("{kind}:{written}"));
    }
    is_domain(written).then(|| format!("domain:{written}"))
}

/// How a user id, or a claim with its value, is written as a member, if a text looks like one of them. The pool is the one that
/// `users.identity_pool` has by default.
fn named_as_principal(written: &str) -> Option<String> {
    let pool = "iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/firebase";
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if let Some((claim, value)) = written.split_once([':', '/', '=']) {
        let claim = claim.strip_prefix("attribute.").unwrap_or(claim);
        // What IAM has for a project's owners, editors and viewers is no claim.
        let is_claim = is_word(claim) && is_word(value) && !claim.starts_with("project");
        return is_claim.then(|| {
            format!("a tenant or a custom claim is named `principalSet://{pool}/attribute.{claim}/{value}`")
        });
    }
    let is_user_id = written.len() >= USER_ID_BYTES_TYPICAL_MIN
        && is_word(written)
        && written.bytes().any(|byte| byte.is_ascii_digit());
    is_user_id.then(|| format!("a user is named by the ID as `principal://{pool}/subject/{written}`"))
}

fn principal(text: &str, rest: &str) -> Result<Member, MemberError> {
    let error = || MemberError::NotAPrincipal { written: text.to_owned(), expected: PRINCIPAL_FORM };
    let (pool, rest) = pool(rest).map_err(|found| found.unwrap_or_else(error))?;
    match rest.strip_prefix("subject/") {
        Some(subject) if !subject.is_empty() => Ok(Member::Principal { pool, subject: subject.to_owned() }),
        _ => Err(error()),
    }
}

fn principal_set(text: &str, rest: &str) -> Result<Member, MemberError> {
    let error = || MemberError::NotAPrincipal { written: text.to_owned(), expected: PRINCIPAL_SET_FORM };
    let (pool, rest) = pool(rest).map_err(|found| found.unwrap_or_else(error))?;
    if rest == "*" {
        return Ok(Member::PrincipalSetAll { pool });
    }
    match rest.strip_prefix("attribute.").and_then(|rest| rest.split_once('/')) {
        Some((attribute, value)) if !attribute.is_empty() && !value.is_empty() => {
            Ok(Member::PrincipalSet { pool, attribute: attribute.to_owned(), value: value.to_owned() })
        }
        _ => Err(error()),
    }
}

/// The pool of a principal identifier and what follows it; `None` as error stands for "not of this form".
fn pool(rest: &str) -> Result<(Pool, &str), Option<MemberError>> {
    let rest = rest.strip_prefix("//").and_then(|rest| rest.strip_prefix(PRINCIPAL_PREFIX)).ok_or(None)?;
    let (project_number, rest) = rest.split_once('/').ok_or(None)?;
    let rest = rest.strip_prefix("locations/global/workloadIdentityPools/").ok_or(None)?;
    let (name, rest) = rest.split_once('/').ok_or(None)?;
    if name.is_empty() || project_number.is_empty() {
        return Err(None);
    }
    if !project_number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Some(MemberError::ProjectIdInPrincipal { written: project_number.to_owned() }));
    }
    Ok((Pool { project_number: project_number.to_owned(), name: name.to_owned() }, rest))
}

/// Whether Identity Platform sets this claim itself; everything else at the top level of a token is the developer's, or profile
/// data, and so an attribute that members may name.
#[inline]
pub fn is_registered_claim(claim: &str) -> bool {
    matches!(
        claim,
        "aud"
            | "auth_time"
            | "email"
            | "email_verified"
            | "exp"
            | "firebase"
            | "iat"
            | "iss"
            | "nbf"
            | "provider_id"
            | "sub"
            | "user_id"
    )
}

/// Whether a claim is of the profile that users write themselves (`updateProfile` of the SDKs): it says nothing that anybody
/// else vouches for, so nobody is let in by it.
#[inline]
pub fn is_profile_claim(claim: &str) -> bool {
    matches!(claim, "name" | "picture")
}

/// Whether `text` can be an e-mail address: something, one `@`, a domain. More is for the mail server to judge.
pub(crate) fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && is_domain(domain) && !text.chars().any(|c| c.is_whitespace() || c == ',')
    })
}

fn is_domain(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str =
        "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/firebase";

    fn pool() -> Pool {
        Pool { project_number: "123456789012".to_owned(), name: "firebase".to_owned() }
    }

    #[test]
    fn members_are_parsed_and_printed_as_google_writes_them() {
        let check = |text: &str, expected: Member| {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string(), text);
        };
        check("allUsers", Member::AllUsers);
        check("allAuthenticatedUsers", Member::AllAuthenticatedUsers);
        check("user:eve@example.com", Member::User("eve@example.com".into()));
        check("group:staff@example.com", Member::Group("staff@example.com".into()));
        check("domain:example.com", Member::Domain("example.com".into()));
        check(
            "serviceAccount:job@my-project.iam.gserviceaccount.com",
            Member::ServiceAccount("job@my-project.iam.gserviceaccount.com".into()),
        );
        check(
            &format!("principal://{POOL}/subject/uid/with/slashes"),
            Member::Principal { pool: pool(), subject: "uid/with/slashes".into() },
        );
        check(
            &format!("principalSet://{POOL}/attribute.tenant/tenant-a"),
            Member::PrincipalSet { pool: pool(), attribute: "tenant".into(), value: "tenant-a".into() },
        );
        check(&format!("principalSet://{POOL}/*"), Member::PrincipalSetAll { pool: pool() });
    }

    #[test]
    fn what_is_no_member_is_refused_with_an_advice() {
        let check = |text: &str, message: &str, hint: &str| {
            let error = text.parse::<Member>().unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
            assert!(error.hint().contains(hint), "{text}: {}", error.hint());
        };
        check("allUser", "`allUser` is not a member", "did you mean `allUsers`?");
        check("allusers", "`allusers` is not a member", "did you mean `allUsers`?");
        check("allAuthenticatedUser", "`allAuthenticatedUser` is not a member", "`allAuthenticatedUsers`?");
        check("everyone", "`everyone` is not a member", "a member is `allUsers`");
        check("eve@example.com", "`eve@example.com` is not a member", "did you mean `user:eve@example.com`?");
        let set = "`principalSet://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/firebase/attribute";
        check("role:admin", "`role:admin` is not a member", &format!("{set}.role/admin`"));
        check(
            "tenant:blue-x1y2z",
            "`tenant:blue-x1y2z` is not a member",
            &format!("{set}.tenant/blue-x1y2z`"),
        );
        check(
            "attribute.role/admin",
            "`attribute.role/admin` is not a member",
            &format!("{set}.role/admin`"),
        );
        check(
            "projectOwner:my-project",
            "`projectOwner:my-project` is not a member",
            "a member is `allUsers`",
        );
        let uid = "VQhSP0wk16P2lEjYkwBJFu6oERAL";
        check(uid, &format!("`{uid}` is not a member"), &format!("/subject/{uid}`"));
        check("authenticated", "`authenticated` is not a member", "a member is `allUsers`");
        check(
            "j@p.iam.gserviceaccount.com",
            "`j@p.iam.gserviceaccount.com` is not a member",
            "`serviceAccount:j@p",
        );
        check("users:eve@example.com", "`users:eve@example.com` is not a member", "`user:eve@example.com`?");
        check("user:x", "`user:x` does not name an e-mail address", "`user:someone@example.com`");
        check("user:", "`user:` does not name an e-mail address", "`user:someone@example.com`");
        check("user:a@b@c.de", "`user:a@b@c.de` does not name an e-mail address", "whole address");
        check("domain:localhost", "`domain:localhost` does not name a domain", "`domain:example.com`");
        check("domain:@example.com", "`domain:@example.com` does not name a domain", "`domain:example.com`");
        check(
            "deleted:user:e@example.com?uid=1",
            "`deleted:user:e@example.com?uid=1` was deleted and matches nobody",
            "remove it",
        );
    }

    #[test]
    fn principals_that_are_not_a_pools_are_refused() {
        let check = |text: &str, hint: &str| {
            let error = text.parse::<Member>().unwrap_err();
            assert!(error.hint().contains(hint), "{text}: {error} {}", error.hint());
        };
        check("principal://goog/subject/eve@example.com", "principal://iam.googleapis.com");
        check(&format!("principal://{POOL}/subject/"), "/subject/UID");
        check(&format!("principal://{POOL}"), "/subject/UID");
        check(&format!("principalSet://{POOL}/attribute.tenant"), "attribute.NAME/VALUE");
        check(&format!("principalSet://{POOL}/group/staff"), "attribute.NAME/VALUE");
        check(&format!("principalSet://{POOL}/attribute./x"), "attribute.NAME/VALUE");
        check(
            "principal://iam.googleapis.com/projects/my-project/locations/global/workloadIdentityPools/p/subject/u",
            "gcloud projects describe my-project",
        );
        check(
            "principal://iam.googleapis.com/locations/global/workforcePools/p/subject/u",
            "workloadIdentityPools",
        );
    }

    #[test]
    fn length_and_control_characters_are_bounded() {
        assert_eq!("user:a\u{7}@example.com".parse::<Member>(), Err(MemberError::Unprintable));
        assert_eq!("x".repeat(MEMBER_BYTES_MAX + 1).parse::<Member>(), Err(MemberError::Unprintable));
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_prints_the_same(text in "(user|group|domain|principal|principalSet)?:?[a-z/.@*:]{0,40}") {
            if let Ok(member) = text.parse::<Member>() {
                proptest::prop_assert_eq!(member.to_string(), text);
            }
        }
    }
}
