//! The order in which a call's candidates are tried: what its route's strategy says, the rest behind.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::receive::Asked;
use super::{Relay, candidate};
use crate::clock::{Instant, Timestamp};
use crate::policy::snapshot::{Model, Principal, Route, Strategy};
use crate::pricing::estimate::Estimate;
use crate::resilience::balancer::two_choices;
use crate::units::{NanoUsd, Tokens};

/// Targets of a route by their place in it.
pub(super) type Order = SmallVec<[usize; 4]>;

/// Puts candidates, given as written, in the order of a strategy. What is known to be ill comes behind what is not.
pub(super) fn order(
    relay: &Relay,
    principal: &Principal,
    route: &Route,
    asked: &Asked,
    candidates: Order,
    (now, began): (Instant, Timestamp),
) -> Order {
    match route.strategy {
        // An id made by one provider means nothing to another: such calls go where they always do.
        _ if asked.facts.stateful || candidates.len() < 2 => candidates,
        Strategy::Ordered => candidates,
        Strategy::Weighted => weighted(relay, route, candidates, now),
        Strategy::Fastest => fastest(relay, route, asked, &candidates, now),
        Strategy::Cheapest => cheapest(relay, principal, route, asked, &candidates, (now, began)),
    }
}

/// First the one whose turn it is, of those that are well; then the others, the heavier ones first.
fn weighted(relay: &Relay, route: &Route, mut candidates: Order, now: Instant) -> Order {
    let known = relay.shared.health.route(&route.id);
    let is_well = |at: usize| !is_ill(relay, route, at, now);
    let turn = known.and_then(|known| {
        let well = known.weighted.pick(|at| candidates.contains(&at) && is_well(at));
        well.or_else(|| known.weighted.pick(|at| candidates.contains(&at)))
    });
    let weight = |at: usize| route.targets.get(at).map_or(0, |target| target.weight.get());
    candidates.sort_by_cached_key(|at| (Some(*at) != turn, !is_well(*at), Reverse(weight(*at))));
    candidates
}

/// First the faster of two that are chosen at random, of those that are well; then the others, faster ones first.
fn fastest(relay: &Relay, route: &Route, asked: &Asked, candidates: &Order, now: Instant) -> Order {
    let costs: SmallVec<[(bool, u64, usize); 4]> = candidates
        .iter()
        .map(|at| (is_ill(relay, route, *at, now), cost(relay, route, asked, *at, now), *at))
        .collect();
    let well: SmallVec<[(u64, usize); 4]> =
        costs.iter().filter(|(ill, ..)| !ill).map(|(_, cost, at)| (*cost, *at)).collect();
    let chosen = two_choices(well.len(), &relay.random).and_then(|(one, other)| {
        let (one, other) = (well.get(one)?, well.get(other)?);
        Some(one.min(other).1)
    });
    let mut costs = costs;
    costs.sort_by_key(|(ill, cost, at)| (Some(*at) != chosen, *ill, *cost));
    costs.into_iter().map(|(_, _, at)| at).collect()
}

/// What a target costs in time.
fn cost(relay: &Relay, route: &Route, asked: &Asked, at: usize, now: Instant) -> u64 {
    let health = route.targets.get(at).and_then(|target| candidate::known(relay, &target.model));
    health.map_or(0, |health| {
        let latency = if asked.facts.stream { &health.first_token } else { &health.answer };
        latency.cost(now)
    })
}

/// By what this call is expected to cost there; those of which nobody knows come last.
fn cheapest(
    relay: &Relay,
    principal: &Principal,
    route: &Route,
    asked: &Asked,
    candidates: &Order,
    (now, began): (Instant, Timestamp),
) -> Order {
    let mut costs: SmallVec<[(bool, bool, NanoUsd, usize); 4]> = candidates
        .iter()
        .map(|at| {
            let model = route.targets.get(*at).map(|target| &*target.model);
            let expected = model.and_then(|model| expected(relay, principal, model, asked, began));
            (is_ill(relay, route, *at, now), expected.is_none(), expected.unwrap_or_default(), *at)
        })
        .collect();
    costs.sort();
    costs.into_iter().map(|(.., at)| at).collect()
}

/// Answers are expected to be this long where nothing else is known.
const USUAL_ANSWER: Tokens = Tokens(512);

/// What the call is expected to cost at a model; none where it has no price, or the call does not fit into its window.
fn expected(
    relay: &Relay,
    principal: &Principal,
    model: &Model,
    asked: &Asked,
    began: Timestamp,
) -> Option<NanoUsd> {
    let price = principal.tenant.unknowns.price(model, began)?;
    let calibration = &relay.shared.calibration;
    let bytes = asked.body().len() as u64;
    let input = calibration.input(&model.id, Estimate::Calibrated, bytes, None);
    if model.context_tokens.is_some_and(|window| input.0 >= window) {
        return None;
    }
    let one = if asked.api.has_output() {
        let usual = calibration.output(&model.id).unwrap_or(USUAL_ANSWER);
        asked.facts.max_output.map_or(usual, |named| named.min(usual))
    } else {
        Tokens::ZERO
    };
    Some(price.most(input, Tokens(one.0.saturating_mul(asked.facts.choices))))
}

/// Whether a target would be passed over now for its breaker, a cool-down or its keys.
fn is_ill(relay: &Relay, route: &Route, at: usize, now: Instant) -> bool {
    let model = route.targets.get(at).map(|target| &target.model);
    model.is_some_and(|model| candidate::available_at(relay, model, now).is_some())
}
