//! Names that callers may ask for: where they lead, and what happens on the way.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::group::Item;
use super::words::{listed, or_none, span};
use super::{Direction, Found, Pair, accounting, pairs, targets, when};
use crate::ids::{ModelId, RouteId};
use crate::policy::snapshot::{
    Hedge, HedgeAfter, Hold, KeepAlive, Model, OnAllOpen, OnContextOverflow, OnLoss, Reserve, Retry, Route,
    Snapshot, Strategy,
};
use crate::resilience::backoff::Backoff;

/// What changes at every name.
pub(super) fn changes(old: &Snapshot, new: &Snapshot) -> Vec<Item> {
    let sorted = |snapshot: &Snapshot| -> BTreeMap<RouteId, Arc<Route>> {
        snapshot.routes.iter().map(|(id, route)| (id.clone(), Arc::clone(route))).collect()
    };
    let (before, after) = (sorted(old), sorted(new));
    let items = pairs(&before, &after).into_iter().map(|(id, pair)| {
        let mut found = Found::default();
        match pair {
            Pair::Both(before, after) => both(before, after, &mut found),
            // A model brings a name, and takes it along: that is told at the model.
            Pair::New(route) if is_own_name(route, &old.models) => {}
            Pair::Gone(route) if is_own_name(route, &new.models) => {}
            Pair::New(route) => {
                found.change(Direction::Neutral, "route", None, Some(summary(route)));
            }
            Pair::Gone(route) => {
                found.change(Direction::Neutral, "route", Some(summary(route)), None);
            }
        }
        Item { name: id.shared(), plan: None, found }
    });
    items.collect()
}

/// Whether it is the name of its model alone, which the other policy does not have.
fn is_own_name(route: &Route, others: &BTreeMap<ModelId, Arc<Model>>) -> bool {
    !others.contains_key(route.id.as_str())
        && matches!(&*route.targets, [target] if target.model.id.as_str() == route.id.as_str())
}

/// A route in a few words.
fn summary(route: &Route) -> String {
    let condition = route.when.as_deref().map(|when| format!(", when {}", when::shown(Some(when))));
    let leads = listed(route.targets.iter().map(|target| &target.model.id));
    format!("{} {leads}{}", strategy(route.strategy), condition.unwrap_or_default())
}

fn both(old: &Route, new: &Route, found: &mut Found) {
    let Route {
        id: _,
        strategy: by,
        targets: _,
        when: condition,
        total,
        retry,
        hedge,
        keep_alive,
        on_context_overflow,
        on_exhausted,
        on_all_open,
        on_loss,
        reserve,
    } = old;
    found.neutral("strategy", (by, &new.strategy), |by| strategy(*by).into());
    targets::changes(old, new, found);
    let conditions = (condition.as_deref(), new.when.as_deref());
    let allowed = when::wider(conditions.0, conditions.1);
    if allowed != Some(Ordering::Equal) {
        let shown = (when::shown(conditions.0), when::shown(conditions.1));
        found.change(Direction::of(allowed), "when", Some(shown.0), Some(shown.1));
    }
    let longer = |old: &Duration, new: &Duration| Direction::of(Some(new.cmp(old)));
    found.part("timeouts.total", (total, &new.total), |total| span(*total), longer);
    self::retry(retry, &new.retry, found);
    found.neutral("hedge", (hedge, &new.hedge), |hedge| or_none(hedge.as_ref(), self::hedge));
    found.neutral("keepAlive", (keep_alive, &new.keep_alive), |alive| {
        or_none(alive.as_ref(), self::keep_alive)
    });
    let overflow =
        |what: &Option<OnContextOverflow>| what.map_or("as the provider says", overflow).to_owned();
    found.neutral("onContextOverflow", (on_context_overflow, &new.on_context_overflow), overflow);
    found.part(
        "onExhausted",
        (on_exhausted, &new.on_exhausted),
        |text| text.as_ref().map_or_else(|| "an error".into(), |text| format!("respond {text:?}")),
        |_, new| if new.is_none() { Direction::Risk } else { Direction::Neutral },
    );
    found.part("onAllOpen", (on_all_open, &new.on_all_open), all_open, |_, new| match new {
        OnAllOpen::Reject => Direction::Risk,
        OnAllOpen::Probe => Direction::Neutral,
    });
    found.part("onLoss", (on_loss, &new.on_loss), loss, |_, new| match new {
        OnLoss::Reject => Direction::Risk,
        OnLoss::Warn => Direction::Neutral,
    });
    accounting::reserve(*reserve, new.reserve, holds(old, new), found);
}

/// What is held by what route and models say, where the tenant says nothing.
fn holds<'a>(old: &'a Route, new: &'a Route) -> impl Iterator<Item = (Hold, Hold)> + 'a {
    let hold = |route: &Route, model: &Model| {
        let Reserve { output, estimate } = route.reserve.or(model.reserve);
        Hold { output: output.unwrap_or_default(), estimate: estimate.unwrap_or_default() }
    };
    old.targets.iter().filter_map(move |target| {
        let same = new.targets.iter().find(|other| other.model.id == target.model.id)?;
        Some((hold(old, &target.model), hold(new, &same.model)))
    })
}

pub(super) fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Ordered => "ordered",
        Strategy::Weighted => "weighted",
        Strategy::Fastest => "fastest",
        Strategy::Cheapest => "cheapest",
    }
}

fn retry(old: &Retry, new: &Retry, found: &mut Found) {
    let Retry { max_attempts, backoff } = old;
    found.part("retry.maxAttempts", (max_attempts, &new.max_attempts), ToString::to_string, |old, new| {
        if new < old { Direction::Risk } else { Direction::Neutral }
    });
    found.neutral("retry.backoff", (backoff, &new.backoff), |Backoff { base, max }| {
        format!("{} to {}", span(*base), span(*max))
    });
}

fn hedge(Hedge { after, max_permille }: &Hedge) -> String {
    let after = match after {
        HedgeAfter::P95 => "p95".into(),
        HedgeAfter::Fixed(after) => span(*after),
    };
    format!("after {after}, {} of calls at most", super::resilience::percent(u32::from(*max_permille)))
}

fn keep_alive(KeepAlive { after, every }: &KeepAlive) -> String {
    format!("after {}, every {}", span(*after), span(*every))
}

fn overflow(overflow: OnContextOverflow) -> &'static str {
    match overflow {
        OnContextOverflow::Reject => "reject",
        OnContextOverflow::NextTarget => "nextTarget",
        OnContextOverflow::TruncateOldest => "truncateOldest",
    }
}

fn all_open(what: &OnAllOpen) -> String {
    match what {
        OnAllOpen::Reject => "reject".into(),
        OnAllOpen::Probe => "probe".into(),
    }
}

fn loss(what: &OnLoss) -> String {
    match what {
        OnLoss::Warn => "warn".into(),
        OnLoss::Reject => "reject".into(),
    }
}
