//! By what requests are counted, and the hash of it. Nothing of a client is kept but a hash under a secret, so that nobody can
//! choose values that fall together, and nobody reads addresses or users out of a store.

use std::hash::Hasher;

use aws_lc_rs::digest::{Context, SHA256};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::rule::RuleIdentity;

/// A kind of key: Google's `enforceOnKeyType`, and Firegate's own for the verified user and the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `ALL`: every request has the same key.
    All,
    /// `IP`: the client's address.
    Ip,
    /// `HTTP_HEADER`: the value of a header.
    HttpHeader,
    /// `XFF_IP`: the first address of `X-Forwarded-For`.
    XffIp,
    /// `HTTP_COOKIE`: the value of a cookie.
    HttpCookie,
    /// `HTTP_PATH`: the path.
    HttpPath,
    /// `SNI`: the server's name in the TLS handshake.
    Sni,
    /// `REGION_CODE`: the client's country.
    RegionCode,
    /// `TLS_JA3_FINGERPRINT`.
    TlsJa3Fingerprint,
    /// `TLS_JA4_FINGERPRINT`.
    TlsJa4Fingerprint,
    /// `USER_IP`: the address in one of the policy's `userIpRequestHeaders`.
    UserIp,
    /// `ASN`: the number of the client's autonomous system.
    Asn,
    /// `AUTH_UID`: the verified user. The value names their tenant too, because ids repeat across tenants.
    AuthUid,
    /// `AUTH_TENANT`: the verified user's tenant.
    AuthTenant,
    /// `AUTH_CLAIM`: a claim of the verified user's token.
    AuthClaim,
    /// `APP_ID`: the app that App Check has verified.
    AppId,
}

impl KeyType {
    /// Its name in a policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Ip => "IP",
            Self::HttpHeader => "HTTP_HEADER",
            Self::XffIp => "XFF_IP",
            Self::HttpCookie => "HTTP_COOKIE",
            Self::HttpPath => "HTTP_PATH",
            Self::Sni => "SNI",
            Self::RegionCode => "REGION_CODE",
            Self::TlsJa3Fingerprint => "TLS_JA3_FINGERPRINT",
            Self::TlsJa4Fingerprint => "TLS_JA4_FINGERPRINT",
            Self::UserIp => "USER_IP",
            Self::Asn => "ASN",
            Self::AuthUid => "AUTH_UID",
            Self::AuthTenant => "AUTH_TENANT",
            Self::AuthClaim => "AUTH_CLAIM",
            Self::AppId => "APP_ID",
        }
    }
}

/// One part of a key, as it was found in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPart<'a> {
    /// What it was taken from in the end: `IP` where a user was asked for and there is none. The type is part of the key, so
    /// that no header's value is taken for an address.
    pub key_type: KeyType,
    /// The value; empty for [`KeyType::All`].
    pub value: &'a [u8],
}

/// A key in this process: the hash of a rule and a key's parts, under the process' own secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalKey {
    /// Two halves, because a number of 128 bits would be padded to 16 bytes wherever it stands.
    pub(super) high: u64,
    pub(super) low: u64,
}

/// A key in a store that several processes share: the same in all of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreKey([u8; 16]);

impl LocalKey {
    /// Hashes with SipHash-1-3, which is a keyed function: without the secret nobody finds two keys with the same hash.
    pub(super) fn of(secret: &[u8; 16], rule: RuleIdentity, parts: &[KeyPart<'_>]) -> Self {
        let mut hasher = SipHasher13::new_with_key(secret);
        write(rule, parts, |bytes| hasher.write(bytes));
        let hash = hasher.finish128();
        Self { high: hash.h1, low: hash.h2 }
    }
}

impl StoreKey {
    /// Hashes with SHA-256, half of which is kept: the secret may be known to whoever knows the configuration, and still nobody
    /// finds two keys with the same hash.
    pub(super) fn of(secret: &[u8; 32], rule: RuleIdentity, parts: &[KeyPart<'_>]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(secret);
        write(rule, parts, |bytes| context.update(bytes));
        let digest = context.finish();
        let mut half = [0; 16];
        half.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(half)
    }
}

/// Hexadecimal, as it stands in a store.
impl std::fmt::Display for StoreKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

/// Each part with its type and its length before it, so that no two keys are written alike.
fn write(rule: RuleIdentity, parts: &[KeyPart<'_>], mut bytes: impl FnMut(&[u8])) {
    bytes(&rule.0);
    for part in parts {
        let [a, b, c, d] = u32::try_from(part.value.len()).unwrap_or(u32::MAX).to_le_bytes();
        bytes(&[part.key_type as u8, a, b, c, d]);
        bytes(part.value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn part(key_type: KeyType, value: &str) -> KeyPart<'_> {
        KeyPart { key_type, value: value.as_bytes() }
    }

    #[test]
    fn keys_differ_in_rule_type_order_and_where_a_part_ends() {
        let keys: [&[KeyPart<'_>]; 7] = [
            &[],
            &[part(KeyType::All, "")],
            &[part(KeyType::Ip, "192.0.2.1")],
            &[part(KeyType::HttpHeader, "192.0.2.1")],
            &[part(KeyType::HttpHeader, "ab"), part(KeyType::HttpHeader, "c")],
            &[part(KeyType::HttpHeader, "a"), part(KeyType::HttpHeader, "bc")],
            &[part(KeyType::HttpHeader, "c"), part(KeyType::HttpHeader, "ab")],
        ];
        let rules = [RuleIdentity([1; 16]), RuleIdentity([2; 16])];
        let all = || rules.iter().flat_map(|rule| keys.iter().map(move |key| (*rule, *key)));
        let local = all().map(|(rule, key)| LocalKey::of(&[7; 16], rule, key)).collect::<HashSet<_>>();
        let stored = all().map(|(rule, key)| StoreKey::of(&[7; 32], rule, key)).collect::<HashSet<_>>();
        assert_eq!((local.len(), stored.len()), (14, 14));
    }

    #[test]
    fn the_secret_decides_the_hash() {
        let key = [part(KeyType::Ip, "192.0.2.1")];
        let rule = RuleIdentity([1; 16]);
        assert_eq!(LocalKey::of(&[7; 16], rule, &key), LocalKey::of(&[7; 16], rule, &key));
        assert_ne!(LocalKey::of(&[7; 16], rule, &key), LocalKey::of(&[8; 16], rule, &key));
        let stored = StoreKey::of(&[7; 32], rule, &key);
        assert_eq!(stored, StoreKey::of(&[7; 32], rule, &key));
        assert_ne!(stored, StoreKey::of(&[8; 32], rule, &key));
        assert_eq!(stored.to_string().len(), 32);
    }
}
