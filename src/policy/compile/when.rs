//! `when` of routes and targets: what has to hold of a call. Whether it ever can is checked in `conditions`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::names::{self, Known};
use super::{not_zero, twice};
use crate::clock::TimeZone;
use crate::ids::{LimitKey, PlanId};
use crate::policy::diagnostic::{Code, Findings, Span, quoted};
use crate::policy::snapshot::{TimeOfDay, When};
use crate::policy::spec::{self, At, Entries, Left, Weekday};

/// What has to hold. Where a part was faulty, that was told.
pub(super) fn compile(
    written: Option<&At<spec::When>>,
    plans: &Known<PlanId, ()>,
    found: &mut Findings<'_>,
) -> Option<Box<When>> {
    let written = written?;
    let spec = written.value.as_ref()?;
    if says_nothing(spec) {
        found
            .error(written.span, "this condition says nothing")
            .hint("remove it, or say what has to hold: `when: { inputTokensBelow: 8000 }`");
    }
    let (below, above) = input_tokens(spec, found);
    Some(Box::new(When {
        input_tokens_below: below,
        input_tokens_above: above,
        task: words("task", spec.task.as_ref(), found),
        priority: words("priority", spec.priority.as_ref(), found),
        skills: words("skill", spec.skills.as_ref(), found),
        plan: plan_ids(spec.plan.as_ref(), plans, found),
        header: headers(spec.header.as_ref(), found),
        budget_below: budget_below(spec.budget_below.as_ref(), found),
        time_of_day: spec.time_of_day.as_ref().and_then(|time| time_of_day(time, found)),
    }))
}

fn says_nothing(spec: &spec::When) -> bool {
    let spec::When {
        input_tokens_below,
        input_tokens_above,
        task,
        priority,
        skills,
        plan,
        header,
        budget_below,
        time_of_day,
    } = spec;
    let lists = [task, priority, skills, plan];
    input_tokens_below.is_none()
        && input_tokens_above.is_none()
        && lists.iter().all(|list| list.is_none())
        && header.is_none()
        && budget_below.is_none()
        && time_of_day.is_none()
}

fn input_tokens(spec: &spec::When, found: &mut Findings<'_>) -> (Option<u64>, Option<u64>) {
    let below = spec.input_tokens_below.as_ref();
    let below = below.and_then(|at| not_zero(at, "no call has less than no input", found));
    let above = spec.input_tokens_above.as_ref().and_then(|at| at.value);
    // Between a number and the next there is none.
    if let (Some(below), Some(above), Some(at)) = (below, above, &spec.input_tokens_below)
        && below <= above.saturating_add(1)
    {
        let message = format!("no call has more than {above} and less than {below} tokens: this never holds");
        found
            .error(at.span, message)
            .code(Code::NeverHolds)
            .hint("for one or the other write two targets, each with its own `when`");
    }
    (below, above)
}

/// A list of which one has to fit.
fn list<'w, T>(written: Option<&'w At<Vec<At<T>>>>, found: &mut Findings<'_>) -> &'w [At<T>] {
    let Some(written) = written else { return &[] };
    let list = written.value.as_deref().unwrap_or_default();
    if written.value.is_some() && list.is_empty() {
        found
            .error(written.span, "nothing is in this list: it never holds")
            .code(Code::NeverHolds)
            .hint("remove it, or name a value");
    }
    list
}

/// What calls may name in a header, of which skills are separated by commas: words.
fn words(what: &str, written: Option<&At<Vec<At<String>>>>, found: &mut Findings<'_>) -> Vec<Box<str>> {
    let mut words = Vec::new();
    for at in list(written, found) {
        let word = at.value.as_deref().filter(|word| names::check(what, word, at.span, found));
        words.extend(word.map(Box::from));
    }
    words
}

fn plan_ids(
    written: Option<&At<Vec<At<String>>>>,
    plans: &Known<PlanId, ()>,
    found: &mut Findings<'_>,
) -> Vec<PlanId> {
    let mut ids = Vec::new();
    for at in list(written, found) {
        let known = plans.find("plan", at, found).is_some();
        ids.extend(at.value.as_deref().filter(|_| known).map(PlanId::from));
    }
    ids
}

