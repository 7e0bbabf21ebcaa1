//! Many threads at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;

#[test]
fn of_many_threads_no_more_probe_at_once_than_may() {
    let (breaker, now) = opened(settings());
    let (probing, most) = (AtomicU32::new(0), AtomicU32::new(0));
    let asks = || {
        for _ in 0..20_000 {
            let Ok(pass) = breaker.admit(now) else { continue };
            most.fetch_max(probing.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            probing.fetch_sub(1, Ordering::SeqCst);
            // None is judged, so that it stays half open.
            drop(pass);
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(asks))));
    assert!((1..=2).contains(&most.into_inner()));
    let places = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    assert!(breaker.admit(now).is_err());
    drop(places);
}

#[test]
fn of_many_threads_every_failure_counts() {
    let many = BreakerSettings { consecutive_failures: Some(few(40_001)), ..settings() };
    let (breaker, now) = (breaker(many), Instant::now());
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| fails(&breaker, 10_000, now)))));
    assert!(is_closed(&breaker, now));
    fails(&breaker, 1, now);
    assert!(!is_closed(&breaker, now));
}
