//! Writing a file of Google's back, so that Google's import takes it: which format it is, is found out.

use firegate_expr::Dialect;

use crate::compat::{FORMATS, Format, LISTED};
use crate::diagnostic::{Diagnostic, Diagnostics, code};
use crate::google_file::{Form, GoogleFile, MessageType};
use crate::iam_policy::{IamPolicy, POLICY, Roles};
use crate::limits::FORMAT_TELLTALES_MIN;
use crate::yaml::{self, Node, Value};

/// A file of Google's, written back.
#[derive(Debug)]
pub struct Exported {
    /// The text: unknown fields are kept, and what Google sets is left out.
    pub text: String,
    /// The format, for example `UrlMap`.
    pub format: &'static str,
    /// What is to be known of it: fields that nobody knows.
    pub notes: Diagnostics,
}

/// Reads a file of Google's and writes it as its import takes it.
///
/// # Errors
///
/// If it is none of the formats, or does not conform to its own.
pub fn export(name: &str, text: &str, form: Form) -> Result<Exported, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let Some(format) = recognise(name, text, &mut diagnostics) else { return Err(diagnostics) };
    let is_listed = LISTED.iter().any(|listed| std::ptr::eq(*listed, format));
    let parse = if is_listed { GoogleFile::parse_list } else { GoogleFile::parse };
    let file = parse(name, text, format, &mut diagnostics);
    diagnostics.sort();
    match file {
        Some(_) if std::ptr::eq(format, &POLICY) => export_policy(name, text, form),
        Some(file) if !diagnostics.has_errors() => {
            Ok(Exported { text: file.export(form), format: format.name, notes: diagnostics })
        }
        _ => Err(diagnostics),
    }
}

/// An IAM policy is written for Google only if it means the same there.
fn export_policy(name: &str, text: &str, form: Form) -> Result<Exported, Diagnostics> {
    let mut notes = Diagnostics::new();
    let policy = IamPolicy::read(name, text, Dialect::Firegate, &Roles::new(), &mut notes);
    notes.sort();
    let Some(policy) = policy.filter(|_| !notes.has_errors()) else { return Err(notes) };
    match policy.export(form) {
        Ok(text) => Ok(Exported { text, format: POLICY.name, notes }),
        Err(refused) => {
            let found = Diagnostic::error(code::IAM_NOT_FOR_GOOGLE, refused.to_string())
                .hint("keep this file for Firegate, and give the Cloud Run service a policy that names Firegate's service account");
            notes.push(found);
            Err(notes)
        }
    }
}

/// The format that the file names as its `kind`, or else the one most of whose fields it has.
fn recognise(name: &str, text: &str, diagnostics: &mut Diagnostics) -> Option<&'static MessageType> {
    let mut unread = Diagnostics::new();
    let document = yaml::parse_stream(name, text, crate::google_file::BOUNDS, &mut unread);
    let Some(document) = document else {
        *diagnostics = unread;
        return None;
    };
    let best = format_of(&document.root);
    if best.is_none() {
        let titles = FORMATS.iter().map(|format| format.title).collect::<Vec<_>>().join(", ");
        let found = Diagnostic::error(code::OTHER_KIND, "this is none of Google's files that Firegate reads")
            .hint(format!("it reads these, as gcloud writes them: {titles}"));
        diagnostics.push(found);
    }
    best.map(|format| format.fields)
}

/// The format of a file, by its `kind` or by its fields.
pub(crate) fn format_of(root: &Node) -> Option<&'static Format> {
    let root = match &root.value {
        Value::Sequence(nodes) => nodes.first().unwrap_or(root),
        _ => root,
    };
    let kind = root.get("kind").and_then(word);
    if let Some(format) = FORMATS.iter().find(|format| kind.is_some() && format.fields.kind == kind) {
        return Some(format);
    }
    // Of several the first: `max_by_key` takes the last.
    let ranked = FORMATS.iter().rev().map(|format| (score(format.fields, root), format));
    ranked
        .max_by_key(|(score, _)| *score)
        .filter(|(score, _)| *score >= FORMAT_TELLTALES_MIN)
        .map(|(_, best)| best)
}

/// The format that a message is of rather than of `format`, because it has more of the former's fields.
pub(crate) fn other_format(format: &MessageType, root: &Node) -> Option<&'static Format> {
    let other = format_of(root)?;
    (score(other.fields, root) > score(format, root)).then_some(other)
}

/// How many of the file's keys are fields of a format, less those that are not.
fn score(format: &MessageType, root: &Node) -> i64 {
    let Value::Mapping(entries) = &root.value else { return 0 };
    entries.iter().map(|entry| if format.field(&entry.key).is_some() { 1 } else { -1 }).sum()
}

fn word(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar.text.as_str()),
        Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, format: &str, expected: &str) {
        let exported = export("a.yaml", text, Form::Yaml).expect("it is written");
        assert_eq!((exported.format, exported.text.as_str()), (format, expected), "{text}");
    }

    #[test]
    fn what_google_sets_is_left_out_and_what_nobody_knows_is_kept() {
        check(
            "kind: compute#urlMap\nid: '77'\nname: m\nfingerprint: abc=\ndefaultService: web\nfutureField: { a: [1] }\n",
            "UrlMap",
            "name: m\nfingerprint: abc=\ndefaultService: web\nfutureField:\n  a:\n  - 1\n",
        );
    }

    #[test]
    fn a_file_without_a_kind_is_known_by_its_fields() {
        let text = "name: m\ndefaultService: web\nhostRules: []\n";
        check(text, "UrlMap", text);
    }

    #[test]
    fn of_formats_that_share_fields_the_commoner_one_is_meant() {
        check("name: p\nrules: []\n", "SecurityPolicy", "name: p\nrules: []\n");
    }

    #[test]
    fn what_is_written_is_written_the_same_again() {
        let text = "name: m\ndefaultService: web\npathMatchers:\n- name: p\n  defaultService: web\n";
        let once = export("a.yaml", text, Form::Json).expect("it is written").text;
        assert_eq!(export("a.json", &once, Form::Json).expect("it is written").text, once);
        assert_eq!(export("a.json", &once, Form::Yaml).expect("it is written").text, text);
    }

    #[test]
    fn an_iam_policy_that_means_more_at_google_is_not_written() {
        let with = |members: &str| {
            format!(
                "bindings:\n- members:\n  - {members}\n  role: roles/run.invoker\netag: abc=\nversion: 1\n"
            )
        };
        let text = with("allUsers");
        check(&text, "Policy", &text);
        let found =
            export("iam.yaml", &with("allAuthenticatedUsers"), Form::Json).expect_err("it is refused");
        assert!(found.to_string().contains("FG412"), "{found}");
        // Of a role that Firegate does not know, too.
        let condition = "- members: ['user:ada@example.com']\n  role: roles/viewer\n  condition: {title: t, expression: auth.uid == 'a'}\n";
        let found = export("iam.yaml", &format!("bindings:\n{condition}version: 3\n"), Form::Yaml);
        assert!(found.expect_err("it is refused").to_string().contains("FG412"));
    }

    #[test]
    fn another_file_is_refused() {
        for text in ["a: 1\n", "", "- 1\n- 2\n", "project: demo\nbackends: {}\n"] {
            let found = export("a.yaml", text, Form::Yaml).expect_err("it is refused");
            assert!(found.to_string().contains("FG016"), "{text}: {found}");
        }
        assert!(export("a.yaml", "a: [", Form::Yaml).is_err());
    }
}
