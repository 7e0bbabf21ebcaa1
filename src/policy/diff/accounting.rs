//! What is held for calls, and what calls cost of which nothing is known.

use std::cmp::Ordering;

use super::words::{amount, dollars};
use super::{Direction, Found, together};
use crate::limits::Unit;
use crate::policy::snapshot::{
    Abandoned, Expected, Hold, MissingUsage, Reserve, ReserveOutput, Unknowns, Unpriced,
};
use crate::pricing::Price;
use crate::pricing::estimate::Estimate;

/// What one place says of what is held, where that makes a difference. `holds` are what holds by it in the end, in either
/// policy, wherever both have something to hold for.
pub(super) fn reserve(
    old: Reserve,
    new: Reserve,
    holds: impl Iterator<Item = (Hold, Hold)>,
    found: &mut Found,
) {
    let Reserve { output, estimate } = old;
    if (output, estimate) == (new.output, new.estimate) {
        return;
    }
    let mut differ = (None, None);
    for (old, new) in holds {
        let Hold { output, estimate } = old;
        if output != new.output {
            differ.0.get_or_insert((output, new.output));
        }
        if estimate != new.estimate {
            differ.1.get_or_insert((estimate, new.estimate));
        }
    }
    if let Some((before, after)) = differ.0.filter(|_| output != new.output) {
        found.part(
            "reserveOutput",
            (&before, &after),
            |output| reserved(*output),
            |old, new| Direction::of(held(*old, *new)),
        );
    }
    if let Some((before, after)) = differ.1.filter(|_| estimate != new.estimate) {
        let sides = (&before, &after);
        found.part(
            "estimate",
            sides,
            |estimate| estimated(*estimate).into(),
            |_, new| match new {
                Estimate::Calibrated => Direction::Loosening,
                Estimate::UpperBound => Direction::Tightening,
            },
        );
    }
}

fn reserved(output: ReserveOutput) -> String {
    match output {
        ReserveOutput::Bound => "bound".into(),
        ReserveOutput::Cap(cap) => format!("cap {}", amount(Unit::Tokens, cap.0)),
        ReserveOutput::Expect(Expected::Tokens(tokens)) => {
            format!("expect {}", amount(Unit::Tokens, tokens.0))
        }
        ReserveOutput::Expect(Expected::Learned) => "expect learned".into(),
    }
}

fn estimated(estimate: Estimate) -> &'static str {
    match estimate {
        Estimate::Calibrated => "calibrated",
        Estimate::UpperBound => "upperBound",
    }
}

/// How many calls fit into a limit, compared with before. A cap is mixed: it holds less and makes answers shorter.
fn held(old: ReserveOutput, new: ReserveOutput) -> Option<Ordering> {
    match (old, new) {
        (ReserveOutput::Bound, ReserveOutput::Expect(_)) => Some(Ordering::Greater),
        (ReserveOutput::Expect(_), ReserveOutput::Bound) => Some(Ordering::Less),
        (ReserveOutput::Expect(Expected::Tokens(old)), ReserveOutput::Expect(Expected::Tokens(new))) => {
            Some(old.cmp(&new))
        }
        (
            ReserveOutput::Bound | ReserveOutput::Cap(_) | ReserveOutput::Expect(_),
            ReserveOutput::Bound | ReserveOutput::Cap(_) | ReserveOutput::Expect(_),
        ) => (old == new).then_some(Ordering::Equal),
    }
}

/// What a tenant's calls cost of which nothing is known.
pub(super) fn unknowns(old: &Unknowns, new: &Unknowns, found: &mut Found) {
    let Unknowns { missing_usage, abandoned, unpriced } = old;
    let missing = |usage: &MissingUsage| match usage {
        MissingUsage::ChargeReservation => "chargeReservation".to_owned(),
        MissingUsage::Estimate => "estimate".to_owned(),
    };
    found.part("onMissingUsage", (missing_usage, &new.missing_usage), missing, |_, new| match new {
        MissingUsage::ChargeReservation => Direction::Tightening,
        MissingUsage::Estimate => Direction::Loosening,
    });
    let sides = (abandoned, &new.abandoned);
    found.part(
        "onAbandoned",
        sides,
        |given_up| charged(*given_up).1.into(),
        |old, new| Direction::of(Some(charged(*old).0.cmp(&charged(*new).0))),
    );
    found.part("onUnpriced", (unpriced, &new.unpriced), assumed, |old, new| Direction::of(served(old, new)));
}

/// How much is charged for what was given up, and what that is called.
fn charged(abandoned: Abandoned) -> (u8, &'static str) {
    match abandoned {
        Abandoned::Nothing => (0, "nothing"),
        Abandoned::Input => (1, "input"),
        Abandoned::Reservation => (2, "reservation"),
    }
}

fn assumed(unpriced: &Unpriced) -> String {
    match unpriced {
        Unpriced::Reject => "reject".into(),
        Unpriced::Assume(price) => format!("assume {}", self::price(price)),
    }
}

fn served(old: &Unpriced, new: &Unpriced) -> Option<Ordering> {
    match (old, new) {
        (Unpriced::Reject, Unpriced::Reject) => Some(Ordering::Equal),
        (Unpriced::Reject, Unpriced::Assume(_)) => Some(Ordering::Greater),
        (Unpriced::Assume(_), Unpriced::Reject) => Some(Ordering::Less),
        // What costs less fits more often.
        (Unpriced::Assume(old), Unpriced::Assume(new)) => {
            parts(old).into_iter().zip(parts(new)).try_fold(Ordering::Equal, |whole, ((_, old), (_, new))| {
                together(Some(whole), Some(old.cmp(&new)))
            })
        }
    }
}

/// The parts of a price with their names in policies, input and output first.
pub(super) fn parts(price: &Price) -> [(&'static str, crate::units::NanoUsd); 7] {
    let Price { input, cache_read, cache_write, input_audio, output, reasoning, output_audio } = price;
    [
        ("input", input.amount()),
        ("output", output.amount()),
        ("cacheRead", cache_read.amount()),
        ("cacheWrite", cache_write.amount()),
        ("reasoning", reasoning.amount()),
        ("audioInput", input_audio.amount()),
        ("audioOutput", output_audio.amount()),
    ]
}

/// Which parts have a price of their own: input, output, and what costs another amount than these.
pub(super) fn own(price: &Price) -> [bool; 7] {
    let plain = parts(&Price::new(price.input, price.output));
    let mut own = parts(price).into_iter().zip(plain);
    std::array::from_fn(|_| {
        own.next()
            .is_some_and(|((name, amount), (_, plain))| matches!(name, "input" | "output") || amount != plain)
    })
}

/// `input $2, output $8`, and what has a price of its own.
pub(super) fn price(price: &Price) -> String {
    let told = parts(price).into_iter().zip(own(price)).filter(|(_, is_own)| *is_own);
    let told = told.map(|((name, amount), _)| format!("{name} {}", dollars(amount)));
    told.collect::<Vec<_>>().join(", ")
}
