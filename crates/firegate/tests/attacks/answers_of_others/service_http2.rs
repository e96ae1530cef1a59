//! The same service by HTTP/2, where an answer cannot run into the next one, but streams end, break off and are given up side by
//! side, and a connection says that it takes no more.

use std::collections::HashSet;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::{Asked, Found, Plan, content};

type Answer = Response<BoxBody<Bytes, io::Error>>;

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
    /// Serves a connection until it takes no more.
    async fn connection(&self, stream: TcpStream) {
        let last = Arc::new(Notify::new());
        let service = service_fn(|request| {
            let (serving, last) = (self.clone(), Arc::clone(&last));
            async move { serving.answer(request, &last).await }
        });
        let serving =
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        tokio::select! {
            _ = serving.as_mut() => return,
            () = last.notified() => {}
        }
        serving.as_mut().graceful_shutdown();
        let _ = serving.await;
    }

    /// Answers, or resets the stream.
    async fn answer(&self, request: Request<Incoming>, last: &Notify) -> io::Result<Answer> {
        let (parts, body) = request.into_parts();
        let asked = Asked::of_path(parts.uri.path());
        self.found.check(|| format!("the service got {parts:?}"), asked.is_some());
        let asked = asked.ok_or(io::ErrorKind::InvalidData)?;
        let user_id = parts.headers.get("x-firegate-user-id").and_then(|value| value.to_str().ok());
        let is_its_users = user_id == Some(format!("user-{}", asked.user).as_str());
        self.found.check(|| format!("{asked:?} came as {user_id:?}'s"), is_its_users);
        match asked.plan {
            // It is read when it is answered.
            Plan::Early => {
                let serving = self.clone();
                tokio::spawn(async move { serving.content(asked, body).await });
            }
            Plan::EarlyAndClosed => drop(body),
            _ => self.content(asked, body).await?,
        }
        let comes_again = !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(asked.number);
        match asked.plan {
            Plan::NoAnswer | Plan::Reset if !comes_again => return Err(io::Error::other("no answer")),
            Plan::LastAnswer => last.notify_one(),
            _ => {}
        }
        Ok(answer(asked, &parts.method))
    }

    /// Reads the content of a request. What there is of it has to be this request's, whether it comes to its end or not.
    async fn content(&self, asked: Asked, mut body: Incoming) -> io::Result<()> {
        let mut got = Vec::new();
        let ended = loop {
            match body.frame().await {
                None => break Ok(()),
                Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => break Err(io::Error::other(error)),
            }
        };
        let expected = content('u', asked.number, got.len());
        self.found.check(|| format!("{asked:?} came with another's content"), got == expected);
        ended
    }
}

fn answer(asked: Asked, method: &Method) -> Answer {
    let Asked { number, plan, answer_bytes, .. } = asked;
    let is_empty = *method == Method::HEAD || plan == Plan::Empty;
    let data = if is_empty { Vec::new() } else { content('d', number, answer_bytes) };
    let breaks_off = matches!(plan, Plan::CutOff | Plan::CutChunks) && !is_empty;
    let sent = if breaks_off { data.len() / 2 } else { data.len() };
    let piece = if plan == Plan::Pieces { 97 } else { 3_000 };
    let pieces = data[..sent].chunks(piece).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))));
    let mut frames = pieces.collect::<Vec<_>>();
    if breaks_off {
        frames.push(Err(io::Error::other("it breaks off")));
    }
    if plan == Plan::Trailer && !is_empty {
        let trailers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-trailer-to"),
            HeaderValue::from(number),
        )]);
        frames.push(Ok(Frame::trailers(trailers)));
    }
    let status = if plan == Plan::Empty { StatusCode::NO_CONTENT } else { StatusCode::OK };
    let answer = Response::builder().status(status).header("x-answer-to", number);
    answer.body(StreamBody::new(stream::iter(frames)).boxed()).expect("an answer")
}
