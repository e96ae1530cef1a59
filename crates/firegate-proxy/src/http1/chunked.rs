//! A chunked body (RFC 9112, section 7.1), read octet by octet where it frames and passed over where it is data. Pure: bytes go
//! in, and what they are comes out.

use super::octets::is_token;
use crate::limits::{
    CHUNK_EXTENSIONS_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
    UPSTREAM_CHUNK_SIZE_DIGITS_MAX,
};

/// A chunked body that is being read.
#[derive(Debug)]
pub(crate) struct Chunked {
    sender: Sender,
    state: State,
    size: u64,
    digits: usize,
    /// Of the whole body.
    extension_bytes: usize,
    /// The lines of the trailers as they came.
    trailers: Vec<u8>,
    trailer_fields: usize,
}

/// Who sends a body, which decides in how many ways the size of a chunk may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// In one way: whoever else has read the same bytes before Firegate may have read another one otherwise.
    Client,
    /// As services do, some of whom write it in a field of fixed length, and however large they like: nobody has read their
    /// framing before, and what they send is framed anew.
    Service,
}

/// What is wrong with a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkedError {
    #[error("a chunk's size is no hexadecimal number")]
    Size,
    #[error("a chunk's extensions are malformed or too long")]
    Extension,
    #[error("a chunk does not end where it said")]
    End,
    #[error("the trailers are malformed or too long")]
    Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// What fills the field that a service writes the size in.
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

impl Sender {
    fn size_digits_max(self) -> usize {
        match self {
            Self::Client => CHUNK_SIZE_DIGITS_MAX,
            Self::Service => UPSTREAM_CHUNK_SIZE_DIGITS_MAX,
        }
    }
}

impl Chunked {
    /// Begins with the first chunk.
    pub(crate) const fn new(sender: Sender) -> Self {
        Self {
            sender,
            state: State::Size,
            size: 0,
            digits: 0,
            extension_bytes: 0,
            trailers: Vec::new(),
            trailer_fields: 0,
        }
    }

