//! The clients: users who send, leave, and read what comes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, Method, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

use super::messages::{Framing, field, read_content, read_lines};
use super::{Asked, Chance, Found, Plan, REQUESTS, USERS, content};

/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Whose requests have a token that nobody signed: no service ever hears of them.
const NOBODY: usize = USERS;

/// The content of a message is shorter than this.
const CONTENT_BYTES_BOUND: u64 = 40_000;

/// What has something behind it is short enough to be read together with that.
const PLANTED_BYTES_BOUND: u64 = 4_000;

/// How many requests of a user are under way at once.
const AT_ONCE: usize = 4;

/// A user's tokens.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) good: String,
    pub(super) forged: String,
}

/// Whether clients ask before they send content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Sometimes,
    /// The service would not say anything, for which the door waits a second.
    Never,
}

/// What came of the requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Answered, whole.
    pub(super) whole: usize,
    /// Answered, and broken off.
    pub(super) broken: usize,
    /// Answered by the door.
    pub(super) refused: usize,
    /// Given up by the client, at some place.
    pub(super) left: usize,
    /// The connection ended before the answer, because of an earlier one.
    pub(super) lost: usize,
}

impl Told {
    pub(super) fn add(&mut self, other: &Self) {
        self.whole += other.whole;
        self.broken += other.broken;
        self.refused += other.refused;
        self.left += other.left;
        self.lost += other.lost;
    }
}

/// How far a client goes with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// To the end of the answer.
    Stays,
    /// It leaves while it sends.
    LeavesUpload,
    /// It leaves as soon as the answer begins.
    LeavesAnswer,
}

/// A request and its way.
#[derive(Clone)]
struct Sending {
    asked: Asked,
    method: Method,
    manner: Manner,
    content: Vec<u8>,
    is_chunked: bool,
    /// It asks whether to send the content (RFC 9110, section 10.1.1), and does not wait for the answer.
    expects: bool,
}

impl Sending {
    fn shown(&self) -> String {
        let Self { asked, method, manner, content, is_chunked, expects } = self;
        let framing = if *is_chunked { "in chunks" } else { "with a length" };
        let expects = if *expects { ", after a question" } else { "" };
        format!(
            "{method} {asked:?} of a client that {manner:?}, with {} bytes {framing}{expects}",
            content.len()
        )
    }
}

/// An answer as far as it came.
struct Answered {
    status: u16,
    answer_to: Option<String>,
    is_doors_own: bool,
    got: Vec<u8>,
    /// The trailer of an answer that came to its end; else how it broke off.
    ended: Result<Option<String>, String>,
}

/// A user's client.
struct Client {
    door: SocketAddr,
    tokens: Tokens,
    asks: Asks,
    found: Found,
    chance: Chance,
    user: usize,
    next: u64,
    told: Told,
}

/// Sends a user's requests, by HTTP/1.1 or by HTTP/2.
pub(super) async fn run(door: SocketAddr, user: usize, tokens: Tokens, asks: Asks, found: Found) -> Told {
    let chance = Chance(0x9e37_79b9_7f4a_7c15 ^ (user as u64 + 1));
    let mut client = Client {
        door,
        tokens,
        asks,
        found,
        chance,
        user,
        next: user as u64 * 100_000,
        told: Told::default(),
    };
    let running =
        async { if user.is_multiple_of(2) { client.by_http1().await } else { client.by_http2().await } };
    tokio::time::timeout(PATIENCE, running).await.expect("every request comes to an end");
    client.told
}

