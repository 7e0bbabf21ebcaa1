//! `tenants:` and `plans:`: who a caller is must never be in doubt.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::access::Names;
use super::accounting::{self, Said};
use super::attributes;
use super::budget::{Budgets, Priced, candidates};
use super::documents::{Item, Written};
use super::exceed::{self, Reach};
use super::limit::{self, Limit, Limits, Whose};
use super::names::{self, Known};
use crate::auth::api_key::KeyDigest;
use crate::ids::{AppId, KeyName, ModelId, PlanId, RouteId, TenantId, UserId};
use crate::limits::Owner;
use crate::policy::diagnostic::{Code, Findings, Span, quoted};
use crate::policy::snapshot::{Model, Principal, Route, Tenant, Unknowns};
use crate::policy::spec::{self, At, Defaults};

/// Tenants, and how their callers are known.
#[derive(Default)]
pub(super) struct Tenants {
    pub(super) tenants: BTreeMap<TenantId, Arc<Tenant>>,
    pub(super) keys: HashMap<KeyDigest, Arc<Principal>>,
    pub(super) local: Option<Arc<Principal>>,
    pub(super) unkeyed: HashMap<TenantId, Arc<Principal>>,
}

pub(super) fn compile(
    written: &Written,
    routes: &Known<RouteId, Route>,
    models: &Known<ModelId, Model>,
    found: &mut Findings<'_>,
) -> Tenants {
    let mut plans = Known::new(written.plans.partial);
    for (name, entry) in &written.plans.entries {
        let limits =
            entry.value.as_ref().map(|plan| limit::compile(plan.limits.as_ref(), Whose::Callers, found));
        limits.iter().for_each(|limits| exceed::check(limits, routes, found));
        plans.insert(name, limits);
    }
    let defaults = written.defaults.as_ref().map_or_else(Said::default, |defaults| {
        let Defaults { on_missing_usage, on_abandoned, on_unpriced, .. } = defaults;
        accounting::said(on_missing_usage.as_ref(), on_abandoned.as_ref(), on_unpriced.as_ref(), found)
    });
    let mut compiler = Compiler {
        sound: found.errors() == 0,
        defaults,
        names: Names { routes, models },
        plans,
        found,
        keys: HashMap::new(),
        local: None,
        tenants: Tenants::default(),
    };
    for (name, entry) in &written.tenants.entries {
        compiler.tenant(name, entry);
    }
    compiler.tenants
}

struct Compiler<'w, 's> {
    names: Names<'w>,
    plans: Known<PlanId, Limits>,
    defaults: Said,
    /// Whether nothing that tenants refer to is faulty: only then is it known what their limits have to bear.
    sound: bool,
    found: &'w mut Findings<'s>,
    /// Where each digest was said first.
    keys: HashMap<KeyDigest, Span>,
    /// Where `local: true` was said first.
    local: Option<Span>,
    tenants: Tenants,
}

impl Compiler<'_, '_> {
    fn tenant(&mut self, name: &str, entry: &Item<spec::Tenant>) {
        let Some(spec) = &entry.value else { return };
        let faults = self.found.errors();
        let id = TenantId::from(name);
        let access = self.names.access(name, entry.span, spec.access.as_ref(), self.found);
        let (plan, plan_limits) = self.plan(spec.plan.as_ref());
        let own = limit::compile(spec.limits.as_ref(), Whose::Callers, self.found);
        exceed::check(&own, self.names.routes, self.found);
        let limits = limit::joined(plan_limits, own);
        // A limit that is faulty was meant to be one.
        if limits.is_empty() && spec.limits.is_none() && spec.plan.is_none() {
            self.found
                .warning(
                    Code::NoLimits,
                    entry.span,
                    format!("tenant {} has no limits: nothing bounds its use", quoted(name)),
                )
                .hint("add `limits: { rpm: { requests: 100, per: 1m } }`, or a `plan`");
        }
        let said = self.said(spec);
        let owner = Owner::Tenant(id.clone());
        let reach = Reach { owner: &owner, access: access.as_ref() };
        let events = reach.events(&limits, self.names.routes, self.found);
        limit::check_renames(&owner, &limits, self.found);
        let tenant = Tenant {
            id: id.clone(),
            access: access.unwrap_or_default(),
            counts_amounts: limits.values().any(Limit::counts_amounts),
            bounds_amounts: limits.values().any(Limit::bounds_amounts),
            bounds_money: limits.values().any(Limit::bounds_money),
            payment_required: limit::payment_required(&limits),
            on_exceed: events.on_exceed,
            downgraded: events.downgraded,
            limits: limit::rules(&owner, &limits),
            reserve: accounting::reserve(spec.reserve_output.as_ref(), spec.estimate.as_ref(), self.found),
            unknowns: Unknowns {
                missing_usage: said.missing_usage.unwrap_or_default(),
                abandoned: said.abandoned.unwrap_or_default(),
                unpriced: said.unpriced.unwrap_or_default(),
            },
            annotate: spec.annotate.is_some_and(|annotate| annotate.value == Some(true)),
            plan,
            attributes: attributes::compile(spec.attributes.as_ref(), self.found),
        };
        if self.sound && self.found.errors() == faults {
            let candidates: Vec<_> = candidates(&tenant, self.names.routes).collect();
            let priced = if said.unpriced.is_some() { Priced::None } else { Priced::Candidates };
            Budgets { owner: &owner, limits: &limits, candidates, priced }.check(self.found);
        }
        let tenant = Arc::new(tenant);
        let unkeyed = Principal { tenant: Arc::clone(&tenant), key: None, user: None, app: None };
        self.tenants.unkeyed.insert(id.clone(), Arc::new(unkeyed));
        self.callers(name, entry.span, spec, &tenant);
        self.tenants.tenants.insert(id, tenant);
    }

