//! What a request of this dialect asks of the model beyond its prompt.

use crate::dialect::params::Params;

/// Reads the parameters of a request. A body that is no JSON object has none.
pub(crate) fn params(_body: &[u8]) -> Params {
    Params::default()
}