impl Client {
    /// The next request, of any kind.
    fn sending(&mut self) -> Sending {
        let chance = &mut self.chance;
        self.next += 1;
        let plan = Plan::ALL[chance.size(Plan::ALL.len() as u64)];
        let (method, uploads) = match chance.below(8) {
            0..3 => (Method::GET, false),
            3 => (Method::HEAD, false),
            4..7 => (Method::POST, true),
            _ => (Method::PUT, true),
        };
        let manner = match chance.below(12) {
            0 if uploads => Manner::LeavesUpload,
            1 => Manner::LeavesAnswer,
            _ => Manner::Stays,
        };
        let content_bytes = if uploads { chance.size(CONTENT_BYTES_BOUND) + 2 } else { 0 };
        let user = if chance.below(10) == 0 { NOBODY } else { self.user };
        let bytes_bound = if plan == Plan::Planted { PLANTED_BYTES_BOUND } else { CONTENT_BYTES_BOUND };
        let answer_bytes = chance.size(bytes_bound) + 2;
        Sending {
            asked: Asked { user, number: self.next, plan, answer_bytes },
            method,
            manner,
            content: content('u', self.next, content_bytes),
            is_chunked: chance.below(2) == 0,
            expects: uploads && chance.below(4) == 0 && self.asks == Asks::Sometimes,
        }
    }

    fn token(&self, sending: &Sending) -> &str {
        if sending.asked.user == NOBODY { &self.tokens.forged } else { &self.tokens.good }
    }

