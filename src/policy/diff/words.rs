//! Values as a policy writes them.

use std::fmt::Display;

use crate::limits::{Each, LedgerDown, Owner, Quota, Rule, Unit, Window};
use crate::policy::snapshot::OnExceed;
use crate::units::NanoUsd;

pub(super) use crate::policy::compile::shown as span;

/// A whole number with its thousands apart.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Several things with commas between; `none` where there are none.
pub(super) fn listed<T: Display>(things: impl IntoIterator<Item = T>) -> String {
    let things: Vec<String> = things.into_iter().map(|thing| thing.to_string()).collect();
    if things.is_empty() { "none".into() } else { things.join(", ") }
}

/// What is said, or that nothing is.
pub(super) fn or_none<T>(said: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    said.map_or_else(|| "none".into(), shown)
}

pub(super) fn dollars(amount: NanoUsd) -> String {
    format!("${amount}")
}

/// An amount of what a limit counts.
pub(super) fn amount(unit: Unit, amount: u64) -> String {
    let (one, many) = match unit {
        Unit::Requests => ("request", "requests"),
        Unit::Tokens => ("token", "tokens"),
        Unit::InputTokens => ("input token", "input tokens"),
        Unit::OutputTokens => ("output token", "output tokens"),
        Unit::Usd => return dollars(NanoUsd(amount)),
        Unit::Concurrent => ("at once", "at once"),
    };
    format!("{} {}", number(amount), if amount == 1 { one } else { many })
}

/// `20 requests per 1m`
pub(super) fn quota(quota: &Quota) -> String {
    match quota {
        Quota::Windowed { unit, amount: much, window } => {
            format!("{} per {}", amount(*unit, much.get()), self::window(window))
        }
        Quota::Concurrent { amount: much } => amount(Unit::Concurrent, much.get().into()),
    }
}

fn window(window: &Window) -> String {
    match window {
        Window::Rolling(per) => span(*per),
        Window::Calendar(calendar) => calendar.turn.as_str().into(),
    }
}

/// The zone whose midnight a limit waits for; none where it waits for none.
pub(super) fn zone(quota: &Quota) -> Option<&str> {
    match quota {
        Quota::Windowed { window: Window::Calendar(calendar), .. } => {
            Some(calendar.zone.iana_name().unwrap_or("UTC"))
        }
        Quota::Windowed { window: Window::Rolling(_), .. } | Quota::Concurrent { .. } => None,
    }
}

/// What gets a count of its own, as it is written at this owner.
pub(super) fn each(owner: &Owner, each: Option<Each>) -> &'static str {
    match (owner, each) {
        (Owner::Provider(_), Some(Each::Key)) => "providerKey",
        (Owner::Provider(_) | Owner::Tenant(_), Some(each)) => each.as_str(),
        (Owner::Provider(_) | Owner::Tenant(_), None) => "none",
    }
}

/// A limit in a few words.
pub(super) fn limit(rule: &Rule, beyond: Option<&OnExceed>) -> String {
    let Rule { owner, key: _, quota, kept_back, each, mode, on_ledger_down, was: _, place: _, slot: _ } =
        rule;
    let mut text = self::quota(quota);
    if let Some(zone) = zone(quota).filter(|zone| *zone != "UTC") {
        text += &format!(" of {zone}");
    }
    if each.is_some() {
        text += &format!(", each {}", self::each(owner, *each));
    }
    if *mode != Default::default() {
        text += &format!(", {}", mode.as_str());
    }
    if beyond.is_some() {
        text += &format!(", {}", on_exceed(beyond));
    }
    if *kept_back > 0 {
        text += &format!(", {} kept back", amount(quota.unit(), *kept_back));
    }
    if *on_ledger_down != LedgerDown::default() {
        text += &format!(", onLedgerDown {}", ledger_down(*on_ledger_down));
    }
    text
}

/// What happens beyond a limit.
pub(super) fn on_exceed(beyond: Option<&OnExceed>) -> String {
    match beyond {
        None => "reject".into(),
        Some(OnExceed::Clamp { at_least }) => {
            format!("clamp to at least {}", amount(Unit::Tokens, at_least.0))
        }
        Some(OnExceed::Queue { max_wait }) => format!("queue up to {}", span(*max_wait)),
        Some(OnExceed::Downgrade { to }) => format!("downgrade to {}", to.id),
    }
}

pub(super) fn ledger_down(down: LedgerDown) -> &'static str {
    match down {
        LedgerDown::Deny => "deny",
        LedgerDown::SpendLease => "spendLease",
        LedgerDown::Allow => "allow",
    }
}
