//! The bytes of a connection as a sequence of frames, and how many of those that do nothing a client may still send.

use tokio::time::Instant;

use crate::limits::{
    HTTP2_IDLE_FRAMES_BURST, HTTP2_IDLE_FRAMES_PER_SECOND, HTTP2_WINDOW_UPDATE_BYTES_MIN,
    HTTP2_WINDOW_UPDATES_BURST, HTTP2_WINDOW_UPDATES_EARNED_MAX, HTTP2_WINDOW_UPDATES_PER_DATA_FRAME,
    HTTP2_WINDOW_UPDATES_PER_SECOND,
};

/// How long the client's preface is, which comes before the first frame.
const PREFACE_BYTES: usize = 24;

/// How long a frame's header is.
const HEADER_BYTES: usize = 9;

/// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;

/// What a client does that no client has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Offence {
    #[error("it does not begin with SETTINGS")]
    NoSettings,
    #[error("it sends too many frames that do nothing")]
    IdleFrames,
    #[error("it sends more WINDOW_UPDATE frames than it was sent data for")]
    WindowUpdates,
}

/// Where the frames of one direction begin and end.
#[derive(Debug)]
struct Frames {
    header: [u8; HEADER_BYTES],
    /// How much of the next frame's header was read.
    header_bytes: usize,
    /// How much of the frame, or of the preface, is still to come.
    payload_bytes: usize,
}

impl Frames {
    /// Begins so many bytes before the first frame.
    fn behind(bytes: usize) -> Self {
        Self { header: [0; HEADER_BYTES], header_bytes: 0, payload_bytes: bytes }
    }

    /// Goes on to the end of the frame that is under way. `false` if there has to be more of it.
    fn end(&mut self, bytes: &mut &[u8]) -> bool {
        let payload = self.payload_bytes.min(bytes.len());
        *bytes = bytes.get(payload..).unwrap_or_default();
        self.payload_bytes -= payload;
        self.payload_bytes == 0
    }

    /// Goes on to the end of the next frame's header, and says its type and its flags. `None` if there has to be more of it.
    fn begin(&mut self, bytes: &mut &[u8]) -> Option<(u8, u8)> {
        let missing = self.header.get_mut(self.header_bytes..)?;
        let count = missing.len().min(bytes.len());
        for (place, byte) in missing.iter_mut().zip(*bytes) {
            *place = *byte;
        }
        *bytes = bytes.get(count..).unwrap_or_default();
        self.header_bytes += count;
        if self.header_bytes < HEADER_BYTES {
            return None;
        }
        let [high, middle, low, kind, flags, ..] = self.header;
        self.header_bytes = 0;
        self.payload_bytes = u32::from_be_bytes([0, high, middle, low]) as usize;
        Some((kind, flags))
    }
}

/// Counts the frames of one connection.
#[derive(Debug)]
pub(super) struct Meter {
    incoming: Frames,
    outgoing: Frames,
    has_settings: bool,
    /// What was found in the frame that is under way.
    offence: Option<Offence>,
    idle_frames: Allowance,
    window_updates: Allowance,
    /// Bytes that were sent to the client and not counted for it yet.
    sent_bytes: u32,
    /// Pings that it may send for the frames of DATA that it was sent.
    earned_pings: u32,
    /// Streams that it may reset for the heads of answers, and trailers, that it was sent: a load balancer's streams are many
    /// users', of whom some leave before their answer.
    earned_resets: u32,
}

