//! A host that a service is told instead of its own, as both versions of HTTP say it.

use std::str::FromStr;

use http::HeaderValue;
use http::uri::Authority;

/// Such a host.
#[derive(Clone, Debug)]
pub(crate) struct ServiceHost {
    pub(super) authority: Authority,
    /// The same, as HTTP/1 says it.
    pub(super) header: HeaderValue,
}

/// A text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host of the route's rewrite is none")]
pub(crate) struct NoHost;

impl FromStr for ServiceHost {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let authority = text.parse::<Authority>().map_err(|_| NoHost)?;
        // An authority may name a user, whom a host has not.
        if text.contains('@') {
            return Err(NoHost);
        }
        Ok(Self { authority, header: HeaderValue::from_str(text).map_err(|_| NoHost)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_is_not_taken_for_one() {
        for text in ["b.example", "b.example:8443"] {
            let host = text.parse::<ServiceHost>().expect("a host");
            assert_eq!((host.authority.as_str(), host.header.as_bytes()), (text, text.as_bytes()));
        }
        for text in ["", "b.example/x", "b example", "a@b.example", "b.example:80:80", "b\r\nc"] {
            assert_eq!(text.parse::<ServiceHost>().err(), Some(NoHost), "{text:?}");
        }
    }
}
