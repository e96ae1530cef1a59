//! Bodies on their way through: streamed, never buffered, and ended when their bound, their idle time or their user's
//! lease is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use firegate_core::app_check::FIREBASE_APP_CHECK;
use firegate_core::headers::{is_look_alike, is_protected};
use firegate_core::observed::DecidedHeaders;
use http::{HeaderMap, HeaderName};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::ending::{Ending, Next, StreamEnd};
use super::lease::{Lease, LeaseEnd, LeaseOver};
use super::overdue::OpenStream;
use super::pace::Pace;
use super::progress::{Answering, BodyFailure, BodyProgress, Side};
use crate::connection::RequestBodyError;
use crate::limits::STREAM_ENDING_GRACE;
use crate::moment;
use crate::respond::{FIREGATE_REASON, FIREGATE_REQUEST_ID};
use crate::upstream::Http1Error;

/// A body: one that is already there, for which nothing is allocated, or one that is streamed.
#[derive(Debug)]
pub(crate) struct Body(Form);

#[derive(Debug)]
enum Form {
    There(Full<Bytes>),
    Streamed(UnsyncBoxBody<Bytes, BodyError>),
}

/// A body that is already there.
pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Body(Form::There(Full::new(text.into())))
}

/// What can be streamed as a body.
pub(crate) trait Streamed: HttpBody<Data = Bytes, Error = BodyError> + Send + Sized + 'static {
    /// The body that streams it.
    fn streamed(self) -> Body {
        Body(Form::Streamed(UnsyncBoxBody::new(self)))
    }
}

impl<B: HttpBody<Data = Bytes, Error = BodyError> + Send + 'static> Streamed for B {}

/// One that is empty.
impl Default for Body {
    fn default() -> Self {
        full(Bytes::new())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Form::There(body) => {
                let Some(Ok(frame)) = ready!(Pin::new(body).poll_frame(context)) else {
                    return Poll::Ready(None);
                };
                Poll::Ready(Some(Ok(frame)))
            }
            Form::Streamed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Form::There(body) => body.is_end_stream(),
            Form::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Form::There(body) => body.size_hint(),
            Form::Streamed(body) => body.size_hint(),
        }
    }
}

