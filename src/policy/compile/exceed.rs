//! `onExceed`: what happens to calls beyond a limit, and which limits it fits.

use super::not_zero;
use crate::limits::{Quota, Unit};
use crate::policy::diagnostic::{Findings, Span};
use crate::policy::snapshot;
use crate::policy::spec::{At, OnExceed};
use crate::units::Tokens;

/// What happens beyond a limit.
#[derive(Clone, Copy)]
pub(super) enum Exceed {
    /// The call is refused.
    Reject,
    /// It writes less.
    Clamp { at_least: Tokens },
}

impl Exceed {
    /// As the snapshot has it; none where it just refuses.
    pub(super) fn compiled(&self) -> Option<snapshot::OnExceed> {
        match self {
            Self::Reject => None,
            Self::Clamp { at_least } => Some(snapshot::OnExceed::Clamp { at_least: *at_least }),
        }
    }
}

/// What a limit says. None where a fault was told.
pub(super) fn compile(
    written: Option<&At<OnExceed>>,
    quota: Option<&Quota>,
    found: &mut Findings<'_>,
) -> Option<Exceed> {
    let Some(written) = written else { return Some(Exceed::Reject) };
    match written.value.as_ref()? {
        OnExceed::Reject => Some(Exceed::Reject),
        OnExceed::Clamp { at_least } => clamp(written.span, at_least, quota, found),
    }
}

fn clamp(at: Span, at_least: &At<u64>, quota: Option<&Quota>, found: &mut Findings<'_>) -> Option<Exceed> {
    let least = not_zero(at_least, "an answer has a token at least", found);
    let quota = quota?;
    match quota {
        Quota::Windowed { unit: Unit::Tokens | Unit::OutputTokens, amount, .. } => {
            if least.is_some_and(|least| least > amount.get()) {
                found
                    .error(at_least.span, "this is more than the whole limit: no call would ever be clamped")
                    .hint("name fewer tokens, or raise the limit");
            }
        }
        Quota::Windowed { unit: Unit::Usd, .. } => {}
        Quota::Windowed { unit: Unit::Requests | Unit::InputTokens | Unit::Concurrent, .. }
        | Quota::Concurrent { .. } => {
            let message =
                format!("`clamp` bounds output, of which a limit of `{}` counts none", quota.unit().as_str());
            found
                .error(at, message)
                .hint("write `onExceed: reject`, or count `tokens`, `outputTokens` or `usd`");
        }
    }
    Some(Exceed::Clamp { at_least: Tokens(least?) })
}
