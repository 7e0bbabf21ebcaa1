//! Whether an amount in a window grants more than another.

use std::cmp::Ordering;
use std::num::NonZeroU64;

use super::together;
use crate::limits::{Quota, Turn, Window};

/// How much `new` grants, compared with `old`; none where it grants more in some cases and less in others.
pub(super) fn room(old: &Quota, new: &Quota) -> Option<Ordering> {
    match (old, new) {
        (Quota::Concurrent { amount: old }, Quota::Concurrent { amount: new }) => Some(new.cmp(old)),
        (
            Quota::Windowed { unit: before, amount: a, window: old },
            Quota::Windowed { unit: after, amount: b, window: new },
        ) if before == after => windowed((*a, old), (*b, new)),
        (
            Quota::Windowed { .. } | Quota::Concurrent { .. },
            Quota::Windowed { .. } | Quota::Concurrent { .. },
        ) => None,
    }
}

fn windowed(old: (NonZeroU64, &Window), new: (NonZeroU64, &Window)) -> Option<Ordering> {
    match (old.1, new.1) {
        (Window::Rolling(before), Window::Rolling(after)) => {
            // At most `amount x (1 + t/per)` is granted in any span: so much at once, and so much over time.
            let at_once = new.0.cmp(&old.0);
            let (old, new) = (u128::from(old.0.get()), u128::from(new.0.get()));
            let over_time = (new * before.as_nanos()).cmp(&(old * after.as_nanos()));
            together(Some(at_once), Some(over_time))
        }
        (Window::Calendar(before), Window::Calendar(after)) => {
            let (old, new) = (old.0.get(), new.0.get());
            match before.turn.cmp(&after.turn) {
                Ordering::Equal => Some(new.cmp(&old)),
                Ordering::Less => longer((old, before.turn), (new, after.turn)),
                Ordering::Greater => longer((new, after.turn), (old, before.turn)).map(Ordering::reverse),
            }
        }
        (Window::Rolling(_), Window::Calendar(_)) | (Window::Calendar(_), Window::Rolling(_)) => None,
    }
}

/// What an amount in a long window grants, compared with one in a short window.
fn longer((short, turn): (u64, Turn), (long, longer): (u64, Turn)) -> Option<Ordering> {
    let most = short.saturating_mul(windows(turn, longer));
    if long <= short {
        Some(Ordering::Less)
    } else if long >= most {
        Some(Ordering::Greater)
    } else {
        None
    }
}

/// How many short windows a long one touches at most.
fn windows(short: Turn, long: Turn) -> u64 {
    match (short, long) {
        (Turn::Day, Turn::Month) => 31,
        (Turn::Day, Turn::Week) => 7,
        (Turn::Week, Turn::Month) => 6,
        (Turn::Day, Turn::Day)
        | (Turn::Week | Turn::Month, Turn::Day | Turn::Week)
        | (Turn::Month, Turn::Month) => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::TimeZone;
    use crate::limits::{Calendar, Unit};

    fn per(amount: u64, seconds: u64) -> Quota {
        let window = Window::Rolling(Duration::from_secs(seconds));
        Quota::Windowed { unit: Unit::Requests, amount: NonZeroU64::new(amount).unwrap(), window }
    }

    fn each(amount: u64, turn: Turn) -> Quota {
        let window = Window::Calendar(Calendar { turn, zone: Arc::new(TimeZone::UTC) });
        Quota::Windowed { unit: Unit::Usd, amount: NonZeroU64::new(amount).unwrap(), window }
    }

    /// Both ways around, as one must be the other's reverse.
    fn compared(old: &Quota, new: &Quota) -> Option<Ordering> {
        assert_eq!(room(new, old), room(old, new).map(Ordering::reverse));
        room(old, new)
    }

    #[test]
    fn a_rolling_window_grants_more_only_if_it_does_at_once_and_over_time() {
        assert_eq!(
            compared(&per(60, 60), &per(60, 120)),
            Some(Ordering::Less),
            "a longer window, the same amount"
        );
        assert_eq!(compared(&per(60, 60), &per(61, 60)), Some(Ordering::Greater));
        assert_eq!(
            compared(&per(60, 60), &per(3_600, 3_600)),
            Some(Ordering::Greater),
            "as fast, more at once"
        );
        assert_eq!(compared(&per(60, 60), &per(1_000, 3_600)), None, "slower, more at once");
        assert_eq!(compared(&per(60, 60), &per(60, 60)), Some(Ordering::Equal));
    }

    #[test]
    fn calendar_windows_are_compared_by_how_many_of_one_are_in_the_other() {
        assert_eq!(compared(&each(10, Turn::Day), &each(10, Turn::Month)), Some(Ordering::Less));
        assert_eq!(compared(&each(10, Turn::Day), &each(310, Turn::Month)), Some(Ordering::Greater));
        assert_eq!(compared(&each(10, Turn::Day), &each(300, Turn::Month)), None);
        assert_eq!(compared(&each(10, Turn::Week), &each(60, Turn::Month)), Some(Ordering::Greater));
        assert_eq!(compared(&each(10, Turn::Month), &each(11, Turn::Month)), Some(Ordering::Greater));
    }

    #[test]
    fn what_counts_something_else_cannot_be_compared() {
        let concurrent = Quota::Concurrent { amount: 5.try_into().unwrap() };
        assert_eq!(compared(&per(60, 60), &concurrent), None);
        assert_eq!(compared(&per(60, 86_400), &each(60, Turn::Day)), None);
    }
}