    /// What the tenant says of calls of which nothing is known, else the defaults.
    fn said(&mut self, spec: &spec::Tenant) -> Said {
        let spec::Tenant { on_missing_usage, on_abandoned, on_unpriced, .. } = spec;
        let own = accounting::said(
            on_missing_usage.as_ref(),
            on_abandoned.as_ref(),
            on_unpriced.as_ref(),
            self.found,
        );
        own.or(self.defaults)
    }

    fn plan(&mut self, written: Option<&At<String>>) -> (Option<PlanId>, Limits) {
        let Some(written) = written else {
            return (None, Limits::new());
        };
        let limits = self.plans.find("plan", written, self.found);
        let limits = limits.map(|limits| Limits::clone(&limits)).unwrap_or_default();
        (written.value.as_deref().map(PlanId::from), limits)
    }

    fn callers(&mut self, name: &str, at: Span, spec: &spec::Tenant, tenant: &Arc<Tenant>) {
        let entries = spec.matches.as_ref().and_then(|matches| matches.value.as_deref());
        for entry in entries.unwrap_or_default() {
            self.key(entry, tenant);
        }
        if let Some(At { span, value: Some(true) }) = spec.local {
            self.local(span, tenant);
        }
        let is_local = spec.local.is_some_and(|local| local.value != Some(false));
        let is_matched = spec.matches.is_some() && entries.is_none_or(|entries| !entries.is_empty());
        if !is_local && !is_matched {
            self.found
                .warning(Code::UnmatchedTenant, at, format!("nobody can be tenant {}: it has neither `match` nor `local: true`", quoted(name)))
                .hint("add `match: [{ apiKeySha256: \"<64 hex from egret key>\" }]`, or start egret with `--tenant`");
        }
    }

    fn local(&mut self, at: Span, tenant: &Arc<Tenant>) {
        if let Some(first) = self.local {
            super::twice(
                "two tenants say `local: true`: a caller without a key could be both",
                at,
                first,
                self.found,
            );
            return;
        }
        self.local = Some(at);
        self.tenants.local = self.tenants.unkeyed.get(&tenant.id).cloned();
    }

    fn key(&mut self, entry: &At<spec::Match>, tenant: &Arc<Tenant>) {
        let Some(spec) = &entry.value else { return };
        let Some(hash) = &spec.api_key_sha256 else {
            self.found
                .error(entry.span, "this entry does not say how the caller is known")
                .code(Code::MissingField)
                .hint("add `apiKeySha256: \"<64 hex from egret key>\"`");
            return;
        };
        let principal = Principal {
            tenant: Arc::clone(tenant),
            key: self.name("key", spec.name.as_ref()).map(KeyName::from),
            user: self.name("user", spec.user.as_ref()).map(UserId::from),
            app: self.name("app", spec.app.as_ref()).map(AppId::from),
        };
        let Some(spec::KeyHash(digest)) = hash.value else {
            return;
        };
        if let Some(first) = self.keys.get(&digest) {
            super::twice(
                "the same key is given twice: its caller could be both",
                hash.span,
                *first,
                self.found,
            );
            return;
        }
        self.keys.insert(digest, hash.span);
        self.tenants.keys.insert(digest, Arc::new(principal));
    }

    fn name<'n>(&mut self, what: &str, written: Option<&'n At<String>>) -> Option<&'n str> {
        let written = written?;
        let name = written.value.as_deref()?;
        names::check(what, name, written.span, self.found).then_some(name)
    }
}
