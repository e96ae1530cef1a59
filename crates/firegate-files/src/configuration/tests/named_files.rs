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
