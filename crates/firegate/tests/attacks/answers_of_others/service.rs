//! The service: it says which request each of its answers is to, and notes what it got of another's.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};

use super::messages::{Framing, field, read_content, read_lines};
use super::{Asked, Found, Plan, content};

/// What is left behind an answer, for whoever would take it.
const PLANTED: &[u8] = b"HTTP/1.1 200 OK\r\nx-answer-to: planted\r\nContent-Length: 7\r\n\r\nplanted";

/// A request's head.
struct Head {
    asked: Asked,
    is_head: bool,
    user_id: String,
    expects: bool,
    framing: Framing,
}

/// Whether a connection can be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Next,
    Close,
    Reset,
}

#[derive(Clone)]
struct Serving {
    found: Found,
    /// The requests that were left without an answer once.
    seen: Arc<Mutex<HashSet<u64>>>,
}

/// Where it listens.
pub(super) async fn start(found: &Found) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = Serving { found: found.clone(), seen: Arc::default() };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = serving.clone();
            tokio::spawn(async move { serving.connection(stream).await });
        }
    });
    url
}

impl Serving {
    async fn connection(&self, stream: TcpStream) {
        let mut stream = BufStream::new(stream);
        let after = loop {
            let Some(head) = self.head(&mut stream).await else { return };
            match self.serve(&head, &mut stream).await {
                Ok(After::Next) => {}
                Ok(after) => break after,
                // Whoever was answered has left.
                Err(_) => return,
            }
        };
        let _ = stream.flush().await;
        if after == After::Reset {
            let _ = stream.get_ref().set_zero_linger();
        }
    }

    /// Reads a head; none at the end of the connection, which may come at any place of it.
    async fn head(&self, stream: &mut BufStream<TcpStream>) -> Option<Head> {
        let lines = read_lines(stream).await.ok()?;
        let head = parse_head(&lines);
        self.found.check(|| format!("the service got {lines:?}"), head.is_some());
        let head = head?;
        let user_id = format!("user-{}", head.asked.user);
        self.found
            .check(|| format!("{:?} came as {:?}'s", head.asked, head.user_id), head.user_id == user_id);
        Some(head)
    }

    /// Reads the content of a request. What there is of it has to be this request's, whether it comes to its end or not.
    async fn content(&self, head: &Head, stream: &mut BufStream<TcpStream>) -> std::io::Result<()> {
        let mut got = Vec::new();
        let ended = read_content(stream, head.framing, &mut got).await;
        let expected = content('u', head.asked.number, got.len());
        self.found.check(|| format!("{:?} came with another's content", head.asked), got == expected);
        let trailer = field(&ended?, "x-upload-to").flatten();
        let is_its_own = trailer.is_none_or(|trailer| trailer == head.asked.number.to_string());
        self.found.check(|| format!("{:?} came with another's trailer", head.asked), is_its_own);
        Ok(())
    }

    async fn serve(&self, head: &Head, stream: &mut BufStream<TcpStream>) -> std::io::Result<After> {
        let Asked { number, plan, answer_bytes, .. } = head.asked;
        let comes_again = !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        let is_early = matches!(plan, Plan::Early | Plan::EarlyAndClosed);
        if !is_early {
            if head.expects {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                stream.flush().await?;
            }
            self.content(head, stream).await?;
        }
        if !comes_again && plan == Plan::NoAnswer {
            return Ok(After::Close);
        }
        if !comes_again && plan == Plan::Reset {
            return Ok(After::Reset);
        }
        let body = if head.is_head { Vec::new() } else { content('d', number, answer_bytes) };
        let start = format!("HTTP/1.1 200 OK\r\nx-answer-to: {number}\r\n");
        match plan {
            Plan::Chunks | Plan::Trailer | Plan::CutChunks => {
                let start = format!("{start}Transfer-Encoding: chunked\r\n\r\n");
                stream.write_all(start.as_bytes()).await?;
                if !head.is_head {
                    write_chunks(plan, number, &body, stream).await?;
                }
            }
            Plan::Pieces => {
                let start = format!("{start}Content-Length: {answer_bytes}\r\n\r\n");
                for piece in start.as_bytes().chunks(11).chain(body.chunks(97)) {
                    stream.write_all(piece).await?;
                    stream.flush().await?;
                    tokio::task::yield_now().await;
                }
            }
            Plan::Empty => {
                let start = start.replace("200 OK", "204 No Content");
                stream.write_all(format!("{start}\r\n").as_bytes()).await?;
            }
            Plan::UntilClosed => {
                stream.write_all(format!("{start}Connection: close\r\n\r\n").as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            _ => {
                let interim =
                    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nx-answer-to: early\r\n\r\n";
                let interim = if plan == Plan::Interim { interim } else { "" };
                let closes = matches!(plan, Plan::LastAnswer | Plan::EarlyAndClosed);
                let closes = if closes { "Connection: close\r\n" } else { "" };
                let start = format!("{interim}{start}{closes}Content-Length: {answer_bytes}\r\n\r\n");
                let sent = if plan == Plan::CutOff { body.len() / 2 } else { body.len() };
                let behind = if plan == Plan::Planted { PLANTED } else { b"" };
                // In one piece: of what comes when another request is under way nobody can tell that it is no answer to that.
                stream.write_all(&[start.as_bytes(), &body[..sent], behind].concat()).await?;
            }
        }
        stream.flush().await?;
        if plan == Plan::Early {
            self.content(head, stream).await?;
        }
        let closes = match plan {
            Plan::LastAnswer | Plan::UntilClosed | Plan::EarlyAndClosed => true,
            // An answer without content is whole, and nobody was told that it is the last one.
            Plan::CutOff | Plan::CutChunks => !head.is_head,
            _ => false,
        };
        Ok(if closes { After::Close } else { After::Next })
    }
}

async fn write_chunks(
    plan: Plan,
    number: u64,
    body: &[u8],
    stream: &mut BufStream<TcpStream>,
) -> std::io::Result<()> {
    let sent = if plan == Plan::CutChunks { body.len() / 2 } else { body.len() };
    for chunk in body[..sent].chunks(701) {
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

fn parse_head(lines: &[String]) -> Option<Head> {
    let mut first = lines.first()?.split(' ');
    let (method, path, "HTTP/1.1") = (first.next()?, first.next()?, first.next()?) else { return None };
    let framing = Framing::of(&lines[1..])?;
    let is_known = matches!(method, "GET" | "POST" | "HEAD" | "PUT");
    let (asked, user_id) = (Asked::of_path(path)?, field(&lines[1..], "x-firegate-user-id")??);
    let expects = field(&lines[1..], "expect")?.is_some();
    is_known.then_some(Head { asked, is_head: method == "HEAD", user_id, expects, framing })
}
