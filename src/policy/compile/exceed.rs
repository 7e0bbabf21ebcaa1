//! `onExceed`: what happens to calls beyond a limit, and which limits it fits.

use std::collections::HashMap;
use std::time::Duration;

use super::limit::{self, Limit, Limits};
use super::names::Known;
use super::{MINUTE, not_zero, span_between};
use crate::ids::{LimitKey, RouteId};
use crate::limits::{Owner, Quota, Unit};
use crate::policy::diagnostic::{Code, Findings, Span, quoted};
use crate::policy::snapshot::{Access, OnExceed, Route, Way};
use crate::policy::spec::{self, At};
use crate::units::Tokens;

/// What happens beyond a limit.
#[derive(Clone)]
pub(super) enum Exceed {
    /// The call is refused.
    Reject,
    /// It writes less.
    Clamp { at_least: Tokens },
    /// It waits.
    Queue { max_wait: Duration },
    /// It goes by way of another route, of this name.
    Downgrade { to: At<String> },
}

/// What a limit says. None where a fault was told.
pub(super) fn compile(
    written: Option<&At<spec::OnExceed>>,
    quota: Option<&Quota>,
    found: &mut Findings<'_>,
) -> Option<Exceed> {
    let Some(written) = written else { return Some(Exceed::Reject) };
    match written.value.as_ref()? {
        spec::OnExceed::Reject => Some(Exceed::Reject),
        spec::OnExceed::Clamp { at_least } => clamp(written.span, at_least, quota, found),
        spec::OnExceed::Queue { max_wait } => {
            let (least, most) = (Duration::from_millis(10), MINUTE);
            span_between(max_wait, least, most, found).map(|max_wait| Exceed::Queue { max_wait })
        }
        spec::OnExceed::Downgrade { to } => Some(Exceed::Downgrade { to: to.clone() }),
    }
}

fn clamp(at: Span, at_least: &At<u64>, quota: Option<&Quota>, found: &mut Findings<'_>) -> Option<Exceed> {
    let least = not_zero(at_least, "an answer has a token at least", found);
    let quota = quota?;
    match quota {
        Quota::Windowed { unit: Unit::Tokens | Unit::OutputTokens, amount, .. } => {
            if least.is_some_and(|least| least > amount.get()) {
                found
                    .error(at_least.span, "this is more than the whole limit: no call would ever be clamped")
                    .hint("name fewer tokens, or raise the limit");
            }
        }
        Quota::Windowed { unit: Unit::Usd, .. } => {}
        Quota::Windowed { unit: Unit::Requests | Unit::InputTokens | Unit::Concurrent, .. }
        | Quota::Concurrent { .. } => {
            let unit = quota.unit().as_str();
            found
                .error(at, format!("`clamp` bounds output, of which a limit of `{unit}` counts none"))
                .hint("write `onExceed: reject`, or count `tokens`, `outputTokens` or `usd`");
        }
    }
    Some(Exceed::Clamp { at_least: Tokens(least?) })
}

/// Tells downgrades to what there is not. Once for the limits of each plan and each tenant, where they are written.
pub(super) fn check(limits: &Limits, routes: &Known<RouteId, Route>, found: &mut Findings<'_>) {
    for limit in limits.values() {
        match &limit.exceed {
            Exceed::Downgrade { to } => drop(routes.find("route or model", to, found)),
            Exceed::Reject | Exceed::Clamp { .. } | Exceed::Queue { .. } => {}
        }
    }
}

/// What a tenant's limits do, and the ways on which not all of them count.
#[derive(Default)]
pub(super) struct Events {
    pub(super) on_exceed: HashMap<LimitKey, OnExceed>,
    pub(super) downgraded: HashMap<RouteId, Way>,
}

/// A tenant with what it may use; none where that is faulty.
pub(super) struct Reach<'a> {
    pub(super) owner: &'a Owner,
    pub(super) access: Option<&'a Access>,
}

impl Reach<'_> {
    /// What its limits do beyond their amounts. Tells ways that it may not go.
    pub(super) fn events(
        &self,
        limits: &Limits,
        routes: &Known<RouteId, Route>,
        found: &mut Findings<'_>,
    ) -> Events {
        let mut events = Events::default();
        for (key, limit) in limits {
            let event = match &limit.exceed {
                Exceed::Reject => None,
                Exceed::Clamp { at_least } => Some(OnExceed::Clamp { at_least: *at_least }),
                Exceed::Queue { max_wait } => Some(OnExceed::Queue { max_wait: *max_wait }),
                Exceed::Downgrade { to } => {
                    to.value.as_deref().and_then(|name| routes.get(name)).map(|route| {
                        self.check(key, to.span, &route, found);
                        let way = || self.way(limits, route.id.as_str());
                        events.downgraded.entry(route.id.clone()).or_insert_with(way);
                        OnExceed::Downgrade { to: route }
                    })
                }
            };
            events.on_exceed.extend(event.map(|event| (key.clone(), event)));
        }
        events
    }

    fn check(&self, key: &LimitKey, at: Span, to: &Route, found: &mut Findings<'_>) {
        let Some(access) = self.access else { return };
        let (owner, name, limit) = (self.owner, quoted(to.id.as_str()), quoted(key.as_str()));
        if !access.allowed.contains(&to.id) {
            found
                .error(at, format!("{owner} may not use {name}, to which its limit {limit} downgrades"))
                .hint(format!("add {name} to its `access.allow`"));
        } else if to.targets.iter().all(|target| access.denied.contains(&target.model.id)) {
            found
                .error(
                    at,
                    format!("each target of {name}, to which limit {limit} downgrades, is denied to {owner}"),
                )
                .hint("name another route, or take one of its models out of `access.deny`");
        } else if access.allowed.len() == 1 {
            found
                .warning(
                    Code::UselessSetting,
                    at,
                    format!("{owner} may use nothing but {name}, so its limit {limit} counts no call"),
                )
                .hint("a limit does not count the calls by way of what it downgrades to");
        }
    }

    /// What counts where those limits do not that downgrade to it.
    fn way(&self, limits: &Limits, to: &str) -> Way {
        let counts = |limit: &Limit| match &limit.exceed {
            Exceed::Downgrade { to: other } => other.value.as_deref() != Some(to),
            Exceed::Reject | Exceed::Clamp { .. } | Exceed::Queue { .. } => true,
        };
        let counting = limits.iter().filter(|(_, limit)| counts(limit));
        let counting: Limits = counting.map(|(key, limit)| (key.clone(), limit.clone())).collect();
        Way {
            limits: limit::rules(self.owner, &counting),
            counts_amounts: counting.values().any(Limit::counts_amounts),
            bounds_amounts: counting.values().any(Limit::bounds_amounts),
            bounds_money: counting.values().any(Limit::bounds_money),
        }
    }
}
