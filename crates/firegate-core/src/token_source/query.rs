//! The query's `access_token` (RFC 6750, section 2.3), where nothing else is possible.

use percent_encoding::percent_decode_str;

use crate::reason::Reason;

/// The parameter's name, and that of the subprotocol before a token.
pub const ACCESS_TOKEN: &str = "access_token";

/// The parameter's value. It is not decoded: a token has no character that needs an escape.
pub(super) fn access_token(query: &str) -> Result<Option<&str>, Reason> {
    let mut values = query.split('&').filter(|parameter| is_access_token(parameter));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(parameter), None) => Ok(Some(parameter.split_once('=').map_or("", |(_, value)| value))),
        (Some(_), Some(_)) => Err(Reason::CredentialAmbiguous),
    }
}

/// Whether a parameter has the name, also if its letters are escaped: a service would read it so.
fn is_access_token(parameter: &str) -> bool {
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    percent_decode_str(name).eq(ACCESS_TOKEN.bytes())
}

/// The query without the parameter; other parameters stay byte for byte. `None` if there are none.
pub fn query_without_access_token(query: &str) -> Option<String> {
    let kept = query.split('&').filter(|parameter| !is_access_token(parameter)).collect::<Vec<_>>();
    (!kept.is_empty()).then(|| kept.join("&"))
}
