//! The clients: users who send, leave, and read what comes.

mod http1;
mod http2;
mod judge;
mod web_socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::asked::{Asked, Chance, Found, Plan, content};
use super::wire::AnyWire;
use crate::stack::authority;

/// How long anything may take, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The content of a message is shorter than this.
const CONTENT_BYTES_BOUND: u64 = 40_000;

/// What does not fit into the buffers between a client and a service that takes nothing.
const STALLED_BYTES_BOUND: u64 = 4_000_000;

/// What has something behind it is short enough to be read together with that.
const PLANTED_BYTES_BOUND: u64 = 4_000;

/// The content of messages that come now and then is shorter than this. What is to be ended by its user's token has to last for
/// more than a second, by which tokens count.
const MESSAGES_BYTES_BOUND: u64 = 8_000;

/// What goes through a WebSocket in each direction is shorter than this.
const TUNNEL_BYTES_BOUND: u64 = 9_000;

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

/// What all users of a test have in common.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) plans: &'static [Plan],
    pub(super) asks: Asks,
    /// Whether an answer that would be whole may come to nothing.
    pub(super) may_fail: bool,
    /// Whether a user's token expires meanwhile.
    pub(super) expires: fn(usize) -> bool,
    /// The configurations that let a user through, of those that are in force in turn.
    pub(super) let_through_by: fn(usize) -> &'static [&'static str],
    /// How the door is spoken to, if in TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Whose requests have a token that nobody signed: no service ever hears of them.
    pub(super) nobody: usize,
    /// How many requests each user sends.
    pub(super) requests: usize,
    pub(super) seed: u64,
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
    /// WebSockets that came to their own end.
    pub(super) tunnels: usize,
    /// WebSockets that broke off.
    pub(super) broken_tunnels: usize,
    /// Streams of messages that the door ended, in gRPC's own words.
    pub(super) cut: usize,
}

impl Told {
    pub(super) fn add(&mut self, other: &Self) {
        self.whole += other.whole;
        self.broken += other.broken;
        self.refused += other.refused;
        self.left += other.left;
        self.lost += other.lost;
        self.tunnels += other.tunnels;
        self.broken_tunnels += other.broken_tunnels;
        self.cut += other.cut;
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
    wants: Wants,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Answer,
    WebSocket,
    /// One into which the client speaks before the service has agreed.
    WebSocketAtOnce,
}

impl Sending {
    /// Whether the client says something that nobody reads if the other side does not switch, which it may not do (RFC 6455,
    /// section 4.1). The end of the connection, which comes with that unread, can overtake the answer.
    fn speaks_too_early(&self) -> bool {
        self.wants == Wants::WebSocketAtOnce
    }

    fn shown(&self) -> String {
        let Self { asked, method, manner, content, is_chunked, expects, wants } = self;
        let framing = if *is_chunked { "in chunks" } else { "with a length" };
        let expects = if *expects { ", after a question" } else { "" };
        let bytes = content.len();
        format!(
            "{method} {asked:?} of a client that {manner:?}, with {bytes} bytes {framing}{expects}, for {wants:?}"
        )
    }
}

/// A user's client.
pub(super) struct Client {
    door: SocketAddr,
    terms: Terms,
    tokens: Tokens,
    found: Found,
    chance: Chance,
    user: usize,
    next: u64,
    told: Told,
    done: watch::Sender<usize>,
}

impl Client {
    pub(super) fn new(
        door: SocketAddr,
        user: usize,
        tokens: Tokens,
        terms: &Terms,
        found: &Found,
        done: &watch::Sender<usize>,
    ) -> Self {
        Self {
            door,
            terms: terms.clone(),
            tokens,
            found: found.clone(),
            chance: Chance::of(terms.seed * 1_000 + user as u64),
            user,
            next: user as u64 * 100_000,
            told: Told::default(),
            done: done.clone(),
        }
    }

    /// Sends the user's requests, by HTTP/1.1 or by HTTP/2.
    pub(super) async fn run(mut self) -> Told {
        let running = async {
            if self.speaks_http1() {
                self.by_http1().await;
            } else {
                self.by_http2().await;
            }
        };
        tokio::time::timeout(PATIENCE, running).await.expect("every request comes to an end");
        self.told
    }

    fn speaks_http1(&self) -> bool {
        self.user.is_multiple_of(2)
    }

    async fn connect(&self, protocol: &str) -> AnyWire {
        let Some(tls) = &self.terms.tls else {
            return Box::new(TcpStream::connect(self.door).await.expect("a connection"));
        };
        let mut config = ClientConfig::clone(tls);
        config.alpn_protocols = vec![protocol.into()];
        let stream = authority::connect(Arc::new(config), self.door, "door.example").await;
        Box::new(stream.expect("a handshake"))
    }

    /// The next request, of any kind.
    fn sending(&mut self) -> Sending {
        let chance = &mut self.chance;
        self.next += 1;
        let plan = chance.one_of(self.terms.plans);
        let (method, uploads) = match chance.below(8) {
            0..3 => (Method::GET, false),
            3 => (Method::HEAD, false),
            4..7 => (Method::POST, true),
            _ => (Method::PUT, true),
        };
        let content_bound =
            if plan == Plan::StallsUpload { STALLED_BYTES_BOUND } else { CONTENT_BYTES_BOUND };
        // What has no content may be sent once more, unless it may be done once only.
        let uploads = uploads && chance.below(4) > 0;
        let manner = match chance.below(12) {
            0 if uploads => Manner::LeavesUpload,
            1 => Manner::LeavesAnswer,
            _ => Manner::Stays,
        };
        let content_bytes = if uploads { chance.size(content_bound) + 2 } else { 0 };
        let user = if chance.below(10) == 0 { self.terms.nobody } else { self.user };
        let bytes_bound = match plan {
            Plan::Planted | Plan::PlantedChunk => PLANTED_BYTES_BOUND,
            Plan::Messages => MESSAGES_BYTES_BOUND,
            _ => CONTENT_BYTES_BOUND,
        };
        let answer_bytes = chance.size(bytes_bound) + 2;
        Sending {
            asked: Asked { user, number: self.next, plan, answer_bytes },
            method,
            manner,
            content: content('u', self.next, content_bytes),
            is_chunked: chance.below(2) == 0,
            expects: uploads && chance.below(4) == 0 && self.terms.asks == Asks::Sometimes,
            wants: Wants::Answer,
        }
    }

    /// The next WebSocket, which the service may refuse in any of its ways.
    fn web_socket(&mut self) -> Sending {
        let mut sending = self.sending();
        if self.chance.below(3) > 0 {
            sending.asked.plan = self.chance.one_of(Plan::TUNNELS);
            sending.asked.answer_bytes = self.chance.size(TUNNEL_BYTES_BOUND) + 2;
        }
        let wants = if self.chance.below(3) == 0 { Wants::WebSocketAtOnce } else { Wants::WebSocket };
        Sending {
            method: Method::GET,
            content: Vec::new(),
            expects: false,
            is_chunked: false,
            wants,
            ..sending
        }
    }

    /// Whether the next thing is a WebSocket.
    fn wants_web_socket(&mut self) -> bool {
        self.chance.below(3) == 0
    }

    fn token(&self, sending: &Sending) -> &str {
        if sending.asked.user == self.terms.nobody { &self.tokens.forged } else { &self.tokens.good }
    }

    fn has_done(&self, requests: usize) {
        self.done.send_modify(|done| *done += requests);
    }
}