/// Why a body ended before its end. The connection is then broken off, so that nobody takes it for the whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("{}", StreamEnd::Idle.as_str())]
    Idle,
    #[error("{}", .0.as_str())]
    LeaseOver(LeaseEnd),
    #[error("the body is too large")]
    TooLarge,
    #[error("{}", StreamEnd::TooLong.as_str())]
    TooLong,
    #[error("{}", StreamEnd::TooSlow.as_str())]
    TooSlow,
    #[error("the service has answered without it")]
    Unwanted,
    #[error("a fault of Firegate's own")]
    Panicked,
    #[error("what it is a copy of was broken off, or goes faster than the copy")]
    CopyBroken,
    #[error("the other side broke off: its stream was reset before its end")]
    Reset,
    #[error("the other side broke off: {0}")]
    Client(#[from] RequestBodyError),
    #[error("the other side broke off: {0}")]
    Transport(#[from] hyper::Error),
    #[error("the other side broke off: {0}")]
    Service(#[from] Http1Error),
}

/// What a body is ended by, and what of it is let through.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    /// The most bytes it may have.
    pub(crate) bytes_max: Option<u64>,
    /// The longest wait for a piece, of this body or of the exchange's other one.
    pub(crate) idle: Option<Duration>,
    /// When it has to be over.
    pub(crate) deadline: Option<Instant>,
    /// How fast it has to come, if that matters.
    pub(crate) pace: Option<Pace>,
    /// What ends it in any case.
    pub(crate) lease: Lease,
    /// How it ends then.
    pub(crate) ending: Ending,
    /// Which body of the exchange it is.
    pub(crate) side: Side,
    /// What its trailers may not say, beside what no trailers may.
    pub(crate) decided: DecidedHeaders,
    /// How far the exchange is, which its two bodies share.
    pub(crate) progress: BodyProgress,
    /// That the answer has begun, until it is over: held, not read.
    pub(crate) _answering: Option<Answering>,
    /// The watch over it while nobody asks for more of it.
    pub(crate) watched: Option<OpenStream>,
    /// The end of the process, which waits for no rest of a request that is answered.
    pub(crate) stop: Option<Arc<CancellationToken>>,
}

/// A body within its bounds.
pub(crate) struct BoundedBody<B> {
    inner: B,
    bounds: Bounds,
    phase: Phase,
    /// The one timer: for whatever comes first while a piece is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: Option<Waiting>,
    /// Wakes when the user's sessions are over.
    revoked: Option<LeaseOver>,
    /// Wakes at the stop.
    stopped: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

/// How far the body is.
enum Phase {
    Flowing,
    /// The lease or the time is over. What is under way may come to its end before the timer's.
    Ending(StreamEnd),
    Over,
}

/// A piece that is waited for.
#[derive(Clone, Copy)]
struct Waiting {
    since: Instant,
    due: Due,
    /// The pace was asked what is due.
    is_paced: bool,
}

/// What happens when it does not come.
#[derive(Clone, Copy)]
enum Due {
    Idle,
    LeaseOver,
    TooLong,
    TooSlow,
}

impl<B: HttpBody<Data = Bytes, Error: Into<BodyError>> + Unpin> BoundedBody<B> {
    /// Bounds a body.
    pub(crate) fn new(inner: B, bounds: Bounds) -> Self {
        Self {
            inner,
            bounds,
            phase: Phase::Flowing,
            timer: None,
            waiting: None,
            revoked: None,
            stopped: None,
        }
    }

    fn poll_flowing(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.bounds.deadline.is_some() || self.bounds.lease.has_end() {
            let now = moment::now();
            if let Some(end) = self.bounds.lease.ended(now) {
                return self.begin_ending(StreamEnd::LeaseOver(end), context);
            }
            if self.bounds.deadline.is_some_and(|deadline| deadline <= now) {
                return self.begin_ending(StreamEnd::TooLong, context);
            }
        }
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else {
            return self.poll_waiting(context);
        };
        self.stop_waiting();
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(self.admit(frame)),
            Some(Err(error)) => Some(self.broken_off(error.into())),
            None => None,
        })
    }

    /// The end of an answer that its service breaks off. Where the request's time was over that is what breaks it off, and it
    /// is told of as that.
    fn broken_off(&mut self, error: BodyError) -> Result<Frame<Bytes>, BodyError> {
        let end = match self.bounds.progress.failure().filter(|_| self.bounds.side == Side::Answer) {
            Some(BodyFailure::TooLong) => StreamEnd::TooLong,
            Some(BodyFailure::TooSlow) => StreamEnd::TooSlow,
            Some(BodyFailure::Idle) => StreamEnd::Idle,
            _ => return Err(error),
        };
        // Nothing comes any more that could be waited for.
        match self.bounds.ending.next(end) {
            Next::Last(Some(frame)) => {
                self.bounds.progress.note_cut(end.cut());
                self.phase = Phase::Over;
                Ok(frame)
            }
            _ => Err(error),
        }
    }

    /// The time runs from when the next piece is first missed: a reader that pauses is not the sender's fault.
    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(watch) = &self.bounds.lease.watch {
            let watch = Arc::clone(watch);
            let revoked = self.revoked.get_or_insert_with(|| {
                Box::pin(async move {
                    watch.revoked().await;
                    LeaseEnd::Revoked
                })
            });
            if let Poll::Ready(end) = revoked.as_mut().poll(context) {
                return self.begin_ending(StreamEnd::LeaseOver(end), context);
            }
        }
        if self.bounds.pace.is_some() || self.bounds.stop.is_some() {
            self.bounds.progress.wake_at_the_answers_end(context.waker());
        }
        if self.is_not_waited_for(context) {
            return Poll::Ready(Some(Err(BodyError::Unwanted)));
        }
        let waiting = match self.waiting {
            Some(waiting) if waiting.is_paced || self.bounds.progress.is_answering() => waiting,
            // The first look, or the first one after an answer whose end lets the pace count again.
            former => {
                let since = former.map_or_else(|| self.begin_waiting(), |former| former.since);
                let Some(waiting) = self.wait(since) else { return Poll::Pending };
                waiting
            }
        };
        if !self.timer_is_over(context) {
            return Poll::Pending;
        }
        match waiting.due {
            Due::Idle if self.bounds.progress.take_other_moved(self.bounds.side) => {
                if let Some(watched) = &self.bounds.watched {
                    watched.moved();
                }
                self.stop_waiting();
                self.poll_waiting(context)
            }
            Due::TooSlow if self.bounds.progress.is_answering() => {
                self.wait(waiting.since);
                self.poll_waiting(context)
            }
            Due::Idle => self.begin_ending(StreamEnd::Idle, context),
            Due::TooLong => self.begin_ending(StreamEnd::TooLong, context),
            Due::TooSlow => Poll::Ready(Some(Err(BodyError::TooSlow))),
            Due::LeaseOver => self.begin_ending(StreamEnd::LeaseOver(LeaseEnd::Expired), context),
        }
    }

    /// Whether the process stops and the request is answered: nobody misses the rest of it.
    fn is_not_waited_for(&mut self, context: &mut Context<'_>) -> bool {
        if self.bounds.progress.answer_ended().is_none() {
            return false;
        }
        let Some(stop) = &self.bounds.stop else { return false };
        let stopped = self.stopped.get_or_insert_with(|| Box::pin((**stop).clone().cancelled_owned()));
        stopped.as_mut().poll(context).is_ready()
    }

    /// From now on the next piece is missed. What moved before in the other direction gives no more time after it.
    fn begin_waiting(&self) -> Instant {
        self.bounds.progress.take_other_moved(self.bounds.side);
        Instant::now()
    }

    fn stop_waiting(&mut self) {
        let progress = &self.bounds.progress;
        if let Some(waiting) = self.waiting.take()
            && let Some(pace) = &mut self.bounds.pace
            && !progress.is_answering()
        {
            // Nobody waited for the rest of it while it was answered.
            let from = progress.answer_ended().map_or(waiting.since, |ended| ended.max(waiting.since));
            pace.waited(from.elapsed());
        }
    }

    /// Waits for the piece that is missed since then, for as long as it may take from now on.
    fn wait(&mut self, since: Instant) -> Option<Waiting> {
        let is_paced = !self.bounds.progress.is_answering();
        let lease = self.bounds.lease.until.map(|until| (until, Due::LeaseOver));
        let idle = self.bounds.idle.map(|idle| (since + idle, Due::Idle));
        let deadline = self.bounds.deadline.map(|deadline| (deadline, Due::TooLong));
        let pace = self.bounds.pace.filter(|_| is_paced);
        let pace = pace.map(|pace| (Instant::now() + pace.patience(), Due::TooSlow));
        let first = [lease, deadline, pace, idle].into_iter().flatten().min_by_key(|(at, _)| *at);
        let (at, due) = first?;
        self.set_timer(at);
        Some(*self.waiting.insert(Waiting { since, due, is_paced }))
    }

    fn set_timer(&mut self, at: Instant) {
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }

    fn timer_is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready())
    }

    fn begin_ending(
        &mut self,
        end: StreamEnd,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.phase = Phase::Ending(end);
        self.set_timer(Instant::now() + STREAM_ENDING_GRACE);
        self.poll_ending(end, context)
    }

    fn poll_ending(
        &mut self,
        end: StreamEnd,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = self.bounds.ending.next(end);
        let frame = match next {
            Next::Last(frame) => {
                self.bounds.progress.note_cut(end.cut());
                self.phase = Phase::Over;
                return Poll::Ready(frame.map(Ok));
            }
            Next::Broken => return Poll::Ready(Some(Err(end.error()))),
            Next::Nothing => Poll::Pending,
            Next::Through => Pin::new(&mut self.inner).poll_frame(context),
        };
        let Poll::Ready(frame) = frame else {
            let is_over = self.timer_is_over(context);
            return if is_over { Poll::Ready(Some(Err(end.error()))) } else { Poll::Pending };
        };
        let Some(frame) = frame.transpose().map_err(Into::into)? else { return Poll::Ready(None) };
        Poll::Ready(Some(match frame.into_data() {
            Ok(mut data) => self.admit(Frame::data(data.split_to(self.bounds.ending.rest(&data)))),
            Err(trailers) => self.admit(trailers),
        }))
    }

    /// Lets a frame through, as far as it may.
    fn admit(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        self.bounds.progress.note_moved(self.bounds.side);
        if let Some(watched) = &self.bounds.watched {
            watched.moved();
        }
        if let Some(data) = frame.data_ref() {
            self.bounds.ending.pass(data);
            if let Some(pace) = &mut self.bounds.pace {
                pace.sent(data.len());
            }
            if let Some(left) = &mut self.bounds.bytes_max {
                *left = left.checked_sub(data.len() as u64).ok_or(BodyError::TooLarge)?;
            }
        } else if let Some(trailers) = frame.trailers_mut() {
            take_out_refused(trailers, self.bounds.side, &self.bounds.decided);
        }
        Ok(frame)
    }
}