    /// Whether the last byte was read.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::End
    }

    /// The lines of the trailers of a body that is over, for [`read_trailers`](super::read_trailers).
    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    /// Whether the next byte is the body's own.
    pub(crate) fn is_in_data(&self) -> bool {
        self.state == State::Data
    }

    /// Takes so much of a chunk's data as there is, and returns how much of the bytes that is. Only where they are data.
    pub(crate) fn take_data(&mut self, bytes: &[u8]) -> usize {
        let data = bytes.len().min(usize::try_from(self.size).unwrap_or(usize::MAX));
        self.size -= data as u64;
        if self.size == 0 {
            self.state = State::DataCr;
        }
        data
    }

    /// Reads on, up to the next chunk's data, to the body's end or to that of the bytes, and returns how many were read.
    ///
    /// # Errors
    /// How many bytes are right before the first one that is wrong, and what is wrong with it.
    pub(crate) fn read_framing(&mut self, bytes: &[u8]) -> Result<usize, (usize, ChunkedError)> {
        let mut at = 0;
        while !self.is_over() && !self.is_in_data() {
            let Some(octet) = bytes.get(at) else { break };
            self.state = self.step(*octet).map_err(|error| (at, error))?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, octet: u8) -> Result<State, ChunkedError> {
        match (self.state, octet) {
            (State::Size, octet) => self.size_digit(octet),
            (State::SizeSpace, b' ' | b'\t') => self.extension(octet).map(|_| State::SizeSpace),
            (State::SizeSpace, b';') => Ok(State::Extension),
            (State::SizeSpace | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, octet) => self.extension(octet),
            (State::SizeLf, b'\n') if self.size == 0 => Ok(State::TrailerStart),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::SizeSpace | State::SizeLf, _) => Err(ChunkedError::Size),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.digits = 0;
                Ok(State::Size)
            }
            (State::EndLf, b'\n') => Ok(State::End),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (
                State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLf
                | State::EndLf,
                octet,
            ) => self.trailer(octet),
            (State::Data | State::DataCr | State::DataLf | State::End, _) => Err(ChunkedError::End),
        }
    }

    fn size_digit(&mut self, octet: u8) -> Result<State, ChunkedError> {
        if let Some(digit) = (octet as char).to_digit(16) {
            self.digits += 1;
            if self.digits > self.sender.size_digits_max() {
                return Err(ChunkedError::Size);
            }
            // Of the chunk before, which has ended, no size is left.
            self.size = self.size << 4 | u64::from(digit);
            return Ok(State::Size);
        }
        match octet {
            _ if self.digits == 0 => Err(ChunkedError::Size),
            b'\r' => Ok(State::SizeLf),
            b';' => Ok(State::Extension),
            b' ' | b'\t' if self.sender == Sender::Service => self.extension(octet).map(|_| State::SizeSpace),
            _ => Err(ChunkedError::Size),
        }
    }

    /// Nobody needs extensions, but clients that sign their chunks send them. They are bounded and not read.
    fn extension(&mut self, octet: u8) -> Result<State, ChunkedError> {
        self.extension_bytes += 1;
        if octet.is_ascii_control() && octet != b'\t' || self.extension_bytes > CHUNK_EXTENSIONS_BYTES_MAX {
            return Err(ChunkedError::Extension);
        }
        Ok(State::Extension)
    }

    fn trailer(&mut self, octet: u8) -> Result<State, ChunkedError> {
        if self.trailers.len() == TRAILER_BYTES_MAX {
            return Err(ChunkedError::Trailers);
        }
        self.trailers.push(octet);
        match (self.state, octet) {
            (State::TrailerStart, octet) if is_token(octet) => {
                self.trailer_fields += 1;
                if self.trailer_fields > TRAILER_FIELDS_MAX {
                    return Err(ChunkedError::Trailers);
                }
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, octet) if is_token(octet) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, octet) if !octet.is_ascii_control() || octet == b'\t' => {
                Ok(State::TrailerValue)
            }
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(ChunkedError::Trailers),
        }
    }
}

// A size is counted with as it is.
const _: () = {
    assert!(CHUNK_SIZE_DIGITS_MAX <= UPSTREAM_CHUNK_SIZE_DIGITS_MAX);
    assert!(UPSTREAM_CHUNK_SIZE_DIGITS_MAX as u32 <= u64::BITS / 4);
};

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a body up to its first byte of data, or to the first that is wrong.
    fn read(sender: Sender, text: &str) -> Result<u64, (usize, ChunkedError)> {
        let mut chunked = Chunked::new(sender);
        let length = chunked.read_framing(text.as_bytes())?;
        assert!(chunked.is_in_data() && length == text.len(), "{text:?}");
        Ok(chunked.size)
    }

    #[test]
    fn a_service_may_write_sizes_as_a_client_may_not() {
        for (text, of_client, of_service) in [
            ("a;b=c\r\n", Ok(10), Ok(10)),
            ("FFFFFFFF\r\n", Ok(u32::MAX.into()), Ok(u32::MAX.into())),
            ("100000000\r\n", Err((8, ChunkedError::Size)), Ok(1 << 32)),
            ("ffffffffffffffff\r\n", Err((8, ChunkedError::Size)), Ok(u64::MAX)),
            ("00000000000000001\r\n", Err((8, ChunkedError::Size)), Err((16, ChunkedError::Size))),
            ("2 \t\r\n", Err((1, ChunkedError::Size)), Ok(2)),
            ("2 ;a\r\n", Err((1, ChunkedError::Size)), Ok(2)),
            ("2 2\r\n", Err((1, ChunkedError::Size)), Err((2, ChunkedError::Size))),
            (" 2\r\n", Err((0, ChunkedError::Size)), Err((0, ChunkedError::Size))),
        ] {
            assert_eq!(read(Sender::Client, text), of_client, "{text:?}");
            assert_eq!(read(Sender::Service, text), of_service, "{text:?}");
        }
    }
}
