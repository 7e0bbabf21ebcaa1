//! Tenants: who calls, what each may ask for, how much, and how its calls are accounted.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::group::Item;
use super::limit::{self, Limits};
use super::words::{listed, or_none};
use super::{Direction, Found, Pair, accounting, pairs};
use crate::auth::api_key::KeyDigest;
use crate::ids::{ModelId, PlanId, RouteId, TenantId};
use crate::policy::snapshot::{Access, Attributes, Hold, Principal, Route, Snapshot, Source, Tenant};

/// What changes at every tenant.
pub(super) fn changes(old: &Snapshot, new: &Snapshot) -> Vec<Item> {
    // All else is told at routes, models and providers, or follows from what is told; the label is a name.
    let Snapshot {
        revision: _,
        header: _,
        label: _,
        providers: _,
        models: _,
        routes: _,
        tenants,
        keys: _,
        local: _,
        unkeyed: _,
    } = old;
    let sides = Sides { old, new, plans: conditions(old).chain(conditions(new)).collect() };
    let (mut keys, counts) = (sides.keys(), (keys_of(old), keys_of(new)));
    let items = pairs(tenants, &new.tenants).into_iter().map(|(id, pair)| {
        let mut found = Found::default();
        let keys = keys.remove(id).unwrap_or_default();
        let (plan, direction) = match pair {
            Pair::Both(before, after) => {
                sides.both(before, after, keys, &mut found);
                (&after.plan, None)
            }
            Pair::New(one) => (&one.plan, Some((one, new, &counts.1, Direction::Loosening))),
            Pair::Gone(one) => (&one.plan, Some((one, old, &counts.0, Direction::Tightening))),
        };
        if let Some((tenant, snapshot, counts, direction)) = direction {
            let text = Some(summary(tenant, snapshot, counts.get(id).copied().unwrap_or_default()));
            let (old, new) = if direction == Direction::Loosening { (None, text) } else { (text, None) };
            found.change(direction, "tenant", old, new);
        }
        Item { name: id.shared(), plan: plan.as_ref().map(PlanId::shared), found }
    });
    items.collect()
}

/// The plans that conditions ask for.
fn conditions(snapshot: &Snapshot) -> impl Iterator<Item = &PlanId> {
    snapshot.routes.values().flat_map(|route| {
        let targets = route.targets.iter().filter_map(|target| target.when.as_deref());
        route.when.as_deref().into_iter().chain(targets).flat_map(|when| &when.plan)
    })
}

fn keys_of(snapshot: &Snapshot) -> HashMap<&TenantId, usize> {
    let mut counts = HashMap::new();
    for principal in snapshot.keys.values() {
        *counts.entry(&principal.tenant.id).or_default() += 1;
    }
    counts
}

/// A tenant in a few words.
fn summary(tenant: &Tenant, snapshot: &Snapshot, keys: usize) -> String {
    let names: BTreeSet<_> =
        tenant.access.allowed.iter().filter(|name| may_ask(tenant, snapshot, name)).collect();
    let mut parts = vec![format!("may ask for {}", listed(names))];
    parts.extend(tenant.plan.as_ref().map(|plan| format!("plan {plan}")));
    let limits = Limits { rules: &tenant.limits, tenant: Some(tenant) };
    let shown = |rule| super::words::limit(rule, limits.beyond(rule));
    let rules: Vec<_> = tenant.limits.iter().map(|rule| format!("{} {}", rule.key, shown(rule))).collect();
    parts.push(if rules.is_empty() { "no limits".into() } else { rules.join("; ") });
    parts.push(format!("{keys} key{}", if keys == 1 { "" } else { "s" }));
    if is_local(tenant, snapshot) {
        parts.push("callers in the pod without a key".into());
    }
    parts.join("; ")
}

fn is_local(tenant: &Tenant, snapshot: &Snapshot) -> bool {
    snapshot.local.as_ref().is_some_and(|local| local.tenant.id == tenant.id)
}

