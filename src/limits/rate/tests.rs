use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const NANO: Duration = Duration::from_nanos(1);

fn calls(amount: u64) -> NonZeroU64 {
    NonZeroU64::new(amount).unwrap()
}

fn rate(amount: u64, per: Duration, now: Instant) -> Rate {
    Rate::new(calls(amount), per, now)
}

/// Admits and uses as many as fit at `now`.
fn fill(rate: &mut Rate, now: Instant) -> u64 {
    rate.advance(now);
    let mut admitted = 0;
    while short(rate).is_none() {
        hold(rate);
        settle(rate, now);
        admitted += 1;
    }
    admitted
}

/// How long until one more fits.
fn short(rate: &Rate) -> Option<Duration> {
    match rate.short(1, 0)? {
        Short::For(wait) => Some(wait),
        Short::UntilFreed | Short::Never => panic!("a rate is short for a time"),
    }
}

fn hold(rate: &mut Rate) {
    rate.grant(1, &mut Share::default());
}

fn refund(rate: &mut Rate) {
    rate.give_back(&mut one());
}

fn settle(rate: &mut Rate, now: Instant) {
    rate.charge(1, now);
    refund(rate);
}

/// What one that was held holds.
fn one() -> Share {
    Share { held: 1, ..Share::default() }
}

#[test]
fn the_wait_is_true_to_the_nanosecond() {
    let start = Instant::now();
    let mut rate = rate(7, MINUTE, start);
    assert_eq!(fill(&mut rate, start), 7);
    let wait = short(&rate).unwrap();
    assert_eq!(wait, Duration::from_nanos(60_000_000_000_u64.div_ceil(7)));
    rate.advance(start + wait - NANO);
    assert_eq!(short(&rate), Some(NANO));
    rate.advance(start + wait);
    assert_eq!(short(&rate), None);
}

#[test]
fn what_is_reserved_does_not_leak() {
    let start = Instant::now();
    let mut rate = rate(1, MINUTE, start);
    hold(&mut rate);
    rate.advance(start + 10 * MINUTE);
    assert_eq!(short(&rate), Some(MINUTE));
    settle(&mut rate, start + 10 * MINUTE);
    rate.advance(start + 11 * MINUTE - NANO);
    assert_eq!(short(&rate), Some(NANO));
}

#[test]
fn a_refund_lowers_only_what_is_reserved() {
    let start = Instant::now();
    let mut rate = rate(2, MINUTE, start);
    hold(&mut rate);
    settle(&mut rate, start);
    hold(&mut rate);
    refund(&mut rate);
    assert_eq!((rate.settled(), rate.reserved()), (1, 0));
}

#[test]
fn a_clock_that_steps_back_leaks_nothing() {
    let start = Instant::now() + MINUTE;
    let mut rate = rate(2, MINUTE, start);
    fill(&mut rate, start);
    rate.advance(start - MINUTE);
    assert_eq!(rate.settled(), 2);
    // Nor is the minute that passed before it stepped back counted again.
    rate.advance(start);
    assert_eq!(rate.settled(), 2);
    rate.advance(start + MINUTE);
    assert_eq!(rate.settled(), 0);
}

#[test]
fn a_new_window_keeps_what_was_used_and_leaks_at_its_own_pace() {
    let start = Instant::now();
    let mut rate = rate(60, MINUTE, start);
    fill(&mut rate, start);
    rate.adopt(calls(60), 60 * MINUTE, start);
    assert_eq!(rate.settled(), 60);
    assert_eq!(short(&rate), Some(MINUTE));
}

#[test]
fn a_lowered_amount_is_no_debt_and_a_raised_one_applies_at_once() {
    let start = Instant::now();
    let mut rate = rate(60, MINUTE, start);
    fill(&mut rate, start);
    rate.adopt(calls(10), MINUTE, start);
    assert_eq!(rate.settled(), 60);
    // 51 must leak at 10 a minute before there is room for one more.
    assert_eq!(short(&rate), Some(51 * MINUTE / 10));
    rate.adopt(calls(61), MINUTE, start);
    assert_eq!(fill(&mut rate, start), 1);
}

