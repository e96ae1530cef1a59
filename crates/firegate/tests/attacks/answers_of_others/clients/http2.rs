//! By HTTP/2: several requests at once over one connection, and then several more.

use std::io;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::judge::{Answered, Origin, Trailer};
use super::{AT_ONCE, Client, Manner, Sending, Wants};

pub(super) type Sender = SendRequest<BoxBody<Bytes, io::Error>>;

impl Client {
    pub(super) async fn by_http2(&mut self) {
        let stream = TokioIo::new(self.connect("h2").await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        for round in 0..self.terms.requests.div_ceil(AT_ONCE) {
            let mut together = (0..AT_ONCE).map(|_| self.sending()).collect::<Vec<_>>();
            // With the first answer the door's settings have come, which say that it takes WebSockets.
            if round > 0 && self.wants_web_socket() {
                together.push(self.web_socket());
            }
            let this = &*self;
            let answers = join_all(together.iter().map(async |sending| match sending.wants {
                Wants::Answer => {
                    let answered = http2_answer(sender.clone(), sending, this.token(sending)).await;
                    answered.map(|answered| answered.map(Ok))
                }
                _ => this.web_socket_by_http2(sender.clone(), sending).await,
            }));
            for (sending, answered) in together.iter().zip(answers.await) {
                match answered {
                    Some(Ok(Ok(answered))) => self.judge(sending, &answered),
                    Some(Ok(Err((origin, end)))) => self.judge_tunnel(sending, &origin, end),
                    Some(Err(error)) => {
                        self.found.add(format!("{} was not answered: {error}", sending.shown()));
                    }
                    None => self.told.left += 1,
                }
            }
            self.has_done(AT_ONCE);
        }
        drop(sender);
        connection.await.expect("it ends").expect("it ends well");
    }
}

/// Sends a request over HTTP/2 and reads its answer; none if the client leaves.
async fn http2_answer(
    mut sender: Sender,
    sending: &Sending,
    token: &str,
) -> Option<Result<Answered, hyper::Error>> {
    let Sending { asked, method, manner, content, expects, .. } = sending;
    let leaves_upload = *manner == Manner::LeavesUpload;
    let sent = if leaves_upload { content.len() / 2 } else { content.len() };
    let pieces = content[..sent].chunks(5_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let leaving = leaves_upload.then(|| Err(io::Error::other("the client leaves")));
    let pieces = stream::iter(pieces).map(|piece| Ok(Frame::data(piece))).chain(stream::iter(leaving));
    let body = match content.as_slice() {
        [] => BodyExt::boxed(Empty::new().map_err(|never| match never {})),
        _ => BodyExt::boxed(StreamBody::new(pieces)),
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("http://door.example{}", asked.path()))
        .header("authorization", format!("Bearer {token}"));
    let request = if *expects { request.header("expect", "100-continue") } else { request };
    let request = request.body(body).expect("a request");
    match sender.send_request(request).await {
        _ if *manner != Manner::Stays => None,
        Ok(response) => Some(Ok(read_answer(response).await)),
        Err(error) => Some(Err(error)),
    }
}

/// Reads an answer as far as it comes.
pub(super) async fn read_answer(response: Response<Incoming>) -> Answered {
    let (parts, mut body) = response.into_parts();
    let (mut got, mut ended) = (Vec::new(), Ok(Trailer::default()));
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) if frame.is_data() => got.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Ok(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                let (to, grpc_status) = (text("x-trailer-to", &trailers), text("grpc-status", &trailers));
                ended = Ok(Trailer { to, grpc_status });
            }
            Err(error) => {
                ended = Err(error.to_string());
                break;
            }
        }
    }
    let origin = Origin::of(parts.status.as_u16(), |name| text(name, &parts.headers));
    Answered { origin, got, ended }
}

pub(super) fn text(name: &str, headers: &HeaderMap) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
