//! The opening handshake of a WebSocket: an upgrade over HTTP/1 (RFC 6455, section 4), an extended CONNECT over HTTP/2 (RFC
//! 8441), each way on either side. A key and the answer to it are for HTTP/1 alone: where only the service speaks that,
//! Firegate makes the key and checks the answer, and where only the client does, it answers the client's.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use firegate_core::reason::{Code, Stage};
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;

use super::strip_hop_by_hop;
use crate::refused::{Refused, fault};

/// RFC 6455, section 1.3.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The one version of the protocol (RFC 6455, section 4.1).
const WEB_SOCKET_VERSION: HeaderValue = HeaderValue::from_static("13");

/// A handshake that a client began.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// The key that Firegate made, for a client that speaks HTTP/2.
    key: Option<HeaderValue>,
    /// The client's own, if it sent one.
    clients_key: Option<HeaderValue>,
}

impl Handshake {
    /// The handshake of a client that speaks this version of HTTP.
    ///
    /// # Errors
    /// If there is no randomness for a key.
    pub(crate) fn begin(version: Version, headers: &HeaderMap) -> Result<Self, Refused> {
        if version != Version::HTTP_2 {
            let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
            let clients_key = keys.next().filter(|_| keys.next().is_none()).cloned();
            return Ok(Self { key: None, clients_key });
        }
        let mut nonce = [0; 16];
        let key = SystemRandom::new().fill(&mut nonce).ok();
        let key = key.and_then(|()| HeaderValue::from_str(&STANDARD.encode(nonce)).ok());
        let key = key.ok_or_else(|| fault(Code::Internal, Stage::Upstream, "there is no randomness"))?;
        Ok(Self { key: Some(key), clients_key: None })
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

    /// Whether there is what a service that speaks HTTP/2 does not answer: a key of the client's, or none that is needed.
    pub(crate) fn can_be_answered(&self) -> bool {
        self.key.is_some() || self.clients_key.is_some()
    }

    /// Whether the service, which says that it switches, switches to this very WebSocket. Over HTTP/2 its word is enough: by an
    /// extended CONNECT it was asked for this protocol alone.
    pub(crate) fn is_confirmed_by(&self, version: Version, headers: &HeaderMap) -> bool {
        if version == Version::HTTP_2 {
            return true;
        }
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

    /// Makes the client's answer out of the service's, which came by this version.
    pub(crate) fn answer(&self, version: Version, headers: &mut HeaderMap) -> StatusCode {
        strip_hop_by_hop(headers);
        // It has no content (RFC 9110, section 8.6), and an HTTP/2 client would wait for what is said of it.
        headers.remove(CONTENT_LENGTH);
        if self.key.is_some() {
            headers.remove(SEC_WEBSOCKET_ACCEPT);
            return StatusCode::OK;
        }
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if version == Version::HTTP_2 {
            let answer = self.clients_key.as_ref().map(accept_of);
            // What base64 makes is a header's value.
            if let Some(answer) = answer.and_then(|answer| HeaderValue::try_from(answer).ok()) {
                headers.insert(SEC_WEBSOCKET_ACCEPT, answer);
            }
        }
        StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Whether an answer to a handshake opens the WebSocket (RFC 6455, section 4.1; RFC 8441, section 5).
pub(crate) fn is_switched<B>(response: &Response<B>, wants_upgrade: bool) -> bool {
    match response.version() {
        Version::HTTP_2 => wants_upgrade && response.status() == StatusCode::OK,
        _ => response.status() == StatusCode::SWITCHING_PROTOCOLS,
    }
}

/// Makes an upgrade an extended CONNECT (RFC 8441, section 5).
pub(super) fn ask_over_http2<B>(request: &mut Request<B>) {
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    // A length, even of nothing, would be one of the tunnel.
    for name in [CONNECTION, CONTENT_LENGTH, UPGRADE, SEC_WEBSOCKET_KEY] {
        request.headers_mut().remove(name);
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
        let over_http1 = Handshake::begin(Version::HTTP_11, &HeaderMap::new()).expect("a handshake");
        assert!(!over_http1.is_confirmed_by(Version::HTTP_11, &answer));
        answer.insert(UPGRADE, HeaderValue::from_static("h2c"));
        assert!(!over_http1.is_confirmed_by(Version::HTTP_11, &answer));
        answer.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        assert!(over_http1.is_confirmed_by(Version::HTTP_11, &answer));

        let over_http2 = Handshake::begin(Version::HTTP_2, &HeaderMap::new()).expect("a handshake");
        assert!(!over_http2.is_confirmed_by(Version::HTTP_11, &answer), "without an answer to the key");
        let mut asked = HeaderMap::new();
        over_http2.ask(&mut asked);
        let other = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        answer.insert(SEC_WEBSOCKET_ACCEPT, accept_of(&other).parse().expect("a value"));
        assert!(!over_http2.is_confirmed_by(Version::HTTP_11, &answer), "with the answer to another key");
        answer.insert(SEC_WEBSOCKET_ACCEPT, accept_of(&asked[SEC_WEBSOCKET_KEY]).parse().expect("a value"));
        assert!(over_http2.is_confirmed_by(Version::HTTP_11, &answer));
        assert_eq!(over_http2.answer(Version::HTTP_11, &mut answer), StatusCode::OK);
        assert!(answer.is_empty(), "nothing of an upgrade goes over HTTP/2: {answer:?}");
    }

    #[test]
    fn over_http2_a_service_is_asked_without_a_key_and_the_client_gets_its_answer() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let sent = HeaderMap::from_iter([(SEC_WEBSOCKET_KEY, key.clone())]);
        let handshake = Handshake::begin(Version::HTTP_11, &sent).expect("a handshake");
        assert!(handshake.can_be_answered());
        let mut request = Request::new(());
        *request.headers_mut() = sent;
        handshake.ask(request.headers_mut());
        ask_over_http2(&mut request);
        assert!(request.headers().is_empty() && request.method() == Method::CONNECT, "{request:?}");
        let mut answer = HeaderMap::new();
        assert!(handshake.is_confirmed_by(Version::HTTP_2, &answer));
        assert_eq!(handshake.answer(Version::HTTP_2, &mut answer), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer[SEC_WEBSOCKET_ACCEPT], accept_of(&key));
        let without = Handshake::begin(Version::HTTP_11, &HeaderMap::new()).expect("a handshake");
        assert!(!without.can_be_answered());
    }
}
