//! Routes that have nothing to fall back on, and targets that calls do not come to.

use super::Policy;
use crate::ids::PlanId;
use crate::policy::diagnostic::{Code, Findings, Span, quoted};
use crate::policy::snapshot::{Route, Strategy, Target, Tenant, When};
use crate::policy::spec::{self, At};

impl Policy<'_> {
    pub(super) fn routes(&self, found: &mut Findings<'_>) {
        for (name, item) in &self.written.routes.entries {
            let Some((spec, route)) = item.value.as_ref().zip(self.snapshot.routes.get(name.as_str())) else {
                continue;
            };
            let route = Lined { name, at: item.span, spec, route };
            route.single(found);
            route.attempts(found);
            route.plans(self.callers(name), found);
            for (target, written) in route.targets() {
                route.conditions(target, written, found);
                window(target, written, found);
            }
        }
    }
}

/// A route in both its forms.
struct Lined<'a> {
    name: &'a str,
    at: Span,
    spec: &'a spec::Route,
    route: &'a Route,
}

impl<'a> Lined<'a> {
    fn targets(&self) -> impl Iterator<Item = (&'a Target, &'a At<spec::Target>)> {
        self.route.targets.iter().zip(self.spec.targets.value.iter().flatten())
    }

    fn single(&self, found: &mut Findings<'_>) {
        let told = match self.route.strategy {
            // That there is nothing to choose from is told by `compile`.
            Strategy::Weighted | Strategy::Fastest => true,
            Strategy::Ordered | Strategy::Cheapest => self.route.targets.len() > 1,
        };
        if !told {
            let message =
                format!("route {} has one target: where it fails, nothing stands in", quoted(self.name));
            found.warning(Code::SingleTargetRoute, self.at, message).hint("add a target of another provider");
        }
    }

    /// A target that has a `when` may be passed over, which is no try.
    fn attempts(&self, found: &mut Findings<'_>) {
        let most = self.route.retry.max_attempts.get() as usize;
        // That just the first is tried, `compile` tells.
        if self.route.strategy != Strategy::Ordered || most < 2 {
            return;
        }
        let mut tried = 0;
        for (target, written) in self.targets() {
            if tried >= most {
                let message = format!(
                    "a call has {most} tries, and {tried} targets stand before {}: it is tried only where one of them is \
                     passed over",
                    quoted(target.model.id.as_str())
                );
                found
                    .warning(Code::UnreachableTarget, written.span, message)
                    .hint("raise `maxAttempts`, or take a target out");
            }
            tried += usize::from(target.when.is_none());
        }
    }

    /// Conditions on plans that nobody has who may use the route.
    fn plans(&self, callers: &[&Tenant], found: &mut Findings<'_>) {
        let targets = self.spec.targets.value.iter().flatten().filter_map(|target| target.value.as_ref());
        let whens = targets.filter_map(|target| target.when.as_ref()).chain(&self.spec.when);
        let plans = whens.filter_map(|when| when.value.as_ref()?.plan.as_ref()?.value.as_ref()).flatten();
        for At { span, value } in plans {
            let Some(plan) = value.as_deref().filter(|_| !callers.is_empty()) else { continue };
            let has = |tenant: &&Tenant| tenant.plan.as_ref().map(PlanId::as_str) == Some(plan);
            if !callers.iter().any(has) {
                let (plan, name) = (quoted(plan), quoted(self.name));
                found
                    .warning(
                        Code::NeverHolds,
                        *span,
                        format!("no tenant that may use {name} has the plan {plan}"),
                    )
                    .hint("give the plan to a tenant, or take it out of the condition");
            }
        }
    }

    /// What a target wants of a call that its route does not let through.
    fn conditions(&self, target: &Target, written: &At<spec::Target>, found: &mut Findings<'_>) {
        let (Some(of_route), Some(of_target)) = (&self.route.when, &target.when) else { return };
        let when = written.value.as_ref().and_then(|target| target.when.as_ref());
        if let (Some(what), Some(when)) = (apart(of_route, of_target), when) {
            let message =
                format!("the `when` of route {} and this one never hold together: {what}", quoted(self.name));
            found
                .warning(Code::NeverHolds, when.span, message)
                .hint("change one of them, or take the target out");
        }
    }
}

/// In what two conditions exclude each other. (A call may ask for several skills at once.)
fn apart(one: &When, other: &When) -> Option<&'static str> {
    fn disjoint<T: PartialEq>(one: &[T], other: &[T]) -> bool {
        !one.is_empty() && !other.is_empty() && !one.iter().any(|value| other.contains(value))
    }
    let crossed = |below: Option<u64>, above: Option<u64>| {
        below.zip(above).is_some_and(|(below, above)| below <= above.saturating_add(1))
    };
    let tokens = crossed(one.input_tokens_below, other.input_tokens_above)
        || crossed(other.input_tokens_below, one.input_tokens_above);
    let reasons = [
        (disjoint(&one.plan, &other.plan), "no call is of both plans"),
        (disjoint(&one.task, &other.task), "no call is for both tasks"),
        (disjoint(&one.priority, &other.priority), "no call has both priorities"),
        (tokens, "no input has both lengths"),
    ];
    reasons.into_iter().find(|(apart, _)| *apart).map(|(_, reason)| reason)
}

/// Calls longer than what the model reads.
fn window(target: &Target, written: &At<spec::Target>, found: &mut Findings<'_>) {
    let above = target.when.as_ref().and_then(|when| when.input_tokens_above);
    let when = written.value.as_ref().and_then(|target| target.when.as_ref()?.value.as_ref());
    let at = when.and_then(|when| when.input_tokens_above.as_ref());
    if let (Some(above), Some(window), Some(at)) = (above, target.model.context_tokens, at)
        && above >= window
    {
        let message = format!(
            "calls with more than {above} tokens do not fit {}, whose window has {window}",
            quoted(target.model.id.as_str())
        );
        found
            .warning(Code::BeyondWindow, at.span, message)
            .hint("name a model with a larger window, or a smaller number");
    }
}
