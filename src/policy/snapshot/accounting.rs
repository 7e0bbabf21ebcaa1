//! How calls are accounted under limits of tokens and money: what is held before one is sent, what one costs of which
//! nothing is known.

use super::{Model, Route, Tenant};
use crate::clock::Timestamp;
use crate::dialect::Api;
use crate::dialect::edit::RequestFacts;
use crate::pricing::Price;
use crate::pricing::estimate::Estimate;
use crate::units::Tokens;

/// How much output is held for each answer of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReserveOutput {
    /// All that it may write: the bound that the call names, else the model's.
    #[default]
    Bound,
    /// The bound that the call names; else this one, which is written into it.
    Cap(Tokens),
    /// This much, as far as it may write so much; the rest becomes debt.
    Expect(Expected),
}

/// How much output is expected of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// So much.
    Tokens(Tokens),
    /// As much as nine of ten earlier answers of the model had at most; all that it may write before ten were seen.
    Learned,
}

/// What one place of a policy says of what is held; none where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
    /// Of the output.
    pub output: Option<ReserveOutput>,
    /// Of the input.
    pub estimate: Option<Estimate>,
}

impl Reserve {
    /// What this place says, and where it says nothing the other one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { output: self.output.or(other.output), estimate: self.estimate.or(other.estimate) }
    }
}

/// What is held for the calls of one tenant to one model through one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Of the output.
    pub output: ReserveOutput,
    /// Of the input.
    pub estimate: Estimate,
}

/// What is held of one call's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldOutput {
    /// All its answers together.
    pub tokens: Tokens,
    /// The bound to write into the request, of each answer; none where it goes as it is.
    pub cap: Option<Tokens>,
}

impl Hold {
    /// Of what tenant, route, model and defaults say the first in this order.
    pub fn of(tenant: &Tenant, route: &Route, model: &Model) -> Self {
        // The defaults are the model's already.
        let said = tenant.reserve.or(route.reserve).or(model.reserve);
        Self { output: said.output.unwrap_or_default(), estimate: said.estimate.unwrap_or_default() }
    }

    /// What is held of a call's output at a model whose answers are at most so long.
    /// `learned` is what was learned of that model's answers, if anything was.
    pub fn held(
        &self,
        api: Api,
        facts: &RequestFacts,
        longest: Option<Tokens>,
        learned: impl FnOnce() -> Option<Tokens>,
    ) -> HeldOutput {
        if !api.has_output() {
            return HeldOutput { tokens: Tokens::ZERO, cap: None };
        }
        let HeldOutput { tokens, cap } = self.of_one(facts.max_output, longest, learned);
        HeldOutput { tokens: Tokens(tokens.0.saturating_mul(facts.choices)), cap }
    }

    /// What is held of one answer of a call that names this bound or none. Nothing where nobody knows one: the policy
    /// has no limit that counts it then.
    pub fn of_one(
        &self,
        named: Option<Tokens>,
        longest: Option<Tokens>,
        learned: impl FnOnce() -> Option<Tokens>,
    ) -> HeldOutput {
        let at_most = |tokens: Tokens| longest.map_or(tokens, |longest| tokens.min(longest));
        let may_write = named.map(at_most).or(longest);
        match self.output {
            ReserveOutput::Bound => HeldOutput { tokens: may_write.unwrap_or_default(), cap: None },
            ReserveOutput::Cap(cap) => match named {
                Some(named) => HeldOutput { tokens: at_most(named), cap: None },
                // A cap beyond what the model writes would be refused there.
                None => HeldOutput { tokens: at_most(cap), cap: Some(at_most(cap)) },
            },
            ReserveOutput::Expect(expected) => {
                let expected = match expected {
                    Expected::Tokens(tokens) => Some(tokens),
                    Expected::Learned => learned(),
                };
                let tokens = match (expected, may_write) {
                    (Some(expected), Some(most)) => expected.min(most),
                    (one, other) => one.or(other).unwrap_or_default(),
                };
                HeldOutput { tokens, cap: None }
            }
        }
    }
}

/// What calls cost of which nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknowns {
    /// Whose provider does not say what they used.
    pub missing_usage: MissingUsage,
    /// That were written and then given up.
    pub abandoned: Abandoned,
    /// Whose model has no price.
    pub unpriced: Unpriced,
}

impl Unknowns {
    /// What a model's calls cost: its price, else the one assumed. None: it serves no call under a limit of money.
    pub fn price<'a>(&'a self, model: &'a Model, now: Timestamp) -> Option<&'a Price> {
        let listed = model.prices.at(now).map(|listed| &listed.price);
        match &self.unpriced {
            Unpriced::Reject => listed,
            Unpriced::Assume(price) => listed.or(Some(price)),
        }
    }
}

/// What a call costs whose provider does not say what it used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingUsage {
    /// All that was held for it.
    #[default]
    ChargeReservation,
    /// The input as estimated, and the output as counted.
    Estimate,
}

/// What a try costs that was written and then given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Abandoned {
    /// Its input.
    #[default]
    Input,
    /// Nothing.
    Nothing,
    /// All that was held for it.
    Reservation,
}

/// What becomes of calls under a limit of money where the model has no price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpriced {
    /// The model does not serve them.
    #[default]
    Reject,
    /// They cost what this price says.
    Assume(Price),
}
