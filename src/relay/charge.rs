//! What one attempt may use, and what it came to: tokens and money, for the limits that count them.

use super::call::End;
use super::receive::Asked;
use crate::clock::Timestamp;
use crate::dialect::edit::Cap;
use crate::dialect::provider::MaxTokensField;
use crate::limits::{Amounts, Unit};
use crate::policy::snapshot::{Abandoned, Hold, MissingUsage, Model, Principal, Route, Tenant};
use crate::pricing::{Calibration, Price};
use crate::units::{NanoUsd, Tokens};
use crate::usage::Usage;

/// What one attempt may use at its target, and at what price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sized {
    /// What is held for it.
    pub(super) amounts: Amounts,
    /// The bound to write into the request.
    pub(super) cap: Option<Cap>,
    /// How many answers it asks for.
    pub(super) choices: u64,
    price: Option<Price>,
}

impl Default for Sized {
    fn default() -> Self {
        Self::FREE
    }
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// The provider reported it.
    Reported(Usage),
    /// It answered in full and reported nothing; so much output was counted.
    Unreported(Tokens),
    /// It broke off, or its caller left, after so much output.
    Broken(Tokens),
    /// It was written and then given up before there was any answer.
    GivenUp,
    /// The provider answered an error, or was never asked.
    Nothing,
}

impl Sized {
    /// An attempt under limits that count neither tokens nor money.
    pub(super) const FREE: Self = Self { amounts: Amounts::NONE, cap: None, choices: 1, price: None };

    /// The size of a call with a body of so many bytes at a target; none where money is limited and nobody knows its price.
    pub(super) fn of(
        calibration: &Calibration,
        principal: &Principal,
        route: &Route,
        target: &Model,
        asked: &Asked,
        bytes: u64,
        began: Timestamp,
    ) -> Option<Self> {
        let (tenant, provider) = (&*principal.tenant, &*target.provider);
        let counting = tenant.counting(&route.id);
        if !counting.counts_amounts && !provider.counts_amounts {
            return Some(Self { choices: asked.facts.choices, ..Self::FREE });
        }
        let price = tenant.unknowns.price(target, began).copied();
        if price.is_none() && (counting.bounds_money || provider.bounds_money) {
            return None;
        }
        let hold = Hold::of(tenant, route, target);
        let window = target.context_tokens.map(Tokens);
        let input = calibration.input(&target.id, hold.estimate, bytes, window);
        let longest = target.max_output_tokens.map(Tokens);
        let output = hold.held(asked.api, &asked.facts, longest, || calibration.output(&target.id));
        // A limit that only counts changes no call.
        let writes = counting.bounds_amounts || provider.bounds_amounts;
        let cap = output.cap.filter(|_| writes);
        let cap = cap.map(|tokens| Cap { tokens, chat_field: target.max_tokens_field, lowers: false });
        let choices = asked.facts.choices;
        Some(Self { amounts: held(price.as_ref(), input, output.tokens), cap, choices, price })
    }

    /// The longest answers that fit into so much of a unit; none where it does not count output.
    pub(super) fn longest_within(&self, unit: Unit, room: u64) -> Option<Tokens> {
        let input = self.amounts.input;
        let all = match unit {
            Unit::Tokens => Tokens(room).saturating_sub(input),
            Unit::OutputTokens => Tokens(room),
            Unit::Usd => self.price?.output_within(input, NanoUsd(room)).unwrap_or_default(),
            Unit::Requests | Unit::InputTokens | Unit::Concurrent => return None,
        };
        Some(Tokens(all.0 / self.choices.max(1)))
    }

    /// The same attempt with answers of at most so many tokens, whatever the caller names.
    pub(super) fn bounded(&self, longest: Tokens, chat_field: MaxTokensField) -> Self {
        let output = Tokens(longest.0.saturating_mul(self.choices));
        let cap = Some(Cap { tokens: longest, chat_field, lowers: true });
        Self { amounts: held(self.price.as_ref(), self.amounts.input, output), cap, ..*self }
    }

    /// The same attempt where there is room for answers of at most so many tokens only: the bound that its caller names, or
    /// the one that is written for it, is lowered where it is more. Without a bound it goes as it is.
    pub(super) fn within(&self, longest: Tokens, named: Option<Tokens>, chat_field: MaxTokensField) -> Self {
        match self.cap.map(|cap| cap.tokens).or(named) {
            None => *self,
            Some(bound) if bound <= longest => *self,
            Some(_) => {
                let output = self.amounts.output.min(Tokens(longest.0.saturating_mul(self.choices)));
                let cap = Some(Cap { tokens: longest, chat_field, lowers: true });
                Self { amounts: held(self.price.as_ref(), self.amounts.input, output), cap, ..*self }
            }
        }
    }

