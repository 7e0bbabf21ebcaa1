//! Reads what answers report of their use.

use crate::usage::Usage;

/// What a plain answer reports, if it does.
pub(crate) fn in_answer(_body: &[u8]) -> Option<Usage> {
    None
}
