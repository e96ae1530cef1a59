//! The files an operator writes: read into checked models, with every problem reported at once and in its place.
//!
//! Nothing here does input or output: a file arrives as text with a name, and leaves as a model or as [`Diagnostics`].
//!
//! - [`compat`]: what becomes of every field of Google's files, for the documentation.
//! - [`configuration`]: `firegate.yaml`, the front door's own configuration.
//! - [`groups`]: who is in which group.
//! - [`export`]: a file of Google's, written back as its import takes it.
//! - [`iam_policy`]: IAM policies of Cloud Run services, and deny policies.
//! - [`google_file`]: what all files of Google's have in common: fields, how each is treated, and writing them back.
//! - [`load_balancer`]: what stands behind a URL map: backend services, network endpoint groups, Cloud Run services.
//! - [`members`]: IAM members (`allAuthenticatedUsers`, `user:…`, `principal://…`), in Google's spelling.
//! - [`decision_cases`]: requests, and what a configuration is expected to make of them.
//! - [`expression_suite`]: tests of an expression, in the format of Google's own tool.
//! - [`security_policy`]: Cloud Armor's security policies.
//! - [`diagnostic`]: what is wrong in a file, where, and what to do about it.
//! - [`url_map`]: URL maps of Google's load balancers.
//! - [`text`]: the text of a file's bytes.
//! - [`header_names`]: which headers no file and no client may set.
//! - [`yaml`]: the one module that knows the YAML parser.
#![forbid(unsafe_code)]

pub mod compat;
pub mod configuration;
pub mod decision_cases;
pub mod diagnostic;
pub mod export;
pub mod expression_suite;
pub mod google_file;
pub mod groups;
pub mod header_names;
pub mod iam_policy;
pub mod limits;
pub mod load_balancer;
pub mod members;
mod optional;
pub mod security_policy;
pub mod text;
pub mod url_map;
pub mod yaml;

pub(crate) use firegate_expr::suggestion;
pub(crate) use optional::optional;

pub use configuration::Configuration;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use members::Member;
