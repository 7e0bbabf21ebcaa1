//! How many tries a provider gets beyond the first of each call: an outage must not be amplified.

use std::time::Duration;

use super::ring::Ring;
use crate::clock::Instant;
use crate::sync::Mutex;

/// What of a provider's calls may be tried there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudgetSettings {
    /// Tries beyond the first, of a thousand calls.
    pub permille: u32,
    /// So many a second are allowed however few calls there are.
    pub min_per_second: u32,
}

impl Default for RetryBudgetSettings {
    fn default() -> Self {
        Self { permille: 200, min_per_second: 3 }
    }
}

/// What one provider still gets of tries beyond the first.
///
/// Every call pays in a part of a try, every further try takes one out; both are forgotten after ten seconds, so that
/// a long good time saves nothing up for a bad one. What `min_per_second` gives for ten seconds is there besides, and
/// may be taken at once. So the tries granted in any ten seconds are at most what calls paid in within the ten and a half
/// seconds before the last of them, and ten times `min_per_second`.
#[derive(Debug)]
pub struct RetryBudget(Mutex<Balance>);

#[derive(Clone, Debug)]
struct Balance {
    settings: RetryBudgetSettings,
    /// Thousandths of a try: paid in less taken out.
    recent: Ring<i64, SLOTS>,
}

/// Payments count for so long at least, in slots of half a second: the one that is running and those before it.
const WINDOW: Duration = Duration::from_secs(10);
const SLOT: Duration = Duration::from_millis(500);
const SLOTS: usize = 21;
/// One try, in thousandths.
const TRY: i64 = 1_000;

impl RetryBudget {
    /// A budget of which nothing was taken, and into which no call has paid.
    pub fn new(settings: RetryBudgetSettings) -> Self {
        Self(Mutex::new(Balance { settings, recent: Ring::new(SLOT) }))
    }

    /// One with the same balance, which goes its own way from here on.
    pub fn apart(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }

    /// Puts settings in force. What was paid in and taken out stays as it was counted.
    pub fn adopt(&self, settings: RetryBudgetSettings) {
        self.0.lock().settings = settings;
    }

    /// Pays in for a call that is tried at the provider for the first time.
    pub fn call(&self, now: Instant) {
        let mut balance = self.0.lock();
        let paid = i64::from(balance.settings.permille);
        balance.add(paid, now);
    }

    /// Takes out a try beyond the first; false where none is left.
    #[must_use]
    pub fn take(&self, now: Instant) -> bool {
        let mut balance = self.0.lock();
        let is_left = balance.left(now) >= i128::from(TRY);
        if is_left {
            balance.add(-TRY, now);
        }
        is_left
    }
}

impl Balance {
    fn add(&mut self, thousandths: i64, now: Instant) {
        let slot = self.recent.slot(now);
        *slot = slot.saturating_add(thousandths);
    }

