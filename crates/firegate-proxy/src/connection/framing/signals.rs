//! What the stream below hyper and the service above it tell each other past it.

use std::future::poll_fn;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use http::header::{ORIGIN, UPGRADE};
use http::{HeaderValue, Request, Version};

use super::head::names_web_socket;
use super::violation::Violation;

/// The method of the request that stands for a head that was refused. No client can send it: the scanner refuses it.
pub(super) const UNREAD: &str = "UNREAD";

/// That request.
pub(super) const UNREAD_HEAD: &[u8] = b"UNREAD / HTTP/1.1\r\nHost: unread\r\nConnection: close\r\n\r\n";

const NOTHING_ASKED: u8 = 0;
const ASKED: u8 = 1;
const SWITCHED: u8 = 2;
const NOT_SWITCHED: u8 = 3;

const BREAKING: u8 = 1;
const BROKEN_OFF: u8 = 2;

/// The signals of one connection.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// What a head was refused for, and the page that it named before that.
    refused: OnceLock<(Violation, Option<HeaderValue>)>,
    between_requests: AtomicBool,
    ends_with_answer: AtomicBool,
    switch: AtomicU8,
    waiting: AtomicWaker,
    breaking: AtomicU8,
    driver: AtomicWaker,
    is_shut_down: AtomicBool,
}

impl Signals {
    /// The service: gives the request that stands for a refused head its [`Violation`], as an extension, and its origin, so
    /// that the page may read the answer.
    pub(crate) fn mark<B>(&self, request: &mut Request<B>) {
        if request.method().as_str() == UNREAD
            && let Some((violation, origin)) = self.refused.get()
        {
            request.extensions_mut().insert(*violation);
            if let Some(origin) = origin {
                request.headers_mut().insert(ORIGIN, origin.clone());
            }
        }
    }

    /// The service: whether the stream waits for the answer to this request before it reads on.
    pub(crate) fn awaits_answer<B>(request: &Request<B>) -> bool {
        let mut values = request.headers().get_all(UPGRADE).iter();
        // HTTP/1.0 has no upgrades, and the scanner knows: an answer that it does not wait for would count for the next one.
        request.version() == Version::HTTP_11 && values.any(|value| names_web_socket(value.as_bytes()))
    }

    /// The service: takes note of a request that is about to be answered.
    pub(crate) fn begin_answer<B>(&self, request: &Request<B>) {
        self.ends_with_answer.store(request.version() == Version::HTTP_10, Ordering::Relaxed);
    }

    /// Whoever drives the connection: whether its client may take the end of it for the end of the answer, as HTTP/1.0 does,
    /// which has no chunks (RFC 9112, section 6.3).
    pub(crate) fn ends_with_answer(&self) -> bool {
        self.ends_with_answer.load(Ordering::Relaxed)
    }

    /// The answer's body: nothing more comes of it, and this is not its end.
    pub(crate) fn break_off(&self) {
        self.breaking.store(BREAKING, Ordering::Relaxed);
    }

    /// The stream: what hyper had to write is written.
    pub(super) fn flushed(&self) {
        if self.breaking.load(Ordering::Relaxed) == BREAKING {
            self.breaking.store(BROKEN_OFF, Ordering::Relaxed);
            self.driver.wake();
        }
    }

    /// Whoever drives the connection: waits until an answer is broken off, and what came before that is written.
    pub(crate) async fn broken_off(&self) {
        poll_fn(|context| {
            self.driver.register(context.waker());
            match self.breaking.load(Ordering::Relaxed) {
                BROKEN_OFF => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    /// The stream: hyper has ended it, and not only let go of it.
    pub(super) fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Relaxed);
    }

    /// Whoever drives the connection: whether hyper has ended the stream.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Relaxed)
    }

    /// The service: the request is answered.
    pub(crate) fn answer(&self, is_switched: bool) {
        let answer = if is_switched { SWITCHED } else { NOT_SWITCHED };
        self.switch.store(answer, Ordering::Release);
        self.waiting.wake();
    }

    /// Whoever drives the connection: whether everything that was read belongs to requests that are whole, and no byte of
    /// another one has come.
    pub(crate) fn is_between_requests(&self) -> bool {
        self.between_requests.load(Ordering::Relaxed)
    }

    /// The stream: whether that is so.
    pub(super) fn set_between_requests(&self, is_so: bool) {
        self.between_requests.store(is_so, Ordering::Relaxed);
    }

    /// The stream: a head was refused.
    pub(super) fn refuse(&self, violation: Violation, origin: Option<HeaderValue>) {
        // There is one at most: nothing is read after it.
        let _ = self.refused.set((violation, origin));
    }

    /// The stream: a request to switch went on, and nothing behind it does.
    pub(super) fn ask(&self) {
        self.switch.store(ASKED, Ordering::Release);
    }

    /// The stream: whether the door has switched.
    pub(super) fn poll_switched(&self, context: &Context<'_>) -> Poll<bool> {
        self.waiting.register(context.waker());
        match self.switch.load(Ordering::Acquire) {
            NOTHING_ASKED | ASKED => Poll::Pending,
            answer => Poll::Ready(answer == SWITCHED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: Version, upgrade: &str, expected: bool) {
        let request =
            Request::builder().version(version).header(UPGRADE, upgrade).body(()).expect("a request");
        assert_eq!(Signals::awaits_answer(&request), expected, "{version:?} {upgrade}");
    }

    #[test]
    fn an_answer_is_waited_for_where_the_scanner_asked_for_one() {
        check(Version::HTTP_11, "websocket", true);
        check(Version::HTTP_11, "WebSocket", true);
        check(Version::HTTP_11, "h2c", false);
        check(Version::HTTP_10, "websocket", false);
    }
}