/// Whether it may ask for a name that may be answered: one whose every model is denied is none.
fn may_ask(tenant: &Tenant, snapshot: &Snapshot, name: &RouteId) -> bool {
    // What the globs say is told by the names that they stand for.
    let Access { allowed, denied, allow: _, deny: _ } = &tenant.access;
    let may_answer =
        |route: &Route| denied.is_empty() || route.targets.iter().any(|to| !denied.contains(&to.model.id));
    allowed.contains(name) && snapshot.routes.get(name).is_some_and(|route| may_answer(route))
}

struct Sides<'a> {
    old: &'a Snapshot,
    new: &'a Snapshot,
    /// Those that some condition asks for.
    plans: HashSet<&'a PlanId>,
}

impl<'a> Sides<'a> {
    fn both(&self, old: &Tenant, new: &Tenant, keys: Found, found: &mut Found) {
        let Tenant {
            id: _,
            access,
            limits,
            counts_amounts: _,
            bounds_amounts: _,
            bounds_money: _,
            payment_required: _,
            on_exceed: _,
            downgraded: _,
            reserve,
            unknowns,
            annotate,
            plan,
            attributes,
        } = old;
        self.names((old, new), found);
        self.denied(&access.denied, &new.access.denied, found);
        let (mut of_limits, before) = (Found::default(), Limits { rules: limits, tenant: Some(old) });
        limit::changes(before, Limits { rules: &new.limits, tenant: Some(new) }, &mut of_limits);
        self.plan((plan.as_ref(), new.plan.as_ref()), !of_limits.0.is_empty(), found);
        found.0.extend(of_limits.0);
        // Whoever says the same is not asked what follows: of ten thousand tenants that takes a while.
        if *reserve != new.reserve {
            accounting::reserve(*reserve, new.reserve, self.holds(old, new), found);
        }
        accounting::unknowns(unknowns, &new.unknowns, found);
        found.neutral("annotate", (annotate, &new.annotate), bool::to_string);
        self::attributes(attributes, &new.attributes, found);
        found.0.extend(keys.0);
        let local = (is_local(old, self.old), is_local(new, self.new));
        found.part("local", (&local.0, &local.1), bool::to_string, |_, new| {
            if *new { Direction::Loosening } else { Direction::Tightening }
        });
    }

    /// Another plan is told with the limits that it changes, or where conditions ask for it; else it is but a name.
    fn plan(&self, (old, new): (Option<&PlanId>, Option<&PlanId>), limits_change: bool, found: &mut Found) {
        let shown = |plan: &Option<&PlanId>| or_none(*plan, PlanId::to_string);
        let asked_for = [old, new].into_iter().flatten().any(|plan| self.plans.contains(plan));
        if old != new && (asked_for || limits_change) {
            let direction = if asked_for { Direction::Mixed } else { Direction::Neutral };
            let change = found.change(direction, "plan", Some(shown(&old)), Some(shown(&new)));
            if asked_for {
                change.note("conditions of routes or targets ask for the plan");
            }
        }
    }

    fn names(&self, (old, new): (&Tenant, &Tenant), found: &mut Found) {
        let before = |name: &RouteId| may_ask(old, self.old, name);
        let after = |name: &RouteId| may_ask(new, self.new, name);
        let gained: BTreeSet<_> =
            new.access.allowed.iter().filter(|name| after(name) && !before(name)).collect();
        let lost: BTreeSet<_> =
            old.access.allowed.iter().filter(|name| before(name) && !after(name)).collect();
        if !gained.is_empty() {
            found.change(Direction::Loosening, "access.allow", None, Some(listed(gained)));
        }
        if !lost.is_empty() {
            found.change(Direction::Tightening, "access.allow", Some(listed(lost)), None);
        }
    }

