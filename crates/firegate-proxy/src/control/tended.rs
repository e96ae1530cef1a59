//! What a task on the control runtime keeps up to date.

use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::DropGuard;

/// Something that a task keeps up to date for as long as anybody holds this: the configuration in force, a request that began
/// under a former one, or a stream that such a request opened.
#[derive(Debug)]
pub(crate) struct Tended<T> {
    value: Arc<T>,
    /// Stops the task when it is dropped.
    _stop: Option<DropGuard>,
}

impl<T> Tended<T> {
    /// Something whose task ends when `stop` is dropped.
    pub(super) fn by(value: Arc<T>, stop: DropGuard) -> Arc<Self> {
        Arc::new(Self { value, _stop: Some(stop) })
    }

    /// Something that needs no task.
    pub(super) fn alone(value: Arc<T>) -> Arc<Self> {
        Arc::new(Self { value, _stop: None })
    }
}

impl<T> Deref for Tended<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.value
    }
}
