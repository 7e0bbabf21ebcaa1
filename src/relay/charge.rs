//! What one attempt may use, and what it came to: tokens and money, for the limits that count them.

use super::call::End;
use super::receive::Asked;
use crate::clock::Timestamp;
use crate::dialect::edit::Cap;
use crate::limits::Amounts;
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
    /// An attempt of a tenant whose limits count neither tokens nor money.
    pub(super) const FREE: Self = Self { amounts: Amounts::NONE, cap: None, choices: 1, price: None };

    /// The size of a call at a target; none where money is limited and nobody knows its price.
    pub(super) fn of(
        calibration: &Calibration,
        principal: &Principal,
        route: &Route,
        target: &Model,
        asked: &Asked,
        began: Timestamp,
    ) -> Option<Self> {
        let tenant = &*principal.tenant;
        if !tenant.counts_amounts {
            return Some(Self::FREE);
        }
        let price = tenant.unknowns.price(target, began).copied();
        if price.is_none() && tenant.counts_money {
            return None;
        }
        let hold = Hold::of(tenant, route, target);
        let bytes = asked.body().len() as u64;
        let window = target.context_tokens.map(Tokens);
        let input = calibration.input(&target.id, hold.estimate, bytes, window);
        let longest = target.max_output_tokens.map(Tokens);
        let output = hold.held(asked.api, &asked.facts, longest, || calibration.output(&target.id));
        let cap = output.cap.map(|tokens| Cap { tokens, chat_field: target.max_tokens_field });
        let choices = asked.facts.choices;
        // Of the parts that it will have nothing is known: the dearest is held.
        let usd = price.map_or(NanoUsd::ZERO, |price| price.most(input, output.tokens));
        let amounts = Amounts { input, output: output.tokens, usd };
        Some(Self { amounts, cap, choices, price })
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
            End::Interrupted(_) | End::ErrorEvent | End::ClientGone => match usage {
                // What was counted came, whatever was last reported.
                Some(usage) => Self::Reported(Usage {
                    output: usage.output + counted.saturating_sub(usage.total_output()),
                    ..usage
                }),
                None => Self::Broken(counted),
            },
            End::Returned | End::Refused(_) => Self::Nothing,
        }
    }
}

fn amounts(price: Option<&Price>, input: Tokens, output: Tokens) -> Amounts {
    let usage = Usage { input, output, ..Usage::default() };
    Amounts { input, output, usd: price.map_or(NanoUsd::ZERO, |price| price.of(&usage)) }
}
