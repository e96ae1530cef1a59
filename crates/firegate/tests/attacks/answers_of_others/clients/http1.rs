//! By HTTP/1.1, one request after the other, and some that do not wait for each other's answers.

use std::io;

use http::Method;
use tokio::io::{AsyncWriteExt as _, BufStream};

use super::super::asked::Plan;
use super::super::messages::{Framing, field, read_content, read_lines};
use super::super::wire::AnyWire;
use super::judge::{Answered, Origin, Trailer};
use super::{AT_ONCE, Client, Manner, Sending, Wants};

/// What came of a request.
pub(super) enum Came {
    Answer(Answered),
    /// The other side has switched.
    Switched(Origin),
    /// The client has left.
    Left,
}

impl Client {
    /// One connection after the other, each for as long as it goes on.
    pub(super) async fn by_http1(&mut self) {
        let mut sent = 0;
        while sent < self.terms.requests {
            let mut stream = BufStream::new(self.connect("http/1.1").await);
            let mut goes_on = true;
            while goes_on && sent < self.terms.requests {
                let together = if self.wants_web_socket() { Vec::new() } else { self.together() };
                goes_on = if together.is_empty() {
                    self.web_socket_by_http1(&mut stream).await
                } else {
                    self.exchange(&together, &mut stream).await
                };
                let count = together.len().max(1);
                sent += count;
                self.has_done(count);
            }
        }
    }

    /// One request, or several that do not wait for each other's answers.
    fn together(&mut self) -> Vec<Sending> {
        let first = self.sending();
        let mut together = vec![first];
        while together.last().is_some_and(|last| last.content.is_empty() && last.manner == Manner::Stays)
            && together.len() < AT_ONCE
        {
            let mut next = self.sending();
            if !next.asked.plan.is_whole() {
                // With the connection that ends behind a broken answer those before it may be lost (RFC 9112, section 9.3.2).
                next.asked.plan = Plan::Answer;
            }
            together.push(next);
        }
        together
    }

    /// Sends requests and reads their answers. Says whether the connection can be used again.
    async fn exchange(&mut self, together: &[Sending], stream: &mut BufStream<AnyWire>) -> bool {
        for sending in together {
            let bytes = self.message(sending);
            // The door may have closed; its answers say so.
            let _ = stream.write_all(&bytes).await;
            if sending.manner == Manner::LeavesUpload {
                let _ = stream.flush().await;
                self.told.left += 1;
                return false;
            }
        }
        let _ = stream.flush().await;
        for (index, sending) in together.iter().enumerate() {
            let (came, goes_on) = match read_answer(sending, stream).await {
                Ok(read) => read,
                Err(why) => {
                    self.found.add(format!("{} was not answered: {why}", sending.shown()));
                    return false;
                }
            };
            match came {
                Came::Answer(answered) => self.judge(sending, &answered),
                Came::Switched(origin) => self.found.add(format!("{}: {origin:?}", sending.shown())),
                Came::Left => self.told.left += 1,
            }
            if !goes_on {
                self.told.lost += together.len() - index - 1;
                return false;
            }
        }
        true
    }

    /// A request as bytes; half of its content, if the client leaves then.
    pub(super) fn message(&self, sending: &Sending) -> Vec<u8> {
        let Sending { asked, method, manner, content, is_chunked, expects, wants } = sending;
        let mut message = format!(
            "{method} {} HTTP/1.1\r\nHost: door.example\r\nAuthorization: Bearer {}\r\n",
            asked.path(),
            self.token(sending)
        )
        .into_bytes();
        if *expects {
            message.extend_from_slice(b"Expect: 100-continue\r\n");
        }
        if *wants != Wants::Answer {
            message.extend_from_slice(
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            );
        }
        let sent = if *manner == Manner::LeavesUpload { content.len() / 2 } else { content.len() };
        if content.is_empty() {
            message.extend_from_slice(b"\r\n");
        } else if *is_chunked {
            message.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in content[..sent].chunks(997) {
                message.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                message.extend_from_slice(chunk);
                message.extend_from_slice(b"\r\n");
            }
            if *manner != Manner::LeavesUpload {
                message.extend_from_slice(format!("0\r\nx-upload-to: {}\r\n\r\n", asked.number).as_bytes());
            }
        } else {
            message.extend_from_slice(format!("Content-Length: {}\r\n\r\n", content.len()).as_bytes());
            message.extend_from_slice(&content[..sent]);
        }
        message
    }
}

/// Reads an answer, and whether the connection goes on.
///
/// # Errors
/// If none comes.
pub(super) async fn read_answer(
    sending: &Sending,
    stream: &mut BufStream<AnyWire>,
) -> Result<(Came, bool), String> {
    let (status, fields) = loop {
        let lines = read_lines(stream).await.map_err(|error| error.to_string())?;
        let (first, fields) = lines.split_first().ok_or("an empty line")?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        let status = status.ok_or_else(|| format!("{first:?}"))?;
        if status >= 200 || status == 101 {
            break (status, fields.to_vec());
        }
    };
    if sending.manner == Manner::LeavesAnswer {
        return Ok((Came::Left, false));
    }
    let origin = Origin::of(status, |name| field(&fields, name).flatten());
    if status == 101 {
        return Ok((Came::Switched(origin), false));
    }
    let has_none = sending.method == Method::HEAD || status == 204;
    let framing = if has_none {
        Framing::Length(0)
    } else {
        Framing::of(&fields).ok_or_else(|| format!("{fields:?}"))?
    };
    let mut got = Vec::new();
    let ended = read_content(stream, framing, &mut got).await;
    let closes = field(&fields, "connection").flatten().is_some_and(|value| value == "close");
    let goes_on = ended.is_ok() && !closes;
    let ended = ended.map_err(|error: io::Error| error.to_string());
    let of_trailer = |trailers: &[String], name: &str| field(trailers, name).flatten();
    let ended = ended.map(|trailers| Trailer {
        to: of_trailer(&trailers, "x-trailer-to"),
        grpc_status: of_trailer(&trailers, "grpc-status"),
    });
    Ok((Came::Answer(Answered { origin, got, ended }), goes_on))
}
