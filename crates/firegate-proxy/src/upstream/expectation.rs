//! `Expect: 100-continue`: the service's word comes before the client's body. It is not asked for the body, which is what
//! makes the client send it, before the service wants it; and a service that refuses gets none of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::limits::UPSTREAM_CONTINUE_TIMEOUT;
use crate::stream::{Body, BodyError, Streamed};

/// What became of a client's expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Awaited,
    /// The service wants the body.
    Continue,
    /// It has answered without.
    Answered,
    /// Its answer is over, too.
    Over,
}

/// The expectation that a client expressed. The body ends with it, unless the service has asked for it by then.
#[derive(Debug)]
pub(super) struct Expectation(Arc<watch::Sender<Word>>);

/// The service's word, for whoever hears it.
#[derive(Clone, Debug)]
pub(super) struct ContinueWord(Arc<watch::Sender<Word>>);

impl Expectation {
    /// Holds the body of a request back that expects to be told to go on.
    pub(super) fn hold(request: &mut Request<Body>) -> Option<Self> {
        let expects = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        if !request.headers().get(EXPECT).is_some_and(expects) || request.body().is_end_stream() {
            return None;
        }
        let (word, mut heard) = watch::channel(Word::Awaited);
        let expectation = Self(Arc::new(word));
        let is_wanted = async move {
            let first = heard.wait_for(|word| *word != Word::Awaited);
            match timeout(UPSTREAM_CONTINUE_TIMEOUT, first).await {
                // A service that does not know of expectations waits for the body (RFC 9110, section 10.1.1).
                Err(_) => return true,
                Ok(Ok(word)) if *word == Word::Continue => return true,
                Ok(_) => {}
            }
            // Ended now, the body would take the connection along, and with it the answer.
            let _ = heard.wait_for(|word| *word == Word::Over).await;
            false
        };
        let held = |inner: Body| HeldBody { inner, is_wanted: Some(Box::pin(is_wanted)) }.streamed();
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = held(body);
        Some(expectation)
    }

    /// By what the service's word is told. The request may be sent once more, and is waited for each time.
    pub(super) fn word(&self) -> ContinueWord {
        ContinueWord(Arc::clone(&self.0))
    }

    /// The service has answered.
    pub(super) fn answered(&self) {
        self.0.send_if_modified(|word| {
            let is_first = *word == Word::Awaited;
            if is_first {
                *word = Word::Answered;
            }
            is_first
        });
    }
}

impl ContinueWord {
    /// The service wants the body.
    pub(super) fn go_on(&self) {
        self.0.send_if_modified(|word| std::mem::replace(word, Word::Continue) == Word::Awaited);
    }

    /// Waits for it by HTTP/2.
    pub(super) fn listen(self, request: &mut Request<Body>) {
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                self.go_on();
            }
        });
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.0.send_if_modified(|word| {
            let is_unasked = matches!(word, Word::Awaited | Word::Answered);
            if is_unasked {
                *word = Word::Over;
            }
            is_unasked
        });
    }
}

struct HeldBody {
    inner: Body,
    is_wanted: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(is_wanted) = &mut this.is_wanted {
            if !ready!(is_wanted.as_mut().poll(context)) {
                return Poll::Ready(Some(Err(BodyError::Unwanted)));
            }
            this.is_wanted = None;
        }
        Pin::new(&mut this.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
