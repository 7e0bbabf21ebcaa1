//! The names that a caller may use, as Anthropic lists models.

use bytes::Bytes;

use crate::dialect::models::ModelEntry;

/// All of them.
pub(crate) fn list(_entries: &[ModelEntry<'_>]) -> Bytes {
    Bytes::new()
}

/// One of them.
pub(crate) fn one(_entry: &ModelEntry<'_>) -> Bytes {
    Bytes::new()
}
