//! Where a route leads: its targets, their order, shares, conditions and times.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::words::{listed, or_none, span};
use super::{Direction, Found, when};
use crate::ids::{ModelId, ProviderId};
use crate::policy::snapshot::{MinRate, Route, Strategy, Target, Timeouts, When};

/// What changes of a route's targets.
pub(super) fn changes(old: &Route, new: &Route, found: &mut Found) {
    let pairs = matched(&old.targets, &new.targets);
    list(old, new, &pairs, found);
    shares(old, new, found);
    for (before, after) in &pairs {
        let Target { model, weight: _, timeouts: _, when } = before;
        let what = format!("targets.{}.when", model.id);
        condition(what, (when.as_deref(), after.when.as_deref()), found);
    }
    let is_new = |target: &&Target| !pairs.iter().any(|(_, after)| std::ptr::eq(*after, *target));
    for target in new.targets.iter().filter(is_new).filter(|target| target.when.is_some()) {
        let what = format!("targets.{}.when", target.model.id);
        found.change(Direction::Neutral, what, None, Some(when::shown(target.when.as_deref())));
    }
    timeouts(&pairs, found);
}

/// Targets that are in both, each once: those of one model and one condition first, then those of one model.
fn matched<'a>(old: &'a [Target], new: &'a [Target]) -> Vec<(&'a Target, &'a Target)> {
    let mut partners: Vec<Option<usize>> = vec![None; old.len()];
    let mut taken = BTreeSet::new();
    for alike in [true, false] {
        for (before, partner) in old.iter().zip(&mut partners).filter(|(_, partner)| partner.is_none()) {
            let fits = |after: &Target| {
                before.model.id == after.model.id
                    && (!alike
                        || when::wider(before.when.as_deref(), after.when.as_deref())
                            == Some(Ordering::Equal))
            };
            *partner = (0..new.len()).find(|at| !taken.contains(at) && new.get(*at).is_some_and(fits));
            taken.extend(*partner);
        }
    }
    old.iter().zip(partners).filter_map(|(before, at)| Some((before, new.get(at?)?))).collect()
}

/// Which there are, in what order.
fn list(old: &Route, new: &Route, pairs: &[(&Target, &Target)], found: &mut Found) {
    let names =
        |route: &Route| -> Vec<ModelId> { route.targets.iter().map(|to| to.model.id.clone()).collect() };
    let (before, after) = (names(old), names(new));
    let place = |target: &Target| new.targets.iter().position(|other| std::ptr::eq(other, target));
    let same_places = pairs.iter().map(|(_, after)| place(after)).is_sorted();
    let is_same = pairs.len() == before.len() && pairs.len() == after.len();
    // The shares of `weighted` have no order.
    let has_order = old.strategy != Strategy::Weighted || new.strategy != Strategy::Weighted;
    if is_same && (same_places || !has_order) {
        return;
    }
    let providers = |route: &Route| -> BTreeSet<ProviderId> {
        route.targets.iter().map(|to| to.model.provider.id.clone()).collect()
    };
    let elsewhere: Vec<_> = providers(new).difference(&providers(old)).cloned().collect();
    let (mut notes, mut is_risk) = (Vec::new(), after.len() < before.len());
    if is_risk {
        let models: BTreeSet<_> = after.iter().collect();
        let gone: BTreeSet<_> = before.iter().filter(|model| !models.contains(model)).collect();
        let who = if gone.is_empty() { String::new() } else { format!(", no longer {}", listed(gone)) };
        notes.push(format!("lost fallback: {} instead of {}{who}", after.len(), before.len()));
    }
    if !elsewhere.is_empty() {
        is_risk = true;
        notes.push(format!("calls may now go to provider {}", listed(elsewhere)));
    }
    if after.len() > before.len() {
        notes.push(format!("gained fallback: {} instead of {}", after.len(), before.len()));
    }
    let direction = if is_risk { Direction::Risk } else { Direction::Neutral };
    if is_same {
        notes.push("another order".into());
    } else if before.first() != after.first() && has_order {
        notes.push("another one is first".into());
    }
    let change = found.change(direction, "targets", Some(listed(before)), Some(listed(after)));
    if !notes.is_empty() {
        change.note(notes.join("; "));
    }
}

