//! Whether there is room for a call under its tenant's limits, and for a try under its provider's.

use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::rate_headers::Family;
use super::refusal::{Refusal, spoken_wait};
use crate::clock::Now;
use crate::dialect::error::Cause;
use crate::ids::{KeyName, ModelId};
use crate::limits::{
    Amounts, Ask, Exceeded, Lack, Ledger, Owner, Quota, Reservation, Rule, Standing, Unit, Window,
};
use crate::policy::snapshot::{Model, OnExceed, Principal, Tenant};
use crate::units::NanoUsd;

/// Takes room for a call that is about to try `model`; under all of these limits, or none.
///
/// What a call already holds moves along to another model; where that has no room, it is kept as it was.
pub(super) fn admit(
    call: &mut Call,
    principal: &Principal,
    limits: &Arc<[Rule]>,
    model: &ModelId,
    amounts: Amounts,
    now: Now,
) -> Result<(), Exceeded> {
    let Call { relay, held, ticket, .. } = call;
    match held {
        Some(reservation) => {
            *ticket = None;
            reservation.resize(model, &amounts, now)
        }
        None => {
            let ask = Ask {
                user: principal.user.as_ref(),
                app: principal.app.as_ref(),
                key: principal.key.as_ref(),
                model,
                amounts,
            };
            let ledger = &relay.shared.ledger;
            let reservation = match ticket {
                None => ledger.reserve(limits, &ask, now)?,
                Some(ticket) => ledger.reserve_in_turn(limits, &ask, ticket, now)?,
            };
            *held = Some(reservation);
            // It waits no longer: whoever is next is called.
            *ticket = None;
            Ok(())
        }
    }
}

/// Takes room for a try at its provider with one of its keys, where that has limits; all of them, or none.
pub(super) fn at_provider(
    ledger: &Arc<Ledger>,
    target: &Model,
    key: Option<&KeyName>,
    amounts: Amounts,
    now: Now,
) -> Result<Option<Box<Reservation>>, Exceeded> {
    let limits = &target.provider.limits;
    if limits.is_empty() {
        return Ok(None);
    }
    let ask = Ask { user: None, app: None, key, model: &target.id, amounts };
    ledger.reserve(limits, &ask, now).map(|held| Some(Box::new(held)))
}

/// What the caller hears when the providers of all candidates have reached their limits, of which the first has room
/// after this wait. Their amounts are the operator's business.
pub(super) fn crowded(wait: Duration) -> Refusal {
    let message = format!(
        "What may be asked of this model's provider is used up for now. Try again in {}.",
        spoken_wait(wait)
    );
    Refusal::new(Cause::NoProviderAvailable, message).retry_after(wait)
}

/// What the caller hears of a call that alone is more than its provider may be asked for.
pub(super) fn too_large() -> Refusal {
    let message = "This call alone may need more than what may be asked of this model's provider.";
    Refusal::new(Cause::NoProviderAvailable, message).never_retry()
}

/// How long until there is room; none where that will never be.
pub(super) fn wait(exceeded: &Exceeded) -> Option<Duration> {
    // No time tells when a call ends; a second is the least that an SDK waits for.
    (!exceeded.never).then(|| exceeded.wait.unwrap_or(Duration::from_secs(1)))
}

/// Why a candidate is passed over for a limit of its tenant's.
pub(super) fn reason(exceeded: &Exceeded) -> &'static str {
    match exceeded.lack {
        Lack::Room => "limit",
        Lack::Lease | Lack::Store => "ledger",
    }
}

/// What happens to a call beyond the limit that refused it, where it is not just refused. What is missing of a ledger's
/// store no other way makes up for.
pub(super) fn beyond<'t>(exceeded: &Exceeded, tenant: &'t Tenant) -> Option<&'t OnExceed> {
    match exceeded.lack {
        Lack::Room => tenant.beyond(&exceeded.rule),
        Lack::Lease | Lack::Store => None,
    }
}

