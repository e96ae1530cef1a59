//! docs/compat.md: what becomes of every field of Google's files, made of the tables by which the files are read.

use std::fmt::Write as _;

use crate::google_file::{MessageType, Treatment};
use crate::iam_policy::{DENY_POLICY, POLICY};
use crate::load_balancer::{BACKEND_SERVICE, CLOUD_RUN_SERVICE, NETWORK_ENDPOINT_GROUP};
use crate::security_policy::SECURITY_POLICY;
use crate::url_map::URL_MAP;

/// The formats of which a file may hold a list.
pub(crate) const LISTED: [&MessageType; 3] = [&BACKEND_SERVICE, &NETWORK_ENDPOINT_GROUP, &CLOUD_RUN_SERVICE];

/// The formats: a title, the command that writes such a file, the table.
pub(crate) const FORMATS: &[(&str, &str, &MessageType)] = &[
    ("Security policy", "gcloud compute security-policies export", &SECURITY_POLICY),
    ("URL map", "gcloud compute url-maps export", &URL_MAP),
    ("Backend service", "gcloud compute backend-services export", &BACKEND_SERVICE),
    (
        "Network endpoint group",
        "gcloud compute network-endpoint-groups describe --format=yaml",
        &NETWORK_ENDPOINT_GROUP,
    ),
    ("Cloud Run service", "gcloud run services list --format=json", &CLOUD_RUN_SERVICE),
    ("IAM policy of a Cloud Run service", "gcloud run services get-iam-policy", &POLICY),
    ("IAM deny policy", "gcloud iam policies get --kind=denypolicies", &DENY_POLICY),
];

const INTRODUCTION: &str = "\
# Google's files, field by field

<!-- Made from the code by `cargo xtask generate`. -->

What becomes of every field of the files that Firegate reads. *Evaluated*: it means what Google's documentation says. *Kept*: it
is for people or for Google alone, and is written back. *Noted*: it has no effect here, and a note says so with its place.
*Refused*: the file would mean something else without it. *Google's*: Google sets it; it is accepted, and left out when the file
is written back. Fields that are not listed are kept and noted, unless such a message refuses *any other*; one that is misspelt, or
indented so that it belongs to another message, is refused if what was meant is evaluated.
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
    for (title, command, format) in FORMATS {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {title}\n\nWritten by `{command}`.\n\n| field | |\n|---|---|\n");
        for (path, field) in format.all_fields() {
            let becomes = match field.treatment {
                Treatment::Evaluated => "evaluated".to_owned(),
                Treatment::Kept => "kept".to_owned(),
                Treatment::WithoutEffect(why) => format!("noted: {why}"),
                Treatment::OutputOnly => "Google's".to_owned(),
                Treatment::Refused(why) => format!("refused: {why}"),
            };
            let _ = writeln!(page, "| `{path}` | {becomes} |");
        }
    }
    page.push_str(EXPRESSIONS);
    page
}
