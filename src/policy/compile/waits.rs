//! `timeouts`, wherever they stand: field by field what is said nearest to the target.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{DAY, MINUTE, count, shown, span_between};
use crate::policy::diagnostic::{Code, Findings, Span};
use crate::policy::snapshot::{MinRate, Route, Timeouts};
use crate::policy::spec::{self, At};

/// How long one try waits, and the whole call: what is said at a route, or by the defaults.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    pub(super) one: Tries,
    pub(super) total: Duration,
}

/// How long one try waits, as far as it is said.
#[derive(Clone, Copy, Default)]
pub(super) struct Tries {
    connect: Option<Wait>,
    first_token: Option<Wait>,
    stream_idle: Option<Wait>,
    answer: Option<Wait>,
    min_rate: Option<MinRate>,
}

/// A time span and where it is said.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) span: Duration,
    pub(super) at: Span,
}

impl Default for Waits {
    fn default() -> Self {
        Self { one: Tries::default(), total: Route::TOTAL }
    }
}

/// What a route or the defaults say; the whole call as otherwise where they say nothing of it.
pub(super) fn of_call(
    written: Option<&At<spec::Timeouts>>,
    otherwise: Waits,
    found: &mut Findings<'_>,
) -> Waits {
    let Some(spec) = written.and_then(|written| written.value.as_ref()) else {
        return Waits { one: Tries::default(), ..otherwise };
    };
    let total = spec.total.as_ref().and_then(|total| wait(total, DAY, found));
    let total = total.map_or(otherwise.total, |total| total.span);
    let spec::Timeouts { connect, first_token, stream_idle, answer, min_rate, .. } = spec;
    let one = Fields { connect, first_token, stream_idle, answer, min_rate }.tries(found);
    for wait in one.bounded() {
        wait.within(total, found);
    }
    Waits { one, total }
}

/// What a provider or model says.
pub(super) fn of_try(written: Option<&At<spec::TryTimeouts>>, found: &mut Findings<'_>) -> Tries {
    let Some(spec) = written.and_then(|written| written.value.as_ref()) else {
        return Tries::default();
    };
    let spec::TryTimeouts { connect, first_token, stream_idle, answer, min_rate } = spec;
    Fields { connect, first_token, stream_idle, answer, min_rate }.tries(found)
}

/// What all places may say.
struct Fields<'w> {
    connect: &'w Option<At<spec::TimeSpan>>,
    first_token: &'w Option<At<spec::TimeSpan>>,
    stream_idle: &'w Option<At<spec::TimeSpan>>,
    answer: &'w Option<At<spec::TimeSpan>>,
    min_rate: &'w Option<At<spec::MinRate>>,
}

impl Fields<'_> {
    fn tries(&self, found: &mut Findings<'_>) -> Tries {
        let mut read = |field: &Option<At<spec::TimeSpan>>, most| wait(field.as_ref()?, most, found);
        Tries {
            connect: read(self.connect, MINUTE),
            first_token: read(self.first_token, DAY),
            stream_idle: read(self.stream_idle, DAY),
            answer: read(self.answer, DAY),
            min_rate: self.min_rate.as_ref().and_then(|rate| min_rate(rate, found)),
        }
    }
}

fn wait(written: &At<spec::TimeSpan>, most: Duration, found: &mut Findings<'_>) -> Option<Wait> {
    let span = span_between(written, Duration::from_millis(10), most, found)?;
    Some(Wait { span, at: written.span })
}

fn min_rate(written: &At<spec::MinRate>, found: &mut Findings<'_>) -> Option<MinRate> {
    let spec = written.value.as_ref()?;
    let rate = count(&spec.tokens_per_second, "leave `minRate` out where any rate is good enough", found);
    let over = span_between(&spec.over, Duration::from_millis(100), MINUTE, found);
    Some(MinRate { tokens_per_second: rate?, over: over? })
}

impl Tries {
    /// What is said here, else there, each field by itself.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            connect: self.connect.or(other.connect),
            first_token: self.first_token.or(other.first_token),
            stream_idle: self.stream_idle.or(other.stream_idle),
            answer: self.answer.or(other.answer),
            min_rate: self.min_rate.or(other.min_rate),
        }
    }

    /// What holds where nothing else is said.
    pub(super) fn timeouts(self) -> Timeouts {
        let otherwise = Timeouts::default();
        let span = |wait: Option<Wait>, otherwise| wait.map_or(otherwise, |wait| wait.span);
        Timeouts {
            connect: span(self.connect, otherwise.connect),
            first_token: span(self.first_token, otherwise.first_token),
            stream_idle: span(self.stream_idle, otherwise.stream_idle),
            answer: span(self.answer, otherwise.answer),
            min_rate: self.min_rate.or(otherwise.min_rate),
        }
    }

    /// What can never be waited for that is longer than the whole call.
    fn bounded(&self) -> impl Iterator<Item = Wait> {
        [self.connect, self.first_token, self.answer].into_iter().flatten()
    }
}

impl Wait {
    /// Tells a wait that the whole call never has.
    pub(super) fn within(self, total: Duration, found: &mut Findings<'_>) {
        if self.span > total {
            let message = format!("this is longer than the whole call may take, which is {}", shown(total));
            found
                .warning(Code::TimeoutsContradict, self.at, message)
                .hint("shorten it, or raise `total` at the route or in `defaults`");
        }
    }
}

/// What providers and models say, with the longest of the calls that may wait so long.
#[derive(Default)]
pub(super) struct Longest(BTreeMap<Span, (Wait, Duration)>);

impl Longest {
    /// Adds a target of a call that may take so long.
    pub(super) fn add(&mut self, said: Tries, total: Duration) {
        for wait in said.bounded() {
            let (_, longest) = self.0.entry(wait.at).or_insert((wait, total));
            *longest = total.max(*longest);
        }
    }

    /// Tells what no call ever waits for.
    pub(super) fn check(self, found: &mut Findings<'_>) {
        for (wait, longest) in self.0.into_values() {
            wait.within(longest, found);
        }
    }
}
