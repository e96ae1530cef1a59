//! The frames of a WebSocket, as far as a proxy needs them: where they end, and the Close frame (RFC 6455, sections 5.2
//! and 5.5.1).

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use super::boundary::Framing;

const OPCODE_CLOSE: u8 = 0x8;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// How long a control frame's payload may be, the code of a Close frame included.
const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

/// The headers of WebSocket frames.
#[derive(Debug)]
pub(crate) struct WebSocketFraming;

impl Framing for WebSocketFraming {
    fn payload(header: &[u8]) -> Option<u64> {
        let second = *header.get(1)?;
        let (extended, length) = match second & !MASKED {
            126 => (2, u64::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?))),
            127 => (8, u64::from_be_bytes(header.get(2..10)?.try_into().ok()?)),
            short => (0, u64::from(short)),
        };
        let mask = if second & MASKED == 0 { 0 } else { 4 };
        (header.len() >= 2 + extended + mask).then_some(length)
    }

    fn is_last(header: &[u8]) -> bool {
        header.first().is_some_and(|first| first & 0x0f == OPCODE_CLOSE)
    }
}

/// Why a WebSocket is closed (RFC 6455, section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseCode {
    /// The endpoint goes away.
    GoingAway,
    /// What goes on here is against the rules.
    PolicyViolation,
    /// Something is wrong with the endpoint itself.
    InternalError,
}

impl CloseCode {
    const fn number(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::PolicyViolation => 1008,
            Self::InternalError => 1011,
        }
    }
}

/// A Close frame as a server sends it.
pub(crate) fn close_to_client(code: CloseCode, reason: &str) -> Vec<u8> {
    let payload = close_payload(code, reason);
    let mut frame = vec![FINAL | OPCODE_CLOSE, length(&payload)];
    frame.extend(payload);
    frame
}

/// A Close frame as a client sends it: masked, because servers refuse any other (section 5.1).
pub(crate) fn close_to_service(code: CloseCode, reason: &str) -> Vec<u8> {
    let payload = close_payload(code, reason);
    let mut mask = [0; 4];
    // The mask keeps payloads of strangers from being read as another protocol by what is between. This one is our own,
    // and good under any mask.
    let _ = SystemRandom::new().fill(&mut mask);
    let mut frame = vec![FINAL | OPCODE_CLOSE, MASKED | length(&payload)];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn close_payload(code: CloseCode, reason: &str) -> Vec<u8> {
    let mut payload = code.number().to_be_bytes().to_vec();
    payload.extend(reason.bytes().take(CONTROL_PAYLOAD_BYTES_MAX - payload.len()));
    payload
}

/// The length of a control frame's payload, which always fits.
fn length(payload: &[u8]) -> u8 {
    u8::try_from(payload.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_frames_are_masked_towards_the_service_alone() {
        let plain = close_to_client(CloseCode::PolicyViolation, "over");
        assert_eq!(plain, [0x88, 6, 0x03, 0xf0, b'o', b'v', b'e', b'r']);
        let masked = close_to_service(CloseCode::GoingAway, "over");
        assert_eq!(masked[..2], [0x88, 0x80 | 6]);
        let (mask, payload) = masked[2..].split_at(4);
        let unmasked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        assert_eq!(unmasked.collect::<Vec<_>>(), [0x03, 0xe9, b'o', b'v', b'e', b'r']);
        assert_eq!(close_to_client(CloseCode::GoingAway, &"x".repeat(500)).len(), 127);
    }
}
