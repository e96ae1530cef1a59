//! The query's `access_token` (RFC 6750, section 2.3), where nothing else is possible.

use percent_encoding::percent_decode_str;

use crate::parameter::may_be_read_as;
use crate::reason::{AmbiguousCredential, Reason, ambiguous};

/// The parameter's name, and that of the subprotocol before a token.
pub const ACCESS_TOKEN: &str = "access_token";

/// The parameter's value. It is not decoded: a token has no character that needs an escape.
pub(super) fn access_token(query: &str) -> Result<Option<&str>, Reason> {
    let behind_semicolon = query.split('&').flat_map(|parameter| parameter.split(';').skip(1));
    if query.split('&').any(is_look_alike)
        || behind_semicolon.into_iter().any(|part| is_access_token(part) || is_look_alike(part))
    {
        return ambiguous(AmbiguousCredential::QueryLookAlike);
    }
    let mut values = query.split('&').filter(|parameter| is_access_token(parameter));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(parameter), None) => Ok(Some(parameter.split_once('=').map_or("", |(_, value)| value))),
        (Some(_), Some(_)) => ambiguous(AmbiguousCredential::SeveralInQuery),
    }
}

/// Whether a parameter has the name, also if its letters are escaped: a service would read it so.
fn is_access_token(parameter: &str) -> bool {
    percent_decode_str(name_of(parameter)).eq(ACCESS_TOKEN.bytes())
}

/// Whether a parameter has the name for services that read queries more freely.
fn is_look_alike(parameter: &str) -> bool {
    may_be_read_as(name_of(parameter), ACCESS_TOKEN) && !is_access_token(parameter)
}

fn name_of(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

/// The query without the parameter; other parameters stay byte for byte. `None` if there are none.
pub fn query_without_access_token(query: &str) -> Option<String> {
    let kept = query.split('&').filter(|parameter| !is_access_token(parameter)).collect::<Vec<_>>();
    (!kept.is_empty()).then(|| kept.join("&"))
}
