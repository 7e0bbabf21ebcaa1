//! What a test expects of a call: one [`Expected`] for each thing said.

use http::HeaderName;

use super::{counted, find, not_there};
use crate::dialect::error::Cause;
use crate::ids::{ModelId, PlanId, RouteId, TenantId};
use crate::limits::Unit;
use crate::policy::Snapshot;
use crate::policy::diagnostic::{Findings, Span, did_you_mean, quoted};
use crate::policy::snapshot::Tenant;
use crate::policy::spec::test::{self as spec, OUTCOMES};
use crate::policy::spec::{At, Entries};
use crate::policy::suite::{Expected, Wanted};

/// Names that an expectation may use.
pub(super) struct Names<'p> {
    pub(super) policy: &'p Snapshot,
    /// Whose call it is; none of a stranger's.
    pub(super) tenant: Option<&'p Tenant>,
}

impl Names<'_> {
    /// Everything that is expected; what is faulty was told.
    pub(super) fn compile(&self, at: &At<spec::Expect>, found: &mut Findings<'_>) -> Vec<Expected> {
        let Some(spec) = &at.value else { return Vec::new() };
        let mut wanted = Vec::new();
        self.of_answer(spec, &mut wanted, found);
        self.of_names(spec, &mut wanted, found);
        self.of_tries(spec, &mut wanted, found);
        self.of_amounts(spec, &mut wanted, found);
        if wanted.is_empty() && found.errors() == 0 {
            found
                .error(at.span, "nothing is expected here")
                .hint("say what is to come of the call: `expect: { status: 200 }`");
        }
        wanted.into_iter().map(|(span, what)| Expected { place: found.place(span), what }).collect()
    }

    fn of_answer(&self, spec: &spec::Expect, wanted: &mut Vec<(Span, Wanted)>, found: &mut Findings<'_>) {
        let mut add = |span, what: Option<Wanted>| wanted.extend(what.map(|what| (span, what)));
        if let Some(status) = &spec.status {
            add(status.span, status.value.map(Wanted::Status));
        }
        if let Some(code) = &spec.code {
            add(code.span, known_word(code, &Cause::ALL.map(Cause::code), found).map(Wanted::Code));
        }
        if let Some(outcome) = &spec.outcome {
            add(outcome.span, known_word(outcome, &OUTCOMES, found).map(Wanted::Outcome));
        }
        if let Some(message) = &spec.message {
            add(message.span, text(message).map(Wanted::Message));
        }
        if let Some(says) = &spec.says {
            add(says.span, text(says).map(Wanted::Says));
        }
        if let Some(wait) = &spec.retry_after {
            add(wait.span, wait.value.map(|wait| Wanted::RetryAfter(wait.0)));
        }
        if let Some(within) = &spec.within {
            add(within.span, within.value.map(|within| Wanted::Within(within.0)));
        }
        if let Some(clamped) = &spec.clamped_to {
            add(clamped.span, clamped.value.map(Wanted::ClampedTo));
        }
        if let Some(lost) = &spec.lost {
            add(lost.span, list(lost).map(Wanted::Lost));
        }
        for (span, name, value) in entries(spec.headers.as_ref()) {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(header) => add(span, Some(Wanted::Header(header, value.as_str().into()))),
                Err(_) => {
                    found.error(span, format!("{} cannot be the name of a header", quoted(name)));
                }
            }
        }
    }

    fn of_names(&self, spec: &spec::Expect, wanted: &mut Vec<(Span, Wanted)>, found: &mut Findings<'_>) {
        let Snapshot { tenants, routes, .. } = self.policy;
        let mut add = |at: &At<String>, what: fn(Box<str>) -> Wanted, known: Option<Box<str>>| {
            wanted.extend(known.map(|known| (at.span, what(known))));
        };
        if let Some(tenant) = &spec.tenant {
            add(tenant, Wanted::Tenant, known("tenant", tenant, tenants.keys().map(TenantId::as_str), found));
        }
        if let Some(plan) = &spec.plan {
            let plans = tenants.values().filter_map(|tenant| tenant.plan.as_ref()).map(PlanId::as_str);
            add(plan, Wanted::Plan, known("tenant of plan", plan, plans, found));
        }
        let names = || routes.keys().map(RouteId::as_str);
        if let Some(route) = &spec.route {
            add(route, Wanted::Route, known("name", route, names(), found));
        }
        if let Some(to) = &spec.downgraded_to {
            add(to, Wanted::DowngradedTo, known("name", to, names(), found));
        }
        if let Some(target) = &spec.target {
            add(target, Wanted::Target, self.model(target, found));
        }
    }

    fn model(&self, name: &At<String>, found: &mut Findings<'_>) -> Option<Box<str>> {
        known("model", name, self.policy.models.keys().map(ModelId::as_str), found)
    }

    fn of_tries(&self, spec: &spec::Expect, wanted: &mut Vec<(Span, Wanted)>, found: &mut Findings<'_>) {
        if let Some(tried) = &spec.tried
            && let Some(names) = &tried.value
        {
            let models: Vec<_> = names.iter().map(|name| self.model(name, found)).collect();
            let models: Option<Vec<_>> = models.into_iter().collect();
            wanted.extend(models.map(|models| (tried.span, Wanted::Tried(models))));
        }
        if let Some(outcomes) = &spec.outcomes {
            wanted.extend(list(outcomes).map(|words| (outcomes.span, Wanted::Outcomes(words))));
        }
        for (span, name, reason) in entries(spec.passed_over.as_ref()) {
            let name = At { span, value: Some(name.to_owned()) };
            let model = self.model(&name, found);
            wanted.extend(model.map(|model| (span, Wanted::PassedOver(model, reason.as_str().into()))));
        }
        if let Some(limits) = &spec.would_refuse {
            wanted.extend(list(limits).map(|names| (limits.span, Wanted::WouldRefuse(names))));
        }
    }

    fn of_amounts(&self, spec: &spec::Expect, wanted: &mut Vec<(Span, Wanted)>, found: &mut Findings<'_>) {
        for (unit, span, amount) in amounts(spec.reserved.as_ref()) {
            wanted.push((span, Wanted::Reserved(unit, amount)));
        }
        for (unit, span, amount) in amounts(spec.charged.as_ref()) {
            wanted.push((span, Wanted::Charged(unit, amount)));
        }
        if let Some(cost) = &spec.cost {
            wanted.extend(cost.value.map(|money| (cost.span, Wanted::Cost(money.0))));
        }
        let Some(left) = &spec.left else { return };
        let Some(tenant) = self.tenant else {
            found.error(left.span, "this caller is of no tenant, so it has no limits");
            return;
        };
        for (span, name, amount) in entries(Some(left)) {
            let name = At { span, value: Some(name.to_owned()) };
            let rule = find(&tenant.limits, &name, found);
            let amount = At { span, value: Some(*amount) };
            let left = rule.and_then(|rule| Some((rule, counted(&amount, rule.quota.unit(), found)?)));
            wanted.extend(left.map(|(rule, left)| (span, Wanted::Left(Box::new(rule.clone()), left))));
        }
    }
}

