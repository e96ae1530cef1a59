//! The way of every log line out of the process: a bounded queue and one thread that writes. Whoever logs appends to the
//! queue and goes on; a sink that is slow, or takes nothing at all, costs lines and never a request its time.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firegate_core::time::SharedClock;

use super::line;
use crate::limits::{LOG_QUEUE_BYTES_MAX, LOG_QUEUE_LINES_MAX, LOG_SINK_RETRY_PAUSE};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// One JSON object a line (<https://cloud.google.com/logging/docs/structured-logging>).
    Json,
    /// Lines for a person, with colours or without.
    Text {
        /// Whether the reader is a terminal.
        coloured: bool,
    },
}

/// The queue. Its clones are the same queue, and the thread ends after the last one.
#[derive(Clone, Debug)]
pub struct LogQueue {
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    queue: Arc<Queue>,
    form: LogForm,
    clock: SharedClock,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// There is something to write, or nothing will come any more.
    awaited: Condvar,
    /// Everything was written.
    finished: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    /// What is queued, the batch that is being written included.
    bytes: usize,
    lines: usize,
    /// The lines that were dropped since the queue overflowed; from then on it takes nothing until it is half empty, so that
    /// a log has one gap, of a length that it tells, instead of holes.
    gap: Option<u64>,
    is_closed: bool,
    is_finished: bool,
}

/// Whole lines, each with its line feed.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    lines: usize,
}

impl LogQueue {
    /// Starts the thread that writes to `sink`. The clock is for the lines that the queue itself adds.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(sink: impl Write + Send + 'static, form: LogForm, clock: SharedClock) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (written, told_by) = (Arc::clone(&queue), Arc::clone(&clock));
        std::thread::Builder::new()
            .name("firegate-log".to_owned())
            .spawn(move || written.write_all(sink, form, &told_by))?;
        Ok(Self { owner: Arc::new(Owner { queue, form, clock }) })
    }

    /// How lines look.
    pub fn form(&self) -> LogForm {
        self.owner.form
    }

    /// The clock of the lines.
    pub fn clock(&self) -> &SharedClock {
        &self.owner.clock
    }

    /// Appends whole lines, each with its line feed. Never waits: what there is no room for is dropped and counted.
    pub fn append(&self, bytes: Vec<u8>, lines: usize) {
        self.owner.queue.append(Batch { bytes, lines });
    }

    /// How many lines were dropped so far.
    pub fn lines_dropped(&self) -> u64 {
        self.owner.queue.dropped.load(Ordering::Relaxed)
    }

    /// Takes no more lines, and waits until those that it has are written, but no longer than `within`. Says whether they
    /// are.
    pub fn finish(&self, within: Duration) -> bool {
        let queue = &self.owner.queue;
        queue.close();
        let waiting = queue.finished.wait_timeout_while(queue.lock(), within, |state| !state.is_finished);
        waiting.unwrap_or_else(PoisonError::into_inner).0.is_finished
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Queue {
    /// Nothing is done under this lock but moving a few words; the sink is written to without it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, batch: Batch) {
        let lines = batch.lines as u64;
        let mut state = self.lock();
        if state.is_closed {
            // The end waits for no line that says how many came after it.
            self.dropped.fetch_add(lines, Ordering::Relaxed);
            return;
        }
        let overflows = state.bytes + batch.bytes.len() > LOG_QUEUE_BYTES_MAX
            || state.lines + batch.lines > LOG_QUEUE_LINES_MAX;
        if overflows || state.gap.is_some() {
            *state.gap.get_or_insert(0) += lines;
            self.dropped.fetch_add(lines, Ordering::Relaxed);
            if state.is_idle() {
                // A batch that is larger than the queue. What ends a gap is that something was written, and nothing is queued:
                // without this the log would be silent for good.
                state.push(Batch { bytes: Vec::new(), lines: 0 });
                drop(state);
                self.awaited.notify_one();
            }
            return;
        }
        let was_empty = state.batches.is_empty();
        state.push(batch);
        drop(state);
        if was_empty {
            self.awaited.notify_one();
        }
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.awaited.notify_one();
    }

    /// What the thread does: writes what comes until nothing will.
    fn write_all(&self, sink: impl Write, form: LogForm, clock: &SharedClock) {
        let mut writer = Writer { sink, form, clock, lost: 0, is_torn: false };
        while let Some(batch) = self.next() {
            self.dropped.fetch_add(writer.write(&batch), Ordering::Relaxed);
            let mut state = self.lock();
            state.bytes -= batch.bytes.len();
            state.lines -= batch.lines;
            if let Some(lines) = state.ended_gap() {
                let mut bytes = Vec::new();
                line::write_gap(form, clock.since_epoch(), line::TOO_SLOW, lines, &mut bytes);
                state.push(Batch { bytes, lines: 1 });
            }
        }
        self.lock().is_finished = true;
        self.finished.notify_all();
    }

    /// Waits for the next batch; `None` when the queue is closed and empty.
    fn next(&self) -> Option<Batch> {
        let waiting =
            self.awaited.wait_while(self.lock(), |state| state.batches.is_empty() && !state.is_closed);
        waiting.unwrap_or_else(PoisonError::into_inner).batches.pop_front()
    }
}

