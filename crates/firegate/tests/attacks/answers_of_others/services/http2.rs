//! The same service by HTTP/2, where an answer cannot run into the next one, but streams end, break off and are given up side
//! by side, and a connection says that it takes no more.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use super::super::asked::{Asked, Plan, content, message};
use super::super::frames;
use super::super::wire::AnyWire;
use super::{Came, Serving, TRICKLE};

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// How much content a message of gRPC has.
const MESSAGE_BYTES: usize = 100;

/// Serves a connection until it takes no more.
pub(super) async fn serve(serving: &Serving, wire: AnyWire) {
    let last = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (serving, last) = (serving.clone(), Arc::clone(&last));
        async move { answer(&serving, request, &last).await }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let connection = builder.enable_connect_protocol().serve_connection(TokioIo::new(wire), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = last.notified() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Answers, or resets the stream.
async fn answer(serving: &Serving, mut request: Request<Incoming>, last: &Notify) -> io::Result<Answer> {
    let tunnel = (*request.method() == Method::CONNECT).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let asked = Asked::of_path(parts.uri.path());
    serving.found.check(|| format!("the service got {parts:?}"), asked.is_some());
    let asked = asked.ok_or(io::ErrorKind::InvalidData)?;
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let comes_again = serving.came(&Came {
        asked,
        method: &parts.method,
        has_content: tunnel.is_none() && !body.is_end_stream(),
        user_id: text("x-firegate-user-id"),
        configuration: text("x-configuration"),
    });
    let plan = serving.plan(asked, comes_again);
    match plan {
        _ if tunnel.is_some() => {}
        // It is read when it is answered.
        Plan::Early => {
            let serving = serving.clone();
            tokio::spawn(async move { read_content(&serving, asked, body).await });
        }
        Plan::EarlyAndClosed => drop(body),
        Plan::StallsUpload => return std::future::pending().await,
        _ => read_content(serving, asked, body).await?,
    }
    match plan {
        Plan::NoAnswer | Plan::Reset => return Err(io::Error::other("no answer")),
        Plan::Stalls | Plan::StallsUpload => return std::future::pending().await,
        Plan::LastAnswer => last.notify_one(),
        _ => {}
    }
    let status = match (tunnel, plan) {
        (Some(tunnel), plan) if plan.is_tunnel() => {
            let serving = serving.clone();
            tokio::spawn(async move { run_tunnel(&serving, asked, tunnel).await });
            StatusCode::OK
        }
        (Some(_), _) => StatusCode::FORBIDDEN,
        (None, plan) if plan.is_empty() => StatusCode::NO_CONTENT,
        (None, _) => StatusCode::OK,
    };
    let answer = Response::builder()
        .status(status)
        .header("x-answer-to", asked.number)
        .header("x-answered-by", text("x-configuration").unwrap_or("none"));
    let is_grpc = plan == Plan::Messages;
    let answer = if is_grpc { answer.header("content-type", "application/grpc") } else { answer };
    let is_empty = parts.method == Method::HEAD || plan.is_empty() || plan.is_tunnel();
    let frames = if is_empty { stream::empty().boxed() } else { answer_frames(asked, plan) };
    Ok(answer.body(StreamBody::new(frames).boxed_unsync()).expect("an answer"))
}

async fn run_tunnel(serving: &Serving, asked: Asked, tunnel: hyper::upgrade::OnUpgrade) {
    let Ok(stream) = tunnel.await else { return };
    let mut stream = TokioIo::new(stream);
    let Asked { number, plan, answer_bytes, .. } = asked;
    if plan == Plan::CutTunnel {
        let frames = frames::frames(frames::Side::Service, number, answer_bytes);
        let _ = stream.write_all(&frames[..frames.len() / 2]).await;
        return;
    }
    if let Err(what) = frames::serve(&mut stream, number, answer_bytes).await {
        serving.found.add(format!("{asked:?} got {what}"));
    }
}

/// Reads the content of a request.
async fn read_content(serving: &Serving, asked: Asked, mut body: Incoming) -> io::Result<()> {
    let (mut got, mut trailer) = (Vec::new(), None);
    let ended = loop {
        match body.frame().await {
            None => break Ok(()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => got.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    trailer =
                        trailers.get("x-upload-to").and_then(|value| value.to_str().ok()).map(str::to_owned);
                }
            },
            Some(Err(error)) => break Err(io::Error::other(error)),
        }
    };
    serving.check_content(asked, &got);
    serving.check_trailer(asked, trailer.as_deref());
    ended
}

type Frames = BoxStream<'static, io::Result<Frame<Bytes>>>;

fn answer_frames(asked: Asked, plan: Plan) -> Frames {
    let Asked { number, answer_bytes, .. } = asked;
    if plan == Plan::Messages {
        return message_frames(number, answer_bytes);
    }
    let data = content('d', number, answer_bytes);
    let breaks_off = matches!(plan, Plan::CutOff | Plan::CutChunks | Plan::CutUntilClosed);
    let sent = if breaks_off || plan == Plan::StallsInside { data.len() / 2 } else { data.len() };
    let piece = if matches!(plan, Plan::Pieces | Plan::Trickles) { 97 } else { 3_000 };
    let pieces = data[..sent].chunks(piece).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))));
    let pieces = stream::iter(pieces.collect::<Vec<_>>());
    let trailers =
        || HeaderMap::from_iter([(HeaderName::from_static("x-trailer-to"), HeaderValue::from(number))]);
    match plan {
        _ if breaks_off => {
            // What was written just before would not be sent at all.
            let breaking = async {
                tokio::time::sleep(TRICKLE).await;
                Err(io::Error::other("it breaks off"))
            };
            pieces.chain(stream::once(breaking)).boxed()
        }
        Plan::StallsInside => pieces.chain(stream::pending()).boxed(),
        Plan::Trickles => pieces
            .then(async |piece| {
                tokio::time::sleep(TRICKLE).await;
                piece
            })
            .boxed(),
        Plan::Trailer => pieces.chain(stream::iter([Ok(Frame::trailers(trailers()))])).boxed(),
        _ => pieces.boxed(),
    }
}

/// One message after the other, and that all is well behind the last one.
fn message_frames(number: u64, bytes: usize) -> Frames {
    let lengths = (0..bytes).step_by(MESSAGE_BYTES).map(move |from| MESSAGE_BYTES.min(bytes - from));
    let said = stream::iter(lengths.map(move |length| message(number, length))).then(async |message| {
        tokio::time::sleep(TRICKLE).await;
        Ok(Frame::data(Bytes::from(message)))
    });
    let trailers = [("x-trailer-to", HeaderValue::from(number)), ("grpc-status", HeaderValue::from(0))];
    let trailers = trailers.map(|(name, value)| (HeaderName::from_static(name), value));
    said.chain(stream::iter([Ok(Frame::trailers(HeaderMap::from_iter(trailers)))])).boxed()
}
