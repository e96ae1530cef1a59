//! Reading files that may hang, as on a disk that is away or at a pipe that nobody writes to. A thread that waits for a file
//! cannot be ended: it is waited for as long as nobody knows better, and then left alone, and what it finds counts for nothing.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinError;

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

/// What is logged beside what is held up.
pub(crate) const HANGS: &str =
    "a file does not answer\nhint: a disk is away, or the file is a pipe that nobody writes to";

impl Default for FileReads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FILE_READS_MAX)))
    }
}

impl FileReads {
    /// Reads on a thread of its own. That it takes long is told, and it is waited for all the same: whoever knows better drops this.
    ///
    /// # Errors
    /// If too many hang, or it panics.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
        tell_that_it_hangs: impl FnOnce(),
    ) -> Result<T, FileReadError> {
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| FileReadError::TooMany)?;
        let mut reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            read()
        });
        let read = match tokio::time::timeout(FILE_READ_TIMEOUT, &mut reading).await {
            Ok(read) => read,
            Err(_) => {
                tell_that_it_hangs();
                reading.await
            }
        };
        read.map_err(FileReadError::Panic)
    }
}
