//! The opening handshake of a WebSocket: an upgrade over HTTP/1 (RFC 6455, section 4), an extended CONNECT over HTTP/2 (RFC
//! 8441). The service is asked by an upgrade in both cases; for a client that speaks HTTP/2 Firegate makes the key and
//! checks the answer to it, which over HTTP/1 the client does itself.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use firegate_core::reason::{Code, Stage};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::strip_hop_by_hop;
use crate::door::{Refused, fault};

/// RFC 6455, section 1.3.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The one version of the protocol (RFC 6455, section 4.1).
const WEB_SOCKET_VERSION: HeaderValue = HeaderValue::from_static("13");

/// A handshake that a client began.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// The key that Firegate made, for a client that speaks HTTP/2.
    key: Option<HeaderValue>,
}

impl Handshake {
    /// The handshake of a client that speaks this version of HTTP.
    ///
    /// # Errors
    /// If there is no randomness for a key.
    pub(crate) fn begin(version: Version) -> Result<Self, Refused> {
        if version != Version::HTTP_2 {
            return Ok(Self { key: None });
        }
        let mut nonce = [0; 16];
        let key = SystemRandom::new().fill(&mut nonce).ok();
        let key = key.and_then(|()| HeaderValue::from_str(&STANDARD.encode(nonce)).ok());
        let key = key.ok_or_else(|| fault(Code::Internal, Stage::Upstream, "there is no randomness"))?;
        Ok(Self { key: Some(key) })
    }

    /// Asks the service to switch.
    pub(crate) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Some(key) = &self.key {
            headers.insert(SEC_WEBSOCKET_KEY, key.clone());
            headers.entry(SEC_WEBSOCKET_VERSION).or_insert(WEB_SOCKET_VERSION);
        }
    }

    /// Whether the service, which says that it switches, switches to this very WebSocket.
    pub(crate) fn is_confirmed_by(&self, headers: &HeaderMap) -> bool {
        let is_web_socket =
            headers.get(UPGRADE).is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let is_answer = |key: &HeaderValue| {
            let accept = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
            accept == Some(accept_of(key).as_bytes())
        };
        is_web_socket && self.key.as_ref().is_none_or(is_answer)
    }

    /// Whether an answer that switches nothing would be taken for a WebSocket by the client: for an extended CONNECT every
    /// success means that it is open.
    pub(crate) fn is_misled_by(&self, status: StatusCode) -> bool {
        self.key.is_some() && status.is_success()
    }

    /// Makes the client's answer out of the service's.
    pub(crate) fn answer(&self, headers: &mut HeaderMap) -> StatusCode {
        strip_hop_by_hop(headers);
        if self.key.is_some() {
            headers.remove(SEC_WEBSOCKET_ACCEPT);
            return StatusCode::OK;
        }
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        StatusCode::SWITCHING_PROTOCOLS
    }
}

/// What a service answers to a key (RFC 6455, section 4.2.2).
fn accept_of(key: &HeaderValue) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), ACCEPT_GUID].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_the_rfcs() {
        // RFC 6455, section 1.3.
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept_of(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_service_has_to_confirm_what_was_asked() {
        let mut answer = HeaderMap::new();
        let over_http1 = Handshake::begin(Version::HTTP_11).expect("a handshake");
        assert!(!over_http1.is_confirmed_by(&answer));
        answer.insert(UPGRADE, HeaderValue::from_static("h2c"));
        assert!(!over_http1.is_confirmed_by(&answer));
        answer.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        assert!(over_http1.is_confirmed_by(&answer));

        let over_http2 = Handshake::begin(Version::HTTP_2).expect("a handshake");
        assert!(!over_http2.is_confirmed_by(&answer), "without an answer to the key");
        let mut asked = HeaderMap::new();
        over_http2.ask(&mut asked);
        let other = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        answer.insert(SEC_WEBSOCKET_ACCEPT, accept_of(&other).parse().expect("a value"));
        assert!(!over_http2.is_confirmed_by(&answer), "with the answer to another key");
        answer.insert(SEC_WEBSOCKET_ACCEPT, accept_of(&asked[SEC_WEBSOCKET_KEY]).parse().expect("a value"));
        assert!(over_http2.is_confirmed_by(&answer));
        assert_eq!(over_http2.answer(&mut answer), StatusCode::OK);
        assert!(answer.is_empty(), "nothing of an upgrade goes over HTTP/2: {answer:?}");
    }
}