/// Takes out of the trailers what none may say: of a request's, what is deleted from its head, and what was decided by its
/// head, too.
fn take_out_refused(trailers: &mut HeaderMap, side: Side, decided: &DecidedHeaders) {
    let refused = |name: &&HeaderName| {
        let of_a_request = || is_protected(name) || decided.contain(name);
        NO_TRAILERS.contains(name) || is_look_alike(name) || (side == Side::Request && of_a_request())
    };
    let names = trailers.keys().filter(refused).cloned().collect::<Vec<_>>();
    for name in names {
        trailers.remove(name);
    }
}

impl<B> Drop for BoundedBody<B> {
    fn drop(&mut self) {
        // Who asks for no more waits for nobody.
        if self.bounds.side == Side::Request {
            self.bounds.progress.note_awaits_client(false);
        }
    }
}

/// Fields that decide about a message, and so come before it (RFC 9110, section 6.5.1), whatever holds a token among them: what
/// is taken out of a request's head does not reach the service behind its body. Those of a connection, for which HTTP/2
/// resets the stream: the whole would end like a part. And what is the door's to say of an answer: for gRPC's clients trailers
/// are headers.
const NO_TRAILERS: [HeaderName; 17] = [
    http::header::AUTHORIZATION,
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::COOKIE,
    http::header::EXPECT,
    FIREGATE_REASON,
    FIREGATE_REQUEST_ID,
    http::header::HOST,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    http::header::SEC_WEBSOCKET_PROTOCOL,
    http::header::TE,
    http::header::TRAILER,
    FIREBASE_APP_CHECK,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
];

impl<B: HttpBody<Data = Bytes, Error: Into<BodyError>> + Unpin> HttpBody for BoundedBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = match self.phase {
            Phase::Flowing => self.poll_flowing(context),
            Phase::Ending(end) => self.poll_ending(end, context),
            Phase::Over => Poll::Ready(None),
        };
        if self.bounds.side == Side::Request {
            self.bounds.progress.note_awaits_client(polled.is_pending());
        }
        let frame = ready!(polled);
        if let Some(Err(error)) = &frame {
            self.phase = Phase::Over;
            if self.bounds.side == Side::Request {
                self.bounds.progress.note_failure(error);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.phase, Phase::Over) || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
