//! Cloud Armor's security policies, as `gcloud compute security-policies export` or `describe` writes them.
//!
//! In dialect `gcloud` what Google refuses is refused here too; in dialect `firegate` Google's limits are lifted, and rules may
//! ask for the verified user: `auth.*` in expressions, and `AUTH_UID`, `AUTH_TENANT`, `AUTH_CLAIM` (the claim is
//! `enforceOnKeyName`) and `APP_ID` in `enforceOnKeyConfigs`.

mod check;
mod format;
mod lint;
mod matcher;
mod model;
mod rate_limit;

pub use check::Attachment;
pub use format::SECURITY_POLICY;
pub use model::{
    Action, Ban, DEFAULT_RULE_PRIORITY, DenyStatus, Exceed, Key, Matcher, RateLimit, Redirect, Rule,
    SecurityPolicy, Threshold,
};

use crate::diagnostic::Diagnostics;
use crate::google_file::GoogleFile;

/// Reads a policy. `name` is what the diagnostics call the file.
///
/// The policy is absent if, and only if, something of what was found in it is an error.
pub fn parse(
    name: &str,
    text: &str,
    attachment: Attachment,
    diagnostics: &mut Diagnostics,
) -> Option<SecurityPolicy> {
    let mut found = Diagnostics::new();
    let policy = GoogleFile::parse(name, text, &SECURITY_POLICY, &mut found)
        .and_then(|file| check::policy(&file, attachment, &mut found));
    let policy = policy.filter(|_| !found.has_errors());
    found.sort();
    diagnostics.append(found);
    policy
}

#[cfg(test)]
mod tests;