    fn left(&mut self, now: Instant) -> i128 {
        let floor = u128::from(self.settings.min_per_second) * u128::from(WINDOW.as_secs());
        let recent: i128 = self.recent.slots(now).iter().copied().map(i128::from).sum();
        recent + floor as i128 * i128::from(TRY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn budget(permille: u32, min_per_second: u32) -> RetryBudget {
        RetryBudget::new(RetryBudgetSettings { permille, min_per_second })
    }

    fn taken(budget: &RetryBudget, now: Instant) -> usize {
        (0..100_000).take_while(|_| budget.take(now)).count()
    }

    fn calls(budget: &RetryBudget, count: usize, now: Instant) {
        (0..count).for_each(|_| budget.call(now));
    }

    #[test]
    fn a_part_of_the_calls_may_be_tried_again() {
        let (budget, now) = (budget(200, 0), Instant::now());
        assert!(!budget.take(now));
        calls(&budget, 4, now);
        assert!(!budget.take(now));
        calls(&budget, 6, now);
        assert_eq!(taken(&budget, now), 2);
    }

    #[test]
    fn some_may_be_tried_again_however_few_there_are() {
        let (budget, now) = (budget(0, 3), Instant::now());
        assert_eq!(taken(&budget, now), 30);
        assert_eq!(taken(&budget, now + 9 * SECOND), 0);
        // Taken at once, they come back at once.
        assert_eq!(taken(&budget, now + 11 * SECOND), 30);
    }

    #[test]
    fn taken_one_by_one_they_last() {
        let (budget, start) = (budget(0, 3), Instant::now());
        let granted = (0..600_u32).filter(|n| budget.take(start + *n * SECOND / 10 * 4)).count();
        // Two and a half a second are asked for, for four minutes.
        assert_eq!(granted, 600);
    }

    #[test]
    fn none_is_tried_again_where_none_may_be() {
        let (budget, now) = (budget(0, 0), Instant::now());
        calls(&budget, 1_000, now);
        assert!(!budget.take(now));
    }

    #[test]
    fn a_long_good_time_saves_nothing_up() {
        let (budget, start) = (budget(100, 0), Instant::now());
        (0..3_600_u32).for_each(|second| calls(&budget, 10, start + second * SECOND));
        // Of 3,600 paid in, those of the last ten seconds are left.
        assert_eq!(taken(&budget, start + 3_599 * SECOND), 11);
        assert_eq!(taken(&budget, start + 3_700 * SECOND), 0);
    }

    #[test]
    fn a_storm_of_failures_is_tried_again_no_more_than_is_allowed() {
        let settings = RetryBudgetSettings::default();
        let (budget, start) = (RetryBudget::new(settings), Instant::now());
        let mut tries = 0_u64;
        const CALLS: u64 = 60_000;
        for call in 0..CALLS {
            let now = start + Duration::from_millis(call);
            budget.call(now);
            tries += 1 + (0..2).filter(|_| budget.take(now)).count() as u64;
        }
        // (1 + 0.2 + 3 / 1,000) of the calls.
        assert!(tries <= CALLS + CALLS * 200 / 1_000 + CALLS * 3 / 1_000, "{tries}");
        assert!(tries >= CALLS + CALLS * 200 / 1_000, "{tries}");
    }

    #[test]
    fn a_reload_keeps_the_balance() {
        let (budget, now) = (budget(500, 1), Instant::now());
        calls(&budget, 10, now);
        assert_eq!(taken(&budget, now), 15);
        budget.adopt(RetryBudgetSettings { permille: 1_000, min_per_second: 1 });
        assert_eq!(taken(&budget, now), 0);
        budget.call(now);
        assert_eq!(taken(&budget, now), 1);
        // Less is allowed than was taken: nothing until that is forgotten.
        budget.adopt(RetryBudgetSettings { permille: 1_000, min_per_second: 0 });
        calls(&budget, 10, now);
        assert_eq!(taken(&budget, now), 0);
        assert_eq!(taken(&budget, now + 11 * SECOND), 0);
        budget.call(now + 11 * SECOND);
        assert_eq!(taken(&budget, now + 11 * SECOND), 1);
    }

    #[test]
    fn no_settings_are_too_large() {
        let (budget, now) = (budget(u32::MAX, u32::MAX), Instant::now());
        calls(&budget, 1_000, now);
        assert!(budget.take(now));
    }

    #[derive(Clone, Debug)]
    enum Event {
        Passes(u64),
        Calls(u32),
        Wants(u32),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0_u64..4_000).prop_map(Event::Passes),
            (1_u32..50).prop_map(Event::Calls),
            (1_u32..50).prop_map(Event::Wants),
        ]
    }

    proptest! {
        #[test]
        fn in_any_ten_seconds_no_more_is_granted_than_is_promised(
            permille in 0_u32..2_000,
            floor in 0_u32..5,
            events in prop::collection::vec(event(), 1..200),
        ) {
            let (budget, mut now) = (budget(permille, floor), Instant::now());
            let (mut paid, mut granted) = (Vec::new(), Vec::new());
            for event in events {
                match event {
                    Event::Passes(ms) => now += Duration::from_millis(ms),
                    Event::Calls(count) => {
                        (0..count).for_each(|_| budget.call(now));
                        paid.push((now, u64::from(count)));
                    }
                    Event::Wants(count) => {
                        let taken = (0..count).filter(|_| budget.take(now)).count() as u64;
                        if taken == 0 {
                            continue;
                        }
                        granted.push((now, taken));
                        let within = |list: &[(Instant, u64)], span| {
                            list.iter().filter(|(at, _)| now - *at < span).map(|(_, n)| n).sum::<u64>()
                        };
                        let paid = within(&paid, WINDOW + SLOT) * u64::from(permille);
                        let most = paid + u64::from(floor) * 10 * 1_000;
                        let granted = within(&granted, WINDOW);
                        prop_assert!(granted * 1_000 <= most, "{granted} of {most} thousandths");
                    }
                }
            }
        }
    }
}
