//! Prices: from which day on what costs how much more.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::accounting::{own, parts, price};
use super::{Direction, Found, together};
use crate::clock::Date;
use crate::policy::snapshot::ListedPrice;
use crate::pricing::{Price, Schedule};
use crate::units::NanoUsd;

/// What changes of a model's prices, by the days from which they hold. `is_budgeted`: whether money is limited that is
/// spent there, in both policies: a lower price makes it go further.
pub(super) fn changes(
    old: &Schedule<ListedPrice>,
    new: &Schedule<ListedPrice>,
    is_budgeted: bool,
    found: &mut Found,
) {
    // How a price is written means nothing: `2.0` is `2.00`.
    let by_day = |schedule: &Schedule<ListedPrice>| -> Vec<(Option<Date>, Price)> {
        schedule.by_day().map(|(day, ListedPrice { price, written: _ })| (day, *price)).collect()
    };
    let (old, new) = (by_day(old), by_day(new));
    let mut days: BTreeSet<Option<Date>> = old.iter().chain(&new).map(|(day, _)| *day).collect();
    days.insert(None);
    let holds = |prices: &[(Option<Date>, Price)], day| {
        prices.iter().rev().find(|(from, _)| *from <= day).map(|(_, price)| *price)
    };
    let mut told = (None, None);
    let last = days.last().copied().flatten();
    for day in days {
        let sides = (holds(&old, day), holds(&new, day));
        if sides.0 != sides.1 && sides != told {
            // Without a price nobody knows what is spent.
            let without = if day == last && sides.1.is_none() { Direction::Risk } else { Direction::Neutral };
            let direction = if is_budgeted { Direction::of(further(sides)) } else { without };
            one(day, sides, direction, found);
        }
        told = if sides.0 == sides.1 { (None, None) } else { sides };
    }
}

/// How far a budget goes, compared with before; none where that depends on the call, or on what is assumed of a model
/// without a price.
fn further((old, new): (Option<Price>, Option<Price>)) -> Option<Ordering> {
    let mut sides = parts(&old?).into_iter().zip(parts(&new?));
    sides.try_fold(Ordering::Equal, |whole, ((_, old), (_, new))| together(Some(whole), Some(old.cmp(&new))))
}

fn one(
    day: Option<Date>,
    (old, new): (Option<Price>, Option<Price>),
    direction: Direction,
    found: &mut Found,
) {
    let what = day.map_or_else(|| "price".to_owned(), |day| format!("price from {day}"));
    let change = found.change(direction, what, old.map(|old| price(&old)), new.map(|new| price(&new)));
    if let (Some(old), Some(new)) = (old, new) {
        change.note(by_how_much(&old, &new));
    }
}

fn by_how_much(old: &Price, new: &Price) -> String {
    let of_its_own = own(old).into_iter().zip(own(new)).map(|(old, new)| old || new);
    let sides = parts(old).into_iter().zip(parts(new)).zip(of_its_own);
    let differing = sides.filter(|(((_, old), (_, new)), is_own)| *is_own && old != new);
    let told = differing.map(|(((name, old), (_, new)), _)| format!("{name} {}", percent(old, new)));
    told.collect::<Vec<_>>().join(", ")
}

/// `+25%`, to a tenth of a percent.
fn percent(NanoUsd(old): NanoUsd, NanoUsd(new): NanoUsd) -> String {
    if old == 0 {
        return "no longer free".into();
    }
    let (old, new) = (i128::from(old), i128::from(new));
    let tenths = ((new - old) * 2_000 / old + (new - old).signum()) / 2;
    let sign = if new > old { '+' } else { '-' };
    let (whole, tenth) = (tenths.abs() / 10, tenths.abs() % 10);
    if tenth == 0 { format!("{sign}{whole}%") } else { format!("{sign}{whole}.{tenth}%") }
}
