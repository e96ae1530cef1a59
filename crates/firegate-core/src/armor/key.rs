//! What a limit counts by, out of a request.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use firegate_expr::Attributes as _;
use firegate_files::security_policy::Key;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode;

use super::Subject;
use crate::forwarded::network;
use crate::limiter::{KeyPart, KeyType};
use crate::limits::{RATE_LIMIT_KEY_BYTES_MAX, RATE_LIMIT_KEY_LOGGED_BYTES_MAX};
use crate::token_source::cookies_named;

/// A part of a key, as it was found.
#[derive(Debug)]
pub(super) struct FoundPart<'a> {
    /// What was asked for.
    asked: &'a Key,
    /// What it was taken from in the end.
    key_type: KeyType,
    value: Cow<'a, [u8]>,
}

/// Every part of a limit's key.
pub(super) fn find<'a>(keys: &'a [Key], subject: &'a Subject<'_>) -> Vec<FoundPart<'a>> {
    keys.iter().map(|key| FoundPart::of(key, subject)).collect()
}

impl<'a> FoundPart<'a> {
    /// What the documentation of Cloud Armor says each key falls back to; a user's to the address, never to everybody.
    fn of(key: &'a Key, subject: &'a Subject<'_>) -> Self {
        let found = |key_type, value| Self { asked: key, key_type, value };
        let or_all = |key_type, value: Option<Cow<'a, [u8]>>| match value {
            Some(value) => found(key_type, value),
            None => found(KeyType::All, Cow::Borrowed(&[])),
        };
        let or_ip = |key_type, value: Option<Cow<'a, [u8]>>| match value {
            Some(value) => found(key_type, value),
            None => found(KeyType::Ip, address(subject.facts.client)),
        };
        match key {
            Key::All => or_all(KeyType::All, None),
            Key::Ip => or_ip(KeyType::Ip, None),
            // The address that `behind` vouches for; without a proxy that may speak for others it is the client's own.
            Key::XffIp if subject.facts.is_vouched_for => {
                found(KeyType::XffIp, address(subject.facts.client))
            }
            Key::XffIp => or_ip(KeyType::Ip, None),
            Key::UserIp if subject.user_ip != subject.facts.client => {
                found(KeyType::UserIp, address(subject.user_ip))
            }
            Key::UserIp => or_ip(KeyType::Ip, None),
            Key::HttpHeader(name) => {
                let value = subject.header(name);
                let value = if name == AUTHORIZATION.as_str() { value.map(credential) } else { value };
                or_all(KeyType::HttpHeader, value.map(cut))
            }
            Key::HttpCookie(name) => or_all(KeyType::HttpCookie, cookie(subject, name).map(cut)),
            // As a server reads it that cuts parameters off, decodes slashes and takes capital letters for small ones: with
            // each of them a client would begin at nothing.
            Key::HttpPath => {
                let path = match subject.facts.path.most_thorough_reading() {
                    Cow::Borrowed(path) => Cow::Borrowed(path.as_bytes()),
                    Cow::Owned(path) => Cow::Owned(path.into_bytes()),
                };
                found(KeyType::HttpPath, cut(path))
            }
            Key::RegionCode => {
                let region = subject.location().and_then(|location| location.region.as_ref());
                or_all(KeyType::RegionCode, region.map(|region| Cow::Borrowed(region.as_slice())))
            }
            Key::Asn => {
                let asn = subject.location().and_then(|location| location.asn);
                or_all(KeyType::Asn, asn.map(|asn| Cow::Owned(asn.to_string().into_bytes())))
            }
            // What the connection's handshake said is not known here.
            Key::Sni | Key::TlsJa3Fingerprint | Key::TlsJa4Fingerprint => or_all(KeyType::All, None),
            Key::AuthUid => or_ip(
                KeyType::AuthUid,
                subject.user().map(|user| {
                    // Ids repeat across tenants, whose names hold no slash.
                    let tenant = user.tenant.as_deref().unwrap_or_default();
                    Cow::Owned(format!("{tenant}/{}", user.uid).into_bytes())
                }),
            ),
            Key::AuthTenant => {
                let tenant = subject.user().and_then(|user| user.tenant.as_deref());
                or_ip(KeyType::AuthTenant, tenant.map(|tenant| Cow::Borrowed(tenant.as_bytes())))
            }
            Key::AuthClaim(name) => {
                // As JSON, so that the text "1" is not the number 1.
                let claim = subject
                    .user()
                    .and_then(|user| user.claims.own().get(name))
                    .filter(|claim| !claim.is_null());
                or_ip(KeyType::AuthClaim, claim.map(|claim| Cow::Owned(claim.to_string().into_bytes())))
            }
            Key::AppId => or_ip(KeyType::AppId, subject.app_id().map(|app| Cow::Borrowed(app.as_bytes()))),
        }
    }

    /// The part as it is counted.
    pub(super) fn part(&self) -> KeyPart<'_> {
        KeyPart { key_type: self.key_type, value: &self.value }
    }

    fn is_secret(&self) -> bool {
        matches!(self.key_type, KeyType::HttpHeader | KeyType::HttpCookie | KeyType::AuthClaim)
    }
}

