//! Whether limits of tokens and money can be kept by what may serve under them: what a call costs must be known before it
//! is sent, and one call must fit.

use std::collections::{BTreeMap, BTreeSet};

use super::exceed::Exceed;
use super::limit::Limits;
use super::names::Known;
use crate::dialect::Api;
use crate::ids::{ModelId, RouteId};
use crate::limits::{Mode, Owner, Quota, Unit};
use crate::policy::diagnostic::{Code, Diagnostic, Findings, Span, quoted};
use crate::policy::snapshot::{Expected, Hold, Model, ReserveOutput, Route, Tenant, Unpriced};
use crate::units::{NanoUsd, Tokens};

/// A tenant or provider whose limits are checked.
pub(super) struct Budgets<'a> {
    pub(super) owner: &'a Owner,
    pub(super) limits: &'a Limits,
    /// What may serve under them, for whom and by which route.
    pub(super) candidates: Vec<Candidate<'a>>,
    /// Which prices have to be known.
    pub(super) priced: Priced<'a>,
}

/// Which models need a price where money is counted.
pub(super) enum Priced<'a> {
    /// None: what has none serves no call, or costs what is assumed.
    None,
    /// What may serve.
    Candidates,
    /// These.
    Models(Vec<&'a Model>),
}

/// A model that may serve a tenant, with a route that leads there.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    tenant: &'a Tenant,
    route: &'a Route,
    model: &'a Model,
}

/// What may serve a tenant.
pub(super) fn candidates<'a>(
    tenant: &'a Tenant,
    routes: &'a Known<RouteId, Route>,
) -> impl Iterator<Item = Candidate<'a>> {
    let access = &tenant.access;
    let allowed = routes.iter().filter(|(name, _)| access.allowed.contains(*name));
    let routes = allowed.filter_map(|(_, route)| route.map(AsRef::as_ref));
    let targets = routes.flat_map(|route| route.targets.iter().map(move |to| (route, to.model.as_ref())));
    let permitted = targets.filter(|(_, model)| !access.denied.contains(&model.id));
    permitted.map(move |(route, model)| Candidate { tenant, route, model })
}

impl Budgets<'_> {
    /// Tells what cannot be kept, once for each limit.
    pub(super) fn check(&self, found: &mut Findings<'_>) {
        for (key, limit) in self.limits {
            let Quota::Windowed { unit, amount, .. } = limit.quota else { continue };
            let (kind, owner) = (self.owner.kind(), self.owner.name());
            let name = format!("limit {} of {kind} {}", quoted(key.as_str()), quoted(&owner));
            let (clamps, elsewhere) = match &limit.exceed {
                Exceed::Reject | Exceed::Queue { .. } => (None, None),
                Exceed::Clamp { at_least } => (Some(*at_least), None),
                Exceed::Downgrade { to } => (None, to.value.as_deref()),
            };
            // What goes by way of the route to which a limit downgrades, it does not count.
            let counted =
                self.candidates.iter().filter(|candidate| Some(candidate.route.id.as_str()) != elsewhere);
            let candidates = counted.copied().collect();
            let checked = Checked { name, at: limit.at, mode: limit.mode, candidates, clamps };
            match unit {
                Unit::Requests | Unit::Concurrent | Unit::InputTokens => continue,
                Unit::Tokens | Unit::OutputTokens => {}
                Unit::Usd => checked.priced(self, found),
            }
            checked.bounded(found);
            checked.clamps(found);
            checked.fits(unit, amount.get() - limit.kept_back, found);
        }
    }
}

/// One limit that counts tokens or money.
struct Checked<'a> {
    name: String,
    at: Span,
    mode: Mode,
    /// What it counts.
    candidates: Vec<Candidate<'a>>,
    /// How short it may make answers.
    clamps: Option<Tokens>,
}

