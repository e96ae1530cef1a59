//! A token among the subprotocols that a WebSocket offers (RFC 6455, section 1.9): the one thing that a page can choose
//! when it opens one. `new WebSocket(url, ["access_token", token, "chat"])`.

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_PROTOCOL;

use super::{ACCESS_TOKEN, without_segments};
use crate::reason::{AmbiguousCredential, Reason};

const UNREADABLE: Reason = Reason::CredentialAmbiguous(AmbiguousCredential::Subprotocols);

/// The element after `access_token`.
pub(super) fn access_token(headers: &HeaderMap) -> Result<Option<&str>, Reason> {
    let mut elements = Vec::new();
    for field in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let text = field.to_str().map_err(|_| UNREADABLE)?;
        elements.extend(text.split(',').map(str::trim));
    }
    let mut marks = elements.iter().enumerate().filter(|(_, element)| is_mark(element.as_bytes()));
    match (marks.next(), marks.next()) {
        (None, _) => Ok(None),
        (Some((index, _)), None) => match elements.get(index + 1) {
            Some(token) if !token.is_empty() => Ok(Some(token)),
            _ => Err(UNREADABLE),
        },
        (Some(_), Some(_)) => Err(UNREADABLE),
    }
}

fn is_mark(element: &[u8]) -> bool {
    element.trim_ascii() == ACCESS_TOKEN.as_bytes()
}

/// Removes `access_token` and the element after it; other subprotocols stay byte for byte.
pub(super) fn without_access_token_protocol(headers: &mut HeaderMap) {
    let mut follows_mark = false;
    super::rewrite(headers, &SEC_WEBSOCKET_PROTOCOL, |field| {
        without_segments(field, b',', |element| {
            let is_token = std::mem::replace(&mut follows_mark, is_mark(element));
            is_token || follows_mark
        })
    });
}
