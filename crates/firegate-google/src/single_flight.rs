//! One call instead of a thousand: whoever needs what is being fetched joins the fetch under way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

/// How a call ended, if it has.
type Ended<V> = Option<Result<V, NoResult>>;

/// Calls under way, at most one for each key. A call is its own task: it ends and counts also when nobody waits.
#[derive(Debug)]
pub(crate) struct SingleFlight<K, V> {
    under_way: Mutex<HashMap<K, watch::Receiver<Ended<V>>>>,
    under_way_max: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// A call under way. Its place is given back also if it panics, or is dropped with its runtime.
struct Call<K: Eq + Hash, V> {
    flights: Arc<SingleFlight<K, V>>,
    key: K,
    sender: watch::Sender<Ended<V>>,
    result: Option<V>,
}

impl<K: Eq + Hash, V> Call<K, V> {
    fn end_with(mut self, result: V) {
        self.result = Some(result);
    }
}

impl<K: Eq + Hash, V> Drop for Call<K, V> {
    fn drop(&mut self) {
        self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        let none = if std::thread::panicking() { NoResult::Panicked } else { NoResult::Stopping };
        // In this order: whoever sees how it ended finds its place free.
        self.sender.send_replace(Some(self.result.take().ok_or(none)));
    }
}

/// A place in a call under way.
#[derive(Debug)]
pub(crate) struct Seat<V>(watch::Receiver<Ended<V>>);

/// Why there is no place in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSeat<R> {
    /// No call is under way and the caller decided against one.
    Declined(R),
    /// As many calls as are allowed are under way for other keys.
    Full,
}

/// Why waiting brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoResult {
    /// As many callers as are allowed wait already.
    Full,
    /// The call takes longer than the caller would wait; it goes on.
    TimedOut,
    /// The call panicked.
    Panicked,
    /// The runtime that makes the call is stopping.
    Stopping,
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(under_way_max: usize, waiting_max: usize) -> Self {
        Self { under_way: Mutex::default(), under_way_max, waiting: AtomicUsize::new(0), waiting_max }
    }

    /// Joins the call for `key`, or begins one on `runtime` if `begin` makes it. `begin` runs under the lock, so what it
    /// looks at cannot change by a call that ends meanwhile: a call stores its effects before it leaves.
    pub(crate) fn join<F, R>(
        self: &Arc<Self>,
        runtime: &Handle,
        key: K,
        begin: impl FnOnce() -> Result<F, R>,
    ) -> Result<Seat<V>, NoSeat<R>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = under_way.get(&key) {
            return Ok(Seat(seat.clone()));
        }
        if under_way.len() >= self.under_way_max {
            return Err(NoSeat::Full);
        }
        let call = begin().map_err(NoSeat::Declined)?;
        let (sender, seat) = watch::channel(None);
        under_way.insert(key.clone(), seat.clone());
        drop(under_way);
        let under_way = Call { flights: Arc::clone(self), key, sender, result: None };
        runtime.spawn(async move {
            let result = call.await;
            under_way.end_with(result);
        });
        Ok(Seat(seat))
    }

    /// Waits for the call's result, at most `limit`.
    pub(crate) async fn wait(&self, seat: Seat<V>, limit: Duration) -> Result<V, NoResult> {
        let _waiter = Waiter::enter(&self.waiting, self.waiting_max).ok_or(NoResult::Full)?;
        self.wait_uncounted(seat, limit).await
    }

    /// The same for a task of the process itself, of which there are few: requests that fill all places of those who wait
    /// must not keep it from waiting.
    pub(crate) async fn wait_uncounted(&self, seat: Seat<V>, limit: Duration) -> Result<V, NoResult> {
        let Seat(mut result) = seat;
        let waited = tokio::time::timeout(limit, result.wait_for(Option::is_some)).await;
        match waited {
            Err(_) => Err(NoResult::TimedOut),
            // Every call that ends says how.
            Ok(ended) => ended.ok().and_then(|result| result.clone()).unwrap_or(Err(NoResult::Stopping)),
        }
    }
}

/// One of the bounded number of waiters; leaving is counted also when the waiting future is dropped.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn enter(waiting: &'a AtomicUsize, waiting_max: usize) -> Option<Self> {
        let waiter = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < waiting_max).then_some(waiter)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::sync::oneshot;

    use super::*;

    type Flights = Arc<SingleFlight<&'static str, u32>>;

    fn begin(flights: &Flights, key: &'static str) -> (oneshot::Sender<u32>, Seat<u32>) {
        let (sender, receiver) = oneshot::channel();
        let call = async move { receiver.await.expect("the test sends or drops") };
        let seat =
            flights.join(&Handle::current(), key, || Ok::<_, Infallible>(call)).expect("there is room");
        (sender, seat)
    }

    fn join(flights: &Flights, key: &'static str) -> Result<Seat<u32>, NoSeat<&'static str>> {
        flights.join(&Handle::current(), key, || Err::<std::future::Ready<u32>, _>("none is under way"))
    }

    #[tokio::test]
    async fn all_callers_of_a_key_share_one_call_and_its_result() {
        let flights = Arc::new(SingleFlight::new(1, 2));
        let (sender, first) = begin(&flights, "a");
        let second = join(&flights, "a").expect("one is under way");
        assert!(matches!(join(&flights, "b"), Err(NoSeat::Full)));
        sender.send(7).expect("the call waits");
        let limit = Duration::from_secs(5);
        assert_eq!(tokio::join!(flights.wait(first, limit), flights.wait(second, limit)), (Ok(7), Ok(7)));
        assert!(matches!(join(&flights, "a"), Err(NoSeat::Declined(_))));
    }

    #[tokio::test]
    async fn waiting_is_bounded_in_time_and_number_and_a_lost_call_makes_room() {
        let flights = Arc::new(SingleFlight::new(1, 1));
        let (sender, first) = begin(&flights, "a");
        let second = join(&flights, "a").expect("one is under way");
        let third = join(&flights, "a").expect("one is under way");
        let long = Duration::from_secs(5);
        let waiting = flights.wait(first, long);
        tokio::pin!(waiting);
        tokio::select! { biased; _ = &mut waiting => panic!("nothing was sent"), () = std::future::ready(()) => {} }
        assert_eq!(flights.wait(second, long).await, Err(NoResult::Full));
        let fourth = join(&flights, "a").expect("one is under way");
        assert_eq!(flights.wait_uncounted(fourth, Duration::ZERO).await, Err(NoResult::TimedOut));
        drop(sender);
        assert_eq!(waiting.await, Err(NoResult::Panicked));
        // Its place is free for any key, whether or not its own is ever asked for again.
        let (_sender, seat) = begin(&flights, "b");
        assert_eq!(flights.wait(seat, Duration::ZERO).await, Err(NoResult::TimedOut));
        assert_eq!(flights.wait(third, long).await, Err(NoResult::Panicked));
    }

    #[tokio::test]
    async fn a_call_whose_runtime_ends_is_told_from_one_that_panicked() {
        let flights: Flights = Arc::new(SingleFlight::new(1, 1));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a thread");
        let call = std::future::pending::<u32>();
        let seat = flights.join(runtime.handle(), "a", || Ok::<_, Infallible>(call)).expect("there is room");
        runtime.shutdown_background();
        assert_eq!(flights.wait(seat, Duration::from_secs(5)).await, Err(NoResult::Stopping));
    }
}
