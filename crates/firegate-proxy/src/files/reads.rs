//! Reading files that may hang, as on a disk that is away or at a pipe that nobody writes to. A thread that waits for a file
//! cannot be ended: it is waited for as long as nobody knows better, and then left alone, and what it finds counts for nothing.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle};

use crate::limits::{FILE_READ_TIMEOUT, FILE_READS_MAX};

/// Threads that read files, bounded in number.
#[derive(Clone, Debug)]
pub(crate) struct FileReads(Arc<Semaphore>);

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum FileReadError {
    /// Too many that were begun before have not ended.
    #[error(
        "files cannot be read: {FILE_READS_MAX} attempts that were begun before still wait for theirs\nhint: a disk is away, or a \
         file is a pipe that nobody writes to; restart firegate if it goes on when that is mended"
    )]
    TooMany,
    /// Reading panicked.
    #[error("files cannot be read: {0}")]
    Panic(#[source] JoinError),
}

/// The file that a thread is reading, if it is at one.
type Slot = Arc<Mutex<Option<PathBuf>>>;

thread_local! {
    /// Where this thread notes which file it reads, if somebody waits for it.
    static NOTED: RefCell<Option<Slot>> = const { RefCell::new(None) };
}

/// Reads a file, which is the one to be named should it not answer.
pub(crate) fn while_reading<T>(file: &Path, read: impl FnOnce() -> T) -> T {
    note(Some(file));
    let result = read();
    note(None);
    result
}

/// Reads the whole of a file that may have so many bytes. Of one that has more nothing is used: a device or a log in its place
/// has no end.
///
/// # Errors
/// If it cannot be read, or has more.
pub(crate) fn read_bounded(file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let bytes = read_start(file, bytes_max.saturating_add(1))?;
    if bytes.len() as u64 > bytes_max {
        let why = format!("it is too large: more than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// Reads a file, but no more than so many bytes of it.
///
/// # Errors
/// If it cannot be read.
pub fn read_start(file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    while_reading(file, || {
        let file = File::open(file)?;
        // As many as there are, where that is known: a large file takes its own size, and not twice that.
        let length = file.metadata()?.len().min(bytes_max);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

/// Does by a thread of its own what is to be read before a front door is open. That a file does not answer is told, and it is
/// waited for all the same: whoever knows better drops this.
///
/// # Errors
/// If it panics.
pub async fn read_at_start<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FileReadError> {
    FileReads::default().read(read, |hang| tracing::error!("it does not start yet: {hang}")).await
}

fn note(file: Option<&Path>) {
    NOTED.with_borrow(|noted| {
        if let Some(slot) = noted {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = file.map(Path::to_owned);
        }
    });
}

/// What is logged beside what is held up: which file hangs, at the moment that it is told.
#[derive(Clone, Debug)]
pub(crate) struct Hang(Slot);

impl fmt::Display for Hang {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => write!(formatter, "the file {} does not answer", file.display())?,
            None => formatter.write_str("a file does not answer")?,
        }
        formatter.write_str("\nhint: its disk is away, or it is a pipe that nobody writes to")
    }
}

/// A thread that reads.
pub(crate) struct Reading<T> {
    thread: JoinHandle<T>,
    slot: Slot,
}

impl<T> Reading<T> {
    /// Waits for it as long as files may take.
    ///
    /// # Errors
    /// If one of them takes longer. Then this can be waited for again.
    pub(crate) async fn in_time(&mut self) -> Result<Result<T, FileReadError>, Hang> {
        match tokio::time::timeout(FILE_READ_TIMEOUT, &mut self.thread).await {
            Ok(read) => Ok(read.map_err(FileReadError::Panic)),
            Err(_) => Err(Hang(Arc::clone(&self.slot))),
        }
    }
}

impl Default for FileReads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FILE_READS_MAX)))
    }
}

impl FileReads {
    /// Begins to read on a thread of its own.
    ///
    /// # Errors
    /// If too many hang.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Reading<T>, FileReadError> {
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| FileReadError::TooMany)?;
        let slot = Slot::default();
        let noted = Arc::clone(&slot);
        let thread = tokio::task::spawn_blocking(move || {
            let _place = place;
            // Whoever gets the thread next brings a slot of its own.
            NOTED.set(Some(noted));
            read()
        });
        Ok(Reading { thread, slot })
    }

    /// Reads on a thread of its own. That it takes long is told, and it is waited for all the same: whoever knows better drops
    /// this.
    ///
    /// # Errors
    /// If too many hang, or it panics.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
        tell_that_it_hangs: impl FnOnce(Hang),
    ) -> Result<T, FileReadError> {
        let mut reading = self.begin(read)?;
        match reading.in_time().await {
            Ok(read) => read,
            Err(hang) => {
                tell_that_it_hangs(hang);
                reading.thread.await.map_err(FileReadError::Panic)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_file_that_is_longer_than_it_may_be_is_no_file_of_that_length() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        std::fs::write(&file, "12345").expect("written");
        let all = read_bounded(&file, 5).expect("all of it");
        assert_eq!((all.as_slice(), all.capacity()), (&b"12345"[..], 5), "no more than what it takes");
        assert_eq!(read_start(&file, 4).expect("a part"), b"1234");
        let error = read_bounded(&file, 4).expect_err("it is longer");
        assert_eq!(error.to_string(), "it is too large: more than 4 bytes");
        #[cfg(unix)]
        read_bounded(Path::new("/dev/zero"), 4).expect_err("it has no end");
    }

    #[tokio::test]
    async fn so_many_may_hang_and_one_that_ends_makes_room() {
        let reads = FileReads::default();
        let hang = || {
            let (answer, asked) = mpsc::channel::<()>();
            // It ends when the other end is dropped.
            let wait = move || {
                let _ = asked.recv();
            };
            reads.begin(wait).map(|reading| (answer, reading))
        };
        let mut hanging = (0..FILE_READS_MAX).map(|_| hang().expect("there is room")).collect::<Vec<_>>();
        assert!(matches!(hang(), Err(FileReadError::TooMany)));
        let (answer, reading) = hanging.remove(0);
        drop(answer);
        reading.thread.await.expect("it ends");
        hanging.push(hang().expect("there is room again"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_file_that_hangs_is_named_and_none_that_was_read_before() {
        let reads = FileReads::default();
        for (hanging, expected) in [(Some("two.pem"), "the file two.pem does"), (None, "a file does")] {
            let (answer, asked) = mpsc::channel::<()>();
            let (arrive, arrived) = oneshot::channel();
            let mut reading = reads
                .begin(move || {
                    while_reading(Path::new("one.pem"), || {});
                    let wait = || {
                        arrive.send(()).expect("the test waits");
                        // It ends when the other end is dropped.
                        let _ = asked.recv();
                    };
                    match hanging {
                        Some(file) => while_reading(Path::new(file), wait),
                        None => wait(),
                    }
                })
                .expect("there is a thread");
            arrived.await.expect("it is there");
            // The clock stands still while a thread reads.
            let hang = tokio::select! {
                biased;
                read = reading.in_time() => read.expect_err("it hangs"),
                () = async { loop { tokio::time::advance(FILE_READ_TIMEOUT / 4).await } } => unreachable!(),
            };
            assert!(hang.to_string().starts_with(expected), "{hang}");
            drop(answer);
            reading.thread.await.expect("it ends");
        }
    }
}
