//! Real threads on one ledger.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;

use parking_lot::Mutex;

use super::*;
use crate::units::{NanoUsd, Tokens};

const THREADS: usize = 8;

/// Runs `work` on several threads that start together.
fn together(work: impl Fn(usize) + Sync) {
    on_threads(THREADS, work);
}

fn on_threads(threads: usize, work: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        for thread in 0..threads {
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

/// So many callers at once, each with a call that costs so much, under a budget for some of them.
const CALLERS: usize = 64;
const COST: u64 = 7;
const PAID: u64 = 23;

fn budget(unit: Unit, window: Window) -> Arc<[Rule]> {
    // Six more do not make another call.
    limits([rule("budget", windowed(unit, PAID * COST + 6, window), None)])
}

fn cost() -> Amounts {
    Amounts { input: Tokens(3), output: Tokens(4), usd: NanoUsd(COST) }
}

fn windows() -> [Window; 2] {
    let calendar = Calendar { turn: Turn::Month, zone: Arc::new(TimeZone::UTC) };
    [Window::Calendar(calendar), Window::Rolling(MINUTE)]
}

#[test]
fn callers_at_once_spend_a_budget_to_its_last_call_and_not_beyond() {
    for (unit, window) in [Unit::Tokens, Unit::Usd].into_iter().flat_map(|unit| windows().map(|w| (unit, w)))
    {
        for settles in [true, false] {
            let (ledger, now, admitted) = (ledger(), moment(), AtomicU32::new(0));
            let (rules, held) = (budget(unit, window.clone()), Mutex::new(Vec::new()));
            on_threads(CALLERS, |_| {
                let caller = anyone();
                let ask = Ask { amounts: cost(), ..caller.ask() };
                let Ok(mut call) = ledger.reserve(&rules, &ask, now) else { return };
                admitted.fetch_add(1, Ordering::Relaxed);
                if settles {
                    call.settle(&cost(), now);
                } else {
                    held.lock().push(call);
                }
            });
            assert_eq!(u64::from(admitted.into_inner()), PAID, "{unit:?}");
            let budget = cell(&ledger, "budget", None, now);
            assert_eq!(budget.settled + budget.reserved, PAID * COST, "{unit:?}");
        }
    }
}

/// The same, by a budget that looks first and writes afterwards: the test above can fail.
#[test]
fn callers_that_look_first_and_spend_afterwards_overspend() {
    let (spent, admitted, looked) = (Mutex::new(0), AtomicU32::new(0), Barrier::new(CALLERS));
    on_threads(CALLERS, |_| {
        let fits = *spent.lock() + COST <= PAID * COST;
        looked.wait();
        if fits {
            *spent.lock() += COST;
            admitted.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(u64::from(admitted.into_inner()) > PAID);
    assert!(spent.into_inner() > PAID * COST);
}

#[test]
fn every_charge_of_callers_at_once_is_accounted_exactly() {
    let (ledger, now, charged) = (ledger(), moment(), AtomicU64::new(0));
    let [month, _] = windows();
    let rules = limits([
        rule("total", windowed(Unit::Usd, u64::MAX, month.clone()), None),
        rule("model", windowed(Unit::Usd, u64::MAX, month), Some(Each::Model)),
    ]);
    together(|thread| {
        let caller = anyone();
        for round in 0..1_000_u64 {
            let amounts = |n: u64| Amounts { usd: NanoUsd(n), ..Amounts::NONE };
            let ask = Ask { amounts: amounts(round), ..caller.ask() };
            let mut call = ledger.reserve(&rules, &ask, now).unwrap();
            let (failed, last) = (round % 13, round % 97 + thread as u64);
            call.charge(&amounts(failed), now);
            charged.fetch_add(failed, Ordering::Relaxed);
            let model = if round % 2 == 0 { "claude" } else { "gemini" };
            call.resize(&model.into(), &amounts(round / 2), now).unwrap();
            // Some callers leave without an end.
            if round % 3 != 0 {
                call.settle(&amounts(last), now);
                charged.fetch_add(last, Ordering::Relaxed);
            }
        }
    });
    let uses = ledger.usage(now);
    assert!(uses.iter().all(|cell| cell.reserved == 0), "{uses:?}");
    let charged = charged.into_inner();
    assert_eq!(cell(&ledger, "total", None, now).settled, charged);
    let models = uses.iter().filter(|cell| cell.key.as_str() == "model");
    assert_eq!(models.map(|cell| cell.settled).sum::<u64>(), charged);
}

#[test]
fn a_budget_is_spent_exactly_while_policies_change_and_calls_move_on() {
    let (ledger, now, spent) = (ledger(), moment(), AtomicU64::new(0));
    const BUDGET: u64 = 10_000;
    together(|thread| {
        let caller = anyone();
        let zones = [TimeZone::UTC, TimeZone::get("Europe/Berlin").unwrap()].map(Arc::new);
        for round in 0..600_usize {
            let zone = Arc::clone(&zones[(round + thread) % 2]);
            let window = Window::Calendar(Calendar { turn: Turn::Month, zone });
            let rules = limits([rule("month", windowed(Unit::Usd, BUDGET, window), None)]);
            let amounts = Amounts { usd: NanoUsd(5), ..Amounts::NONE };
            let Ok(mut call) = ledger.reserve(&rules, &Ask { amounts, ..caller.ask() }, now) else {
                continue;
            };
            let more = Amounts { usd: NanoUsd(8), ..Amounts::NONE };
            let granted = if call.resize(&"claude".into(), &more, now).is_ok() { more } else { amounts };
            call.settle(&granted, now);
            spent.fetch_add(granted.usd.0, Ordering::Relaxed);
        }
    });
    let (spent, month) = (spent.into_inner(), cell(&ledger, "month", None, now));
    assert_eq!((month.settled, month.reserved), (spent, 0));
    assert!((BUDGET - 4..=BUDGET).contains(&spent), "{spent} of {BUDGET} were spent");
}

/// Wakes the thread that waits.
struct Thread(thread::Thread);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn threads_that_wait_in_line_are_all_served_and_never_more_than_there_are_places() {
    let (ledger, now, running) = (ledger(), moment(), AtomicU32::new(0));
    let rules = limits([rule("open", concurrent(2), None)]);
    together(|_| {
        let waker = Waker::from(Arc::new(Thread(thread::current())));
        for _ in 0..300 {
            let mut ticket: Option<Ticket> = None;
            let call = loop {
                let anyone = anyone();
                let answer = match &ticket {
                    None => ledger.reserve(&rules, &anyone.ask(), now),
                    Some(ticket) => ledger.reserve_in_turn(&rules, &anyone.ask(), ticket, now),
                };
                let exceeded = match answer {
                    Ok(call) => break call,
                    Err(exceeded) => exceeded,
                };
                let ticket = ticket.get_or_insert_with(|| Ticket::new(&ledger));
                assert!(ticket.stand([&exceeded].into_iter()));
                while ticket.poll_called(&Context::from_waker(&waker)).is_pending() {
                    thread::park();
                }
            };
            drop(ticket);
            let others = running.fetch_add(1, Ordering::SeqCst);
            assert!(others < 2, "{others} others");
            thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            drop(call);
        }
    });
    assert_eq!(cell(&ledger, "open", None, now).reserved, 0);
}
