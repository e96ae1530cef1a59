//! URL masks of serverless network endpoint groups: which service, and which tag of it, a request's own URL names.
//!
//! `<tag>.example.com/<service>` reads `v2.example.com/orders/7` as the tag `v2` of the service `orders`. A request is not
//! taken apart here: which services there are is known, so the URL of each is written out, and a request is looked up
//! among them. What is not there is found nowhere.

use std::fmt::{self, Display, Formatter};

/// A URL mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlMask {
    text: String,
    /// Empty for any host.
    host: Vec<Part>,
    segments: Vec<Vec<Part>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Service,
    Tag,
}

/// Why a text is no URL mask, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MaskError {
    /// What is wrong.
    pub message: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

impl UrlMask {
    /// Reads a mask, for example `<service>.example.com`, `example.com/v1/<service>` or `/<service>`.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, MaskError> {
        let wrong = |message, hint| Err(MaskError { message, hint });
        if text.contains("://") {
            return wrong("it has a scheme", "write the host and path alone");
        }
        if text.contains(['?', '#', '*', '%']) {
            return wrong("it holds more than a host and a path", "write the host and path alone");
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let host = parts(&host.to_ascii_lowercase())?;
        let path = path.trim_end_matches('/');
        let segments = if path.is_empty() {
            Vec::new()
        } else {
            path.split('/').map(parts).collect::<Result<_, _>>()?
        };
        let mask = Self { text: text.to_owned(), host, segments };
        for placeholder in [Part::Service, Part::Tag] {
            if mask.count(&placeholder) > 1 {
                return wrong("it names the same thing twice", "keep one `<service>` and one `<tag>`");
            }
        }
        if mask.count(&Part::Service) + mask.count(&Part::Tag) == 0 {
            return wrong("it names no part of the URL", "write `<service>`, `<tag>` or both into it");
        }
        Ok(mask)
    }

    /// Whether a request's URL names the service.
    pub fn names_service(&self) -> bool {
        self.count(&Part::Service) > 0
    }

    /// Whether a request's URL names the tag.
    pub fn names_tag(&self) -> bool {
        self.count(&Part::Tag) > 0
    }

    /// What the URLs of a service, or of a tag of it, begin with. It is what [`Self::key_of`] makes of them.
    pub fn key(&self, service: &str, tag: &str) -> String {
        let fill = |parts: &[Part]| {
            let texts = parts.iter().map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Service => service,
                Part::Tag => tag,
            });
            texts.collect::<String>()
        };
        self.segments.iter().fold(fill(&self.host), |key, segment| key + "/" + &fill(segment))
    }

    /// What of a request's host and path says whose it is; none if the path is shorter than the mask's. A port is not
    /// looked at, and the path may go on.
    pub fn key_of(&self, host: &str, path: &str) -> Option<String> {
        let mut key = String::new();
        if !self.host.is_empty() {
            let name = match host.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
                _ => host,
            };
            key.push_str(&name.to_ascii_lowercase());
        }
        let mut segments = path.strip_prefix('/')?.split('/');
        for _ in &self.segments {
            key.push('/');
            key.push_str(segments.next()?);
        }
        Some(key)
    }

    fn count(&self, wanted: &Part) -> usize {
        self.host.iter().chain(self.segments.iter().flatten()).filter(|part| *part == wanted).count()
    }
}

impl Display for UrlMask {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The parts of a host or of a segment.
fn parts(text: &str) -> Result<Vec<Part>, MaskError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (before, from) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        if !before.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'>' | b'\\')) {
            return Err(MaskError {
                message: "it holds what no URL has",
                hint: "write letters, digits, `-` and `.`",
            });
        }
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        rest = match from {
            "" => "",
            _ => match (from.strip_prefix("<service>"), from.strip_prefix("<tag>")) {
                (Some(after), _) => {
                    parts.push(Part::Service);
                    after
                }
                (None, Some(after)) => {
                    parts.push(Part::Tag);
                    after
                }
                (None, None) => {
                    return Err(MaskError {
                        message: "it has a placeholder that Cloud Run has not",
                        hint: "the placeholders are `<service>` and `<tag>`",
                    });
                }
            },
        };
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_found_by_what_its_url_begins_with() {
        let check = |mask: &str, host: &str, path: &str, service: &str, tag: &str, expected: bool| {
            let mask = UrlMask::parse(mask).unwrap();
            let found = mask.key_of(host, path).is_some_and(|key| key == mask.key(service, tag));
            assert_eq!(found, expected, "{mask} {host} {path}");
        };
        check("<service>.example.com", "orders.example.com", "/", "orders", "", true);
        check("<service>.example.com", "Orders.Example.com:8443", "/x/y", "orders", "", true);
        check("<service>.example.com", "orders.example.com.evil.com", "/", "orders", "", false);
        check("<service>.example.com", "a.orders.example.com", "/", "orders", "", false);
        check("example.com/<service>", "example.com", "/orders", "orders", "", true);
        check("example.com/<service>", "example.com", "/orders/7", "orders", "", true);
        check("example.com/<service>", "example.com", "/orders-2", "orders", "", false);
        check("example.com/<service>", "other.com", "/orders", "orders", "", false);
        check("example.com/<service>", "example.com", "/Orders", "orders", "", false);
        check("example.com/v1/<service>/", "example.com", "/v1/orders/7", "orders", "", true);
        check("example.com/v1/<service>", "example.com", "/v1", "orders", "", false);
        check("/<service>", "any.host", "/orders/", "orders", "", true);
        check("<tag>.domain.com/<service>", "foo1.domain.com", "/bar1", "bar1", "foo1", true);
        check("<tag>.domain.com/<service>", "foo1.domain.com", "/bar1", "bar1", "foo2", false);
        check("<tag>---<service>.example.com", "v2---orders.example.com", "/", "orders", "v2", true);
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        for text in [
            "",
            "example.com",
            "https://<service>.example.com",
            "<service>.<service>",
            "<version>.example.com",
            "<service",
            "a b/<service>",
            "/<service>?x",
            "/<service>/*",
        ] {
            assert!(UrlMask::parse(text).is_err(), "{text}");
        }
    }
}
