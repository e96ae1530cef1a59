//! What all files of Google's have in common: `gcloud … export`, `… describe` and `… get-iam-policy`, in YAML or JSON.
//!
//! Each format is a table, a tree of [`MessageType`]s: the fields as Google's API documents them, the shape of each, and
//! what Firegate does with it. One walk compares a file with its table and reports everything: unknown fields (kept and noted,
//! refused where they would be missed), values of the wrong shape, fields that have no effect here. docs/compat.md is made
//! from the same tables. After that a module reads what it needs by [`Located`], and checks what the words mean.
//!
//! ```
//! use firegate_files::diagnostic::{Diagnostic, Diagnostics, code};
//! use firegate_files::google_file::{Field, Form, GoogleFile, MessageType, Part, Shape};
//!
//! static ZONE: MessageType = MessageType {
//!     name: "Zone",
//!     kind: Some("compute#zone"),
//!     fields: &[
//!         Field::output_only("kind", Shape::Text),
//!         Field::evaluated("name", Shape::Text),
//!         Field::evaluated("weight", Shape::Integer),
//!         Field::evaluated("state", Shape::Word(&["UP", "DOWN"])),
//!     ],
//! };
//!
//! let mut diagnostics = Diagnostics::new();
//! let text = "kind: compute#zone\nname: a\nweight: '1001'\nstate: UP\ncolour: red\n";
//! let file = GoogleFile::parse("zone.yaml", text, &ZONE, &mut diagnostics).unwrap();
//! let weight = file.root().get("weight").unwrap();
//! assert_eq!(weight.integer(), Some(1001));
//! assert_eq!(weight.place().map(|place| place.line), Some(3));
//! weight.report(&mut diagnostics, Part::Value, Diagnostic::error(code::QUANTITY, "at most 1000"));
//! assert!(diagnostics.to_string().contains("`Zone` has no field `colour`"), "{diagnostics}");
//! assert_eq!(file.export(Form::Yaml), "name: a\nweight: '1001'\nstate: UP\ncolour: red\n");
//! ```

mod conformity;
mod export;
mod located;
mod message_type;

use std::sync::Arc;

pub use export::Form;
pub use located::{Located, last_segment};
pub use message_type::{Field, MessageType, Shape, Treatment};

pub use crate::yaml::Part;

use crate::diagnostic::{Diagnostics, YamlPath};
use crate::limits::{GOOGLE_FILE_BYTES_MAX, GOOGLE_FILE_NODES_MAX};
use crate::yaml::{self, Bounds, Document, Value};

/// How much a file of Google's may hold.
pub(crate) const BOUNDS: Bounds =
    Bounds { bytes_max: GOOGLE_FILE_BYTES_MAX, nodes_max: GOOGLE_FILE_NODES_MAX };

/// A file of Google's, compared with its format.
#[derive(Clone, Debug)]
pub struct GoogleFile {
    document: Document,
    format: &'static MessageType,
    /// Where the messages begin: the root, or the elements of the list that some commands print.
    roots: Vec<YamlPath>,
}

impl GoogleFile {
    /// Reads YAML or JSON that holds one message and compares it with its format. `name` is what the diagnostics call the file.
    ///
    /// Nothing is returned where there is no message to read. Otherwise the file may still have errors, which are in
    /// `diagnostics`; values of a wrong shape read as absent.
    pub fn parse(
        name: &str,
        text: &str,
        format: &'static MessageType,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let document = yaml::parse_within(name, text, BOUNDS, diagnostics)?;
        let root = match &document.root.value {
            Value::Sequence(nodes) if nodes.len() == 1 => YamlPath::root().index(0),
            _ => YamlPath::root(),
        };
        Self { document, format, roots: vec![root] }.checked(diagnostics)
    }

    /// The same for a file that may hold any number of messages: one, as `describe` and `export` print it, or those of a
    /// `list`, in JSON or as documents of YAML.
    pub fn parse_list(
        name: &str,
        text: &str,
        format: &'static MessageType,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let document = yaml::parse_stream(name, text, BOUNDS, diagnostics)?;
        let roots = match &document.root.value {
            Value::Sequence(nodes) => (0..nodes.len()).map(|number| YamlPath::root().index(number)).collect(),
            _ => vec![YamlPath::root()],
        };
        Self { document, format, roots }.checked(diagnostics)
    }

    /// Compares the file with its format. Fields by a slightly other name are errors, by which the file is refused; they
    /// are read as what was meant all the same, so that what is in them is checked too, and nothing is said to be missing
    /// that is there.
    fn checked(mut self, diagnostics: &mut Diagnostics) -> Option<Self> {
        let slips = conformity::check(&self, diagnostics)?;
        // The inner ones first, for their paths go through the outer ones.
        slips.iter().rev().for_each(|slip| self.document.rename(&slip.path, slip.meant));
        Some(self)
    }

    /// The message that the file holds, the first of several.
    pub fn root(&self) -> Located<'_> {
        self.located(self.roots.first().unwrap_or(&YamlPath::root()))
    }

    /// All messages that the file holds.
    pub fn messages(&self) -> impl Iterator<Item = Located<'_>> {
        self.roots.iter().map(|root| self.located(root))
    }

    fn located(&self, root: &YamlPath) -> Located<'_> {
        let node = self.document.get(root).unwrap_or(&self.document.root);
        Located::new(&self.document, node, root.clone())
    }

    /// The file's name.
    pub fn name(&self) -> &Arc<str> {
        self.document.file()
    }

    /// The format it was compared with.
    pub fn format(&self) -> &'static MessageType {
        self.format
    }
}

#[cfg(test)]
mod tests;
