//! Where the frames of a stream begin and end, followed without keeping any of them: Firegate may put a frame of its own
//! between two of the peers', and nowhere else.

use std::marker::PhantomData;

/// The longest header of a frame: that of a masked WebSocket frame with a length of 64 bits (RFC 6455, section 5.2).
const HEADER_BYTES_MAX: usize = 14;

/// How a protocol frames what it sends.
pub(crate) trait Framing {
    /// How long the payload is that this header announces; `None` if more of the header has yet to come.
    fn payload(header: &[u8]) -> Option<u64>;

    /// Whether nothing follows the frame with this header.
    fn is_last(header: &[u8]) -> bool;
}

/// Follows one direction of a stream.
#[derive(Debug)]
pub(crate) struct Boundary<F> {
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    payload_left: u64,
    has_ended: bool,
    framing: PhantomData<F>,
}

impl<F> Default for Boundary<F> {
    fn default() -> Self {
        Self {
            header: [0; HEADER_BYTES_MAX],
            header_bytes: 0,
            payload_left: 0,
            has_ended: false,
            framing: PhantomData,
        }
    }
}

impl<F: Framing> Boundary<F> {
    /// Whether what went by so far ends with a whole frame.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.header_bytes == 0 && self.payload_left == 0
    }

    /// Whether the peer has sent its last frame.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Notes that these bytes went by.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let passed = self.pass_frame(bytes);
            bytes = bytes.get(passed..).unwrap_or_default();
        }
    }

    /// How many of the next bytes still belong to the frame that is under way.
    pub(crate) fn rest_of_frame(&self, bytes: &[u8]) -> usize {
        if self.is_between_frames() { 0 } else { Self { ..*self }.pass_frame(bytes) }
    }

    /// Goes to the end of a frame, or of the bytes, and says how many they were.
    fn pass_frame(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while self.payload_left == 0 {
            let Some(byte) = bytes.get(passed) else { return passed };
            passed += 1;
            // Every protocol's header is complete when it is this long.
            let Some(place) = self.header.get_mut(self.header_bytes) else { return bytes.len() };
            *place = *byte;
            self.header_bytes += 1;
            let header = self.header.get(..self.header_bytes).unwrap_or_default();
            if let Some(payload) = F::payload(header) {
                self.has_ended |= F::is_last(header);
                self.header_bytes = 0;
                self.payload_left = payload;
                if payload == 0 {
                    return passed;
                }
            }
        }
        let rest = bytes.len() - passed;
        let payload = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(rest);
        self.payload_left -= payload as u64;
        passed + payload
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stream::grpc::GrpcFraming;
    use crate::stream::web_socket::WebSocketFraming;

    fn grpc(payloads: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let (mut stream, mut ends) = (Vec::new(), Vec::new());
        for length in payloads {
            stream.push(0);
            stream.extend(u32::try_from(*length).expect("a length").to_be_bytes());
            stream.extend(std::iter::repeat_n(b'x', *length));
            ends.push(stream.len());
        }
        (stream, ends)
    }

    fn web_socket(payloads: &[usize], masked: bool) -> (Vec<u8>, Vec<usize>) {
        let (mut stream, mut ends) = (Vec::new(), Vec::new());
        let mask = if masked { 0x80 } else { 0 };
        for length in payloads {
            stream.push(0x82);
            match *length {
                0..=125 => stream.push(mask | u8::try_from(*length).expect("a length")),
                126..=65_535 => {
                    stream.push(mask | 126);
                    stream.extend(u16::try_from(*length).expect("a length").to_be_bytes());
                }
                _ => {
                    stream.push(mask | 127);
                    stream.extend((*length as u64).to_be_bytes());
                }
            }
            if masked {
                stream.extend([1, 2, 3, 4]);
            }
            stream.extend(std::iter::repeat_n(b'x', *length));
            ends.push(stream.len());
        }
        (stream, ends)
    }

    /// However a stream is cut into pieces, its frames end where they end.
    fn check<F: Framing>(stream: &[u8], ends: &[usize], cut: usize) -> Result<(), TestCaseError> {
        let mut boundary = Boundary::<F>::default();
        boundary.pass(&stream[..cut]);
        let next = ends.iter().copied().find(|end| *end >= cut).unwrap_or(stream.len());
        let is_between = cut == 0 || ends.contains(&cut);
        prop_assert_eq!(boundary.is_between_frames(), is_between);
        let rest = boundary.rest_of_frame(&stream[cut..]);
        prop_assert_eq!(rest, if is_between { 0 } else { next - cut });
        boundary.pass(&stream[cut..]);
        prop_assert!(boundary.is_between_frames());
        Ok(())
    }

    proptest! {
        #[test]
        fn frames_end_where_they_end_however_they_are_cut(
            payloads in proptest::collection::vec(prop_oneof![0_usize..300, 60_000_usize..70_000], 1..5),
            at in 0.0_f64..=1.0,
        ) {
            let cut = |stream: &[u8]| (stream.len() as f64 * at) as usize;
            let (stream, ends) = grpc(&payloads);
            check::<GrpcFraming>(&stream, &ends, cut(&stream))?;
            for masked in [false, true] {
                let (stream, ends) = web_socket(&payloads, masked);
                check::<WebSocketFraming>(&stream, &ends, cut(&stream))?;
            }
        }
    }

    #[test]
    fn a_close_frame_ends_a_web_socket_and_a_length_without_end_is_never_over() {
        let mut boundary = Boundary::<WebSocketFraming>::default();
        boundary.pass(&[0x81, 1, b'x']);
        assert!(!boundary.has_ended());
        boundary.pass(&[0x88, 2, 0x03, 0xe8]);
        assert!(boundary.has_ended() && boundary.is_between_frames());
        let mut boundary = Boundary::<WebSocketFraming>::default();
        boundary.pass(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]);
        boundary.pass(&[0; 100_000]);
        assert!(!boundary.is_between_frames());
        assert_eq!(boundary.rest_of_frame(&[0; 10]), 10);
    }
}
