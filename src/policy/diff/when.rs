//! Conditions: which calls they let through, compared with before.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Display;

use super::together;
use super::words::{listed, number};
use crate::policy::snapshot::{TimeOfDay, When};

/// How many calls `new` lets through, compared with `old`; none where it lets others through.
pub(super) fn wider(old: Option<&When>, new: Option<&When>) -> Option<Ordering> {
    let all = When::default();
    let When {
        input_tokens_below,
        input_tokens_above,
        task,
        priority,
        skills,
        plan,
        header,
        budget_below,
        time_of_day,
    } = old.unwrap_or(&all);
    let new = new.unwrap_or(&all);
    let below = |bound: Option<u64>| bound.unwrap_or(u64::MAX);
    let above = |bound: Option<u64>| bound.unwrap_or(0);
    let mut whole = Some(below(new.input_tokens_below).cmp(&below(*input_tokens_below)));
    whole = together(whole, Some(above(*input_tokens_above).cmp(&above(new.input_tokens_above))));
    whole = together(whole, list(task, &new.task));
    whole = together(whole, list(priority, &new.priority));
    whole = together(whole, list(skills, &new.skills));
    whole = together(whole, list(plan, &new.plan));
    let names: BTreeSet<_> = header.iter().chain(&new.header).map(|(name, _)| name.as_str()).collect();
    for name in names {
        let of = |headers: &[(http::HeaderName, Vec<Box<str>>)]| {
            headers.iter().find(|(other, _)| other == name).map(|(_, values)| values.clone())
        };
        whole = together(whole, optional(of(header), of(&new.header), |old, new| list(old, new)));
    }
    let keys: BTreeSet<_> = budget_below.iter().chain(&new.budget_below).map(|(key, _)| key).collect();
    for key in keys {
        let of = |left: &[(_, u8)]| left.iter().find(|(other, _)| other == key).map(|(_, percent)| *percent);
        whole =
            together(whole, optional(of(budget_below), of(&new.budget_below), |old, new| Some(new.cmp(old))));
    }
    let same = |old: &TimeOfDay, new: &TimeOfDay| (old == new).then_some(Ordering::Equal);
    together(whole, optional(time_of_day.clone(), new.time_of_day.clone(), same))
}

/// What is not asked for holds for all.
fn optional<T>(
    old: Option<T>,
    new: Option<T>,
    both: impl FnOnce(&T, &T) -> Option<Ordering>,
) -> Option<Ordering> {
    match (old, new) {
        (None, None) => Some(Ordering::Equal),
        (None, Some(_)) => Some(Ordering::Less),
        (Some(_), None) => Some(Ordering::Greater),
        (Some(old), Some(new)) => both(&old, &new),
    }
}

/// One of these; an empty list says nothing.
fn list<T: Ord>(old: &[T], new: &[T]) -> Option<Ordering> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    match (old.is_empty(), new.is_empty()) {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Less),
        (false, true) => Some(Ordering::Greater),
        (false, false) if old == new => Some(Ordering::Equal),
        (false, false) if old.is_subset(&new) => Some(Ordering::Greater),
        (false, false) => new.is_subset(&old).then_some(Ordering::Less),
    }
}

/// A condition in a few words.
pub(super) fn shown(when: Option<&When>) -> String {
    let Some(when) = when else { return "always".into() };
    let When {
        input_tokens_below,
        input_tokens_above,
        task,
        priority,
        skills,
        plan,
        header,
        budget_below,
        time_of_day,
    } = when;
    let mut parts = Vec::new();
    parts.extend(input_tokens_below.map(|bound| format!("inputTokensBelow {}", number(bound))));
    parts.extend(input_tokens_above.map(|bound| format!("inputTokensAbove {}", number(bound))));
    for (what, words) in [("task", task), ("priority", priority), ("skills", skills)] {
        parts.extend(one_of(what, words));
    }
    parts.extend(one_of("plan", plan));
    for (name, values) in header {
        let any = || format!("header {name}");
        parts.push(one_of(&any(), values).unwrap_or_else(any));
    }
    parts.extend(budget_below.iter().map(|(key, percent)| format!("budgetBelow {key} {percent}%")));
    parts.extend(time_of_day.as_ref().map(time));
    parts.join(" and ")
}

fn one_of<T: Display + Ord>(what: &str, values: &[T]) -> Option<String> {
    let values: BTreeSet<_> = values.iter().collect();
    (!values.is_empty()).then(|| format!("{what} [{}]", listed(values)))
}

fn time(time: &TimeOfDay) -> String {
    let TimeOfDay { from, to, days, zone } = time;
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let named = DAYS.into_iter().zip(days).filter(|(_, is)| **is).map(|(day, _)| day);
    let on = if days.contains(&false) { format!(" {}", listed(named)) } else { String::new() };
    format!(
        "timeOfDay {}-{}{on} {}",
        from.strftime("%H:%M"),
        to.strftime("%H:%M"),
        zone.iana_name().unwrap_or("UTC")
    )
}
