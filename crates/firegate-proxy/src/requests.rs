//! How many requests are under way in the process, and the bound on it: each takes memory until its answer has ended.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::stream::{OpenStream, RequestOnConnection};

/// The requests under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestsUnderWay {
    count: Arc<AtomicUsize>,
    /// Whether it was told how many a stop did not wait for.
    unfinished_told: Arc<AtomicBool>,
}

/// The place of one of them, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl RequestsUnderWay {
    /// A place, if fewer than `max` are taken. Nobody queues for one: who waits takes memory too.
    pub(crate) fn begin(&self, max: u32) -> Option<Place> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let place = Place(Arc::clone(&self.count));
        // The place that is one too many is given back at once.
        (self.count.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }

    /// How many are under way.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many a stop does not wait for, for the first worker that asks: the time to drain is over for all of them at once.
    pub(crate) fn unfinished(&self) -> Option<usize> {
        let is_told = self.unfinished_told.swap(true, Ordering::Relaxed);
        (!is_told).then(|| self.count())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, whose request is under way until it ends.
#[derive(Debug)]
pub(crate) struct HeldBody<B> {
    inner: B,
    _place: Option<Place>,
    _request: RequestOnConnection,
    /// The watch over an answer that no service sends.
    _watched: Option<OpenStream>,
}

impl<B> HeldBody<B> {
    /// A body that holds its request's place, in the process and on its connection.
    pub(crate) fn new(
        inner: B,
        place: Option<Place>,
        request: RequestOnConnection,
        watched: Option<OpenStream>,
    ) -> Self {
        Self { inner, _place: place, _request: request, _watched: watched }
    }
}

impl<B: HttpBody + Unpin> HttpBody for HeldBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_each_serves_again() {
        let requests = RequestsUnderWay::default();
        let places = [requests.begin(2), requests.begin(2)];
        assert!(places.iter().all(Option::is_some));
        assert!(requests.begin(2).is_none() && requests.begin(2).is_none());
        assert!(requests.begin(3).is_some(), "another configuration may allow more");
        drop(places);
        assert!(requests.begin(1).is_some());
    }
}