#[test]
fn the_largest_limit_and_absurd_windows_do_not_overflow() {
    let start = Instant::now();
    for per in [Duration::ZERO, NANO, 30 * 24 * 60 * MINUTE, Duration::MAX] {
        let mut rate = rate(u64::MAX, per, start);
        rate.settled = rate.parts(u64::MAX - 1);
        assert_eq!(fill(&mut rate, start), 1);
        rate.adopt(calls(1), Duration::MAX, start);
        assert_eq!(rate.settled(), u64::MAX);
        assert!(short(&rate).is_some());
        rate.adopt(calls(u64::MAX), NANO, start);
        assert_eq!(rate.settled(), u64::MAX);
        rate.advance(start + NANO);
        assert_eq!(rate.settled(), 0);
    }
}

#[test]
fn what_is_used_beyond_the_limit_leaks_off_before_anything_fits() {
    let start = Instant::now();
    let mut rate = rate(60, MINUTE, start);
    rate.charge(150, start);
    assert_eq!(rate.short(0, 0), Some(Short::For(MINUTE * 3 / 2)));
    rate.advance(start + MINUTE * 3 / 2);
    assert_eq!((rate.short(0, 0), rate.short(1, 0).is_some()), (None, true));
    assert_eq!(rate.short(61, 0), Some(Short::Never));
}

#[test]
fn debt_stops_at_what_can_be_counted() {
    let start = Instant::now();
    let mut rate = rate(u64::MAX, Duration::MAX, start);
    for _ in 0..3 {
        rate.charge(u64::MAX, start);
    }
    assert_eq!((rate.settled, rate.settled()), (u128::MAX, u64::MAX));
    assert!(rate.short(0, 0).is_some());
    assert_eq!(rate.standing().remaining, 0);
}

#[test]
fn the_standing_counts_what_is_reserved_as_taken() {
    let start = Instant::now();
    let mut rate = rate(6, MINUTE, start);
    hold(&mut rate);
    settle(&mut rate, start);
    hold(&mut rate);
    let standing = rate.standing();
    assert_eq!((standing.limit, standing.remaining), (6, 4));
    assert_eq!((standing.reset, standing.per), (MINUTE / 3, MINUTE));
    // A call that has leaked in part is still a whole one to the caller.
    rate.advance(start + NANO);
    assert_eq!(rate.standing().remaining, 4);
}

/// So many hundredths of it.
fn share_of(amount: u64, percent: u64) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(percent) / 100).unwrap()
}

fn window_lengths() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1..=120_u64).prop_map(Duration::from_secs),
        (1..=2_592_000_u64).prop_map(Duration::from_secs),
        (1_000_000_000..=10_000_000_000_u64).prop_map(Duration::from_nanos),
    ]
}