fn text(written: &At<String>) -> Option<Box<str>> {
    written.value.as_deref().map(Box::from)
}

fn list(written: &At<Vec<At<String>>>) -> Option<Vec<Box<str>>> {
    written.value.as_ref()?.iter().map(text).collect()
}

/// The named things of a map that could be read, each with its place.
fn entries<T>(written: Option<&At<Entries<T>>>) -> impl Iterator<Item = (Span, &str, &T)> {
    let entries = written.and_then(|written| written.value.as_ref()).map_or(&[][..], |entries| &entries.0);
    entries.iter().filter_map(|entry| Some((entry.span, entry.name.as_str(), entry.value.as_ref()?)))
}

/// A name that the policy has.
fn known<'n>(
    what: &str,
    name: &At<String>,
    mut known: impl Iterator<Item = &'n str> + Clone,
    found: &mut Findings<'_>,
) -> Option<Box<str>> {
    let text = name.value.as_deref()?;
    if !known.clone().any(|one| one == text) {
        not_there(what, name.span, text, known.by_ref(), found);
        return None;
    }
    Some(text.into())
}

/// A word of a closed set.
fn known_word(word: &At<String>, words: &[&str], found: &mut Findings<'_>) -> Option<Box<str>> {
    let text = word.value.as_deref()?;
    if !words.contains(&text) {
        let hint = did_you_mean(text, words.iter().copied())
            .unwrap_or_else(|| format!("one of {}", words.join(", ")));
        found.error(word.span, format!("no call comes to {}", quoted(text))).hint(hint);
        return None;
    }
    Some(text.into())
}

/// What is said of each unit.
fn amounts(written: Option<&At<spec::Amounts>>) -> impl Iterator<Item = (Unit, Span, u64)> {
    let said = written.and_then(|written| written.value.as_ref()).map(|amounts| {
        let spec::Amounts { tokens, input_tokens, output_tokens, usd } = amounts;
        let count = |unit, at: &Option<At<u64>>| Some((unit, at.as_ref()?.span, at.as_ref()?.value?));
        let money = usd.as_ref().and_then(|usd| Some((Unit::Usd, usd.span, usd.value?.0.0)));
        [
            count(Unit::Tokens, tokens),
            count(Unit::InputTokens, input_tokens),
            count(Unit::OutputTokens, output_tokens),
            money,
        ]
    });
    said.into_iter().flatten().flatten()
}
