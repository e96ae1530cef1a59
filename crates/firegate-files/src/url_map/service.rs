//! The names of backend services, as URL maps and other exports refer to them.

use std::fmt::{self, Display, Formatter};

/// The name of a backend service: the last segment of its URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(String);

impl ServiceName {
    /// The name in a full or partial URL of a backend service, or the bare name.
    pub fn of(reference: &str) -> Option<Self> {
        let name = reference.rsplit('/').next().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (!name.is_empty() && name.bytes().all(plain)).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for ServiceName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
