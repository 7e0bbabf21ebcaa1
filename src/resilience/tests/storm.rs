//! Every caller wants an answer, and nothing answers.

use super::*;

/// Callers of one target: each tries three times if it may.
struct Callers {
    breaker: Arc<Breaker>,
    provider: Arc<ProviderHealth>,
    tries: u64,
    answered: u64,
}

impl Callers {
    fn new(breaker: BreakerSettings) -> Self {
        let (targets, _) = targets(&[1], breaker);
        let (breaker, provider) = (Arc::clone(&targets[0].breaker), Arc::clone(&targets[0].provider));
        Self { breaker, provider, tries: 0, answered: 0 }
    }

    fn call(&mut self, works: bool, now: Instant) {
        for nth in 0..3 {
            let Ok(pass) = self.breaker.admit(now) else { return };
            if nth == 0 {
                self.provider.budget.call(now);
            } else if !self.provider.budget.take(now) {
                return;
            }
            self.tries += 1;
            if works {
                self.answered += 1;
                return pass.succeeded(now);
            }
            pass.failed(now);
        }
    }
}

#[test]
fn a_provider_that_is_out_is_asked_a_handful_of_times_in_ten_minutes() {
    let (mut callers, start) = (Callers::new(BreakerSettings::default()), Instant::now());
    moments(start, 0, 600).for_each(|now| callers.call(false, now));
    // Five failures, then a probe after one minute, after two more, and after four.
    assert_eq!(callers.tries, 5 + 3);
    assert_eq!(callers.breaker.opened(), 4);
}

#[test]
fn a_provider_that_is_back_is_found_when_it_is_probed_next() {
    let (mut callers, start) = (Callers::new(BreakerSettings::default()), Instant::now());
    moments(start, 0, 50).for_each(|now| callers.call(false, now));
    moments(start, 50, 70).for_each(|now| callers.call(true, now));
    // It opened with the second call, so that it is closed by calls of the sixtieth second.
    assert!((9_990..=10_000).contains(&callers.answered), "{}", callers.answered);
}

#[test]
fn without_a_breaker_a_provider_that_is_out_is_asked_a_fifth_more_and_no_more() {
    let never = BreakerSettings { consecutive_failures: None, ..BreakerSettings::default() };
    let (mut callers, start) = (Callers::new(never), Instant::now());
    moments(start, 0, 60).for_each(|now| callers.call(false, now));
    assert!((72_000..=72_180).contains(&callers.tries), "{}", callers.tries);
}

#[test]
fn calls_under_way_when_it_opens_do_not_keep_it_open_nor_close_it() {
    let (targets, _) = targets(&[1], BreakerSettings::default());
    let (breaker, start) = (&targets[0].breaker, Instant::now());
    let mut under_way: Vec<Pass> = (0..1_000).map(|_| breaker.admit(start).unwrap()).collect();
    under_way.split_off(500).into_iter().for_each(|pass| pass.failed(start));
    assert_eq!((breaker.opened(), breaker.retry_at(start)), (1, Some(start + 60 * SECOND)));
    // The others come back one by one while it is open, half open and closed, and every second of them failed.
    for (n, pass) in (0_u32..).zip(under_way) {
        let now = start + n * SECOND / 5;
        if n % 2 == 0 {
            pass.failed(now);
        } else {
            pass.succeeded(now);
        }
        if let Ok(pass) = breaker.admit(now) {
            pass.succeeded(now);
        }
    }
    assert_eq!((breaker.opened(), breaker.retry_at(start + 100 * SECOND)), (1, None));
}

#[test]
fn where_all_are_out_and_calls_probe_the_first_that_is_back_is_found_at_once() {
    let (targets, _) = targets(&[1, 1], BreakerSettings::default());
    let start = Instant::now();
    for target in &targets {
        (0..5).for_each(|_| target.breaker.admit(start).unwrap().failed(start));
    }
    // As `onAllOpen: probe` has it: whichever can be asked first.
    let soonest =
        |now| targets.iter().enumerate().min_by_key(|(_, target)| target.breaker.retry_at(now)).unwrap();
    let mut asked = [0; 2];
    for now in moments(start, 1, 30) {
        let (at, target) = soonest(now);
        asked[at] += 1;
        target.breaker.probe(now).failed(now);
    }
    assert_eq!(asked, [14_500; 2], "they take turns");

    let back: Vec<_> = moments(start, 30, 31)
        .map(|now| {
            let (at, target) = soonest(now);
            let pass = target.breaker.probe(now);
            if at == 1 {
                pass.succeeded(now);
            } else {
                pass.failed(now);
            }
            at
        })
        .collect();
    assert!(back[2..].iter().all(|at| *at == 1), "{:?}", &back[..9]);
    // The other was probed thousands of times, and is nevertheless left alone for no longer than at first.
    assert!(targets[0].breaker.retry_at(start + 31 * SECOND).unwrap() <= start + 91 * SECOND);
}
