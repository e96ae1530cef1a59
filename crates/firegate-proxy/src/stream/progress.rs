//! How far the two bodies of an exchange are: what each knows of the other, and what is known of both when the exchange fails.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::body::BodyError;
use crate::connection::RequestBodyError;
use crate::moment;

/// Whose body it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client's. Trailers by names that no client may set are left out of it: servers merge them into the headers.
    Request,
    /// The service's.
    #[default]
    Answer,
}

/// Why a request's body did not reach its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFailure {
    LeaseOver,
    /// The client's bytes are no body.
    Malformed,
    TooLarge,
    /// The client sent less in a second than it has to.
    TooSlow,
    /// The client sent nothing more for too long.
    Idle,
    /// Firegate's own fault.
    Panicked,
    /// The client broke off.
    Left,
    /// The time for the request and its answer was over.
    TooLong,
    /// What it is a copy of was broken off, or went faster.
    CopyBroken,
}

/// How far the bodies of an exchange are.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyProgress(Arc<Progress>);

#[derive(Debug, Default)]
struct Progress {
    /// When the request moved on first, and how many nanoseconds after that it did so last.
    first_moved: OnceLock<Instant>,
    moved_after: AtomicU64,
    /// Whether the next piece of the request was asked for and has not come: then the client is waited for, and nobody else.
    awaits_client: AtomicBool,
    /// Whether a piece of the request went through since the answer missed one, and the other way round.
    request_moved: AtomicBool,
    answer_moved: AtomicBool,
    /// Whether the answer has begun and is not over.
    is_answering: AtomicBool,
    /// When it was over.
    answer_ended: OnceLock<Instant>,
    /// The request's body, which nobody holds to a pace while it is answered.
    request_body: AtomicWaker,
    /// [`BodyFailure`], as its place in [`FAILURES`]; 0 is none.
    failure: AtomicU8,
    /// Why the answer was cut, if its protocol has told the client so.
    cut: OnceLock<&'static str>,
}

const FAILURES: [(u8, BodyFailure); 9] = [
    (1, BodyFailure::LeaseOver),
    (2, BodyFailure::TooLarge),
    (3, BodyFailure::TooSlow),
    (4, BodyFailure::Malformed),
    (5, BodyFailure::Panicked),
    (6, BodyFailure::Left),
    (7, BodyFailure::TooLong),
    (8, BodyFailure::CopyBroken),
    (9, BodyFailure::Idle),
];

/// Held by the body of an answer: its request is answered meanwhile.
#[derive(Debug)]
pub(crate) struct Answering(BodyProgress);

impl Drop for Answering {
    fn drop(&mut self) {
        let progress = &self.0.0;
        // Before anybody can see that the answer is over. There is one answer.
        let _ = progress.answer_ended.set(moment::now());
        progress.is_answering.store(false, Ordering::Release);
        progress.request_body.wake();
    }
}

impl BodyProgress {
    /// Takes note that the answer begins.
    pub(crate) fn answering(&self) -> Answering {
        self.0.is_answering.store(true, Ordering::Relaxed);
        Answering(self.clone())
    }

    /// Whether both directions are open. A client that sends now and then is then one side of a conversation, which the
    /// service takes part in, and no upload that it waits for.
    pub(super) fn is_answering(&self) -> bool {
        self.0.is_answering.load(Ordering::Acquire)
    }

    /// When the answer was over, if it is.
    pub(super) fn answer_ended(&self) -> Option<Instant> {
        self.0.answer_ended.get().copied()
    }

    /// Has the request's body woken when the answer is over.
    pub(super) fn wake_at_the_answers_end(&self, waker: &Waker) {
        self.0.request_body.register(waker);
    }

    /// When the request moved on last: a piece of it went through, or its client was waited for no longer.
    pub(crate) fn last_moved(&self) -> Option<Instant> {
        let first = self.0.first_moved.get()?;
        Some(*first + Duration::from_nanos(self.0.moved_after.load(Ordering::Relaxed)))
    }

    fn note_request_moved(&self) {
        let since_first = self.0.first_moved.get_or_init(Instant::now).elapsed();
        let nanoseconds = u64::try_from(since_first.as_nanos()).unwrap_or(u64::MAX);
        self.0.moved_after.store(nanoseconds, Ordering::Relaxed);
    }

    /// Whether the client is waited for: the service has taken what came of the request and wants more of it.
    pub(crate) fn awaits_client(&self) -> bool {
        self.0.awaits_client.load(Ordering::Relaxed)
    }

    /// Takes note whether the next piece of the request is waited for. What ends the wait counts as a move, be it only the
    /// request's end: from then on it is the service that is waited for.
    pub(crate) fn note_awaits_client(&self, awaits: bool) {
        if self.awaits_client() == awaits {
            return;
        }
        self.0.awaits_client.store(awaits, Ordering::Relaxed);
        if !awaits {
            self.note_request_moved();
        }
    }

    /// Why the request's body did not reach its end, if it did not. The service has nothing to do with any of it.
    pub(crate) fn failure(&self) -> Option<BodyFailure> {
        let number = self.0.failure.load(Ordering::Relaxed);
        FAILURES.iter().find(|(place, _)| *place == number).map(|(_, failure)| *failure)
    }

    /// Takes note that the answer was cut, although it comes to an end.
    pub(super) fn note_cut(&self, why: Option<&'static str>) {
        if let Some(why) = why {
            // The first reason is the one.
            let _ = self.0.cut.set(why);
        }
    }

    /// Why the answer was cut, if it ends all the same.
    pub(crate) fn cut(&self) -> Option<&'static str> {
        self.0.cut.get().copied()
    }

    pub(super) fn note_moved(&self, side: Side) {
        match side {
            Side::Request => {
                self.note_request_moved();
                self.0.request_moved.store(true, Ordering::Relaxed);
            }
            Side::Answer => self.0.answer_moved.store(true, Ordering::Relaxed),
        }
    }

    /// Whether the other side's body moved meanwhile: of a stream with two directions one may be silent for long.
    pub(super) fn take_other_moved(&self, side: Side) -> bool {
        let other = match side {
            Side::Request => &self.0.answer_moved,
            Side::Answer => &self.0.request_moved,
        };
        other.swap(false, Ordering::Relaxed)
    }

    pub(super) fn note_failure(&self, error: &BodyError) {
        let failure = match error {
            BodyError::LeaseOver(_) => BodyFailure::LeaseOver,
            BodyError::TooLarge => BodyFailure::TooLarge,
            BodyError::TooSlow => BodyFailure::TooSlow,
            BodyError::Idle => BodyFailure::Idle,
            BodyError::Panicked => BodyFailure::Panicked,
            BodyError::Client(RequestBodyError::Malformed(_)) => BodyFailure::Malformed,
            BodyError::Client(_) | BodyError::Transport(_) | BodyError::Service(_) | BodyError::Reset => {
                BodyFailure::Left
            }
            BodyError::TooLong => BodyFailure::TooLong,
            BodyError::CopyBroken => BodyFailure::CopyBroken,
            // The service has answered by then.
            BodyError::Unwanted => return,
        };
        if let Some((number, _)) = FAILURES.iter().find(|(_, listed)| *listed == failure) {
            self.0.failure.store(*number, Ordering::Relaxed);
        }
    }
}
