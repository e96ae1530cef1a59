//! WebSockets among the requests: by an upgrade over HTTP/1.1, by an extended CONNECT over HTTP/2 (RFC 8441).

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};

use super::super::frames::{End, Side, close_frame, frames, read_frames};
use super::super::wire::AnyWire;
use super::http1::{Came, read_answer};
use super::http2::{self, Sender, text};
use super::judge::{Answered, Origin};
use super::{Client, Manner, Sending, Wants};

/// How a WebSocket ended, and with how much of it.
type Ended = Result<(usize, End), String>;

impl Client {
    /// Opens a WebSocket on a connection. Says whether that can be used again.
    pub(super) async fn web_socket_by_http1(&mut self, stream: &mut BufStream<AnyWire>) -> bool {
        let sending = self.web_socket();
        let mut bytes = self.message(&sending);
        let speaks_at_once = sending.wants == Wants::WebSocketAtOnce;
        if speaks_at_once {
            bytes.extend(spoken(&sending));
        }
        let _ = stream.write_all(&bytes).await;
        let _ = stream.flush().await;
        let (came, goes_on) = match read_answer(&sending, stream).await {
            Ok(read) => read,
            Err(_) if sending.speaks_too_early() => {
                self.told.broken += 1;
                return false;
            }
            Err(why) => {
                self.found.add(format!("{} was not answered: {why}", sending.shown()));
                return false;
            }
        };
        match came {
            Came::Answer(answered) => self.judge(&sending, &answered),
            Came::Left => self.told.left += 1,
            Came::Switched(origin) => match run(&sending, stream, !speaks_at_once).await {
                Some(ended) => self.judge_tunnel(&sending, &origin, ended),
                None => self.told.left += 1,
            },
        }
        // What was said at once was no request.
        goes_on && !speaks_at_once
    }

    /// Opens a WebSocket beside the requests of a connection; nothing comes of it if the client leaves.
    pub(super) async fn web_socket_by_http2(
        &self,
        mut sender: Sender,
        sending: &Sending,
    ) -> Option<Result<Result<Answered, (Origin, Ended)>, hyper::Error>> {
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://door.example{}", sending.asked.path()))
            .header("authorization", format!("Bearer {}", self.token(sending)))
            .header("sec-websocket-version", "13")
            .body(BodyExt::boxed(Empty::new().map_err(|never| match never {})))
            .expect("a request");
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let mut response = match sender.send_request(request).await {
            Ok(_) if sending.manner == Manner::LeavesAnswer => return None,
            Ok(response) => response,
            Err(error) => return Some(Err(error)),
        };
        if response.status() != StatusCode::OK {
            return Some(Ok(Ok(http2::read_answer(response).await)));
        }
        let origin = Origin::of(200, |name| text(name, response.headers()));
        let ended = match hyper::upgrade::on(&mut response).await {
            Ok(stream) => run(sending, &mut TokioIo::new(stream), true).await?,
            Err(error) => Err(error.to_string()),
        };
        Some(Ok(Err((origin, ended))))
    }
}

/// What a client says.
fn spoken(sending: &Sending) -> Vec<u8> {
    frames(Side::Client, sending.asked.number, sending.asked.answer_bytes)
}

/// A client's side of a WebSocket; nothing comes of it if it leaves.
async fn run<S>(sending: &Sending, stream: &mut S, speaks: bool) -> Option<Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let number = sending.asked.number;
    let mut bytes = if speaks { spoken(sending) } else { Vec::new() };
    if sending.manner == Manner::LeavesUpload {
        bytes.truncate(bytes.len() / 2);
    } else {
        bytes.extend(close_frame(Side::Client, number));
    }
    // The other side may have broken off.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    if sending.manner != Manner::Stays {
        return None;
    }
    Some(read_frames(stream, Side::Service, number).await)
}