impl Checked<'_> {
    /// What is wrong with it: one that only counts does no harm.
    fn fault<'f>(&self, message: &str, found: &'f mut Findings<'_>) -> &'f mut Diagnostic {
        let message = format!("{} {message}", self.name);
        match self.mode {
            Mode::Enforce => found.error(self.at, message).code(Code::UnkeptLimit),
            Mode::Shadow => found.warning(Code::UnkeptLimit, self.at, message),
        }
    }

    fn priced(&self, of: &Budgets<'_>, found: &mut Findings<'_>) {
        let models = match &of.priced {
            Priced::None => return,
            Priced::Candidates => self.candidates.iter().map(|candidate| candidate.model).collect(),
            Priced::Models(models) => models.clone(),
        };
        let unpriced = models.iter().filter(|model| model.prices.all().next().is_none());
        let unpriced: BTreeSet<_> = unpriced.map(|model| &model.id).collect();
        if unpriced.is_empty() {
            return;
        }
        let hint = match of.owner {
            Owner::Tenant(_) => {
                "add a `price` to the model, or `onUnpriced` to the tenant: `reject`, or `{ assume: { inputPerMTok: \
                 \"5.00\", outputPerMTok: \"20.00\" } }`"
            }
            Owner::Provider(_) => "add a `price` to the model",
        };
        let message = format!("counts money, but no price is known for {}", listed(&unpriced));
        self.fault(&message, found).hint(hint);
    }

    fn bounded(&self, found: &mut Findings<'_>) {
        let endless = self.candidates.iter().filter(|candidate| candidate.is_endless());
        let endless: BTreeSet<_> = endless.map(|candidate| &candidate.model.id).collect();
        if endless.is_empty() {
            return;
        }
        let message =
            format!("counts output, but nothing says how long an answer of {} gets", listed(&endless));
        self.fault(&message, found)
            .hint("add `maxOutputTokens` to the model, or `reserveOutput: { cap: 4096 }` to `defaults`");
    }

    /// Answers that are never as long as the least to which they are clamped are never clamped.
    fn clamps(&self, found: &mut Findings<'_>) {
        let Some(least) = self.clamps else { return };
        let writing = self.candidates.iter().filter(|candidate| has_output(candidate.model));
        let longest: Option<Vec<u64>> = writing.map(|candidate| candidate.model.max_output_tokens).collect();
        // Of one that is not known there may be more.
        if let Some(longest) = longest.as_ref().and_then(|longest| longest.iter().max())
            && *longest < least.0
        {
            let message =
                format!("clamps to no less than {least} tokens, but no answer gets longer than {longest}");
            self.fault(&message, found).hint("name fewer tokens in `atLeast`, or write `onExceed: reject`");
        }
    }

    /// The smallest call that names no bound: one token of input, and all that is held of the output, or as little as it
    /// may be clamped to.
    fn fits(&self, unit: Unit, amount: u64, found: &mut Findings<'_>) {
        let mut beyond = BTreeMap::new();
        for candidate in self.candidates.iter().filter(|candidate| !candidate.is_endless()) {
            if let Some(held) = candidate.least(unit, self.clamps).filter(|held| *held > amount) {
                beyond.insert(&candidate.model.id, held);
            }
        }
        let Some(most) = beyond.values().max() else { return };
        let shown = match unit {
            Unit::Usd => format!("{} US dollars", NanoUsd(*most)),
            Unit::Requests | Unit::Concurrent | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => {
                format!("{most} tokens")
            }
        };
        let models: BTreeSet<_> = beyond.keys().copied().collect();
        let message =
            format!("has no room for a single call of {}, for which {shown} are held", listed(&models));
        self.fault(&message, found)
            .hint("raise the limit, or hold less: `reserveOutput: { cap: 4096 }` for tenant, route, model or `defaults`");
    }
}

impl<'a> Candidate<'a> {
    /// The model.
    pub(super) fn model(&self) -> &'a Model {
        self.model
    }

    fn hold(&self) -> Hold {
        Hold::of(self.tenant, self.route, self.model)
    }

    fn is_endless(&self) -> bool {
        let needs_bound = match self.hold().output {
            // Before anything was learned, the bound is held.
            ReserveOutput::Bound | ReserveOutput::Expect(Expected::Learned) => true,
            ReserveOutput::Cap(_) | ReserveOutput::Expect(Expected::Tokens(_)) => false,
        };
        needs_bound && self.model.max_output_tokens.is_none() && has_output(self.model)
    }

    /// What is held at least for a call that names no bound; none where its cost is not known.
    fn least(&self, unit: Unit, clamps: Option<Tokens>) -> Option<u64> {
        let model = self.model;
        let longest = model.max_output_tokens.map(Tokens);
        let output = if has_output(model) {
            let held = self.hold().of_one(None, longest, || None).tokens;
            clamps.map_or(held, |least| held.min(least))
        } else {
            Tokens::ZERO
        };
        match unit {
            Unit::Requests | Unit::Concurrent | Unit::InputTokens => Some(1),
            Unit::Tokens => Some((output + Tokens(1)).0),
            Unit::OutputTokens => Some(output.0),
            Unit::Usd => {
                // Which price holds when it serves is not known here: one that has ended must be no error.
                let listed = model.prices.all().map(|listed| listed.price.most(Tokens(1), output)).min();
                let cost = listed.or_else(|| match &self.tenant.unknowns.unpriced {
                    Unpriced::Reject => None,
                    Unpriced::Assume(price) => Some(price.most(Tokens(1), output)),
                });
                cost.map(|cost| cost.0)
            }
        }
    }
}

/// Whether its provider offers anything that writes.
fn has_output(model: &Model) -> bool {
    Api::ALL.iter().any(|api| api.has_output() && model.provider.apis.contains(*api))
}

/// How many models a sentence names.
const NAMED: usize = 3;

/// Models in a sentence.
pub(super) fn listed(models: &BTreeSet<&ModelId>) -> String {
    let names: Vec<_> = models.iter().take(NAMED).map(|model| quoted(model.as_str())).collect();
    let more = models.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
