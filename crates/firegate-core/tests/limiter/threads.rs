//! Many workers at once.

use std::sync::Arc;
use std::sync::Barrier;
use std::thread;

use crate::world::{ban, count, counters, rule, throttle};

const THREADS: usize = 8;
const REQUESTS: usize = 4000;

/// How many requests of all threads conform.
fn conforming(limits: firegate_core::limiter::Limits, addresses: &[&str]) -> usize {
    let ((_, counters), rule) = (counters(), rule(limits));
    let begin = Barrier::new(THREADS);
    thread::scope(|scope| {
        let work = || {
            begin.wait();
            let requests = addresses.iter().cycle().take(REQUESTS * addresses.len());
            requests.filter(|address| count(&counters, &Arc::clone(&rule), address).conforms()).count()
        };
        let threads = (0..THREADS).map(|_| scope.spawn(work)).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    })
}

#[test]
fn many_threads_let_exactly_as_many_pass_as_may() {
    assert_eq!(conforming(throttle(1000, 10), &["192.0.2.1"]), 1000);
    assert_eq!(conforming(throttle(1000, 10), &["192.0.2.1", "192.0.2.2", "192.0.2.3"]), 3000);
    assert_eq!(conforming(ban(throttle(1000, 10), None, 60), &["192.0.2.1"]), 1000);
}
