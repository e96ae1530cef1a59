//! A service by HTTP/1.1.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use tokio::io::{AsyncWriteExt as _, BufStream};

use super::super::asked::{Asked, Plan, content};
use super::super::frames;
use super::super::messages::{Framing, field, read_content, read_lines};
use super::super::wire::AnyWire;
use super::{Came, STALL, Serving, TRICKLE};

/// What is left behind an answer, for whoever would take it.
const PLANTED: &[u8] = b"HTTP/1.1 200 OK\r\nx-answer-to: planted\r\nContent-Length: 7\r\n\r\nplanted";

/// A request's head.
struct Head {
    asked: Asked,
    method: Method,
    user_id: Option<String>,
    configuration: Option<String>,
    expects: bool,
    framing: Framing,
    /// Of a WebSocket's handshake.
    key: Option<String>,
}

/// Whether a connection can be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Next,
    Close,
    /// Without a word, where TLS has one.
    Cut,
    Reset,
}

/// Serves a connection.
pub(super) async fn serve(serving: &Serving, wire: AnyWire) {
    let mut stream = BufStream::new(wire);
    let after = loop {
        let Some(head) = read_head(serving, &mut stream).await else { return };
        let exchange = Exchange { serving, head: &head };
        match exchange.run(&mut stream).await {
            Ok(After::Next) => {}
            Ok(after) => break after,
            // Whoever was answered has left.
            Err(_) => return,
        }
    };
    let _ = stream.flush().await;
    match after {
        After::Reset => stream.get_ref().reset(),
        After::Close => drop(stream.shutdown().await),
        After::Next | After::Cut => {}
    }
}

/// Reads a head; none at the end of the connection, which may come at any place of it.
async fn read_head(serving: &Serving, stream: &mut BufStream<AnyWire>) -> Option<Head> {
    let lines = read_lines(stream).await.ok()?;
    let head = parse_head(&lines);
    serving.found.check(|| format!("the service got {lines:?}"), head.is_some());
    head
}

fn parse_head(lines: &[String]) -> Option<Head> {
    let (first, fields) = lines.split_first()?;
    let mut first = first.split(' ');
    let (method, path, "HTTP/1.1") = (first.next()?, first.next()?, first.next()?) else { return None };
    let method =
        [Method::GET, Method::POST, Method::HEAD, Method::PUT].into_iter().find(|known| known == method)?;
    let is_upgrade = field(fields, "upgrade")?.is_some_and(|protocol| protocol == "websocket");
    let key = field(fields, "sec-websocket-key")?.filter(|_| is_upgrade);
    (is_upgrade == key.is_some()).then_some(())?;
    Some(Head {
        asked: Asked::of_path(path)?,
        method,
        user_id: field(fields, "x-firegate-user-id")?,
        configuration: field(fields, "x-configuration")?,
        expects: field(fields, "expect")?.is_some(),
        framing: Framing::of(fields)?,
        key,
    })
}

/// A request that is answered.
struct Exchange<'a> {
    serving: &'a Serving,
    head: &'a Head,
}