    /// One connection after the other, each for as long as it goes on.
    async fn by_http1(&mut self) {
        let mut sent = 0;
        while sent < REQUESTS {
            let stream = TcpStream::connect(self.door).await.expect("a connection");
            let mut stream = BufStream::new(stream);
            while sent < REQUESTS {
                let together = self.together();
                sent += together.len();
                if !self.exchange(&together, &mut stream).await {
                    break;
                }
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
    async fn exchange(&mut self, together: &[Sending], stream: &mut BufStream<TcpStream>) -> bool {
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
            let (answered, goes_on) = match read_answer(sending, stream).await {
                Ok(read) => read,
                Err(why) => {
                    self.found.add(format!("{} was not answered: {why}", sending.shown()));
                    return false;
                }
            };
            let has_left = answered.is_none();
            match answered {
                Some(answered) => self.judge(sending, &answered),
                None => self.told.left += 1,
            }
            if has_left || !goes_on {
                self.told.lost += together.len() - index - 1;
                return false;
            }
        }
        true
    }

    /// A request as bytes; half of its content, if the client leaves then.
    fn message(&self, sending: &Sending) -> Vec<u8> {
        let Sending { asked, method, manner, content, is_chunked, expects } = sending;
        let mut message = format!(
            "{method} {} HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {}\r\n",
            asked.path(),
            self.token(sending)
        )
        .into_bytes();
        if *expects {
            message.extend_from_slice(b"Expect: 100-continue\r\n");
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

    /// Several requests at once over one connection, and then several more.
    async fn by_http2(&mut self) {
        let stream = TokioIo::new(TcpStream::connect(self.door).await.expect("a connection"));
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        for _ in 0..REQUESTS / AT_ONCE {
            let together = (0..AT_ONCE).map(|_| self.sending()).collect::<Vec<_>>();
            let answers = join_all(
                together.iter().map(|sending| http2_answer(sender.clone(), sending, self.token(sending))),
            );
            for (sending, answered) in together.iter().zip(answers.await) {
                match answered {
                    Some(Ok(answered)) => self.judge(sending, &answered),
                    Some(Err(error)) => {
                        self.found.add(format!("{} was not answered: {error}", sending.shown()))
                    }
                    None => self.told.left += 1,
                }
            }
        }
        drop(sender);
        connection.await.expect("it ends").expect("it ends well");
    }

    /// Whether an answer is to this request, and no more than it was.
    fn judge(&mut self, sending: &Sending, answered: &Answered) {
        let Sending { asked, method, .. } = sending;
        let Asked { number, plan, user, answer_bytes } = *asked;
        let Answered { status, answer_to, is_doors_own, got, ended } = answered;
        let check = |what: &str, holds: bool| {
            let shown = String::from_utf8_lossy(got.get(..20).unwrap_or(got)).into_owned();
            self.found.check(
                || {
                    let request = sending.shown();
                    format!(
                        "{what}: {request}: {status}, {answer_to:?}, {} bytes {shown:?}, {ended:?}",
                        got.len()
                    )
                },
                holds,
            );
        };
        if *is_doors_own {
            let may_fail = !plan.is_whole() && matches!(status, 502..=504);
            check("the door refuses", if user == NOBODY { *status == 401 } else { may_fail });
            self.told.refused += 1;
            return;
        }
        check("a token that nobody signed", user != NOBODY);
        check("another's answer", answer_to.as_deref() == Some(number.to_string().as_str()));
        check("another's content", *got == content('d', number, got.len()));
        let expected = if *method == Method::HEAD || plan == Plan::Empty { 0 } else { answer_bytes };
        match ended {
            Ok(trailer) => {
                check("part of an answer for the whole", got.len() == expected);
                check("a trailer", trailer.as_ref().is_none_or(|trailer| *trailer == number.to_string()));
                self.told.whole += 1;
            }
            Err(_) => {
                check("an answer broke off that was whole", !plan.is_whole());
                self.told.broken += 1;
            }
        }
    }
}

/// Reads an answer, and whether the connection goes on; of a client that leaves, none. Nothing at all if no answer comes.
async fn read_answer(
    sending: &Sending,
    stream: &mut BufStream<TcpStream>,
) -> Result<(Option<Answered>, bool), String> {
    let (status, fields) = loop {
        let lines = read_lines(stream).await.map_err(|error| error.to_string())?;
        let (first, fields) = lines.split_first().ok_or("an empty line")?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        let status = status.ok_or_else(|| format!("{first:?}"))?;
        if status >= 200 {
            break (status, fields.to_vec());
        }
    };
    if sending.manner == Manner::LeavesAnswer {
        return Ok((None, false));
    }
    let has_none = sending.method == Method::HEAD || status == 204;
    let framing = if has_none {
        Framing::Length(0)
    } else {
        Framing::of(&fields).ok_or_else(|| format!("{fields:?}"))?
    };
    let of_answer = |name: &str| field(&fields, name).flatten();
    let mut got = Vec::new();
    let ended = read_content(stream, framing, &mut got).await;
    let closes = of_answer("connection").is_some_and(|value| value == "close");
    let goes_on = ended.is_ok() && !closes;
    let ended = ended.map_err(|error: io::Error| error.to_string());
    let answered = Answered {
        status,
        answer_to: of_answer("x-answer-to"),
        is_doors_own: of_answer("x-firegate-reason").is_some(),
        got,
        ended: ended.map(|trailers| field(&trailers, "x-trailer-to").flatten()),
    };
    Ok((Some(answered), goes_on))
}

/// Sends a request over HTTP/2 and reads its answer; none if the client leaves.
async fn http2_answer(
    mut sender: SendRequest<BoxBody<Bytes, io::Error>>,
    sending: &Sending,
    token: &str,
) -> Option<Result<Answered, hyper::Error>> {
    let Sending { asked, method, manner, content, expects, .. } = sending;
    let leaves_upload = *manner == Manner::LeavesUpload;
    let sent = if leaves_upload { content.len() / 2 } else { content.len() };
    let pieces = content[..sent].chunks(5_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let leaving = leaves_upload.then(|| Err(io::Error::other("the client leaves")));
    let pieces = stream::iter(pieces).map(|piece| Ok(Frame::data(piece))).chain(stream::iter(leaving));
    let body = BodyExt::boxed(StreamBody::new(pieces));
    let request = Request::builder()
        .method(method)
        .uri(format!("http://door{}", asked.path()))
        .header("authorization", format!("Bearer {token}"));
    let request = if *expects { request.header("expect", "100-continue") } else { request };
    let request = request.body(body).expect("a request");
    let (parts, mut body) = match sender.send_request(request).await {
        _ if *manner != Manner::Stays => return None,
        Ok(response) => response.into_parts(),
        Err(error) => return Some(Err(error)),
    };
    let text = |name: &str, headers: &HeaderMap| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (mut got, mut ended) = (Vec::new(), Ok(None));
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) if frame.is_data() => got.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Ok(frame) => {
                ended = Ok(frame.trailers_ref().and_then(|trailers| text("x-trailer-to", trailers)));
            }
            Err(error) => {
                ended = Err(error.to_string());
                break;
            }
        }
    }
    Some(Ok(Answered {
        status: parts.status.as_u16(),
        answer_to: text("x-answer-to", &parts.headers),
        is_doors_own: parts.headers.contains_key("x-firegate-reason"),
        got,
        ended,
    }))
}
