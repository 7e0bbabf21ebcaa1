//! What routes and `defaults` say of tries: how often, how long between, and what happens when nothing answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::waits::Wait;
use super::{MINUTE, shown, span_between};
use crate::policy::diagnostic::{Findings, Span};
use crate::policy::snapshot::{Hedge, HedgeAfter, KeepAlive, OnAllOpen, OnContextOverflow, OnLoss, Retry};
use crate::policy::spec::{self, At};
use crate::resilience::backoff::Backoff;

/// Where this may stand: a route, or the defaults.
pub(super) struct Written<'w> {
    pub(super) retry: &'w Option<At<spec::Retry>>,
    pub(super) keep_alive: &'w Option<At<spec::KeepAlive>>,
    pub(super) on_context_overflow: &'w Option<At<spec::OnContextOverflow>>,
    pub(super) on_exhausted: &'w Option<At<spec::OnExhausted>>,
    pub(super) on_all_open: &'w Option<At<spec::OnAllOpen>>,
    pub(super) on_loss: &'w Option<At<spec::OnLoss>>,
}

impl<'w> From<&'w spec::Route> for Written<'w> {
    fn from(route: &'w spec::Route) -> Self {
        let spec::Route {
            retry, keep_alive, on_context_overflow, on_exhausted, on_all_open, on_loss, ..
        } = route;
        Self { retry, keep_alive, on_context_overflow, on_exhausted, on_all_open, on_loss }
    }
}

impl<'w> From<&'w spec::Defaults> for Written<'w> {
    fn from(defaults: &'w spec::Defaults) -> Self {
        let spec::Defaults {
            retry, keep_alive, on_context_overflow, on_exhausted, on_all_open, on_loss, ..
        } = defaults;
        Self { retry, keep_alive, on_context_overflow, on_exhausted, on_all_open, on_loss }
    }
}

/// As much as was said.
#[derive(Clone, Default)]
pub(super) struct Said {
    tries: Tries,
    keep_alive: Option<Alive>,
    pub(super) on_context_overflow: Option<OnContextOverflow>,
    pub(super) on_exhausted: Option<Arc<str>>,
    pub(super) on_all_open: Option<OnAllOpen>,
    pub(super) on_loss: Option<OnLoss>,
}

/// Of `retry`.
#[derive(Clone, Copy, Default)]
struct Tries {
    most: Option<(NonZeroU32, Span)>,
    base: Option<Wait>,
    max: Option<Wait>,
}

/// Of `keepAlive`.
#[derive(Clone, Copy, Default)]
struct Alive {
    after: Option<Duration>,
    every: Option<Duration>,
}

impl Written<'_> {
    /// What is said here, else there, each field by itself.
    pub(super) fn over(&self, otherwise: &Said, found: &mut Findings<'_>) -> Said {
        let alive = self.keep_alive.as_ref().map(|alive| keep_alive(alive, found));
        let on_all_open = self.on_all_open.as_ref().and_then(|written| written.value);
        let on_loss = self.on_loss.as_ref().and_then(|written| written.value);
        let overflow = self.on_context_overflow.as_ref().and_then(|written| written.value);
        Said {
            tries: tries(self.retry.as_ref(), otherwise.tries, found),
            keep_alive: match (alive, otherwise.keep_alive) {
                (Some(own), Some(other)) => {
                    Some(Alive { after: own.after.or(other.after), every: own.every.or(other.every) })
                }
                (own, other) => own.or(other),
            },
            on_context_overflow: overflow.map(on_context_overflow).or(otherwise.on_context_overflow),
            on_exhausted: self
                .on_exhausted
                .as_ref()
                .and_then(|written| respond(written, found))
                .or_else(|| otherwise.on_exhausted.clone()),
            on_all_open: on_all_open
                .map(|event| match event {
                    spec::OnAllOpen::Reject => OnAllOpen::Reject,
                    spec::OnAllOpen::Probe => OnAllOpen::Probe,
                })
                .or(otherwise.on_all_open),
            on_loss: on_loss
                .map(|event| match event {
                    spec::OnLoss::Warn => OnLoss::Warn,
                    spec::OnLoss::Reject => OnLoss::Reject,
                })
                .or(otherwise.on_loss),
        }
    }
}

impl Said {
    /// How often a call is tried that may go to so many targets.
    pub(super) fn retry(&self, targets: usize) -> Retry {
        let Tries { most, base, max } = self.tries;
        let usual = u32::try_from(targets).unwrap_or(MOST_TRIES).min(MOST_TRIES);
        let usual = NonZeroU32::new(usual).map_or(USUAL_TRIES, |targets| targets.max(USUAL_TRIES));
        let otherwise = Backoff::default();
        let base = base.map(|wait| wait.span);
        // One of the two alone moves the other where they would cross.
        let max = max.map_or_else(|| otherwise.max.max(base.unwrap_or_default()), |wait| wait.span);
        let base = base.unwrap_or_else(|| otherwise.base.min(max));
        Retry { max_attempts: most.map_or(usual, |(most, _)| most), backoff: Backoff { base, max } }
    }

    /// Where it is said that there is one try and no more.
    pub(super) fn tries_once(&self) -> Option<Span> {
        self.tries.most.filter(|(most, _)| *most == NonZeroU32::MIN).map(|(_, at)| at)
    }

