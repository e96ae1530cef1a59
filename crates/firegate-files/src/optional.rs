//! What a file may leave out.

/// Of something that may be left out: `None` if it is there and did not pass its check; else what it is, if it is there.
pub(crate) fn optional<T>(checked: Option<Option<T>>) -> Option<Option<T>> {
    checked.map_or(Some(None), |passed| passed.map(Some))
}