proptest! {
    #[test]
    fn in_any_span_no_more_is_granted_than_the_promise(
        amount in 1..=50_u64,
        per in window_lengths(),
        steps in prop::collection::vec((0..=2_000_u64, 1..=20_u64, any::<bool>()), 1..60),
    ) {
        let start = Instant::now();
        let mut rate = rate(amount, per, start);
        let mut now = start;
        let mut grants: Vec<Instant> = Vec::new();
        for (thousandths, tries, at_once) in steps {
            now += Duration::from_nanos(nanos(per) / 1_000 * thousandths / 4);
            for _ in 0..tries {
                rate.advance(now);
                if short(&rate).is_none() {
                    hold(&mut rate);
                    grants.push(now);
                    // Some are written later, at the latest before the next is admitted.
                    if at_once { settle(&mut rate, now); }
                }
            }
            while rate.reserved() > 0 { settle(&mut rate, now); }
        }
        for (i, from) in grants.iter().enumerate() {
            for (j, to) in grants.iter().enumerate().skip(i) {
                let span = u128::from(nanos(to.duration_since(*from)));
                let granted = (j - i + 1) as u128;
                let per = u128::from(nanos(per));
                // granted <= amount x (1 + span/per), without a fraction.
                prop_assert!(granted * per <= u128::from(amount) * (per + span));
            }
        }
    }

    #[test]
    fn of_any_amounts_no_more_is_used_in_any_span_than_the_promise(
        amount in 100..=u64::MAX,
        per in window_lengths(),
        steps in prop::collection::vec((0..=500_u64, 0..4_usize, 1..=100_u64, 0..=100_u64, any::<bool>()), 1..60),
    ) {
        let start = Instant::now();
        let mut rate = rate(amount, per, start);
        let mut now = start;
        let mut shares = [Share::default(); 4];
        let mut granted = [start; 4];
        let mut used: Vec<(Instant, u64)> = Vec::new();
        for (thousandths, at, percent, of_it, again) in steps {
            now += Duration::from_nanos(nanos(per) / 1_000 * thousandths);
            let share = &mut shares[at];
            // What was held is used in part when its call ends, or asks anew for another attempt.
            let cost = share_of(share.held, of_it);
            rate.charge(cost, now);
            used.push((granted[at], cost));
            let ask = share_of(amount, percent);
            if again && rate.short(ask, share.held).is_none() {
                rate.grant(ask, share);
                granted[at] = now;
            } else {
                rate.give_back(share);
            }
        }
        used.sort();
        for (i, (from, _)) in used.iter().enumerate() {
            for (j, (to, _)) in used.iter().enumerate().skip(i) {
                let span = u128::from(nanos(to.duration_since(*from)));
                let total: u128 = used[i..=j].iter().map(|(_, cost)| u128::from(*cost)).sum();
                // total <= amount x (1 + span/per), rounded up.
                let promise = u128::from(amount) + (u128::from(amount) * span).div_ceil(u128::from(nanos(per)));
                prop_assert!(total <= promise, "{} of {}", total, promise);
            }
        }
        shares.iter_mut().for_each(|share| rate.give_back(share));
        prop_assert_eq!(rate.reserved(), 0);
    }

    #[test]
    fn the_wait_is_the_first_moment_with_room(
        amount in 1..=1_000_u64,
        per in window_lengths(),
        used in 1..=1_000_u64,
        rest in 0..=5_000_000_000_u64,
    ) {
        let start = Instant::now();
        let mut rate = rate(amount.max(used), per, start);
        for _ in 0..used { hold(&mut rate); settle(&mut rate, start); }
        let now = start + Duration::from_nanos(rest);
        rate.adopt(calls(amount), per, now);
        if let Some(wait) = short(&rate) {
            rate.advance(now + wait - NANO);
            prop_assert!(short(&rate).is_some());
            rate.advance(now + wait);
            prop_assert_eq!(short(&rate), None);
        }
    }

    #[test]
    fn many_small_leaks_leak_as_much_as_one(
        amount in 1..=1_000_u64,
        per in window_lengths(),
        steps in prop::collection::vec(0..=1_000_000_u64, 1..50),
    ) {
        let start = Instant::now();
        let (mut often, mut once) = (rate(amount, per, start), rate(amount, per, start));
        fill(&mut often, start);
        fill(&mut once, start);
        let mut now = start;
        for step in steps {
            now += Duration::from_nanos(step);
            often.advance(now);
        }
        once.advance(now);
        prop_assert_eq!(often.settled, once.settled);
    }

    #[test]
    fn changing_windows_lose_nothing_and_add_less_than_a_call(
        lengths in prop::collection::vec(window_lengths(), 1..40),
        amount in 1..=1_000_u64,
    ) {
        let start = Instant::now();
        let mut rate = rate(amount, MINUTE, start);
        let used = fill(&mut rate, start);
        for per in lengths {
            rate.adopt(calls(amount), per, start);
            prop_assert!(rate.settled() >= used);
            prop_assert!(rate.settled() <= used + 1);
        }
    }
}
