//! What one event of a stream says: search first, scan only on suspicion.

use crate::dialect::facts::AnswerFacts;
use crate::dialect::stream::{Noted, Seen};
use crate::usage::Usage;

/// An event. `seen` says what need not be looked for again, `looks` whether content has to be; `usage` is what was
/// reported so far, of which a later event may repeat only a part.
pub(crate) fn of(
    _name: Option<&[u8]>,
    _data: &[u8],
    (_seen, _looks): (Seen, bool),
    _usage: Option<Usage>,
    _facts: Option<&mut AnswerFacts>,
) -> Noted {
    Noted::default()
}
