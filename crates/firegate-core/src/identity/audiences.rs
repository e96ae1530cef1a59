use crate::snapshot::Backend;

/// The audiences of the backend that a request is for: those of all its endpoints, because an exchanged token is for the
/// service, and not for the region that happens to answer.
#[derive(Clone, Copy, Debug)]
pub enum Audiences<'a> {
    /// The audiences of this backend's endpoints.
    Of(&'a Backend),
    /// This audience alone.
    One(&'a str),
}

impl Audiences<'_> {
    /// All of them.
    pub(super) fn listed(self) -> Vec<String> {
        match self {
            Self::Of(backend) => backend.audiences().map(str::to_owned).collect(),
            Self::One(audience) => vec![audience.to_owned()],
        }
    }
}

impl<'a> From<&'a str> for Audiences<'a> {
    fn from(audience: &'a str) -> Self {
        Self::One(audience)
    }
}

impl<'a> From<&'a Backend> for Audiences<'a> {
    fn from(backend: &'a Backend) -> Self {
        Self::Of(backend)
    }
}
