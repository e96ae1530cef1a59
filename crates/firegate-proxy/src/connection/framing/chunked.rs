//! A chunked body (RFC 9112, section 7.1), read octet by octet where it frames and passed over where it is data.

use super::octets::is_token;
use super::violation::Violation;
use crate::limits::{
    CHUNK_EXTENSIONS_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
};

/// A chunked body that is being read.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    size: u64,
    digits: usize,
    /// Of the whole body.
    extension_bytes: usize,
    /// The trailers as they came, each with its line's end.
    trailers: Vec<u8>,
    trailer_fields: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
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

impl Chunked {
    /// Begins with the first chunk.
    pub(super) const fn new() -> Self {
        Self {
            state: State::Size,
            size: 0,
            digits: 0,
            extension_bytes: 0,
            trailers: Vec::new(),
            trailer_fields: 0,
        }
    }

    /// Whether the last byte was read.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::End
    }

    /// The trailers as they came, lines of names and values.
    pub(super) fn into_trailers(self) -> Vec<u8> {
        self.trailers
    }

    /// Whether the next byte is the body's own.
    pub(super) fn is_in_data(&self) -> bool {
        self.state == State::Data
    }

    /// Takes so much of a chunk's data as there is, and returns how much of the bytes that is.
    pub(super) fn take_data(&mut self, bytes: &[u8]) -> usize {
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
    pub(super) fn read_framing(&mut self, bytes: &[u8]) -> Result<usize, (usize, Violation)> {
        let mut at = 0;
        while !self.is_over() && !self.is_in_data() {
            let Some(octet) = bytes.get(at) else { break };
            self.state = self.step(*octet).map_err(|violation| (at, violation))?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, octet: u8) -> Result<State, Violation> {
        match (self.state, octet) {
            (State::Size, octet) => self.size_digit(octet),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, octet) => self.extension(octet),
            (State::SizeLf, b'\n') if self.size == 0 => Ok(State::TrailerStart),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::SizeLf, _) => Err(Violation::ChunkSize),
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
            (State::Data | State::DataCr | State::DataLf | State::End, _) => Err(Violation::ChunkEnd),
        }
    }

    fn size_digit(&mut self, octet: u8) -> Result<State, Violation> {
        if let Some(digit) = (octet as char).to_digit(16) {
            self.digits += 1;
            self.size = self.size * 16 + u64::from(digit);
            return if self.digits <= CHUNK_SIZE_DIGITS_MAX {
                Ok(State::Size)
            } else {
                Err(Violation::ChunkSize)
            };
        }
        match octet {
            b'\r' if self.digits > 0 => Ok(State::SizeLf),
            b';' if self.digits > 0 => Ok(State::Extension),
            _ => Err(Violation::ChunkSize),
        }
    }

    /// Nobody needs extensions, but clients that sign their chunks send them. They are bounded and not read.
    fn extension(&mut self, octet: u8) -> Result<State, Violation> {
        self.extension_bytes += 1;
        if octet.is_ascii_control() && octet != b'\t' || self.extension_bytes > CHUNK_EXTENSIONS_BYTES_MAX {
            return Err(Violation::ChunkExtension);
        }
        Ok(State::Extension)
    }

    fn trailer(&mut self, octet: u8) -> Result<State, Violation> {
        if self.trailers.len() == TRAILER_BYTES_MAX {
            return Err(Violation::Trailer);
        }
        self.trailers.push(octet);
        match (self.state, octet) {
            (State::TrailerStart, octet) if is_token(octet) => {
                self.trailer_fields += 1;
                if self.trailer_fields > TRAILER_FIELDS_MAX {
                    return Err(Violation::Trailer);
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
            _ => Err(Violation::Trailer),
        }
    }
}
