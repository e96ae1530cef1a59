//! What time it is, for what is measured in milliseconds. Asking the system takes as long as much else that is done for a
//! request, and within one poll of a task nothing waits: there it is asked once.

use std::cell::Cell;

use tokio::time::Instant;

thread_local! {
    static HELD: Cell<Held> = const { Cell::new(Held::Not) };
}

#[derive(Clone, Copy)]
enum Held {
    /// Nobody said that the moment is the same.
    Not,
    /// It is the same, and nobody has asked yet.
    Unread,
    At(Instant),
}

/// Lets go of the moment, whatever comes of what was done in it.
struct Holding {
    before: Held,
}

impl Drop for Holding {
    fn drop(&mut self) {
        HELD.set(self.before);
    }
}

/// Does what is done at one moment, as a poll is.
pub(crate) fn hold<T>(at_once: impl FnOnce() -> T) -> T {
    let _holding = Holding { before: HELD.replace(Held::Unread) };
    at_once()
}

/// The moment that is held, or this one. What lies between two points of one poll is not measured by it.
pub(crate) fn now() -> Instant {
    match HELD.get() {
        Held::At(at) => at,
        Held::Not => Instant::now(),
        Held::Unread => {
            let now = Instant::now();
            HELD.set(Held::At(now));
            now
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::time::Duration;

    use super::*;

    /// Takes longer than a clock's tick.
    fn wait() {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_micros(10) {}
    }

    #[test]
    fn it_is_the_same_moment_while_it_is_held_and_no_longer() {
        let (first, second) = hold(|| {
            let first = now();
            wait();
            (first, now())
        });
        assert_eq!(first, second);
        wait();
        let third = hold(now);
        assert!(third > first, "another poll, another moment");
        wait();
        assert!(now() > third);
        wait();
        let panicked = catch_unwind(|| {
            hold(|| {
                now();
                panic!("on purpose");
            })
        });
        assert!(panicked.is_err());
        let after = now();
        wait();
        assert!(now() > after, "nothing is held after a panic");
    }
}
