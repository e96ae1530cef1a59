//! A chunked body (RFC 9112, section 7.1). Pure: bytes go in, pieces come out.

use bytes::{Buf, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

use super::error::Malformed;
use crate::limits::{CHUNK_EXTENSIONS_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX};

/// How many hexadecimal digits a number may have that is counted with.
const SIZE_DIGITS_MAX: u32 = u64::BITS / 4;

/// A chunked body that is being read.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    /// What is still to come of the chunk.
    size: u64,
    digits: u32,
    /// Of the whole body.
    extension_bytes: usize,
    /// The trailer section, as far as it has come.
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Some servers write the size in a field of fixed length.
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a line of the trailer section, or of the one that ends it.
    Line,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl Chunks {
    /// Whether the last byte was read.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::End
    }

    /// Takes the next piece out of what has come; `None` if there is none, because more has to come or the body
    /// [is over](Self::is_over).
    ///
    /// # Errors
    /// If this is no chunked body.
    pub(super) fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame<bytes::Bytes>>, Malformed> {
        if let Some(data) = self.read_data(buffer) {
            return Ok(Some(data));
        }
        let mut at = 0;
        while let Some(octet) = buffer.get(at)
            && !matches!(self.state, State::Data | State::End)
        {
            self.state = self.step(*octet)?;
            at += 1;
        }
        buffer.advance(at);
        if self.is_over() && !self.trailers.is_empty() {
            let section = std::mem::take(&mut self.trailers);
            return parse_trailers(&section).map(|trailers| Some(Frame::trailers(trailers)));
        }
        Ok(self.read_data(buffer))
    }

    fn read_data(&mut self, buffer: &mut BytesMut) -> Option<Frame<bytes::Bytes>> {
        if self.state != State::Data || buffer.is_empty() {
            return None;
        }
        let count = buffer.len().min(usize::try_from(self.size).unwrap_or(usize::MAX));
        self.size -= count as u64;
        if self.size == 0 {
            self.state = State::DataCr;
        }
        Some(Frame::data(buffer.split_to(count).freeze()))
    }

    fn step(&mut self, octet: u8) -> Result<State, Malformed> {
        match (self.state, octet) {
            (State::Size, octet) => self.size_digit(octet),
            (State::SizeSpace, b' ' | b'\t') => self.extension(octet).map(|_| State::SizeSpace),
            (State::SizeSpace, b';') => Ok(State::Extension),
            (State::SizeSpace | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, octet) => self.extension(octet),
            (State::SizeLf, b'\n') if self.size == 0 => Ok(State::Line),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::SizeSpace | State::SizeLf, _) => Err(Malformed::ChunkSize),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.digits = 0;
                Ok(State::Size)
            }
            (State::Data | State::DataCr | State::DataLf | State::End, _) => Err(Malformed::ChunkEnd),
            (State::Line, b'\r') if self.trailers.is_empty() => Ok(State::EndLf),
            (State::EndLf, b'\n') if self.trailers.is_empty() => Ok(State::End),
            (State::Line | State::Trailer | State::TrailerLf | State::EndLf, octet) => self.trailer(octet),
        }
    }

    fn size_digit(&mut self, octet: u8) -> Result<State, Malformed> {
        if let Some(digit) = (octet as char).to_digit(16) {
            self.digits += 1;
            // A chunk that ends has no size left.
            self.size = self.size << 4 | u64::from(digit);
            return if self.digits <= SIZE_DIGITS_MAX { Ok(State::Size) } else { Err(Malformed::ChunkSize) };
        }
        match octet {
            _ if self.digits == 0 => Err(Malformed::ChunkSize),
            b'\r' => Ok(State::SizeLf),
            b';' => Ok(State::Extension),
            b' ' | b'\t' => self.extension(octet).map(|_| State::SizeSpace),
            _ => Err(Malformed::ChunkSize),
        }
    }

    /// Nobody needs extensions. They are bounded and not read.
    fn extension(&mut self, octet: u8) -> Result<State, Malformed> {
        self.extension_bytes += 1;
        if octet.is_ascii_control() && octet != b'\t' || self.extension_bytes > CHUNK_EXTENSIONS_BYTES_MAX {
            return Err(Malformed::ChunkExtension);
        }
        Ok(State::Extension)
    }

    /// Lines end with CR and LF alone; what is in them is looked at when all have come.
    fn trailer(&mut self, octet: u8) -> Result<State, Malformed> {
        if self.trailers.len() >= TRAILER_BYTES_MAX {
            return Err(Malformed::Trailers);
        }
        self.trailers.push(octet);
        match (self.state, octet) {
            (State::Line, b'\r') => Ok(State::EndLf),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::Line | State::Trailer, octet) if !octet.is_ascii_control() || octet == b'\t' => {
                Ok(State::Trailer)
            }
            (State::TrailerLf, b'\n') => Ok(State::Line),
            (State::EndLf, b'\n') => Ok(State::End),
            _ => Err(Malformed::Trailers),
        }
    }
}

fn parse_trailers(section: &[u8]) -> Result<HeaderMap, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(section, &mut fields) else {
        return Err(Malformed::Trailers);
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Trailers)?;
        trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| Malformed::Trailers)?);
    }
    Ok(trailers)
}