    /// What an attempt costs that came to this, as the tenant's policy says.
    pub(super) fn cost(&self, tenant: &Tenant, came: Came) -> Amounts {
        let Self { amounts: held, price, .. } = self;
        let counted = |output| amounts(price.as_ref(), held.input, output);
        match came {
            Came::Nothing => Amounts::NONE,
            Came::Reported(usage) => Amounts {
                input: usage.total_input(),
                output: usage.total_output(),
                usd: price.map_or(NanoUsd::ZERO, |price| price.of(&usage)),
            },
            Came::Unreported(output) => match tenant.unknowns.missing_usage {
                MissingUsage::ChargeReservation => *held,
                MissingUsage::Estimate => counted(output),
            },
            Came::Broken(output) => counted(output),
            Came::GivenUp => match tenant.unknowns.abandoned {
                Abandoned::Input => counted(Tokens::ZERO),
                Abandoned::Nothing => Amounts::NONE,
                Abandoned::Reservation => *held,
            },
        }
    }
}

impl Came {
    /// What the last attempt of a call came to: `answered` of an answer that began, with its usage as far as it was
    /// reported and the output counted in it.
    pub(super) fn at(end: End, usage: Option<Usage>, counted: Tokens) -> Self {
        match end {
            End::Answered => usage.map_or(Self::Unreported(counted), Self::Reported),
            End::Interrupted(_) | End::ErrorEvent(_) | End::ClientGone => match usage {
                // What was counted came, whatever was last reported.
                Some(usage) => Self::Reported(Usage {
                    output: usage.output + counted.saturating_sub(usage.total_output()),
                    ..usage
                }),
                None => Self::Broken(counted),
            },
            End::Returned | End::Refused(_) | End::Responded(_) => Self::Nothing,
        }
    }
}

/// What is held for so much. Which parts it will have is not known yet: at the dearest price of text.
fn held(price: Option<&Price>, input: Tokens, output: Tokens) -> Amounts {
    Amounts { input, output, usd: price.map_or(NanoUsd::ZERO, |price| price.most(input, output)) }
}

/// What so much costs of which the provider has not said the parts.
fn amounts(price: Option<&Price>, input: Tokens, output: Tokens) -> Amounts {
    let usage = Usage { input, output, ..Usage::default() };
    Amounts { input, output, usd: price.map_or(NanoUsd::ZERO, |price| price.of(&usage)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn answers_as_long_as_there_is_room_for_fit_and_a_token_more_does_not(
            input in 0..100_000_u64, room in 0..u64::MAX, shift in 0..64_u32, choices in 1..6_u64,
            (cents_in, cents_cached, cents_out) in (0..10_000_u32, 0..10_000_u32, 1..10_000_u32),
        ) {
            let price = |cents| format!("{}.{:02}", cents / 100, cents % 100).parse().unwrap();
            let (price_in, price_out) = (price(cents_in), price(cents_out));
            let price = Some(Price { cache_write: price(cents_cached), ..Price::new(price_in, price_out) });
            let sized = Sized { amounts: held(price.as_ref(), Tokens(input), Tokens(0)), cap: None, choices, price };
            let room = room >> shift;
            for unit in [Unit::Tokens, Unit::OutputTokens, Unit::Usd] {
                let longest = sized.longest_within(unit, room).unwrap();
                let asked = |longest: u64| {
                    sized.bounded(Tokens(longest), MaxTokensField::MaxTokens).amounts.of(unit)
                };
                // Where the input alone is too much, no output makes it fit.
                prop_assert!(asked(longest.0) <= room || asked(0) > room, "{unit:?}");
                prop_assert!(asked(longest.0.saturating_add(1)) > room || longest.0 > u64::MAX / choices - 1);
            }
        }
    }

    #[test]
    fn a_unit_that_counts_no_output_is_not_kept_by_less_of_it() {
        for unit in [Unit::Requests, Unit::InputTokens, Unit::Concurrent] {
            assert_eq!(Sized::FREE.longest_within(unit, 100), None);
        }
    }
}
