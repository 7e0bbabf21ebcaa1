//! What tenants are denied of the routes they use, and limits that providers keep them from ever reaching.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Everywhere, Policy};
use crate::ids::ProviderId;
use crate::limits::{Each, Mode, Quota, Rule};
use crate::policy::diagnostic::{Code, Findings, quoted};
use crate::policy::glob::matches;
use crate::policy::snapshot::{Model, Provider, Route, Tenant};
use crate::policy::spec;

impl Policy<'_> {
    pub(super) fn tenants(&self, found: &mut Findings<'_>) {
        let limited = self.snapshot.providers.values().any(|provider| !provider.limits.is_empty());
        let mut unreached = Everywhere::default();
        for (name, item) in &self.written.tenants.entries {
            let Some((spec, tenant)) = item.value.as_ref().zip(self.snapshot.tenants.get(name.as_str()))
            else {
                continue;
            };
            self.denied(spec, tenant, found);
            if limited {
                self.limits(spec, tenant, &mut unreached);
            }
        }
        let hint = "lower it, or raise the limits of the providers";
        unreached.tell(Code::LimitAboveProvider, hint, found);
    }

    /// Tells a pattern of `deny` that takes targets out of routes that have others.
    fn denied(&self, spec: &spec::Tenant, tenant: &Tenant, found: &mut Findings<'_>) {
        if tenant.access.denied.is_empty() {
            return;
        }
        let deny =
            spec.access.as_ref().and_then(|access| access.value.as_ref()?.deny.as_ref()?.value.as_ref());
        let mut routes: Vec<_> = self.routes_of(tenant).collect();
        routes.sort_by(|a, b| a.id.cmp(&b.id));
        for at in deny.into_iter().flatten() {
            let Some(pattern) = at.value.as_deref() else { continue };
            let denied = |model: &Model| matches(pattern, model.id.as_str());
            let mut lost = routes.iter().filter_map(|route| Some((route, lost(route, tenant, &denied)?)));
            if let Some((route, model)) = lost.next() {
                let more = lost.count();
                let more = match more {
                    0 => String::new(),
                    1 => ", as is one of another route".to_owned(),
                    more => format!(", as are those of {more} other routes"),
                };
                let message = format!(
                    "{} is a target of route {}, which tenant {} may use: for it, that target is passed over{more}",
                    quoted(model.id.as_str()),
                    quoted(route.id.as_str()),
                    quoted(tenant.id.as_str())
                );
                found
                    .warning(Code::DeniedTarget, at.span, message)
                    .hint("see that enough targets are left, or give the tenant a route of its own");
            }
        }
    }

    fn routes_of<'s>(&'s self, tenant: &'s Tenant) -> impl Iterator<Item = &'s Arc<Route>> {
        tenant.access.allowed.iter().filter_map(|route| self.snapshot.routes.get(route))
    }

    fn limits(&self, spec: &spec::Tenant, tenant: &Tenant, unreached: &mut Everywhere) {
        let reach = self.reach(tenant);
        for rule in tenant.limits.iter() {
            let Some(limit) = self.limit(spec, rule.key.as_str()) else { continue };
            unreached.add(limit.span, above(rule, &reach));
        }
    }

    /// The providers that serve a tenant, with how many of their models do.
    fn reach<'s>(&'s self, tenant: &'s Tenant) -> BTreeMap<&'s ProviderId, (&'s Provider, u64)> {
        let targets = self.routes_of(tenant).flat_map(|route| &route.targets);
        let models =
            targets.map(|target| &*target.model).filter(|model| !tenant.access.denied.contains(&model.id));
        let mut seen = BTreeSet::new();
        let mut reach = BTreeMap::new();
        for model in models.filter(|model| seen.insert(&model.id)) {
            reach.entry(&model.provider.id).or_insert((&*model.provider, 0)).1 += 1;
        }
        reach
    }
}

/// A target that a pattern denies, of a route that has others. (Where all are denied, `compile` tells.)
fn lost<'r>(route: &'r Route, tenant: &Tenant, denied: &impl Fn(&Model) -> bool) -> Option<&'r Model> {
    let serves = |model: &Model| !tenant.access.denied.contains(&model.id);
    let any = route.targets.iter().any(|target| serves(&target.model));
    route.targets.iter().map(|target| &*target.model).find(|model| any && denied(model))
}

/// What is said of a limit that all providers together grant less of; none where it may be reached.
fn above(rule: &Rule, reach: &BTreeMap<&ProviderId, (&Provider, u64)>) -> Option<String> {
    let amount = amount(&rule.quota);
    if rule.mode != Mode::Enforce || reach.is_empty() {
        return None;
    }
    let granted = reach.values().map(|(provider, models)| granted(&rule.quota, provider, *models));
    let granted = granted.sum::<Option<u64>>().filter(|granted| *granted < amount)?;
    let names: Vec<_> = reach.keys().take(3).map(|id| quoted(id.as_str())).collect();
    let more = reach.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let part = granted.saturating_mul(100) / amount;
    Some(format!(
        "this limit is never reached: {}{more} grant {part}% of it to all tenants together",
        names.join(", ")
    ))
}

/// The most that a provider grants of the same in the same time; none where it does not say.
fn granted(quota: &Quota, provider: &Provider, models: u64) -> Option<u64> {
    let keys = provider.keys.len() as u64;
    let rules = provider.limits.iter().filter(|rule| rule.mode == Mode::Enforce && same(&rule.quota, quota));
    let most = rules.map(|rule| {
        let cells = match rule.each {
            Some(Each::Model) => models,
            Some(Each::Key) => keys,
            Some(Each::User | Each::App) | None => 1,
        };
        amount(&rule.quota).saturating_mul(cells)
    });
    most.min()
}

/// Whether two limits count the same in windows of the same length.
fn same(one: &Quota, other: &Quota) -> bool {
    match (one, other) {
        (Quota::Concurrent { .. }, Quota::Concurrent { .. }) => true,
        (Quota::Windowed { unit, window, .. }, Quota::Windowed { unit: other, window: same, .. }) => {
            unit == other && window == same
        }
        (Quota::Windowed { .. }, Quota::Concurrent { .. })
        | (Quota::Concurrent { .. }, Quota::Windowed { .. }) => false,
    }
}

fn amount(quota: &Quota) -> u64 {
    match quota {
        Quota::Windowed { amount, .. } => amount.get(),
        Quota::Concurrent { amount } => amount.get().into(),
    }
}
