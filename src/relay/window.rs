//! Whether a call fits into a model's window, and what is done to it so that it does (`onContextOverflow`).

use super::receive::Asked;
use super::refusal::Refusal;
use crate::dialect::edit::truncate::{self, Truncation};
use crate::dialect::error::Cause;
use crate::policy::snapshot::{Model, OnContextOverflow};
use crate::pricing::Calibration;
use crate::pricing::estimate::Estimate;
use crate::units::Tokens;

/// An answer needs so much room at least, unless its caller wants a shorter one: a window that is filled to the brim
/// serves nobody.
const LEAST_ANSWER: u64 = 256;

/// What makes a call fit. Nothing, mostly.
#[derive(Default)]
pub(super) struct Fit {
    /// Messages that are left out.
    pub(super) cut: Option<Truncation>,
    /// The longest answer that there is room for.
    pub(super) longest: Option<Tokens>,
}

/// A call that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// And is refused for that.
    Refused,
    /// Another candidate may have a larger window.
    PassedOver,
}

/// What makes a call fit into a model's window. Where the policy does not say what is done otherwise, or nobody knows the
/// window, calls go as they are.
pub(super) fn fit(
    calibration: &Calibration,
    how: Option<OnContextOverflow>,
    model: &Model,
    asked: &Asked,
) -> Result<Fit, Overflow> {
    let (Some(how), Some(window)) = (how, model.context_tokens) else { return Ok(Fit::default()) };
    let bytes = asked.body().len();
    let input = calibration.input(&model.id, Estimate::Calibrated, bytes as u64, None).0;
    let most = model.max_output_tokens.unwrap_or(window);
    let named = if asked.api.has_output() { asked.facts.max_output.map(|named| named.0) } else { Some(0) };
    let least = named.unwrap_or(most).min(most).min(LEAST_ANSWER);
    let room = window.saturating_sub(input);
    let longest = |room: u64| Some(Tokens(room.min(most)));
    if room >= least {
        return Ok(Fit { cut: None, longest: longest(room) });
    }
    match how {
        OnContextOverflow::Reject => Err(Overflow::Refused),
        OnContextOverflow::NextTarget => Err(Overflow::PassedOver),
        OnContextOverflow::TruncateOldest => {
            // What is left of the room when a quarter of the window is free for the answer, or all that it may be.
            let answer = named.unwrap_or(most).min(most).min(window / 4).max(least);
            let excess = (input + answer).saturating_sub(window);
            let cut = truncate::oldest(asked.api, asked.body(), &asked.facts, share(bytes, excess, input))
                .ok_or(Overflow::PassedOver)?;
            let left = calibration.input(&model.id, Estimate::Calibrated, (bytes - cut.bytes) as u64, None).0;
            Ok(Fit { longest: longest(window.saturating_sub(left)), cut: Some(cut) })
        }
    }
}

/// So many bytes of them are so many tokens of all, rounded up.
fn share(bytes: usize, part: u64, all: u64) -> usize {
    let share = (bytes as u128 * u128::from(part)).div_ceil(u128::from(all.max(1)));
    usize::try_from(share).map_or(bytes, |share| share.min(bytes))
}

/// What the caller hears of a call that fits nowhere.
pub(super) fn too_long(model: &Model) -> Refusal {
    let message = match model.context_tokens {
        Some(window) => format!(
            "This call is too long for the model `{}`, whose context window is {window} tokens. Reduce the length of \
             the messages.",
            model.id
        ),
        None => format!("This call is too long for the model `{}`.", model.id),
    };
    Refusal::new(Cause::ContextTooLong, message).param("messages").never_retry()
}
