//! Real threads on one ledger.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;

const THREADS: usize = 8;

/// Runs `work` on several threads that start together.
fn together(work: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(thread);
            });
        }
    });
}

#[test]
fn exactly_the_limit_is_admitted_by_threads_that_hammer() {
    for _ in 0..20 {
        let (ledger, now, admitted) = (ledger(), moment(), AtomicU32::new(0));
        let rules = limits([
            rule("rpm", requests(1_000, MINUTE), None),
            rule("user", requests(5_000, MINUTE), Some(Each::User)),
        ]);
        together(|_| {
            for _ in 0..400 {
                if let Ok(mut call) = ledger.reserve(&rules, &user("ana").ask(), now) {
                    call.written(now);
                    admitted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        assert_eq!(admitted.into_inner(), 1_000);
        assert_eq!(cell(&ledger, "user", Some("ana"), now).settled, 1_000);
    }
}

#[test]
fn no_more_than_the_places_are_ever_held() {
    let (ledger, now, running) = (ledger(), moment(), AtomicU32::new(0));
    let rules = limits([rule("open", concurrent(3), None)]);
    together(|_| {
        for _ in 0..2_000 {
            if let Ok(call) = ledger.reserve(&rules, &anyone().ask(), now) {
                let others = running.fetch_add(1, Ordering::SeqCst);
                assert!(others < 3, "{others} were running");
                running.fetch_sub(1, Ordering::SeqCst);
                drop(call);
            }
        }
    });
    assert_eq!(cell(&ledger, "open", None, now).reserved, 0);
}

#[test]
fn rules_in_any_order_and_redirects_do_not_deadlock() {
    let (ledger, now) = (ledger(), moment());
    let keys = ["a", "b", "c", "d", "e"];
    together(|thread| {
        let mut rules: Vec<Rule> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| match i % 2 {
                0 => rule(key, concurrent(6), Some(Each::Model)),
                _ => rule(key, requests(1_000_000, MINUTE), None),
            })
            .collect();
        rules.rotate_left(thread % keys.len());
        if thread % 2 == 0 {
            rules.reverse();
        }
        let rules = limits(rules);
        for round in 0..2_000_usize {
            let Ok(mut call) = ledger.reserve(&rules, &anyone().ask(), now) else {
                continue;
            };
            let model = if (round + thread) % 2 == 0 { "claude" } else { "gemini" };
            if call.resize(&model.into(), &Amounts::NONE, now).is_ok() {
                call.written(now);
            }
        }
    });
    assert!(ledger.usage(now).iter().all(|cell| cell.reserved == 0));
}

#[test]
fn a_flood_of_names_on_threads_admits_nobody_twice() {
    let (ledger, now) = (Arc::new(Ledger::with_cells(64)), moment());
    let admitted: Vec<AtomicU32> = (0..64).map(|_| AtomicU32::new(0)).collect();
    let rules = limits([rule("rpm", requests(1, MINUTE), Some(Each::User))]);
    together(|thread| {
        for round in 0..3_000_usize {
            let name = (round * 7 + thread) % 64;
            if let Ok(mut call) = ledger.reserve(&rules, &user(&name.to_string()).ask(), now) {
                // A third gives up before the call is written: its cell may go and come back.
                if round % 3 != 0 {
                    call.written(now);
                    admitted[name].fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    for (name, admitted) in admitted.into_iter().enumerate() {
        assert!(admitted.into_inner() <= 1, "user {name} was admitted twice");
    }
}

#[test]
fn counts_survive_policies_swapped_under_load() {
    let (ledger, now, admitted) = (ledger(), moment(), AtomicU32::new(0));
    together(|thread| {
        for round in 0..300_u64 {
            // Every round is a new policy: new rules, now and then another window, sometimes more limits.
            let per = MINUTE * if round % 5 == 0 { 2 } else { 1 };
            let rules = limits([
                rule("rpm", requests(500, per), None),
                rule(&format!("extra-{thread}-{round}"), concurrent(1), None),
            ]);
            if let Ok(mut call) = ledger.reserve(&rules, &anyone().ask(), now) {
                call.written(now);
                admitted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    assert_eq!(admitted.into_inner(), 500);
}
