//! Orders of targets, some of which fail.

use super::*;
use crate::random::Random;
use crate::resilience::balancer::two_choices;
use crate::resilience::cooldown::wait;

#[test]
fn the_share_of_a_target_that_is_out_goes_to_the_others_until_it_is_back() {
    let (targets, route) = targets(&[50, 30, 20], BreakerSettings::default());
    let start = Instant::now();
    let mut seconds = Vec::new();
    for second in 0..100 {
        let mut tries = [0; 3];
        for now in moments(start, second, second + 1) {
            let next = route.weighted.pick(|at| targets[at].breaker.retry_at(now).is_none()).unwrap();
            let pass = targets[next].breaker.admit(now).unwrap();
            tries[next] += 1;
            if next == 0 && second < 30 { pass.failed(now) } else { pass.succeeded(now) }
        }
        seconds.push(tries);
    }
    // Five tries of the first second fail.
    assert_eq!(seconds[0][0], 5);
    assert!(seconds[1..60].iter().all(|tries| *tries == [0, 600, 400]), "{:?}", &seconds[1..60]);
    assert!(seconds[61..].iter().all(|tries| *tries == [500, 300, 200]), "{:?}", &seconds[61..]);
}

#[test]
fn a_target_that_becomes_slow_is_left_within_a_few_calls_and_comes_back() {
    let (targets, _) = targets(&[1, 1], BreakerSettings::default());
    let (random, start) = (Random::seeded(1), Instant::now());
    let mut seconds = Vec::new();
    for second in 0..120_u64 {
        let mut tries = [0; 2];
        for tenth in 0..10 {
            let now = start + Duration::from_millis(second * 1_000 + tenth * 100);
            let (a, b) = two_choices(2, &random).unwrap();
            let next =
                if targets[a].first_token.cost(now) <= targets[b].first_token.cost(now) { a } else { b };
            let is_slow = next == 0 && (20..40).contains(&second);
            targets[next].first_token.observe(if is_slow { 5 * SECOND } else { SECOND / 5 }, now);
            tries[next] += 1;
        }
        seconds.push(tries);
    }
    let of_slow = |from: usize, to: usize| seconds[from..to].iter().map(|tries| tries[0]).sum::<u32>();
    assert!(of_slow(20, 40) <= 2, "{:?}", &seconds[20..40]);
    assert!(of_slow(90, 120) >= 60, "{:?}", &seconds[90..120]);
}

#[test]
fn a_target_that_asks_us_to_slow_down_cools_down_and_its_breaker_stays_closed() {
    let (targets, route) = targets(&[1, 1], BreakerSettings::default());
    let (key, start) = (KeyName::from("key"), Instant::now());
    let mut tries = [0; 2];
    for now in moments(start, 0, 10) {
        let next = route.weighted.pick(|at| targets[at].cooldowns.until(&key, now).is_none()).unwrap();
        let pass = targets[next].breaker.admit(now).unwrap();
        tries[next] += 1;
        if next == 0 {
            targets[0].cooldowns.set(&key, now + wait(None));
            drop(pass);
        } else {
            pass.succeeded(now);
        }
    }
    // Once a second.
    assert_eq!(tries, [10, 9_990]);
    assert_eq!(targets[0].breaker.opened(), 0);
}
