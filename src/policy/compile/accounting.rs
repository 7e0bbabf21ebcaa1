//! `reserveOutput`, `estimate` and the three `on..` of tokens and money, wherever they may stand.

use super::{model, not_zero};
use crate::policy::diagnostic::Findings;
use crate::policy::snapshot::{Abandoned, Expected, MissingUsage, Reserve, ReserveOutput, Unpriced};
use crate::policy::spec::{self, At};
use crate::pricing::Price;
use crate::pricing::estimate::Estimate;
use crate::units::Tokens;

/// What a tenant or the defaults say of calls of which nothing is known; none where they say nothing.
#[derive(Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) missing_usage: Option<MissingUsage>,
    pub(super) abandoned: Option<Abandoned>,
    pub(super) unpriced: Option<Unpriced>,
}

impl Said {
    /// What is said here, else there.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            missing_usage: self.missing_usage.or(other.missing_usage),
            abandoned: self.abandoned.or(other.abandoned),
            unpriced: self.unpriced.or(other.unpriced),
        }
    }
}

/// What one place says of what is held.
pub(super) fn reserve(
    output: Option<&At<spec::ReserveOutput>>,
    estimate: Option<&At<spec::Estimate>>,
    found: &mut Findings<'_>,
) -> Reserve {
    let estimate = estimate.and_then(|written| written.value).map(|estimate| match estimate {
        spec::Estimate::Calibrated => Estimate::Calibrated,
        spec::Estimate::UpperBound => Estimate::UpperBound,
    });
    let output = output.and_then(|written| written.value);
    Reserve { output: output.and_then(|output| reserve_output(&output, found)), estimate }
}

fn reserve_output(written: &spec::ReserveOutput, found: &mut Findings<'_>) -> Option<ReserveOutput> {
    let mut tokens = |at: &At<u64>| not_zero(at, "an answer has a token at least", found).map(Tokens);
    match written {
        spec::ReserveOutput::Bound => Some(ReserveOutput::Bound),
        spec::ReserveOutput::Cap(cap) => tokens(cap).map(ReserveOutput::Cap),
        spec::ReserveOutput::Expect(At { value: Some(spec::Expected::Learned), .. }) => {
            Some(ReserveOutput::Expect(Expected::Learned))
        }
        spec::ReserveOutput::Expect(At { span, value: Some(spec::Expected::Tokens(expected)) }) => {
            let expected = tokens(&At { span: *span, value: Some(*expected) })?;
            Some(ReserveOutput::Expect(Expected::Tokens(expected)))
        }
        spec::ReserveOutput::Expect(At { value: None, .. }) => None,
    }
}

/// What one place says of calls of which nothing is known.
pub(super) fn said(
    missing_usage: Option<&At<spec::OnMissingUsage>>,
    abandoned: Option<&At<spec::OnAbandoned>>,
    unpriced: Option<&At<spec::OnUnpriced>>,
    found: &mut Findings<'_>,
) -> Said {
    let missing_usage = missing_usage.and_then(|written| written.value).map(|event| match event {
        spec::OnMissingUsage::ChargeReservation => MissingUsage::ChargeReservation,
        spec::OnMissingUsage::Estimate => MissingUsage::Estimate,
    });
    let abandoned = abandoned.and_then(|written| written.value).map(|event| match event {
        spec::OnAbandoned::Input => Abandoned::Input,
        spec::OnAbandoned::Nothing => Abandoned::Nothing,
        spec::OnAbandoned::Reservation => Abandoned::Reservation,
    });
    let unpriced = unpriced.and_then(|written| written.value.as_ref()).and_then(|event| match event {
        spec::OnUnpriced::Reject => Some(Unpriced::Reject),
        spec::OnUnpriced::Assume(price) => assumed(price, found).map(Unpriced::Assume),
    });
    Said { missing_usage, abandoned, unpriced }
}

fn assumed(written: &At<spec::Price>, found: &mut Findings<'_>) -> Option<Price> {
    let spec = written.value.as_ref()?;
    if let Some(day) = &spec.effective_from {
        found
            .error(day.span, "an assumed price has no first day: it holds wherever a model has none")
            .hint("remove `effectiveFrom`");
    }
    model::price(spec).map(|listed| listed.price)
}
