//! By how much one call may go beyond what was held for it: the bound of what becomes debt.

use std::sync::Arc;

use super::{Hold, ListedPrice, Model, ReserveOutput, Route, Snapshot, Tenant, Unpriced};
use crate::limits::{Owner, Rule, Unit};
use crate::pricing::Price;
use crate::pricing::estimate::Estimate;
use crate::units::{NanoUsd, Tokens};

/// What one answer of a call may use beyond what was held; none where nothing bounds it.
type Bound = Option<u64>;

impl Snapshot {
    /// How much of a limit one call of one answer may use beyond what was held for it, by whatever may be asked for:
    /// tokens or nano-dollars. Zero of what is counted exactly; none where nothing bounds it.
    ///
    /// Of calls that are text: nobody can tell from a body how large a picture is to which it points.
    pub fn overrun(&self, rule: &Rule) -> Bound {
        let counted = |tenant: &&Arc<Tenant>| match &rule.owner {
            Owner::Tenant(id) => tenant.id == *id,
            Owner::Provider(_) => true,
        };
        let mut tenants = self.tenants.values().filter(counted);
        tenants.try_fold(0, |most, tenant| Some(most.max(self.of_tenant(tenant, rule)?)))
    }

    fn of_tenant(&self, tenant: &Tenant, rule: &Rule) -> Bound {
        let unit = rule.quota.unit();
        let served = |model: &Model| match &rule.owner {
            Owner::Tenant(_) => true,
            Owner::Provider(id) => model.provider.id == *id,
        };
        let mut candidates = self
            .routes
            .values()
            .filter(|route| tenant.access.allowed.contains(&route.id))
            .flat_map(|route| route.targets.iter().map(move |to| (&**route, &*to.model)));
        // What goes by way of the route to which a limit downgrades, it does not count.
        let counts = |route: &Route| match &rule.owner {
            Owner::Tenant(_) => {
                tenant.counting(&route.id).limits.iter().any(|counting| counting.key == rule.key)
            }
            Owner::Provider(_) => true,
        };
        candidates.try_fold(0, |most, (route, model)| {
            if tenant.access.denied.contains(&model.id) || !served(model) || !counts(route) {
                return Some(most);
            }
            Some(most.max(of_unit(tenant, route, model, unit)?))
        })
    }
}

fn of_unit(tenant: &Tenant, route: &Route, model: &Model, unit: Unit) -> Bound {
    let (input, output) = beyond(tenant, route, model);
    match unit {
        Unit::Requests | Unit::Concurrent => Some(0),
        Unit::InputTokens => Some(input?.0),
        Unit::OutputTokens => Some(output?.0),
        Unit::Tokens => Some((input? + output?).0),
        Unit::Usd => {
            let listed = model.prices.all().map(|ListedPrice { price, .. }| price);
            let assumed = match &tenant.unknowns.unpriced {
                Unpriced::Reject => None,
                Unpriced::Assume(price) => Some(price),
            };
            let mut prices = listed.chain(assumed);
            prices.try_fold(0, |most, price| Some(most.max(money(price, input?, output?, model)?.0)))
        }
    }
}

/// Input and output beyond what is held.
fn beyond(tenant: &Tenant, route: &Route, model: &Model) -> (Option<Tokens>, Option<Tokens>) {
    let hold = Hold::of(tenant, route, model);
    let input = match hold.estimate {
        Estimate::UpperBound => Some(Tokens::ZERO),
        Estimate::Calibrated => model.context_tokens.map(Tokens),
    };
    let output = match hold.output {
        ReserveOutput::Bound | ReserveOutput::Cap(_) => Some(Tokens::ZERO),
        ReserveOutput::Expect(_) => model.max_output_tokens.map(Tokens),
    };
    (input, output)
}

/// What is beyond, at its dearest; and what was held, where audio is dearer than what it was held as.
fn money(price: &Price, input: Tokens, output: Tokens, model: &Model) -> Option<NanoUsd> {
    let beyond = price.dearest(input, output);
    let (window, longest) = (model.context_tokens.map(Tokens), model.max_output_tokens.map(Tokens));
    let dearer = |input, output| price.dearest(input, output).saturating_sub(price.most(input, output));
    let some = Tokens(1_000_000);
    let of_input = match window {
        Some(window) => dearer(window, Tokens::ZERO),
        None if dearer(some, Tokens::ZERO) == NanoUsd::ZERO => NanoUsd::ZERO,
        None => return None,
    };
    let of_output = match longest {
        Some(longest) => dearer(Tokens::ZERO, longest),
        None if dearer(Tokens::ZERO, some) == NanoUsd::ZERO => NanoUsd::ZERO,
        None => return None,
    };
    Some(beyond + of_input + of_output)
}