/// Tells a map that names nothing.
fn entries<'w, T>(written: Option<&'w At<Entries<T>>>, found: &mut Findings<'_>) -> &'w [spec::Entry<T>] {
    let Some(written) = written else { return &[] };
    let entries = written.value.as_ref().map_or(&[][..], |entries| &entries.0);
    if written.value.is_some() && entries.is_empty() {
        found.error(written.span, "nothing is named here").hint("remove it, or name what has to hold");
    }
    entries
}

fn headers(
    written: Option<&At<Entries<Vec<At<String>>>>>,
    found: &mut Findings<'_>,
) -> Vec<(HeaderName, Vec<Box<str>>)> {
    let mut seen: Vec<(HeaderName, Span)> = Vec::new();
    let mut headers = Vec::new();
    for entry in entries(written, found) {
        let Some(name) = names::header(&entry.name, entry.span, found) else { continue };
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
            twice(&format!("header {} is named twice", quoted(name.as_str())), entry.span, *first, found);
        }
        seen.push((name.clone(), entry.span));
        let values = entry.value.iter().flatten().filter_map(|value| header_value(value, found));
        headers.push((name, values.collect()));
    }
    headers
}

fn header_value(written: &At<String>, found: &mut Findings<'_>) -> Option<Box<str>> {
    let text = written.value.as_deref()?;
    let fits =
        !text.is_empty() && text.trim() == text && HeaderValue::from_str(text).is_ok() && text.is_ascii();
    if !fits {
        found
            .error(written.span, "no header has this value")
            .hint("plain ASCII, without spaces at its ends; an empty list stands for any value");
    }
    fits.then(|| text.into())
}

fn budget_below(written: Option<&At<Entries<Left>>>, found: &mut Findings<'_>) -> Vec<(LimitKey, u8)> {
    let mut below = Vec::new();
    for entry in entries(written, found) {
        if names::check("limit", &entry.name, entry.span, found) {
            below.extend(entry.value.map(|Left(percent)| (LimitKey::from(entry.name.as_str()), percent)));
        }
    }
    below
}

fn time_of_day(written: &At<spec::TimeOfDay>, found: &mut Findings<'_>) -> Option<TimeOfDay> {
    let spec = written.value.as_ref()?;
    for at in [&spec.from, &spec.to] {
        // Other readers of YAML take a plain time for a number of minutes.
        if at.value.is_some() && found.first_char(at.span).is_some_and(|c| c.is_ascii_digit()) {
            found.error(at.span, "a time of the day is written in quotes").hint("write \"22:00\"");
        }
    }
    let (from, to) = (spec.from.value.as_ref(), spec.to.value.as_ref());
    if from.is_some() && from == to {
        found
            .error(spec.to.span, "it ends when it begins: this never holds")
            .code(Code::NeverHolds)
            .hint("leave `timeOfDay` out for the whole day");
    }
    let days = spec.days.as_ref().map(|days| weekdays(days, found));
    let zone = match &spec.time_zone {
        None => Arc::new(TimeZone::UTC),
        Some(zone) => Arc::clone(&zone.value.as_ref()?.0),
    };
    Some(TimeOfDay { from: from?.0, to: to?.0, days: days.unwrap_or([true; 7]), zone })
}

fn weekdays(written: &At<Vec<At<Weekday>>>, found: &mut Findings<'_>) -> [bool; 7] {
    let mut days = [false; 7];
    let [mon, tue, wed, thu, fri, sat, sun] = &mut days;
    for day in list(Some(written), found).iter().filter_map(|day| day.value) {
        *match day {
            Weekday::Mon => &mut *mon,
            Weekday::Tue => &mut *tue,
            Weekday::Wed => &mut *wed,
            Weekday::Thu => &mut *thu,
            Weekday::Fri => &mut *fri,
            Weekday::Sat => &mut *sat,
            Weekday::Sun => &mut *sun,
        } = true;
    }
    days
}