impl State {
    fn push(&mut self, batch: Batch) {
        self.bytes += batch.bytes.len();
        self.lines += batch.lines;
        self.batches.push_back(batch);
    }

    /// Whether nothing is queued or being written.
    fn is_idle(&self) -> bool {
        self.batches.is_empty() && self.bytes == 0 && self.lines == 0
    }

    /// The length of the gap, once there is room again.
    fn ended_gap(&mut self) -> Option<u64> {
        let has_room = self.bytes <= LOG_QUEUE_BYTES_MAX / 2 && self.lines <= LOG_QUEUE_LINES_MAX / 2;
        if has_room { self.gap.take() } else { None }
    }
}

/// What writes to the sink, and knows what that has not taken: a disk may be full for a while.
struct Writer<'a, W> {
    sink: W,
    form: LogForm,
    clock: &'a SharedClock,
    /// The lines that it has not taken since one was written, of which the log does not tell yet.
    lost: u64,
    /// It has taken a part of a line. What is written next would be the rest of it.
    is_torn: bool,
}

impl<W: Write> Writer<'_, W> {
    /// Writes a batch, and before it how much is missing. How many of its lines are lost.
    fn write(&mut self, batch: &Batch) -> u64 {
        let lines = batch.lines as u64;
        if self.lost > 0 {
            let mut gap = if self.is_torn { b"\n".to_vec() } else { Vec::new() };
            line::write_gap(self.form, self.clock.since_epoch(), line::NOT_WRITTEN, self.lost, &mut gap);
            if self.write_whole(&gap).is_err() {
                // Until then there is no other place to say it, but at the operators' listener.
                self.lost += lines;
                return lines;
            }
            self.lost = 0;
        }
        let Err(rest) = self.write_whole(&batch.bytes) else { return 0 };
        // A line may hold line feeds of its own.
        let lost = rest.iter().filter(|byte| **byte == b'\n').count().min(batch.lines) as u64;
        self.lost += lost;
        lost
    }

    /// Writes everything, and waits for a sink that somebody else has made non-blocking.
    ///
    /// # Errors
    /// What it did not take.
    fn write_whole<'b>(&mut self, bytes: &'b [u8]) -> Result<(), &'b [u8]> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err(rest),
                Ok(count) => {
                    self.is_torn = rest.get(count - 1) != Some(&b'\n');
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(LOG_SINK_RETRY_PAUSE);
                }
                Err(_) => return Err(rest),
            }
        }
        // What a sink of its own accord holds back is its own to lose.
        let _ = self.sink.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use firegate_core::time::SystemClock;

    use super::*;

    /// Much longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A sink that says what it is about to write, and writes when it is told to.
    struct Gated {
        asks: Sender<Vec<u8>>,
        goes_on: Receiver<io::Result<usize>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asks.send(bytes.to_vec()).map_err(|_| ErrorKind::BrokenPipe)?;
            self.goes_on.recv().map_err(|_| ErrorKind::BrokenPipe)?.map(|count| count.min(bytes.len()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue, what its thread is about to write, and by what it goes on.
    fn gated() -> (LogQueue, Receiver<Vec<u8>>, Sender<io::Result<usize>>) {
        let ((asks, asked), (go_on, goes_on)) = (channel(), channel());
        let queue = LogQueue::start(Gated { asks, goes_on }, LogForm::Json, Arc::new(SystemClock));
        (queue.expect("a thread"), asked, go_on)
    }

    fn next(asked: &Receiver<Vec<u8>>) -> String {
        String::from_utf8(asked.recv_timeout(PATIENCE).expect("it writes")).expect("text")
    }

    #[test]
    fn lines_are_written_in_order_and_all_of_them_before_the_end() {
        let (queue, asked, go_on) = gated();
        for line in ["a\n", "b\n", "c\n"] {
            queue.append(line.into(), 1);
        }
        (0..4).for_each(|_| go_on.send(Ok(usize::MAX)).expect("it waits"));
        assert!(queue.finish(PATIENCE));
        assert_eq!([next(&asked), next(&asked), next(&asked)], ["a\n", "b\n", "c\n"]);
        queue.append("late\n".into(), 1);
        assert_eq!(queue.lines_dropped(), 1, "nobody writes any more");
    }

    #[test]
    fn a_sink_that_takes_nothing_costs_lines_which_are_counted_and_told_once() {
        // Long lines, and many of them.
        for (bytes, lines) in [(LOG_QUEUE_BYTES_MAX / 4, 10), (10, LOG_QUEUE_LINES_MAX / 4)] {
            let (queue, asked, go_on) = gated();
            let batch = vec![b'x'; bytes];
            queue.append(batch.clone(), lines);
            assert_eq!(next(&asked).len(), bytes, "it hangs in the first batch");
            for _ in 0..6 {
                queue.append(batch.clone(), lines);
            }
            let dropped = 3 * lines as u64;
            assert_eq!(queue.lines_dropped(), dropped, "four have room");
            go_on.send(Ok(usize::MAX)).expect("it waits");
            assert_eq!(next(&asked).len(), bytes);
            queue.append("small\n".into(), 1);
            let dropped = dropped + 1;
            assert_eq!(
                queue.lines_dropped(),
                dropped,
                "a gap is one gap, though a short line would have room"
            );
            go_on.send(Ok(usize::MAX)).expect("it waits");
            assert_eq!(next(&asked).len(), bytes);
            queue.append("after\n".into(), 1);
            assert_eq!(queue.lines_dropped(), dropped, "half of it is free");
            go_on.send(Ok(usize::MAX)).expect("it waits");
            assert_eq!(next(&asked).len(), bytes);
            go_on.send(Ok(usize::MAX)).expect("it waits");
            let told = next(&asked);
            assert!(
                told.contains(&format!("\"lines_dropped\":{dropped}")) && told.ends_with("}\n"),
                "{told}"
            );
            go_on.send(Ok(usize::MAX)).expect("it waits");
            assert_eq!(next(&asked), "after\n");
            assert_eq!(queue.lines_dropped(), dropped);
        }
    }

    #[test]
    fn a_batch_that_is_larger_than_the_queue_is_dropped_alone() {
        let (queue, asked, go_on) = gated();
        for (bytes, lines) in [(LOG_QUEUE_BYTES_MAX + 1, 7), (1, LOG_QUEUE_LINES_MAX + 1)] {
            queue.append(vec![b'x'; bytes], lines);
            let told = next(&asked);
            assert!(told.contains(&format!("\"lines_dropped\":{lines}")), "{told}");
            go_on.send(Ok(usize::MAX)).expect("it waits");
            queue.append("after\n".into(), 1);
            assert_eq!(next(&asked), "after\n");
            go_on.send(Ok(usize::MAX)).expect("it waits");
            // The queue is idle again when its thread waits for more.
            while !queue.owner.queue.lock().is_idle() {
                std::thread::yield_now();
            }
        }
        assert_eq!(queue.lines_dropped(), 7 + LOG_QUEUE_LINES_MAX as u64 + 1);
    }

    #[test]
    fn lines_are_bounded_in_number_too() {
        let (queue, asked, _go_on) = gated();
        (0..=LOG_QUEUE_LINES_MAX).for_each(|_| queue.append("\n".into(), 1));
        assert_eq!(next(&asked), "\n");
        assert_eq!(queue.lines_dropped(), 1);
    }

    #[test]
    fn a_sink_that_writes_in_pieces_or_not_at_once_gets_whole_lines() {
        let (queue, asked, go_on) = gated();
        queue.append("abc\n".into(), 1);
        for (answer, expected) in [
            (Ok(1), "abc\n"),
            (Err(ErrorKind::WouldBlock.into()), "bc\n"),
            (Err(ErrorKind::Interrupted.into()), "bc\n"),
            (Ok(3), "bc\n"),
        ] {
            assert_eq!(next(&asked), expected);
            go_on.send(answer).expect("it waits");
        }
        assert!(queue.finish(PATIENCE));
        assert_eq!(queue.lines_dropped(), 0);
    }

    #[test]
    fn what_a_broken_sink_does_not_take_is_counted() {
        for answer in [Err(ErrorKind::BrokenPipe.into()), Ok(0)] {
            let (queue, asked, go_on) = gated();
            queue.append("a\nb\n".into(), 2);
            next(&asked);
            go_on.send(answer).expect("it waits");
            // A sink that is asked once more breaks.
            drop(asked);
            assert!(queue.finish(PATIENCE));
            assert_eq!(queue.lines_dropped(), 2);
        }
    }

    #[test]
    fn a_sink_that_fails_for_a_while_gets_no_half_lines_and_is_told_what_it_has_not() {
        let (queue, asked, go_on) = gated();
        let full = || Err(ErrorKind::StorageFull.into());
        let step = |line: &str, expected: &str, answer| {
            if !line.is_empty() {
                queue.append(line.into(), line.lines().count());
            }
            let told = next(&asked);
            assert!(told.starts_with(expected), "{told:?} for {expected:?}");
            go_on.send(answer).expect("it waits");
            told
        };
        step("a\nbc\nd\n", "a\nbc\nd\n", Ok(3));
        step("", "c\nd\n", full());
        let told = step("e\n", "\n{", full());
        assert!(told.contains("\"lines_dropped\":2"), "of three the first is written: {told}");
        let told = step("f\n", "\n{", Ok(usize::MAX));
        assert!(told.contains("\"lines_dropped\":3") && told.ends_with("}\n"), "{told}");
        step("", "f\n", Ok(usize::MAX));
        step("g\n", "g\n", full());
        step("h\n", "{", Ok(usize::MAX));
        step("", "h\n", Ok(usize::MAX));
        assert!(queue.finish(PATIENCE));
        assert_eq!(queue.lines_dropped(), 4);
    }

    #[test]
    fn what_was_written_is_not_left_in_the_sink() {
        /// A sink that says what it hands on.
        struct Holding(Vec<u8>, Sender<Vec<u8>>);
        impl Write for Holding {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                self.1.send(std::mem::take(&mut self.0)).map_err(|_| ErrorKind::BrokenPipe.into())
            }
        }
        let (hand_on, handed_on) = channel();
        let sink = Holding(Vec::new(), hand_on);
        let queue = LogQueue::start(sink, LogForm::Json, Arc::new(SystemClock)).expect("a thread");
        queue.append("a\n".into(), 1);
        assert_eq!(next(&handed_on), "a\n");
    }

    #[test]
    fn a_gap_is_told_though_the_end_comes_first() {
        let (queue, asked, go_on) = gated();
        queue.append("a\n".into(), 1);
        assert_eq!(next(&asked), "a\n");
        queue.append(vec![b'x'; LOG_QUEUE_BYTES_MAX], 7);
        assert!(!queue.finish(Duration::ZERO), "it hangs in the first line");
        queue.append("late\n".into(), 1);
        (0..2).for_each(|_| go_on.send(Ok(usize::MAX)).expect("it waits"));
        assert!(queue.finish(PATIENCE));
        let told = next(&asked);
        assert!(told.contains("\"lines_dropped\":7"), "{told}");
        assert_eq!(queue.lines_dropped(), 8);
    }

    #[test]
    fn the_thread_ends_with_the_queue() {
        let (queue, asked, _go_on) = gated();
        let other = queue.clone();
        drop(queue);
        other.append("a\n".into(), 1);
        assert_eq!(next(&asked), "a\n");
        drop((other, _go_on));
        assert_eq!(asked.recv_timeout(PATIENCE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn the_end_does_not_wait_for_a_sink_that_takes_nothing() {
        let (queue, asked, _go_on) = gated();
        queue.append("a\n".into(), 1);
        next(&asked);
        assert!(!queue.finish(Duration::from_millis(1)));
    }
}