/// What the caller hears when no candidate has room.
pub(super) fn refusal(exceeded: &Exceeded, tenant: &Tenant) -> Refusal {
    let rule = &exceeded.rule;
    match (exceeded.lack, &rule.owner) {
        (Lack::Room, _) => {}
        (Lack::Lease | Lack::Store, Owner::Tenant(_)) => {
            let message = format!(
                "Limit `{}` of {} cannot be counted durably now. Try again shortly.",
                rule.key, rule.owner
            );
            return Refusal::new(Cause::LedgerUnavailable, message);
        }
        // Its limits are the operator's business.
        (Lack::Lease | Lack::Store, Owner::Provider(_)) => {
            let message = "What is asked of this model's provider cannot be counted now. Try again shortly.";
            return Refusal::new(Cause::LedgerUnavailable, message);
        }
    }
    let cause = cause(rule, tenant);
    let whose = match &exceeded.each {
        Some(value) => format!("`{}` of {} (for `{value}`)", rule.key, rule.owner),
        None => format!("`{}` of {}", rule.key, rule.owner),
    };
    let allowed = allowed(&rule.quota);
    let Some(wait) = wait(exceeded) else {
        let asked = counted(rule.quota.unit(), exceeded.asked);
        let kept_back = match rule.kept_back {
            0 => String::new(),
            kept_back => format!(", of which {} are kept back", counted(rule.quota.unit(), kept_back)),
        };
        let message = format!("Limit {whose} is {allowed}{kept_back}, and this call alone may need {asked}.");
        return Refusal::new(cause, message).never_retry();
    };
    let message = format!("Limit {whose} is reached: {allowed}. Try again in {}.", spoken_wait(wait));
    let refusal = Refusal::new(cause, message);
    // Of a budget nobody should wait for more by trying again.
    let refusal = if cause == Cause::RateLimited { refusal.retry_after(wait) } else { refusal.never_retry() };
    match (Family::of(rule.quota.unit()), &rule.quota) {
        (Some(family), Quota::Windowed { amount, window: Window::Rolling(per), .. }) => {
            let (limit, remaining) = (amount.get().saturating_sub(rule.kept_back), exceeded.room);
            refusal.standing(family, rule.key.clone(), Standing { limit, remaining, reset: wait, per: *per })
        }
        (_, Quota::Windowed { .. } | Quota::Concurrent { .. }) => refusal,
    }
}

/// A budget is what turns with the calendar, and money; all else is a rate.
fn cause(rule: &Rule, tenant: &Tenant) -> Cause {
    let is_budget = rule.quota.turn().is_some() || rule.quota.unit() == Unit::Usd;
    match is_budget {
        true if tenant.payment_required.contains(&rule.key) => Cause::PaymentRequired,
        true => Cause::BudgetSpent,
        false => Cause::RateLimited,
    }
}

/// `100 requests per 1m`, `500.5 dollars per month`.
fn allowed(quota: &Quota) -> String {
    match quota {
        Quota::Windowed { unit, amount, window: Window::Rolling(per) } => {
            format!("{} per {}", counted(*unit, amount.get()), spoken(*per))
        }
        Quota::Windowed { unit, amount, window: Window::Calendar(calendar) } => {
            format!("{} per {}", counted(*unit, amount.get()), calendar.turn.as_str())
        }
        Quota::Concurrent { amount } => counted(Unit::Concurrent, amount.get().into()),
    }
}

fn counted(unit: Unit, count: u64) -> String {
    match unit {
        Unit::Requests => format!("{count} requests"),
        Unit::Tokens => format!("{count} tokens"),
        Unit::InputTokens => format!("{count} input tokens"),
        Unit::OutputTokens => format!("{count} output tokens"),
        Unit::Usd => format!("{} dollars", NanoUsd(count)),
        Unit::Concurrent => format!("{count} calls at once"),
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

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;
    use crate::clock::TimeZone;
    use crate::limits::{Calendar, Turn};

    fn windowed(unit: Unit, amount: u64, window: Window) -> String {
        allowed(&Quota::Windowed { unit, amount: NonZeroU64::new(amount).unwrap(), window })
    }

    #[test]
    fn what_a_limit_allows_is_said_in_the_words_of_its_unit_and_window() {
        let month = Window::Calendar(Calendar { turn: Turn::Month, zone: Arc::new(TimeZone::UTC) });
        let per = |seconds| Window::Rolling(Duration::from_secs(seconds));
        assert_eq!(windowed(Unit::Requests, 100, per(60)), "100 requests per 1m");
        assert_eq!(windowed(Unit::Tokens, 5, per(7_200)), "5 tokens per 2h");
        assert_eq!(windowed(Unit::InputTokens, 5, per(90)), "5 input tokens per 90s");
        assert_eq!(windowed(Unit::OutputTokens, 5, month.clone()), "5 output tokens per month");
        assert_eq!(windowed(Unit::Usd, 500_500_000_000, month), "500.5 dollars per month");
        let places = Quota::Concurrent { amount: NonZeroU32::new(3).unwrap() };
        assert_eq!(allowed(&places), "3 calls at once");
    }
}