    /// How streams are kept alive that take long to begin.
    pub(super) fn keep_alive(&self) -> Option<KeepAlive> {
        self.keep_alive.map(|Alive { after, every }| KeepAlive {
            after: after.unwrap_or(ALIVE),
            every: every.unwrap_or(ALIVE),
        })
    }
}

/// How often is tried where nothing is said, unless there are more targets.
const USUAL_TRIES: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
const MOST_TRIES: u32 = 20;
/// Both spans of `keepAlive` where they are not said.
const ALIVE: Duration = Duration::from_secs(15);
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn tries(written: Option<&At<spec::Retry>>, otherwise: Tries, found: &mut Findings<'_>) -> Tries {
    let Some(spec) = written.and_then(|written| written.value.as_ref()) else {
        return otherwise;
    };
    let most = spec.max_attempts.as_ref().and_then(|most| most_tries(most, found));
    let backoff = spec.backoff.as_ref().and_then(|backoff| backoff.value.as_ref());
    let mut wait = |field: &Option<At<spec::TimeSpan>>, most| {
        let written = field.as_ref()?;
        let span = span_between(written, Duration::from_millis(1), most, found)?;
        Some(Wait { span, at: written.span })
    };
    let base = backoff.and_then(|backoff| wait(&backoff.base, MINUTE));
    let max = backoff.and_then(|backoff| wait(&backoff.max, TEN_MINUTES));
    let said = base.or(max).map(|wait| wait.at);
    let (base, max) = (base.or(otherwise.base), max.or(otherwise.max));
    if let (Some(at), Some(base), Some(max)) = (said, base, max)
        && base.span > max.span
    {
        let message = format!(
            "the first wait, up to {}, would be longer than the longest of {}",
            shown(base.span),
            shown(max.span)
        );
        found.error(at, message).hint("`base` is no more than `max`: `backoff: { base: 200ms, max: 5s }`");
    }
    Tries { most: most.or(otherwise.most), base, max }
}

fn most_tries(written: &At<u32>, found: &mut Findings<'_>) -> Option<(NonZeroU32, Span)> {
    let most = written.value?;
    if !(1..=MOST_TRIES).contains(&most) {
        found
            .error(written.span, format!("a call is tried 1 to {MOST_TRIES} times"))
            .hint("every try counts, the first included: 1 is no retry at all");
        return None;
    }
    Some((NonZeroU32::new(most)?, written.span))
}

fn keep_alive(written: &At<spec::KeepAlive>, found: &mut Findings<'_>) -> Alive {
    let mut read = |field: &Option<At<spec::TimeSpan>>| {
        span_between(field.as_ref()?, Duration::from_secs(1), TEN_MINUTES, found)
    };
    let fields = written.value.as_ref();
    fields.map_or_else(Alive::default, |spec| Alive { after: read(&spec.after), every: read(&spec.every) })
}

fn on_context_overflow(event: spec::OnContextOverflow) -> OnContextOverflow {
    match event {
        spec::OnContextOverflow::Reject => OnContextOverflow::Reject,
        spec::OnContextOverflow::NextTarget => OnContextOverflow::NextTarget,
        spec::OnContextOverflow::TruncateOldest => OnContextOverflow::TruncateOldest,
    }
}

fn respond(written: &At<spec::OnExhausted>, found: &mut Findings<'_>) -> Option<Arc<str>> {
    let spec::OnExhausted::Respond(at) = written.value.as_ref()?;
    let text = at.value.as_deref()?;
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_TEXT;
    if !fits {
        found
            .error(at.span, format!("what is answered has 1 to {LONGEST_TEXT} characters"))
            .hint("such as \"The assistant is busy. Please try again shortly.\"");
    }
    fits.then(|| text.into())
}

/// The longest answer that a policy itself gives.
const LONGEST_TEXT: usize = 4000;

/// When a second target is asked too. None where a fault was told.
pub(super) fn hedge(
    written: &At<spec::Hedge>,
    targets: usize,
    total: Duration,
    found: &mut Findings<'_>,
) -> Option<Hedge> {
    if targets < 2 {
        found
            .error(written.span, "there is no second target that could be asked too")
            .hint("add a target, or remove `hedge`");
    }
    let spec = written.value.as_ref()?;
    let max_permille = match &spec.max_share {
        None => Some(USUAL_SHARE),
        Some(share) => max_permille(share, found),
    };
    let after = match spec.after.value? {
        spec::HedgeAfter::P95 => HedgeAfter::P95,
        spec::HedgeAfter::Fixed(span) => {
            let at = At { span: spec.after.span, value: Some(span) };
            let span = span_between(&at, Duration::from_millis(10), TEN_MINUTES, found)?;
            Wait { span, at: at.span }.within(total, found);
            HedgeAfter::Fixed(span)
        }
    };
    Some(Hedge { after, max_permille: max_permille? })
}

/// `maxShare` where nothing is said, of a thousand.
const USUAL_SHARE: u16 = 50;

fn max_permille(written: &At<spec::Ratio>, found: &mut Findings<'_>) -> Option<u16> {
    let permille = u16::try_from(written.value?.permille).ok().filter(|share| (1..=1000).contains(share));
    if permille.is_none() {
        found
            .error(written.span, "a share of the calls is over 0 and at most 1")
            .hint("such as 0.05, for one call of twenty");
    }
    permille
}