impl Exchange<'_> {
    async fn run(&self, stream: &mut BufStream<AnyWire>) -> io::Result<After> {
        let Self { serving, head } = self;
        let comes_again = serving.came(&Came {
            asked: head.asked,
            method: &head.method,
            has_content: head.framing != Framing::Length(0),
            user_id: head.user_id.as_deref(),
            configuration: head.configuration.as_deref(),
        });
        let plan = serving.plan(head.asked, comes_again);
        if plan == Plan::StallsUpload {
            tokio::time::sleep(STALL).await;
            return Ok(After::Reset);
        }
        if !matches!(plan, Plan::Early | Plan::EarlyAndClosed) {
            if head.expects {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                stream.flush().await?;
            }
            self.content(stream).await?;
        }
        match (plan, &head.key) {
            (Plan::NoAnswer, _) => return Ok(After::Close),
            (Plan::Reset, _) => return Ok(After::Reset),
            (Plan::Stalls, _) => return until_closed(stream).await,
            (_, Some(key)) if plan.is_tunnel() => return self.tunnel(key, stream).await,
            _ => self.answer(plan, stream).await?,
        }
        stream.flush().await?;
        if plan == Plan::Early {
            self.content(stream).await?;
        }
        let is_head = head.method == Method::HEAD;
        Ok(match plan {
            Plan::LastAnswer | Plan::UntilClosed | Plan::EarlyAndClosed => After::Close,
            // An answer without content is whole, and nobody was told that it is the last one.
            Plan::CutOff | Plan::CutChunks | Plan::CutUntilClosed | Plan::StallsInside if is_head => {
                After::Next
            }
            Plan::CutOff | Plan::CutChunks => After::Cut,
            Plan::CutUntilClosed => self.cut(stream),
            Plan::StallsInside => return until_closed(stream).await,
            _ => After::Next,
        })
    }

    /// Reads the content of the request.
    async fn content(&self, stream: &mut BufStream<AnyWire>) -> io::Result<()> {
        let Self { serving, head } = self;
        let mut got = Vec::new();
        let ended = read_content(stream, head.framing, &mut got).await;
        serving.check_content(head.asked, &got);
        serving.check_trailer(head.asked, field(&ended?, "x-upload-to").flatten().as_deref());
        Ok(())
    }

    /// How an answer is cut off whose end is that of the connection: in TLS by an end that nobody announced, too.
    fn cut(&self, stream: &BufStream<AnyWire>) -> After {
        if stream.get_ref().is_tls() && self.head.asked.number.is_multiple_of(2) {
            After::Cut
        } else {
            After::Reset
        }
    }

    /// The first lines of the answer.
    fn start(&self) -> String {
        let Head { asked, configuration, key, .. } = self.head;
        // Whoever asked for a WebSocket may get an answer of any kind.
        let is_refused = key.is_some() && asked.number.is_multiple_of(2);
        let status = match asked.plan {
            plan if plan.is_empty() => "204 No Content",
            _ if is_refused => "403 Forbidden",
            _ => "200 OK",
        };
        let by = configuration.as_deref().unwrap_or("none");
        format!("HTTP/1.1 {status}\r\nx-answer-to: {}\r\nx-answered-by: {by}\r\n", asked.number)
    }

    async fn answer(&self, plan: Plan, stream: &mut BufStream<AnyWire>) -> io::Result<()> {
        let Asked { number, answer_bytes, .. } = self.head.asked;
        let is_head = self.head.method == Method::HEAD;
        let body = if is_head { Vec::new() } else { content('d', number, answer_bytes) };
        let half = &body[..body.len() / 2];
        let start = self.start();
        let with_length = format!("{start}Content-Length: {answer_bytes}\r\n\r\n");
        match plan {
            Plan::Chunks | Plan::Trailer | Plan::CutChunks => {
                let start = format!("{start}Transfer-Encoding: chunked\r\n\r\n");
                stream.write_all(start.as_bytes()).await?;
                if !is_head {
                    write_chunks(plan, number, if plan == Plan::CutChunks { half } else { &body }, stream)
                        .await?;
                }
            }
            Plan::Pieces => {
                for piece in with_length.as_bytes().chunks(11).chain(body.chunks(97)) {
                    stream.write_all(piece).await?;
                    stream.flush().await?;
                    tokio::task::yield_now().await;
                }
            }
            Plan::Trickles => {
                for piece in std::iter::once(with_length.as_bytes()).chain(body.chunks(97)) {
                    stream.write_all(piece).await?;
                    stream.flush().await?;
                    tokio::time::sleep(TRICKLE).await;
                }
            }
            Plan::PlantedChunk => {
                let start = format!("{start}Transfer-Encoding: chunked\r\n\r\n");
                let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
                let chunk = if is_head { Vec::new() } else { chunk };
                stream.write_all(&[start.as_bytes(), &chunk, PLANTED].concat()).await?;
            }
            Plan::PlantedEmpty => {
                stream.write_all(&[start.as_bytes(), b"\r\n", PLANTED].concat()).await?;
            }
            Plan::Empty => {
                stream.write_all(format!("{start}\r\n").as_bytes()).await?;
            }
            Plan::UntilClosed | Plan::CutUntilClosed => {
                stream.write_all(format!("{start}Connection: close\r\n\r\n").as_bytes()).await?;
                stream.write_all(if plan == Plan::UntilClosed { &body } else { half }).await?;
            }
            _ => {
                let interim =
                    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nx-answer-to: early\r\n\r\n";
                let interim = if plan == Plan::Interim { interim } else { "" };
                let closes = matches!(plan, Plan::LastAnswer | Plan::EarlyAndClosed);
                let closes = if closes { "Connection: close\r\n" } else { "" };
                let sent = if matches!(plan, Plan::CutOff | Plan::StallsInside) { half } else { &body };
                let behind = if plan == Plan::Planted { PLANTED } else { b"" };
                // In one piece: of what comes when another request is under way nobody can tell that it is no answer to that.
                let pieces =
                    [interim.as_bytes(), closes_first(&with_length, closes).as_bytes(), sent, behind]
                        .concat();
                stream.write_all(&pieces).await?;
            }
        }
        Ok(())
    }

    /// Switches, and speaks as a WebSocket from then on.
    async fn tunnel(&self, key: &str, stream: &mut BufStream<AnyWire>) -> io::Result<After> {
        let Asked { number, plan, answer_bytes, .. } = self.head.asked;
        let accept = accept_of(key);
        let by = self.head.configuration.as_deref().unwrap_or("none");
        let start = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\nx-answer-to: {number}\r\nx-answered-by: {by}\r\n\r\n"
        );
        stream.write_all(start.as_bytes()).await?;
        if plan != Plan::EarlyTunnel {
            stream.flush().await?;
        }
        if plan == Plan::CutTunnel {
            let frames = frames::frames(frames::Side::Service, number, answer_bytes);
            stream.write_all(&frames[..frames.len() / 2]).await?;
            stream.flush().await?;
            return Ok(if number.is_multiple_of(2) { After::Reset } else { After::Cut });
        }
        if let Err(what) = frames::serve(stream, number, answer_bytes).await {
            self.serving.found.add(format!("{:?} got {what}", self.head.asked));
        }
        Ok(After::Close)
    }
}

/// A head with one field more.
fn closes_first(head: &str, field: &str) -> String {
    head.replacen("\r\n", &format!("\r\n{field}"), 1)
}

/// What a service answers to a key (RFC 6455, section 4.2.2).
fn accept_of(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Says no more until the other side has closed.
async fn until_closed(stream: &mut BufStream<AnyWire>) -> io::Result<After> {
    tokio::io::copy(stream, &mut tokio::io::sink()).await?;
    Ok(After::Reset)
}

async fn write_chunks(
    plan: Plan,
    number: u64,
    body: &[u8],
    stream: &mut BufStream<AnyWire>,
) -> io::Result<()> {
    for chunk in body.chunks(701) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
        stream.write_all(chunk).await?;
        stream.write_all(b"\r\n").await?;
    }
    match plan {
        Plan::CutChunks => Ok(()),
        Plan::Trailer => stream.write_all(format!("0\r\nx-trailer-to: {number}\r\n\r\n").as_bytes()).await,
        _ => stream.write_all(b"0\r\n\r\n").await,
    }
}
