//! Where in the configuration something stands: what the checked model does not remember is looked up in the file's tree.

use std::fmt;

use firegate_core::route::RulePlaceInFile;
use firegate_files::diagnostic::{Place, YamlPath};
use firegate_files::iam_policy::Grant;
use firegate_files::yaml::{Document, Part};
use serde::Serialize;

/// A file and a line of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FileLine {
    /// The file.
    pub file: String,
    /// The line, from 1; none where only the file is known.
    pub line: Option<usize>,
}

/// The places of a configuration; of one that came from flags there are none.
#[derive(Clone, Copy, Debug)]
pub(in crate::explain) struct Places<'a> {
    pub(in crate::explain) document: Option<&'a Document>,
}

impl Places<'_> {
    /// Where a key stands, by its path: `users.tenants`.
    pub(in crate::explain) fn of(self, path: &str) -> Option<FileLine> {
        self.at(&path.split('.').fold(YamlPath::root(), |path, key| path.key(key)))
    }

    /// Where the settings of a backend stand, or one of them.
    pub(in crate::explain) fn of_backend(self, name: &str, key: Option<&str>) -> Option<FileLine> {
        let backend = YamlPath::root().key("backends").key(name);
        self.at(&key.map_or_else(|| backend.clone(), |key| backend.key(key)))
    }

    /// Where a rule of the routes stands, in whatever form they are.
    pub(in crate::explain) fn of_route(self, place: &RulePlaceInFile) -> Option<FileLine> {
        if let Some(file) = &place.file {
            return Some(FileLine { file: file.to_string(), line: place.line });
        }
        let index = place.path.strip_prefix("routes[")?.strip_suffix(']')?.parse().ok()?;
        let route = YamlPath::root().key("routes").index(index);
        // A block of lines begins where its first key stands.
        let first = self.document?.keys(&route).first().and_then(|key| self.at(&route.key(key)));
        first.or_else(|| self.at(&route)).or_else(|| self.of("backends"))
    }

    /// Where a member of a backend stands, which is the one at `position` of its list.
    pub(in crate::explain) fn of_grant(
        self,
        backend: &str,
        position: usize,
        grant: &Grant,
    ) -> Option<FileLine> {
        if let Some(place) = &grant.place {
            return Some(place.into());
        }
        let of_backend = YamlPath::root().key("backends").key(backend).key("allow");
        [of_backend, YamlPath::root().key("allow")]
            .iter()
            .filter(|list| self.document.is_some_and(|document| document.get(list).is_some()))
            .find_map(|list| self.at(&list.index(position)).or_else(|| self.at(list)))
    }

    /// Where it is said who may call a backend.
    pub(in crate::explain) fn of_access(self, backend: &str) -> Option<FileLine> {
        let keys = ["allow", "iam_policy"];
        let of_backend = keys.iter().find_map(|key| self.of_backend(backend, Some(key)));
        of_backend.or_else(|| self.of("allow")).or_else(|| self.of_backend(backend, None))
    }

    fn at(self, path: &YamlPath) -> Option<FileLine> {
        self.document?.place(path, Part::Value).as_ref().map(FileLine::from)
    }
}

impl From<&Place> for FileLine {
    fn from(place: &Place) -> Self {
        Self { file: place.file.to_string(), line: Some(place.line) }
    }
}

impl FileLine {
    /// What a message writes as `file:line`.
    pub(in crate::explain) fn parse(text: &str) -> Self {
        match text.rsplit_once(':').map(|(file, line)| (file, line.parse())) {
            Some((file, Ok(line))) => Self { file: file.to_owned(), line: Some(line) },
            _ => Self { file: text.to_owned(), line: None },
        }
    }
}

impl fmt::Display for FileLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}", self.file),
            None => formatter.write_str(&self.file),
        }
    }
}