impl Meter {
    /// Begins before the preface.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            incoming: Frames::behind(PREFACE_BYTES),
            outgoing: Frames::behind(0),
            has_settings: false,
            offence: None,
            idle_frames: Allowance::new(HTTP2_IDLE_FRAMES_BURST, HTTP2_IDLE_FRAMES_PER_SECOND, now),
            window_updates: Allowance::new(HTTP2_WINDOW_UPDATES_BURST, HTTP2_WINDOW_UPDATES_PER_SECOND, now),
            sent_bytes: 0,
            earned_pings: 0,
            earned_resets: 0,
        }
    }

    /// Whether the first frame was what it has to be.
    pub(super) fn has_settings(&self) -> bool {
        self.has_settings
    }

    /// These bytes were sent to the client, which may now tell to have read them. Small messages make small frames, and some
    /// clients tell of each.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        let count = self.sent_bytes.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.window_updates.earn(count / HTTP2_WINDOW_UPDATE_BYTES_MIN);
        self.sent_bytes = count % HTTP2_WINDOW_UPDATE_BYTES_MIN;
        while self.outgoing.end(&mut bytes) {
            let Some((kind, _)) = self.outgoing.begin(&mut bytes) else { return };
            match kind {
                DATA if self.outgoing.payload_bytes > 0 => {
                    self.window_updates.earn(HTTP2_WINDOW_UPDATES_PER_DATA_FRAME);
                    self.earned_pings = (self.earned_pings + 1).min(HTTP2_WINDOW_UPDATES_EARNED_MAX);
                }
                HEADERS => self.earned_resets = (self.earned_resets + 1).min(HTTP2_IDLE_FRAMES_BURST),
                _ => {}
            }
        }
    }

    /// Counts the frames of what was read. After an offence the connection has to end.
    ///
    /// # Errors
    /// How many bytes there are up to the end of the frame that is one too many, and what that is.
    pub(super) fn read(&mut self, bytes: &[u8], now: Instant) -> Result<(), (usize, Offence)> {
        let mut rest = bytes;
        while self.incoming.end(&mut rest) {
            // The frame goes on as a whole: h2 has to be told at the border between two.
            if let Some(offence) = self.offence {
                return Err((bytes.len() - rest.len(), offence));
            }
            let Some((kind, flags)) = self.incoming.begin(&mut rest) else { break };
            self.count(kind, flags, now);
        }
        Ok(())
    }

    fn count(&mut self, kind: u8, flags: u8, now: Instant) {
        let is_affordable = match kind {
            _ if !self.has_settings && kind != SETTINGS => {
                self.offence = Some(Offence::NoSettings);
                return;
            }
            // Streams are bounded by h2, and so are the blocks of their headers.
            HEADERS | CONTINUATION => return,
            DATA if self.incoming.payload_bytes > 0 || flags & END_STREAM != 0 => return,
            WINDOW_UPDATE => self.window_updates.spend(now).ok_or(Offence::WindowUpdates),
            PING if self.earned_pings > 0 => {
                self.earned_pings -= 1;
                return;
            }
            RST_STREAM if self.earned_resets > 0 => {
                self.earned_resets -= 1;
                return;
            }
            // SETTINGS and PING, which have to be answered; RST_STREAM, PRIORITY, empty DATA, and types that nobody knows.
            _ => self.idle_frames.spend(now).ok_or(Offence::IdleFrames),
        };
        self.has_settings |= kind == SETTINGS;
        self.offence = is_affordable.err();
    }
}

/// How many frames may come: at once, and in the long run.
#[derive(Debug)]
struct Allowance {
    left: u32,
    burst: u32,
    per_second: u32,
    since: Instant,
}

impl Allowance {
    fn new(burst: u32, per_second: u32, now: Instant) -> Self {
        Self { left: burst, burst, per_second, since: now }
    }