/// Shares count only where the strategy asks for them.
fn shares(old: &Route, new: &Route, found: &mut Found) {
    let shares = |route: &Route| match route.strategy {
        Strategy::Weighted => Some(reduced(&route.targets)),
        Strategy::Ordered | Strategy::Fastest | Strategy::Cheapest => None,
    };
    let (before, after) = (shares(old), shares(new));
    if before != after {
        let shown = |shares: &BTreeMap<ModelId, u64>| {
            listed(shares.iter().map(|(model, share)| format!("{model} {share}")))
        };
        found.change(Direction::Neutral, "weights", before.as_ref().map(shown), after.as_ref().map(shown));
    }
}

/// The least whole numbers that are to each other as the weights are.
fn reduced(targets: &[Target]) -> BTreeMap<ModelId, u64> {
    let mut shares = BTreeMap::new();
    for target in targets {
        *shares.entry(target.model.id.clone()).or_default() += u64::from(target.weight.get());
    }
    let divisor = shares.values().fold(0, |a, b| common(a, *b)).max(1);
    shares.values_mut().for_each(|share| *share /= divisor);
    shares
}

fn common(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common(b, a % b) }
}

/// A target that fewer calls may go to stands in for fewer.
fn condition(what: String, sides: (Option<&When>, Option<&When>), found: &mut Found) {
    let direction = match when::wider(sides.0, sides.1) {
        Some(Ordering::Equal) => return,
        Some(Ordering::Less) => Direction::Risk,
        Some(Ordering::Greater) | None => Direction::Neutral,
    };
    let change = found.change(direction, what, Some(when::shown(sides.0)), Some(when::shown(sides.1)));
    if direction == Direction::Risk {
        change.note("stands in for fewer calls");
    }
}

/// Times that change alike at all targets are told once.
fn timeouts(pairs: &[(&Target, &Target)], found: &mut Found) {
    let mut fields: BTreeMap<&str, Vec<(&ModelId, Time, Time)>> = BTreeMap::new();
    for (before, after) in pairs {
        for ((field, old), (_, new)) in times(&before.timeouts).into_iter().zip(times(&after.timeouts)) {
            fields.entry(field).or_default().push((&before.model.id, old, new));
        }
    }
    for (field, sides) in fields {
        let mut all = sides.iter().map(|(_, old, new)| (*old, *new));
        let first = all.next();
        if let Some((old, new)) = first.filter(|first| all.all(|other| other == *first)) {
            found.part(&format!("timeouts.{field}"), (&old, &new), Time::shown, Time::direction);
            continue;
        }
        for (model, old, new) in sides {
            let what = format!("targets.{model}.timeouts.{field}");
            found.part(&what, (&old, &new), Time::shown, Time::direction);
        }
    }
}

/// How long is waited, or how slow a stream may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Wait(Duration),
    Rate(Option<MinRate>),
}

impl Time {
    fn shown(&self) -> String {
        match self {
            Self::Wait(wait) => span(*wait),
            Self::Rate(rate) => or_none(*rate, |MinRate { tokens_per_second, over }| {
                format!("{tokens_per_second} tokens a second over {}", span(over))
            }),
        }
    }

    /// Who is waited for longer may answer more.
    fn direction(&self, new: &Self) -> Direction {
        Direction::of(match (self, new) {
            (Self::Wait(old), Self::Wait(new)) => Some(new.cmp(old)),
            (Self::Rate(None), Self::Rate(Some(_))) => Some(Ordering::Less),
            (Self::Rate(Some(_)), Self::Rate(None)) => Some(Ordering::Greater),
            (Self::Rate(Some(old)), Self::Rate(Some(new))) if old.over == new.over => {
                Some(old.tokens_per_second.cmp(&new.tokens_per_second))
            }
            (Self::Wait(_) | Self::Rate(_), Self::Wait(_) | Self::Rate(_)) => None,
        })
    }
}

fn times(timeouts: &Timeouts) -> [(&'static str, Time); 5] {
    let Timeouts { connect, first_token, stream_idle, answer, min_rate } = timeouts;
    [
        ("connect", Time::Wait(*connect)),
        ("firstToken", Time::Wait(*first_token)),
        ("streamIdle", Time::Wait(*stream_idle)),
        ("answer", Time::Wait(*answer)),
        ("minRate", Time::Rate(*min_rate)),
    ]
}
