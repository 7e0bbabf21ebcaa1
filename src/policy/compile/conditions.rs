//! Whether a `when` can hold for those who may use its route: what they say of their calls, and which limits they have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::documents::Section;
use crate::ids::TenantId;
use crate::limits::{Quota, Rule};
use crate::policy::diagnostic::{Code, Findings, Span, did_you_mean, quoted};
use crate::policy::snapshot::{Attributes, Source, Tenant};
use crate::policy::spec::{self, Left};

/// Tells conditions that never hold.
pub(super) fn check(
    routes: &Section<spec::Route>,
    tenants: &BTreeMap<TenantId, Arc<Tenant>>,
    found: &mut Findings<'_>,
) {
    for (name, item) in &routes.entries {
        let Some(route) = &item.value else { continue };
        let targets = route.targets.value.iter().flatten().filter_map(|target| target.value.as_ref());
        let whens = targets.filter_map(|target| target.when.as_ref()).chain(&route.when);
        let route = Route { name, callers: callers(name, tenants) };
        for when in whens.filter_map(|when| when.value.as_ref()) {
            route.attributes(when, found);
            for entry in
                when.budget_below.iter().filter_map(|limits| limits.value.as_ref()).flat_map(|all| &all.0)
            {
                route.budget(entry, found);
            }
        }
    }
}

/// Those who may use a route; all where nobody may, so that slips are found before somebody does.
fn callers<'t>(route: &str, tenants: &'t BTreeMap<TenantId, Arc<Tenant>>) -> Vec<&'t Tenant> {
    let all = || tenants.values().map(AsRef::as_ref);
    let callers: Vec<_> = all().filter(|tenant: &&Tenant| tenant.access.allowed.contains(route)).collect();
    if callers.is_empty() { all().collect() } else { callers }
}

/// A route with those who may use it.
struct Route<'a> {
    name: &'a str,
    callers: Vec<&'a Tenant>,
}

impl Route<'_> {
    fn attributes(&self, when: &spec::When, found: &mut Findings<'_>) {
        let spec::When { task, priority, skills, .. } = when;
        let at = |list: &Option<spec::At<_>>| list.as_ref().map(|list| list.span);
        self.attribute("task", at(task), |attributes| &attributes.task, found);
        self.attribute("priority", at(priority), |attributes| &attributes.priority, found);
        self.attribute("skills", at(skills), |attributes| &attributes.skills, found);
    }

    fn attribute(
        &self,
        what: &str,
        at: Option<Span>,
        of: fn(&Attributes) -> &Option<Source>,
        found: &mut Findings<'_>,
    ) {
        let Some(at) = at else { return };
        if self.callers.iter().any(|tenant| of(&tenant.attributes).is_some()) {
            return;
        }
        let message = format!(
            "no tenant that may use {} says where its calls name their `{what}`: this never holds",
            quoted(self.name)
        );
        found
            .warning(Code::NeverHolds, at, message)
            .hint(format!("add `attributes: {{ {what}: {{ header: x-egret-{what} }} }}` to the tenant"));
    }

    fn budget(&self, entry: &spec::Entry<Left>, found: &mut Findings<'_>) {
        let (key, name) = (quoted(&entry.name), quoted(self.name));
        let limits = || self.callers.iter().flat_map(|tenant| tenant.limits.iter());
        let mut same = limits().filter(|rule| rule.key.as_str() == entry.name).peekable();
        if same.peek().is_none() {
            let message = format!("no tenant that may use {name} has a limit {key}");
            let known = || limits().map(|rule| rule.key.as_str());
            found
                .error(entry.span, message)
                .code(Code::UnknownName)
                .hint("name one of the limits of its tenants or their plans")
                .maybe_hint(did_you_mean(&entry.name, known()));
        } else if let Some(rule) = same.find(|rule| is_concurrent(rule)) {
            let message =
                format!("limit {key} of {} counts calls at once, of which no budget is left", rule.owner);
            found
                .error(entry.span, message)
                .hint("name a limit with a window: `requests`, `tokens` or `usd`");
        }
    }
}

fn is_concurrent(rule: &Rule) -> bool {
    match rule.quota {
        Quota::Concurrent { .. } => true,
        Quota::Windowed { .. } => false,
    }
}
