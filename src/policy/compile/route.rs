//! `routes:`: every name that callers may ask for, each with its targets.

mod targets;

use std::collections::BTreeSet;

use super::documents::{Item, Section};
use super::model::Models;
use super::names::Known;
use super::waits::{self, Longest, Waits};
use super::{accounting, budget, failover, when};
use crate::ids::{PlanId, RouteId};
use crate::policy::diagnostic::{Code, Findings, Span, quoted};
use crate::policy::snapshot::{Reserve, Route, Strategy, Target};
use crate::policy::spec::{self, At};

/// What routes say where they do not say it themselves.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) waits: Waits,
    pub(super) failover: failover::Said,
    /// Where it is said what happens to calls that are too long.
    overflow: Option<Span>,
}

impl Defaults {
    pub(super) fn compile(written: Option<&spec::Defaults>, found: &mut Findings<'_>) -> Self {
        let Some(spec) = written else { return Self::default() };
        Self {
            waits: waits::of_call(spec.timeouts.as_ref(), Waits::default(), found),
            failover: failover::Written::from(spec).over(&failover::Said::default(), found),
            overflow: spec.on_context_overflow.as_ref().map(|written| written.span),
        }
    }
}

/// What routes refer to.
pub(super) struct Names<'k> {
    pub(super) models: &'k Models,
    pub(super) plans: &'k Known<PlanId, ()>,
    pub(super) defaults: &'k Defaults,
    /// As written, for hints.
    pub(super) routes: &'k Section<spec::Route>,
}

pub(super) fn compile(
    written: &Section<spec::Route>,
    names: &Names<'_>,
    found: &mut Findings<'_>,
) -> Known<RouteId, Route> {
    let mut known = Known::new(written.partial || names.models.known.is_partial());
    for (name, model) in names.models.known.iter() {
        let waits = waits::of_call(None, names.defaults.waits, found);
        let target = model.map(|model| names.target(model, waits));
        known.insert(name.as_str(), target.map(|target| names.implicit(name.as_str(), target, waits)));
    }
    // After the models: a route of a model's name shadows it.
    for (name, item) in &written.entries {
        known.insert(name, names.route(name, item, found));
    }
    let mut longest = Longest::default();
    for route in known.iter().filter_map(|(_, route)| route) {
        for target in &route.targets {
            longest.add(names.models.waits(&target.model.id), route.total);
        }
    }
    longest.check(found);
    let mut models = names.models.known.iter();
    if let Some(at) = names.defaults.overflow
        && models.all(|(_, model)| model.is_some_and(|model| model.context_tokens.is_none()))
    {
        found
            .warning(Code::UselessSetting, at, "no model has a window: this does nothing")
            .hint("add `contextTokens` to the models");
    }
    known
}

impl Names<'_> {
    /// What every model is by its own name.
    fn implicit(&self, name: &str, target: Target, waits: Waits) -> Route {
        let said = &self.defaults.failover;
        Route {
            id: RouteId::from(name),
            strategy: Strategy::Ordered,
            targets: vec![target],
            when: None,
            total: waits.total,
            retry: said.retry(1),
            hedge: None,
            keep_alive: said.keep_alive(),
            on_context_overflow: said.on_context_overflow,
            on_exhausted: said.on_exhausted.clone(),
            on_all_open: said.on_all_open.unwrap_or_default(),
            on_loss: said.on_loss.unwrap_or_default(),
            reserve: Reserve::default(),
        }
    }

    /// None where a fault was told.
    fn route(&self, name: &str, item: &Item<spec::Route>, found: &mut Findings<'_>) -> Option<Route> {
        let spec = item.value.as_ref()?;
        let waits = waits::of_call(spec.timeouts.as_ref(), self.defaults.waits, found);
        let strategy = strategy(spec.strategy.as_ref());
        let targets = self.targets(name, spec, strategy, waits, found);
        let when = when::compile(spec.when.as_ref(), self.plans, found);
        let said = failover::Written::from(spec).over(&self.defaults.failover, found);
        let count = spec.targets.value.as_ref().map_or(0, Vec::len);
        let hedge = spec.hedge.as_ref().filter(|_| count > 0);
        let hedge = hedge.map(|hedge| failover::hedge(hedge, count, waits.total, found));
        let reserve = accounting::reserve(spec.reserve_output.as_ref(), spec.estimate.as_ref(), found);
        let (strategy, targets) = (strategy?, targets?);
        let doubts = Doubts { name, at: item.span, spec, strategy, targets: &targets };
        doubts.tell(said.tries_once(), found);
        Some(Route {
            id: RouteId::from(name),
            strategy,
            when,
            total: waits.total,
            retry: said.retry(targets.len()),
            targets,
            hedge: match hedge {
                None => None,
                Some(hedge) => Some(hedge?),
            },
            keep_alive: said.keep_alive(),
            on_context_overflow: said.on_context_overflow,
            on_exhausted: said.on_exhausted.clone(),
            on_all_open: said.on_all_open.unwrap_or_default(),
            on_loss: said.on_loss.unwrap_or_default(),
            reserve,
        })
    }
}