    /// Of a model that only one of the policies has, nothing is gained or lost by denying it.
    fn denied(&self, old: &HashSet<ModelId>, new: &HashSet<ModelId>, found: &mut Found) {
        let in_both =
            |id: &&&ModelId| self.old.models.contains_key(**id) && self.new.models.contains_key(**id);
        let more: BTreeSet<_> = new.difference(old).collect();
        let less: BTreeSet<_> = old.difference(new).collect();
        let more: Vec<_> = more.iter().filter(in_both).collect();
        let less: Vec<_> = less.iter().filter(in_both).collect();
        if !more.is_empty() {
            found.change(Direction::Tightening, "access.deny", None, Some(listed(more)));
        }
        if !less.is_empty() {
            found.change(Direction::Loosening, "access.deny", Some(listed(less)), None);
        }
    }

    /// What is held for calls of every name and model that both policies let the tenant use.
    fn holds<'t>(
        &'t self,
        old: &'t Tenant,
        new: &'t Tenant,
    ) -> impl Iterator<Item = (Hold, Hold)> + use<'t, 'a> {
        let mut names: Vec<_> = old.access.allowed.intersection(&new.access.allowed).collect();
        names.sort();
        let routes =
            names.into_iter().filter_map(|name| self.old.routes.get(name).zip(self.new.routes.get(name)));
        routes.flat_map(move |(before, after)| {
            let models = before.targets.iter().filter_map(|to| {
                let same = after.targets.iter().find(|other| other.model.id == to.model.id)?;
                Some((&to.model, &same.model))
            });
            models.map(move |(a, b)| (Hold::of(old, before, a), Hold::of(new, after, b)))
        })
    }

    /// Who may call with a key and could not, or the other way around, by tenants of both policies.
    fn keys(&self) -> HashMap<&'a TenantId, Found> {
        let mut digests: Vec<_> = self.old.keys.keys().collect();
        digests.extend(self.new.keys.keys().filter(|digest| !self.old.keys.contains_key(*digest)));
        digests.sort_by_cached_key(|digest| digest.hex());
        let mut by_tenant: HashMap<&TenantId, Found> = HashMap::new();
        for digest in digests {
            let (before, after) = (self.old.keys.get(digest), self.new.keys.get(digest));
            match (before, after) {
                (Some(before), Some(after)) if before.tenant.id == after.tenant.id => {
                    if caller(digest, before) != caller(digest, after) {
                        let sides = (Some(caller(digest, before)), Some(caller(digest, after)));
                        let found = by_tenant.entry(&before.tenant.id).or_default();
                        found.change(Direction::Neutral, "match", sides.0, sides.1);
                    }
                }
                (before, after) => {
                    if let Some(gone) = before {
                        let found = by_tenant.entry(&gone.tenant.id).or_default();
                        found.change(Direction::Tightening, "match", Some(caller(digest, gone)), None);
                    }
                    if let Some(come) = after {
                        let found = by_tenant.entry(&come.tenant.id).or_default();
                        found.change(Direction::Loosening, "match", None, Some(caller(digest, come)));
                    }
                }
            }
        }
        by_tenant
    }
}

/// Who calls with a key: the first digits of its hash, and what is known of it.
fn caller(digest: &KeyDigest, principal: &Arc<Principal>) -> String {
    let Principal { tenant: _, key, user, app } = &**principal;
    let mut text = format!("{digest:?}");
    let known = [
        ("key", key.as_ref().map(|name| name.as_str())),
        ("user", user.as_ref().map(|name| name.as_str())),
        ("app", app.as_ref().map(|name| name.as_str())),
    ];
    for (what, name) in known {
        text += &name.map(|name| format!(" {what} {name}")).unwrap_or_default();
    }
    text
}

fn attributes(old: &Attributes, new: &Attributes, found: &mut Found) {
    let Attributes { task, priority, skills, latency_budget } = old;
    let parts = [
        ("attributes.task", task, &new.task),
        ("attributes.priority", priority, &new.priority),
        ("attributes.skills", skills, &new.skills),
        ("attributes.latencyBudget", latency_budget, &new.latency_budget),
    ];
    for (what, old, new) in parts {
        found.neutral(what, (old, new), |from| or_none(from.as_ref(), source));
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Header(name) => format!("header {name}"),
        Source::Metadata(name) => format!("metadata {name}"),
    }
}
