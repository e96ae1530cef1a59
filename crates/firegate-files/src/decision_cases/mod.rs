//! Files of decision cases: requests, and what a configuration makes of each. `firegate test` runs them, and the project's own
//! `tests/cases`, which are run through every door.
//!
//! ```yaml
//! configuration: firegate.yaml
//! cases:
//! - name: a signed-in user reaches the service
//!   request: GET https://api.example.com/orders
//!   user: ada
//!   expect: { passes_to: api }
//! ```

mod check;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Map, Value};
use url::Url;

use crate::configuration::{schema, shape};
use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::yaml::{self, Part};

use source::DecisionCasesSource;

/// A checked file of decision cases.
#[derive(Clone, Debug)]
pub struct DecisionCases {
    /// The configuration that they are decided by; none if the file names none.
    pub configuration: Option<ConfigurationSource>,
    /// Texts of files that it names, by the names that it gives them.
    pub files: BTreeMap<PathBuf, String>,
    /// The cases, at least one, with names of their own.
    pub cases: Vec<DecisionCase>,
}

/// Where the configuration of a file of cases is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationSource {
    /// In a file; a relative name counts from the directory of the file of cases.
    File(PathBuf),
    /// Here.
    Text(String),
}

/// A request, and what is expected of it.
#[derive(Clone, Debug)]
pub struct DecisionCase {
    /// What it shows.
    pub name: String,
    /// The line that it begins in, from 1.
    pub line: usize,
    /// The page that says that this is so.
    pub source: Option<String>,
    /// What comes before, one after the other.
    pub before: Vec<Arrival>,
    /// What is asked.
    pub arrival: Arrival,
    /// What becomes of it.
    pub expected: Expected,
}

/// A request that comes, once or several times.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When, in seconds since 1970; none for the time of the run.
    pub at_seconds: Option<i64>,
    /// The method.
    pub method: String,
    /// The URL as the client wrote it: scheme, host, and a path that nothing has normalised.
    pub target: Target,
    /// Header fields: names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The client's address.
    pub client: IpAddr,
    /// Who sends it.
    pub user: Option<CaseUser>,
    /// How often, at least once.
    pub repeat: u32,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether it came over TLS.
    pub is_https: bool,
    /// The host, and the port if one is written.
    pub authority: String,
    /// Path and query, beginning with `/`.
    pub path_and_query: String,
}

/// A user of the project, and the token that the request has.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseUser {
    /// The user id.
    pub uid: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether it is verified.
    pub email_verified: bool,
    /// The tenant.
    pub tenant: Option<String>,
    /// How the user signed in.
    pub provider: String,
    /// Custom claims.
    pub claims: Map<String, Value>,
    /// Whether the token is as it should be.
    pub token: TokenState,
}

/// Whether a token is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
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

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is forwarded.
    Passes {
        /// The backend's name.
        to: String,
        /// The path and query that it sees, if that is looked at.
        path_and_query: Option<String>,
        /// The fields that it sees: names in lower case.
        headers: Vec<(String, String)>,
        /// The code by which it would have been refused, were that enforced.
        would_be_refused: Option<String>,
    },
    /// It is refused.
    Refused {
        /// The code, which exists.
        code: String,
        /// The status, if that is looked at.
        status: Option<u16>,
    },
    /// It is redirected.
    Redirected {
        /// Where.
        to: String,
        /// The status, if that is looked at.
        status: Option<u16>,
    },
    /// Firegate answers it.
    Answered {
        /// With this status.
        status: u16,
    },
}

/// The schema of such a file, for editors.
pub fn json_schema() -> Value {
    let mut schema = schema::schema_of::<DecisionCasesSource>();
    if let Value::Object(root) = &mut schema {
        root.insert("title".to_owned(), Value::from("decision cases of firegate test"));
    }
    schema
}

/// Reads a file of decision cases. `codes` are the reasons that there are.
///
/// # Errors
///
/// Everything that is wrong, in the order of the file.
pub fn parse(file_name: &str, text: &str, codes: &[&str]) -> Result<DecisionCases, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let Some(document) = yaml::parse(file_name, text, &mut diagnostics) else {
        return Err(diagnostics);
    };
    if document.root.get("backends").is_some() {
        let found = Diagnostic::error(code::OTHER_KIND, "this is a configuration and holds no cases");
        let hint =
            format!("firegate test -c {file_name} cases.yaml; to check it: firegate check {file_name}");
        document.report(&mut diagnostics, &YamlPath::root(), Part::Value, found.hint(hint).conceal());
        return Err(diagnostics);
    }
    let schema = json_schema();
    let shaped = shape::check(&schema, &document, &mut diagnostics);
    // The schema is made from the same types: what it lets pass is one of them.
    let source = serde_json::from_value::<DecisionCasesSource>(shaped.json).unwrap_or_default();
    let cases = check::cases(source, &document, &shaped.refused, codes, &mut diagnostics);
    diagnostics.sort();
    match cases {
        Some(cases) if !diagnostics.has_errors() => Ok(cases),
        _ => Err(diagnostics),
    }
}

impl Target {
    /// The URL as it was written.
    pub fn url(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path_and_query)
    }

    /// Splits a URL without reading its path: a client may write what a URL parser would mend.
    fn parse(url: &str) -> Option<Self> {
        let (is_https, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return None,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        Url::parse(&format!("http://{authority}/")).ok()?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#' && byte != b'@';
        let path_and_query = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!authority.is_empty()
            && authority.bytes().all(is_plain)
            && path.bytes().all(|b| b.is_ascii_graphic()))
        .then(|| Self { is_https, authority: authority.to_owned(), path_and_query })
    }
}
