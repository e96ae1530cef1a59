//! The shape of a file of decision cases.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A file of decision cases: a configuration, requests, and what becomes of each.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionCasesSource {
    /// The configuration: the name of its file, counted from this file's directory, or its text if that has several lines.
    /// Without it, the one that the command line gives.
    pub configuration: Option<String>,
    /// Texts of files that the configuration names, by the names that it gives them; the others are read from disk.
    pub files: Option<BTreeMap<String, String>>,
    /// The time of every case that names none, as RFC 3339 writes it; without it, the time of the run.
    pub now: Option<String>,
    /// The cases.
    pub cases: Option<Vec<CaseSource>>,
}

/// One case: a request, and what is expected of it. It knows nothing of the other cases.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseSource {
    /// What it shows, in a few words; unique in the file.
    pub name: Option<String>,
    /// Where it is said that this is so: the address of a page.
    pub source: Option<String>,
    /// The time, as RFC 3339 writes it.
    pub now: Option<String>,
    /// Requests that come before, one after the other; what becomes of them is not looked at.
    pub before: Option<Vec<ArrivalSource>>,
    /// The request.
    pub request: Option<RequestSource>,
    /// Who sends it; without it, nobody: the request has no token of this project.
    pub user: Option<UserSource>,
    /// How often it is sent; the last answer counts. Default: 1.
    pub repeat: Option<u32>,
    /// What becomes of it.
    pub expect: Option<ExpectSource>,
}

/// A request that comes before that of a case.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArrivalSource {
    /// The time, as RFC 3339 writes it; without it, that of the case.
    pub now: Option<String>,
    /// The request.
    pub request: Option<RequestSource>,
    /// Who sends it.
    pub user: Option<UserSource>,
    /// How often it is sent. Default: 1.
    pub repeat: Option<u32>,
}

/// A request: `GET https://api.example.com/path`, or in parts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RequestSource {
    /// A method and a URL.
    Line(String),
    /// In parts.
    Full(RequestFullSource),
}

/// A request in parts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestFullSource {
    /// The method. Default: `GET`.
    pub method: Option<String>,
    /// The URL that the client asks for.
    pub url: Option<String>,
    /// Its header fields; a list of values for a repeated one. The user's token needs none.
    pub headers: Option<BTreeMap<String, FieldSource>>,
    /// The client's address. Default: `203.0.113.1`.
    pub client: Option<String>,
}

/// The value of a header field, or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum FieldSource {
    /// One.
    One(String),
    /// Several fields of one name.
    Several(Vec<String>),
}

/// A user: the user id, or what the token says.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum UserSource {
    /// The user id.
    Uid(String),
    /// What the token says.
    Full(Box<UserFullSource>),
}

/// What a user's token says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserFullSource {
    /// The user id.
    pub uid: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether it is verified. Default: true, if there is one.
    pub email_verified: Option<bool>,
    /// The tenant.
    pub tenant: Option<String>,
    /// How the user signed in: `password`, `google.com`, `anonymous` … Default: `password`.
    pub provider: Option<String>,
    /// Custom claims.
    pub claims: Option<Map<String, Value>>,
    /// Whether the token is as it should be. Default: `good`.
    pub token: Option<TokenStateSource>,
}

/// Whether a token is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenStateSource {
    /// It is.
    Good,
    /// It expired a minute ago.
    Expired,
    /// It is of another project.
    OtherProject,
    /// Its signature is by another key.
    WrongSignature,
    /// It is no token at all.
    Malformed,
}

/// What becomes of a request: exactly one of the first four.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectSource {
    /// It is forwarded to this backend.
    pub passes_to: Option<String>,
    /// It is refused with this reason: a code of docs/reasons.md.
    pub refused: Option<String>,
    /// It is redirected to this URL or path.
    pub redirected_to: Option<String>,
    /// It is answered by Firegate itself, with this status: a preflight, or a path of Firegate's own.
    pub answered: Option<u16>,
    /// The status of the answer; with `refused` and `redirected_to`.
    pub status: Option<u16>,
    /// The path and query that the backend sees; with `passes_to`.
    pub path: Option<String>,
    /// Header fields that the backend sees; with `passes_to`.
    pub headers: Option<BTreeMap<String, String>>,
    /// That the refusal is observed and not enforced: the code; with `passes_to`.
    pub would_be_refused: Option<String>,
}
