//! The fields of an IAM policy, <https://cloud.google.com/iam/docs/reference/rest/v1/Policy>.

use crate::google_file::{Field, MessageType, Shape};

/// What `gcloud run services get-iam-policy` prints.
pub static POLICY: MessageType = MessageType {
    name: "Policy",
    kind: None,
    fields: &[
        Field::evaluated("bindings", Shape::List(&Shape::Message(&BINDING))),
        // Whoever writes the policy back sends it along, so that no other change is lost.
        Field::kept("etag", Shape::Text),
        Field::evaluated("version", Shape::Integer),
        Field::without_effect("auditConfigs", Shape::Any, "Firegate writes its own log"),
    ],
};

static BINDING: MessageType = MessageType {
    name: "Binding",
    kind: None,
    fields: &[
        Field::evaluated("role", Shape::Text),
        Field::evaluated("members", Shape::List(&Shape::Text)),
        Field::evaluated("condition", Shape::Message(&CONDITION)),
        Field::others_refused("it may say whom the binding lets in, or when"),
    ],
};

/// `google.type.Expr`.
pub(super) static CONDITION: MessageType = MessageType {
    name: "Expr",
    kind: None,
    fields: &[
        Field::kept("title", Shape::Text),
        Field::kept("description", Shape::Text),
        Field::kept("location", Shape::Text),
        Field::evaluated("expression", Shape::Text),
    ],
};
