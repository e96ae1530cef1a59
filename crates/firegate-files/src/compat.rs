//! docs/compat.md: what becomes of every field of Google's files, made of the tables by which the files are read.

use std::fmt::Write as _;

use crate::google_file::{MessageType, Treatment};
use crate::iam_policy::{DENY_POLICY, POLICY};
use crate::load_balancer::{BACKEND_SERVICE, CLOUD_RUN_SERVICE, NETWORK_ENDPOINT_GROUP};
use crate::security_policy::SECURITY_POLICY;
use crate::url_map::URL_MAP;

/// The formats of which a file may hold a list.
pub(crate) const LISTED: [&MessageType; 3] = [&BACKEND_SERVICE, &NETWORK_ENDPOINT_GROUP, &CLOUD_RUN_SERVICE];

/// A format of Google's.
pub(crate) struct Format {
    /// What such a file is.
    pub title: &'static str,
    /// The command that writes one.
    pub command: &'static str,
    /// The key of a configuration that names one.
    pub key: &'static str,
    /// Its fields.
    pub fields: &'static MessageType,
}

/// All of them.
pub(crate) const FORMATS: &[Format] = &[
    Format {
        title: "Security policy",
        command: "gcloud compute security-policies export",
        key: "backends.NAME.security_policy",
        fields: &SECURITY_POLICY,
    },
    Format { title: "URL map", command: "gcloud compute url-maps export", key: "url_map", fields: &URL_MAP },
    Format {
        title: "Backend service",
        command: "gcloud compute backend-services export",
        key: "load_balancer.backend_services",
        fields: &BACKEND_SERVICE,
    },
    Format {
        title: "Network endpoint group",
        command: "gcloud compute network-endpoint-groups describe --format=yaml",
        key: "load_balancer.network_endpoint_groups",
        fields: &NETWORK_ENDPOINT_GROUP,
    },
    Format {
        title: "Cloud Run service",
        command: "gcloud run services list --format=json",
        key: "load_balancer.cloud_run_services",
        fields: &CLOUD_RUN_SERVICE,
    },
    Format {
        title: "IAM policy of a Cloud Run service",
        command: "gcloud run services get-iam-policy",
        key: "backends.NAME.iam_policy",
        fields: &POLICY,
    },
    Format {
        title: "IAM deny policy",
        command: "gcloud iam policies get --kind=denypolicies",
        key: "deny_policies",
        fields: &DENY_POLICY,
    },
];

const INTRODUCTION: &str = "\
# Google's files, field by field

<!-- Made from the code by `cargo xtask generate`. -->

Firegate reads Google's files as gcloud writes them. This page says what becomes of every field:

| word | means |
|---|---|
| evaluated | It means what Google's documentation says. |
| kept | It is for people or for Google alone, and is written back. |
| noted | It has no effect here, and a note says so with its place. |
| refused | The file would mean something else without it, so it is not taken. |
| Google's | Google sets it. It is accepted, and left out when the file is written back. |

Fields that are not listed are kept and noted, unless such a message refuses *any other*. One that is misspelt, or indented so that it
belongs to another message, is refused if what was meant is evaluated. How a policy or a map is read where Google's documentation leaves
it open, [configuration.md](configuration.md#a-url-map) says.
";

/// What is not in a table.
const EXPRESSIONS: &str = "
## Expressions

The languages of `match.expr.expression` and `condition.expression`, what Firegate adds to them and where it differs from Google:
[expressions.md](expressions.md). Of 100,000 generated expressions 96,564 get the same answer of Firegate and of Google's open tool
for Cloud Armor's rules; the others are listed there by their reasons.
";

/// The page.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for Format { title, command, fields, .. } in FORMATS {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {title}\n\nWritten by `{command}`.\n\n| field | |\n|---|---|\n");
        // A message that stands in many places is described where it stands first.
        let mut described: Vec<(&MessageType, String)> = Vec::new();
        let mut inside = Vec::new();
        for (path, field) in fields.all_fields() {
            if inside.iter().any(|message: &String| path.starts_with(message)) {
                continue;
            }
            let message = field.message().filter(|message| message.fields.len() > 1);
            let is_described = |known: &&(&MessageType, String)| {
                message.is_some_and(|message| std::ptr::eq(known.0, message))
            };
            let like = described
                .iter()
                .find(is_described)
                .map(|(_, first)| format!("; its fields are those of `{first}`"));
            if like.is_some() {
                inside.push(format!("{path}."));
            } else if let Some(message) = message {
                described.push((message, path.clone()));
            }
            let becomes = match field.treatment {
                Treatment::Evaluated => "evaluated".to_owned(),
                Treatment::Kept => "kept".to_owned(),
                Treatment::WithoutEffect(why) => format!("noted: {why}"),
                Treatment::OutputOnly => "Google's".to_owned(),
                Treatment::Refused(why) => format!("refused: {why}"),
            };
            let _ = writeln!(page, "| `{path}` | {becomes}{} |", like.unwrap_or_default());
        }
    }
    page.push_str(EXPRESSIONS);
    page
}
