//! The path of a value in a YAML file.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// The path of a value: keys and list positions from the root of the file.
///
/// It prints as `backends.api.url` or `routes[2].path`; a key that holds anything but letters, digits, `_` and `-` is
/// quoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct YamlPath(Vec<Segment>);

/// One step of a [`YamlPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Segment {
    /// A key of a mapping.
    Key(Arc<str>),
    /// A position in a list, from 0.
    Index(usize),
}

impl YamlPath {
    /// The root of the file.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of `key` in the mapping at this path.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.then(Segment::Key(key.into()))
    }

    /// The path of the element at `index`, from 0, of the list at this path.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    /// Whether this is the path of the whole file.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The path of the mapping or list that holds the value; the root is its own.
    #[must_use]
    pub fn parent(&self) -> Self {
        let mut segments = self.0.clone();
        segments.pop();
        Self(segments)
    }

    fn then(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl Display for YamlPath {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(formatter, "[{index}]")?,
                Segment::Key(key) => {
                    if position > 0 {
                        formatter.write_str(".")?;
                    }
                    let bare = !key.is_empty()
                        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
                    if bare { formatter.write_str(key)? } else { write!(formatter, "{key:?}")? }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_as_it_is_spoken() {
        let root = YamlPath::root();
        let check = |path: YamlPath, expected: &str| assert_eq!(path.to_string(), expected);
        check(root.clone(), "");
        check(root.key("backends").key("api").key("url"), "backends.api.url");
        check(root.key("routes").index(2).key("path"), "routes[2].path");
        check(root.key("backends").key("a.b"), "backends.\"a.b\"");
        check(root.key("routes").index(0).parent(), "routes");
    }
}
