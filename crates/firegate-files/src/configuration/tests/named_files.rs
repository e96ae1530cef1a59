//! The files that a configuration names.

use std::io;
use std::path::Path;

use super::*;
use crate::groups::GroupMember;
use crate::members::Member;

/// Files by their names, and their texts.
struct Beside<'a>(&'a [(&'a str, &'a str)]);

impl NamedFiles for Beside<'_> {
    fn read(&self, name: &Path) -> io::Result<String> {
        let file = self.0.iter().find(|(known, _)| Path::new(known) == name);
        file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Reads a configuration beside these files.
pub(super) fn read(text: &str, files: &[(&str, &str)]) -> Result<Configuration, Diagnostics> {
    parse_with_files("firegate.yaml", text, &Beside(files))
}

/// The codes of all findings, and where they stand.
pub(super) fn findings_in(text: &str, files: &[(&str, &str)]) -> Vec<String> {
    let diagnostics = read(text, files).map_or_else(|found| found, |configuration| configuration.warnings);
    let line = |found: &Diagnostic| {
        let place = found.place.as_ref().map(|place| format!("{}:{}", place.file, place.line));
        format!("{} {}", found.code, place.unwrap_or_default())
    };
    diagnostics.iter().map(line).collect()
}

const WITH_GROUPS: &str = "project: my-project\nbackends: { api: 'https://api-abc123-uc.a.run.app' }\n\
                           groups: groups.yaml\nallow: ['group:staff@example.com']\n";

#[test]
fn the_groups_come_from_their_file() {
    let file = [("groups.yaml", "groups: { Staff@example.com: [ada@example.com] }")];
    let configuration = read(WITH_GROUPS, &file).expect("a configuration");
    let ada = GroupMember::Member(Member::User("ada@example.com".to_owned()));
    assert_eq!(configuration.groups.members["staff@example.com"], [ada]);
    assert!(configuration.warnings.is_empty(), "{}", configuration.warnings);
}

#[test]
fn a_file_that_is_missing_or_wrong_refuses_the_configuration() {
    let check = |files: &[(&str, &str)], expected: &[&str]| {
        assert_eq!(findings_in(WITH_GROUPS, files), expected, "{files:?}");
        assert!(read(WITH_GROUPS, files).is_err(), "{files:?}");
    };
    check(&[], &["FG012 firegate.yaml:3"]);
    check(&[("groups.yaml", "groups: {\n")], &["FG001 groups.yaml:1"]);
    check(&[("groups.yaml", "groups: {}\nclaims: x\n")], &["FG112 firegate.yaml:4", "FG004 groups.yaml:2"]);
    let long = format!("# {}", "x".repeat(crate::limits::FILE_BYTES_MAX));
    check(&[("groups.yaml", &long)], &["FG002 "]);
}

#[test]
fn a_group_of_which_nothing_is_said_matches_nobody_and_that_is_told() {
    let check = |file: &str, expected: &[&str]| {
        assert_eq!(findings_in(WITH_GROUPS, &[("groups.yaml", file)]), expected, "{file}");
    };
    check("groups: {}", &["FG112 firegate.yaml:4"]);
    check("claim: teams", &[]);
    check("groups: { STAFF@example.com: [] }", &[]);
    let without = WITH_GROUPS.replace("groups: groups.yaml\n", "");
    assert_eq!(findings_in(&without, &[]), ["FG112 firegate.yaml:3"]);
}

fn with_policy(more: &str) -> String {
    format!(
        "project: my-project\nbackends:\n  api: {{ url: 'https://api-abc123-uc.a.run.app', iam_policy: iam.yaml{more} }}\n"
    )
}

fn policy(members: &str) -> String {
    format!("bindings:\n- role: roles/run.invoker\n  members: [{members}]\n")
}

/// The exported policy names Firegate's own service account, or everyone: neither says which users may pass.
#[test]
fn an_exported_policy_is_compared_with_the_users_that_may_pass() {
    let check = |more: &str, members: &str, starts: bool, expected: &[&str]| {
        let files = [("iam.yaml", &*policy(members))];
        assert_eq!(findings_in(&with_policy(more), &files), expected, "{more} {members}");
        assert_eq!(read(&with_policy(more), &files).is_ok(), starts, "{more} {members}");
    };
    check("", "'user:ada@example.com'", true, &[]);
    check("", "allAuthenticatedUsers", true, &["FG409 iam.yaml:3"]);
    check("", "allUsers", false, &["FG407 firegate.yaml:3"]);
    check(", allow: [allUsers]", "allUsers", true, &[]);
    check(", allow: [allUsers]", "'user:ada@example.com'", false, &["FG407 firegate.yaml:3"]);
    check(", allow: [allAuthenticatedUsers]", "allUsers", false, &["FG113 firegate.yaml:3"]);
    check(", allow: [allUsers, 'user:a@example.com']", "allUsers", false, &["FG113 firegate.yaml:3"]);
    check(", allow: []", "'user:ada@example.com'", false, &["FG113 firegate.yaml:3"]);
    let door = "'serviceAccount:door@my-project.iam.gserviceaccount.com'";
    check("", door, false, &["FG408 firegate.yaml:3", "FG112 iam.yaml:3"]);
    check("", "", false, &["FG408 firegate.yaml:3"]);
    check("", &format!("'user:ada@example.com', {door}"), true, &["FG112 iam.yaml:3"]);
    check("", "'group:staff@example.com'", false, &["FG408 firegate.yaml:3", "FG112 iam.yaml:3"]);
    // The top-level `allow` confirms nothing: it says nothing of this backend.
    let text = format!("{}allow: [allUsers]\n", with_policy(""));
    assert!(read(&text, &[("iam.yaml", &*policy("allUsers"))]).is_err());
    // Service accounts pass where their tokens are accepted.
    let google = "users: { accept: [id_token, google_id_token], google_audiences: [x] }\n";
    let text = format!("{}{google}", with_policy(""));
    let accounts = [("iam.yaml", &*policy(door))];
    assert_eq!(findings_in(&text, &accounts), ["FG408 firegate.yaml:3"]);
    assert!(read(&text, &accounts).is_ok(), "a warning");
}

#[test]
fn roles_and_deny_policies_are_read_with_the_configuration() {
    let check = |more: &str, files: &[(&str, &str)], expected: &[&str]| {
        let text = format!("{MINIMAL}{more}");
        assert_eq!(findings_in(&text, files), expected, "{more}");
    };
    check("roles: { projects/p/roles/caller: [run.routes.invoke] }\n", &[], &[]);
    check("roles: { roles/run.invoker: [] }\n", &[], &["FG410 firegate.yaml:5"]);
    check("roles: { caller: [run.routes.invoke] }\n", &[], &["FG410 firegate.yaml:5"]);
    check("roles: { roles/caller: [run.googleapis.com/routes.invoke] }\n", &[], &["FG410 firegate.yaml:5"]);
    let rule = |principal: &str| {
        format!(
            "rules:\n- denyRule: {{deniedPrincipals: ['{principal}'], deniedPermissions: [run.googleapis.com/routes.invoke]}}\n"
        )
    };
    let group = rule("principalSet://goog/group/banned@example.com");
    let files = [("deny.yaml", &*group), ("groups.yaml", "groups: { banned@example.com: [eve] }")];
    check("deny_policies: [deny.yaml]\n", &files, &["FG421 deny.yaml:2"]);
    check("deny_policies: [deny.yaml]\ngroups: groups.yaml\n", &files, &[]);
    check("deny_policies: [missing.yaml]\n", &files, &["FG012 firegate.yaml:5"]);
    // Whoever is in it by way of another group would be denied by a list that is not there.
    let text = format!("{MINIMAL}deny_policies: [deny.yaml]\ngroups: groups.yaml\n");
    for (groups, is_refused) in [
        ("groups: { banned@example.com: ['group:night@example.com'] }", true),
        (
            "groups: { banned@example.com: ['group:a@b.example'], a@b.example: ['group:Banned@example.com', 'group:c@d.example'] }",
            true,
        ),
        (
            "groups: { banned@example.com: ['group:A@b.example'], a@b.example: ['group:banned@example.com'] }",
            false,
        ),
        ("groups: { banned@example.com: [eve], other@example.com: ['group:night@example.com'] }", false),
        ("claim: teams\ngroups: { banned@example.com: ['group:night@example.com'] }", false),
    ] {
        let files = [("deny.yaml", &*group), ("groups.yaml", groups)];
        assert_eq!(read(&text, &files).is_err(), is_refused, "{groups}");
        let found = findings_in(&text, &files);
        assert_eq!(found.contains(&"FG421 deny.yaml:2".to_owned()), is_refused, "{groups}: {found:?}");
    }
    // A pool that is misspelt would deny nobody.
    for (project, pool, expected) in [
        ("42", "firebase", &[][..]),
        ("42", "firebse", &["FG411 deny.yaml:2"]),
        ("24", "firebase", &["FG411 deny.yaml:2"]),
    ] {
        let denied = rule(&format!(
            "principal://iam.googleapis.com/projects/{project}/locations/global/workloadIdentityPools/{pool}/subject/eve"
        ));
        check("project_number: '42'\ndeny_policies: [deny.yaml]\n", &[("deny.yaml", &*denied)], expected);
    }
    // And so would what is no attribute.
    for (attribute, expected) in [
        ("email", &[][..]),
        ("standing", &[]),
        ("email_verified", &["FG411 deny.yaml:2"]),
        ("sub", &["FG411 deny.yaml:2"]),
    ] {
        let denied = rule(&format!(
            "principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/attribute.{attribute}/x"
        ));
        check("deny_policies: [deny.yaml]\n", &[("deny.yaml", &*denied)], expected);
    }
    check(
        "deny_policies: [{ file: deny.yaml, assume: evaluated_upstream }]\ngroups: groups.yaml\n",
        &files,
        &["FG113 firegate.yaml:5"],
    );
}