    /// Allows more than would come by waiting.
    fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(HTTP2_WINDOW_UPDATES_EARNED_MAX.max(self.burst));
    }

    /// Takes one, if there is one left.
    fn spend(&mut self, now: Instant) -> Option<()> {
        if self.left == 0 {
            let milliseconds = now.saturating_duration_since(self.since).as_millis();
            let grown = milliseconds * u128::from(self.per_second) / 1000;
            self.left = u32::try_from(grown).unwrap_or(u32::MAX).min(self.burst);
            if self.left > 0 {
                self.since = now;
            }
        }
        self.left = self.left.checked_sub(1)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a length").to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEADER_BYTES + payload, 0xff);
        bytes
    }

    fn begin() -> Vec<u8> {
        [vec![b'p'; PREFACE_BYTES], frame(SETTINGS, 0, 6)].concat()
    }

    /// The verdict on bytes: `None`, or after how many of them there is which offence.
    #[track_caller]
    fn check(bytes: &[u8], expected: Option<(usize, Offence)>) {
        let now = Instant::now();
        assert_eq!(Meter::new(now).read(bytes, now).err(), expected);
        for size in [1, 2, 7, 9, 10, 1000] {
            let (mut meter, mut passed) = (Meter::new(now), 0);
            let verdict = bytes.chunks(size).find_map(|piece| {
                let verdict = meter.read(piece, now).err().map(|(count, offence)| (passed + count, offence));
                passed += piece.len();
                verdict
            });
            assert_eq!(verdict, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_connection_begins_with_settings() {
        check(&begin(), None);
        let ping = [vec![b'p'; PREFACE_BYTES], frame(PING, 0, 8), begin()].concat();
        check(&ping, Some((PREFACE_BYTES + HEADER_BYTES + 8, Offence::NoSettings)));
        check(&[vec![b'p'; PREFACE_BYTES], vec![0; 5]].concat(), None);
    }

    #[test]
    fn frames_that_do_nothing_are_counted_and_others_are_not() {
        let most = HTTP2_IDLE_FRAMES_BURST as usize - 1;
        for idle in [
            frame(PING, 0, 8),
            frame(SETTINGS, 0, 0),
            frame(RST_STREAM, 0, 4),
            frame(2, 0, 5),
            frame(DATA, 0, 0),
            frame(0xfe, 0, 0),
        ] {
            let within = [begin(), idle.repeat(most)].concat();
            check(&within, None);
            let length = within.len() + idle.len();
            check(&[within, idle.repeat(3)].concat(), Some((length, Offence::IdleFrames)));
        }
        for busy in [frame(HEADERS, 4, 20), frame(CONTINUATION, 4, 0), frame(DATA, 0, 1), frame(DATA, 1, 0)] {
            check(&[begin(), busy.repeat(3 * most)].concat(), None);
        }
    }

    #[test]
    fn windows_are_updated_as_far_as_something_was_sent() {
        let (now, update) = (Instant::now(), frame(WINDOW_UPDATE, 0, 4));
        let mut meter = Meter::new(now);
        let within = [begin(), update.repeat(HTTP2_WINDOW_UPDATES_BURST as usize)].concat();
        assert_eq!(meter.read(&within, now), Ok(()));
        for _ in 0..10 {
            meter.sent(&[0xff; HTTP2_WINDOW_UPDATE_BYTES_MIN as usize / 2]);
        }
        assert_eq!(meter.read(&update.repeat(5), now), Ok(()));
        assert_eq!(meter.read(&update, now), Err((update.len(), Offence::WindowUpdates)));
    }

    /// Go's gRPC answers each message that comes by itself by an update of the connection's window and a ping.
    #[test]
    fn whoever_is_sent_small_messages_may_answer_each() {
        let (now, message, ping) = (Instant::now(), frame(DATA, 0, 15), frame(PING, 0, 8));
        let answer = [frame(WINDOW_UPDATE, 0, 4), frame(WINDOW_UPDATE, 0, 4), ping.clone()].concat();
        for size in [1, 9, 10, 1000] {
            let mut meter = Meter::new(now);
            assert_eq!(meter.read(&begin(), now), Ok(()));
            for _ in 0..3 * HTTP2_WINDOW_UPDATES_BURST {
                message.chunks(size).for_each(|piece| meter.sent(piece));
                assert_eq!(meter.read(&answer, now), Ok(()), "in pieces of {size}");
            }
            // What it is sent otherwise, as the answers to its pings, earns none.
            frame(PING, 1, 8).chunks(size).for_each(|piece| meter.sent(piece));
            assert_eq!(meter.read(&ping.repeat(HTTP2_IDLE_FRAMES_BURST as usize - 1), now), Ok(()));
            assert_eq!(meter.read(&ping, now), Err((ping.len(), Offence::IdleFrames)));
        }
    }

    /// A load balancer's connection carries many users, and some of them always leave before their answer.
    #[test]
    fn whoever_is_answered_may_reset_as_many_streams_and_no_more() {
        let (now, answer, reset) = (Instant::now(), frame(HEADERS, 4, 20), frame(RST_STREAM, 0, 4));
        let burst = HTTP2_IDLE_FRAMES_BURST as usize;
        let mut meter = Meter::new(now);
        assert_eq!(meter.read(&begin(), now), Ok(()));
        for _ in 0..3 * burst {
            meter.sent(&answer);
            assert_eq!(meter.read(&reset, now), Ok(()));
        }
        // A rapid reset is none the faster for what was answered long ago.
        (0..3 * burst).for_each(|_| meter.sent(&answer));
        assert_eq!(meter.read(&reset.repeat(2 * burst - 1), now), Ok(()));
        assert_eq!(meter.read(&reset, now), Err((reset.len(), Offence::IdleFrames)));
    }

    #[test]
    fn what_is_left_over_of_what_was_earned_is_bounded() {
        let (now, update) = (Instant::now(), frame(WINDOW_UPDATE, 0, 4));
        let mut meter = Meter::new(now);
        assert_eq!(meter.read(&begin(), now), Ok(()));
        let answers = vec![0xff; (HTTP2_WINDOW_UPDATES_EARNED_MAX * HTTP2_WINDOW_UPDATE_BYTES_MIN) as usize];
        (0..3).for_each(|_| meter.sent(&answers));
        let most = update.repeat(HTTP2_WINDOW_UPDATES_EARNED_MAX as usize);
        assert_eq!(meter.read(&most, now), Ok(()));
        assert_eq!(meter.read(&update, now), Err((update.len(), Offence::WindowUpdates)));
    }

    #[test]
    fn what_was_used_up_grows_again_up_to_the_burst() {
        let now = Instant::now();
        let mut allowance = Allowance::new(5, 10, now);
        let mut spend = |after: u64| {
            let now = now + Duration::from_millis(after);
            std::iter::from_fn(|| allowance.spend(now)).take(100).count()
        };
        assert_eq!([spend(0), spend(99), spend(200), spend(60_000)], [5, 0, 2, 5]);
    }
}