/// None where the word was faulty.
fn strategy(written: Option<&At<spec::Strategy>>) -> Option<Strategy> {
    Some(match written.map_or(Some(spec::Strategy::Ordered), |written| written.value)? {
        spec::Strategy::Ordered => Strategy::Ordered,
        spec::Strategy::Weighted => Strategy::Weighted,
        spec::Strategy::Fastest => Strategy::Fastest,
        spec::Strategy::Cheapest => Strategy::Cheapest,
    })
}

/// What makes no sense of a route as a whole, but does no harm.
struct Doubts<'r> {
    name: &'r str,
    at: Span,
    spec: &'r spec::Route,
    strategy: Strategy,
    targets: &'r [Target],
}

impl Doubts<'_> {
    fn tell(&self, tries_once: Option<Span>, found: &mut Findings<'_>) {
        let (name, count) = (quoted(self.name), self.targets.len());
        let at = self.spec.strategy.as_ref().map_or(self.at, |strategy| strategy.span);
        match self.strategy {
            Strategy::Ordered => self.conditions(found),
            Strategy::Weighted | Strategy::Fastest if count == 1 => {
                found
                    .warning(
                        Code::SingleTargetRoute,
                        at,
                        format!("route {name} has one target: there is nothing to choose from"),
                    )
                    .hint("add a target, or remove `strategy`");
            }
            Strategy::Weighted | Strategy::Fastest => {}
            Strategy::Cheapest => self.prices(at, found),
        }
        // A split of calls may well be without a second try; so may a choice by conditions.
        let chooses = self.strategy == Strategy::Weighted || self.targets.iter().any(|to| to.when.is_some());
        if let Some(at) = tries_once.filter(|_| count > 1 && !chooses) {
            found
                .warning(
                    Code::UnreachableTarget,
                    at,
                    format!("only the first of {count} targets of route {name} is ever tried"),
                )
                .hint("where it fails, none stands in: raise `maxAttempts`, or take the others out");
        }
        let overflow = self.spec.on_context_overflow.as_ref();
        let knows_window = self.targets.iter().any(|target| target.model.context_tokens.is_some());
        if let Some(overflow) = overflow.filter(|_| !knows_window) {
            found
                .warning(
                    Code::UselessSetting,
                    overflow.span,
                    format!("no target of route {name} has a window: this does nothing"),
                )
                .hint("add `contextTokens` to its models");
        }
    }

    fn conditions(&self, found: &mut Findings<'_>) {
        if self.targets.iter().all(|target| target.when.is_some()) {
            let message = format!(
                "each target of route {} has a `when`: calls for which none holds are refused",
                quoted(self.name)
            );
            found
                .warning(Code::NoLastTarget, self.spec.targets.span, message)
                .hint("add a last target without `when`");
        }
    }

    fn prices(&self, at: Span, found: &mut Findings<'_>) {
        let models = self.targets.iter().map(|target| &target.model);
        let unpriced = models.filter(|model| model.prices.all().next().is_none());
        let unpriced: BTreeSet<_> = unpriced.map(|model| &model.id).collect();
        if !unpriced.is_empty() {
            let message = format!(
                "route {} goes by prices, but no price is known for {}",
                quoted(self.name),
                budget::listed(&unpriced)
            );
            found.warning(Code::UnpricedModel, at, message).hint("add a `price` to the model");
        }
    }
}
