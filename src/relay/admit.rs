//! Whether there is room for a call under its tenant's limits.

use std::sync::Arc;
use std::time::Duration;

use super::refusal::{Refusal, whole_seconds};
use crate::clock::Instant;
use crate::dialect::error::Cause;
use crate::ids::ModelId;
use crate::limits::{Ask, Exceeded, Ledger, Quota, Reservation, Standing};
use crate::policy::snapshot::Principal;

/// Takes room for a call that is about to try `model`; all of its limits, or none.
///
/// What a call already holds moves along to another model; where that has no room, it is kept as it was.
pub(super) fn admit(
    ledger: &Arc<Ledger>,
    held: &mut Option<Reservation>,
    principal: &Principal,
    model: &ModelId,
    now: Instant,
) -> Result<(), Exceeded> {
    match held {
        Some(reservation) => reservation.redirect(model, now),
        None => {
            let ask = Ask {
                user: principal.user.as_ref(),
                app: principal.app.as_ref(),
                key: principal.key.as_ref(),
                model,
            };
            *held = Some(ledger.reserve(&principal.tenant.limits, &ask, now)?);
            Ok(())
        }
    }
}

/// What the caller hears when no candidate has room.
pub(super) fn refusal(exceeded: &Exceeded) -> Refusal {
    let rule = &exceeded.rule;
    let whose = match &exceeded.each {
        Some(value) => format!("`{}` of tenant `{}` (for `{value}`)", rule.key, rule.tenant),
        None => format!("`{}` of tenant `{}`", rule.key, rule.tenant),
    };
    let (allowed, wait) = match rule.quota {
        Quota::Requests { amount, per } => {
            (format!("{amount} requests per {}", spoken(per)), exceeded.wait.unwrap_or(per))
        }
        // No time tells when a call ends; a second is the least that an SDK waits for.
        Quota::Concurrent { amount } => {
            (format!("{amount} calls at once"), exceeded.wait.unwrap_or(Duration::from_secs(1)))
        }
    };
    let message = format!("Limit {whose} is reached: {allowed}. Try again in {} s.", whole_seconds(wait));
    let refusal = Refusal::new(Cause::RateLimited, message).retry_after(wait);
    match rule.quota {
        Quota::Requests { amount, per } => {
            let standing = Standing { limit: amount.get(), remaining: 0, reset: wait, per };
            refusal.standing(rule.key.clone(), standing)
        }
        Quota::Concurrent { .. } => refusal,
    }
}

/// `60s` as `1m`, `90s` as `90s`.
fn spoken(per: Duration) -> String {
    let seconds = per.as_secs();
    match seconds {
        0 => format!("{} ms", per.as_millis()),
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