/// By what it is counted: `HTTP_HEADER(x-api-key)→ALL, IP`.
pub(super) fn description(parts: &[FoundPart<'_>]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(if text.is_empty() { "" } else { ", " });
        text.push_str(part.asked.type_name());
        if let Key::HttpHeader(name) | Key::HttpCookie(name) | Key::AuthClaim(name) = part.asked {
            // Writing to a String cannot fail.
            let _ = write!(text, "({name})");
        }
        if part.asked.type_name() != part.key_type.as_str() {
            let _ = write!(text, "→{}", part.key_type.as_str());
        }
    }
    text
}

/// The values, as far as they are no secrets.
pub(super) fn logged_value(parts: &[FoundPart<'_>]) -> String {
    let shown = parts.iter().filter(|part| !part.is_secret() && part.key_type != KeyType::All).map(|part| {
        let text = String::from_utf8_lossy(&part.value);
        text.chars().filter(|c| !c.is_control()).take(RATE_LIMIT_KEY_LOGGED_BYTES_MAX).collect::<String>()
    });
    shown.collect::<Vec<_>>().join(",")
}

/// The address of whoever counts as one client: who has a network of IPv6 would else begin at nothing with every request.
fn address<'a>(address: IpAddr) -> Cow<'a, [u8]> {
    let text = match network(address) {
        address @ IpAddr::V4(_) => address.to_string(),
        network @ IpAddr::V6(_) => format!("{network}/64"),
    };
    Cow::Owned(text.into_bytes())
}

/// Google counts by the first bytes of a value.
fn cut(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match value {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..RATE_LIMIT_KEY_BYTES_MAX).unwrap_or(bytes)),
        Cow::Owned(mut bytes) => {
            bytes.truncate(RATE_LIMIT_KEY_BYTES_MAX);
            Cow::Owned(bytes)
        }
    }
}

/// The first cookie with this name (RFC 6265, section 5.4). With several of other values, or a look-alike, a rule that is more
/// than tried out has refused the request before.
fn cookie<'a>(subject: &'a Subject<'_>, name: &str) -> Option<Cow<'a, [u8]>> {
    let values = cookies_named(subject.facts.headers, name)?;
    values.first().copied().map(read)
}

/// A cookie's value as servers read it that undo its escapes and take off its quotation marks: with each spelling a client
/// would begin at nothing.
fn read(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.iter().any(|byte| matches!(byte, b'%' | b'+' | b'"')) {
        return Cow::Borrowed(value);
    }
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    percent_decode(inner).map(|byte| if byte == b'+' { b' ' } else { byte }).collect()
}

/// A credential as everybody reads it, whatever the case of its scheme and the blanks behind that (RFC 9110, section 11.4).
fn credential(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    Cow::Owned([&scheme.to_ascii_lowercase(), rest.trim_ascii()].join(&b' '))
}
