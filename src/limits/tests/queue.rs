//! The lines at cells: nobody overtakes, nobody sleeps while there is room for it, and limits hold as ever.

use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

fn tokens(amount: u64) -> Amounts {
    Amounts { input: crate::units::Tokens(amount), ..Amounts::NONE }
}

fn is_called(ticket: &Ticket) -> bool {
    ticket.poll_called(&Context::from_waker(Waker::noop())) == Poll::Ready(())
}

/// A caller that was refused and stands where it was.
fn waits(ledger: &Arc<Ledger>, rules: &Arc<[Rule]>, ask: &Ask<'_>, now: Now) -> (Ticket, Exceeded) {
    let exceeded = ledger.reserve(rules, ask, now).unwrap_err();
    let mut ticket = Ticket::new(ledger);
    assert!(ticket.stand([&exceeded].into_iter()));
    (ticket, exceeded)
}

#[test]
fn who_is_first_is_called_when_a_place_is_free_and_then_the_next() {
    let (ledger, now, anyone) = (ledger(), moment(), anyone());
    let rules = limits([rule("open", concurrent(1), None)]);
    let running = ledger.reserve(&rules, &anyone.ask(), now).unwrap();
    let (first, _) = waits(&ledger, &rules, &anyone.ask(), now);
    let (second, told) = waits(&ledger, &rules, &anyone.ask(), now);
    assert!(told.behind && told.soonest == Some(Duration::ZERO));
    assert!(is_called(&first), "who comes to be the first asks once more");
    drop(running);
    assert!(is_called(&first) && !is_called(&second));
    assert!(ledger.reserve(&rules, &anyone.ask(), now).is_err(), "who comes now is behind them");
    assert!(ledger.reserve_in_turn(&rules, &anyone.ask(), &second, now).is_err());
    let running = ledger.reserve_in_turn(&rules, &anyone.ask(), &first, now).unwrap();
    drop(first);
    assert!(is_called(&second));
    assert!(ledger.reserve_in_turn(&rules, &anyone.ask(), &second, now).is_err());
    drop((running, second));
    assert!(ledger.reserve(&rules, &anyone.ask(), now).is_ok(), "the line is gone");
}

#[test]
fn who_leaves_the_middle_is_passed_by() {
    let (ledger, now, anyone) = (ledger(), moment(), anyone());
    let rules = limits([rule("open", concurrent(1), None)]);
    let running = ledger.reserve(&rules, &anyone.ask(), now).unwrap();
    let [first, second, third] = [(), (), ()].map(|()| waits(&ledger, &rules, &anyone.ask(), now).0);
    drop(second);
    assert!(!is_called(&third));
    drop(first);
    assert!(is_called(&third));
    drop(running);
    assert!(is_called(&third));
}

#[test]
fn at_most_a_thousand_wait_at_one_cell() {
    let (ledger, now, anyone) = (ledger(), moment(), anyone());
    let rules = limits([rule("open", concurrent(1), None)]);
    let _running = ledger.reserve(&rules, &anyone.ask(), now).unwrap();
    let mut waiting: Vec<_> = (0..1_000).map(|_| waits(&ledger, &rules, &anyone.ask(), now).0).collect();
    let exceeded = ledger.reserve(&rules, &anyone.ask(), now).unwrap_err();
    let mut ticket = Ticket::new(&ledger);
    assert!(!ticket.stand([&exceeded].into_iter()));
    waiting.pop();
    assert!(ticket.stand([&exceeded].into_iter()));
}

#[test]
fn who_is_behind_is_told_the_wait_for_all_before_it() {
    let (ledger, now, anyone) = (ledger(), moment(), anyone());
    let rules = limits([rule("rps", requests(1, Duration::from_secs(2)), None)]);
    ledger.reserve(&rules, &anyone.ask(), now).unwrap().written(now);
    let waiting: Vec<_> = (0..3).map(|_| waits(&ledger, &rules, &anyone.ask(), now)).collect();
    let told: Vec<_> = waiting.iter().map(|(_, told)| (told.wait.unwrap().as_secs(), told.behind)).collect();
    assert_eq!(told, [(2, false), (4, true), (6, true)]);
    assert!(waiting.iter().all(|(_, told)| told.soonest == told.wait));
}

#[test]
fn what_others_hold_may_come_back_at_once_but_the_turn_of_a_calendar_does_not() {
    let (ledger, now, anyone) = (ledger(), moment(), anyone());
    let day = Window::Calendar(Calendar { turn: Turn::Day, zone: Arc::new(TimeZone::UTC) });
    let rules = limits([rule("tpd", windowed(Unit::Tokens, 100, day), None)]);
    let asks = |amount| Ask { amounts: tokens(amount), ..anyone.ask() };
    let mut running = ledger.reserve(&rules, &asks(100), now).unwrap();
    let told = |amount| ledger.reserve(&rules, &asks(amount), now).unwrap_err().soonest;
    assert_eq!((told(10), told(101)), (Some(Duration::ZERO), None));
    running.settle(&tokens(95), now);
    assert_eq!(told(10), None);
}

#[test]
fn a_newer_policy_is_in_force_for_those_who_wait() {
    let (ledger, now, anyone) = (ledger(), moment(), anyone());
    let rules = |amount| limits([rule("open", concurrent(amount), None)]);
    let _running = ledger.reserve(&rules(1), &anyone.ask(), now).unwrap();
    let (first, _) = waits(&ledger, &rules(1), &anyone.ask(), now);
    is_called(&first);
    first.adopt(&limits([rule("other", concurrent(9), None)]), now);
    assert!(!is_called(&first));
    first.adopt(&rules(2), now);
    assert!(is_called(&first));
    assert!(ledger.reserve_in_turn(&rules(1), &anyone.ask(), &first, now).is_ok());
}

#[test]
fn a_call_that_was_admitted_goes_on_to_another_model_before_those_who_wait_there() {
    let (ledger, now) = (ledger(), moment());
    let rules = limits([rule("open", concurrent(1), Some(Each::Model))]);
    let at = |model: &str| Caller { user: None, model: model.into() };
    let mut running = ledger.reserve(&rules, &at("a").ask(), now).unwrap();
    let there = ledger.reserve(&rules, &at("b").ask(), now).unwrap();
    let (waiting, _) = waits(&ledger, &rules, &at("b").ask(), now);
    drop(there);
    assert!(running.resize(&"b".into(), &Amounts::NONE, now).is_ok());
    assert!(ledger.reserve_in_turn(&rules, &at("b").ask(), &waiting, now).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Come { user: u8, ask: u64 },
    Leave { at: usize },
    End { at: usize, percent: u64 },
    Resize { at: usize, ask: u64 },
    Pass { millis: u64 },
    Reload { tokens: u64, places: u32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_u8, 1..60_u64).prop_map(|(user, ask)| Step::Come { user, ask }),
        1 => (0..12_usize).prop_map(|at| Step::Leave { at }),
        4 => (0..12_usize, 0..140_u64).prop_map(|(at, percent)| Step::End { at, percent }),
        1 => (0..12_usize, 1..60_u64).prop_map(|(at, ask)| Step::Resize { at, ask }),
        3 => (1..20_000_u64).prop_map(|millis| Step::Pass { millis }),
        1 => (20..150_u64, 1..4_u32).prop_map(|(tokens, places)| Step::Reload { tokens, places }),
    ];
    prop::collection::vec(step, 1..80)
}

fn policy(tokens: u64, places: u32) -> Arc<[Rule]> {
    limits([
        rule("tpm", windowed(Unit::Tokens, tokens, Window::Rolling(MINUTE)), None),
        rule("open", concurrent(places), Some(Each::User)),
    ])
}

/// A cell by limit key and value.
type Id = (String, Option<String>);

struct Waiting {
    ticket: Ticket,
    caller: Caller,
    ask: u64,
    rules: Arc<[Rule]>,
    at: Id,
    due: Option<Instant>,
}

impl Waiting {
    fn cells(&self) -> [Id; 2] {
        cells_of(&self.caller)
    }
}

fn cells_of(caller: &Caller) -> [Id; 2] {
    let user = caller.user.as_ref().map(ToString::to_string);
    [("tpm".to_owned(), None), ("open".to_owned(), user)]
}

struct World {
    ledger: Arc<Ledger>,
    rules: Arc<[Rule]>,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
    running: Vec<(Reservation, u64)>,
    now: Now,
}

impl World {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Come { user: name, ask } => self.come(user(&format!("user-{name}")), ask),
            Step::Leave { at } if at < self.waiting.len() => drop(self.waiting.remove(at)),
            Step::End { at, percent } if at < self.running.len() => {
                let (mut call, held) = self.running.remove(at);
                call.settle(&tokens(held * percent / 100), self.now);
            }
            Step::Resize { at, ask } if at < self.running.len() => {
                let (call, held) = &mut self.running[at];
                if call.resize(&"gpt".into(), &tokens(ask), self.now).is_ok() {
                    *held = ask;
                }
            }
            Step::Pass { millis } => self.now = self.now + Duration::from_millis(millis),
            Step::Reload { tokens, places } => {
                self.rules = policy(tokens, places);
                self.waiting.iter().for_each(|waiting| waiting.ticket.adopt(&self.rules, self.now));
            }
            Step::Leave { .. } | Step::End { .. } | Step::Resize { .. } => {}
        }
        self.run();
        self.check();
    }

    fn come(&mut self, caller: Caller, ask: u64) {
        let answer =
            self.ledger.reserve(&self.rules, &Ask { amounts: tokens(ask), ..caller.ask() }, self.now);
        match answer {
            Ok(call) => {
                let cells = cells_of(&caller);
                assert!(!self.waiting.iter().any(|waiting| cells.contains(&waiting.at)), "overtook");
                self.holds(&cells);
                self.running.push((call, ask));
            }
            Err(exceeded) if exceeded.never => {}
            Err(exceeded) => {
                let mut ticket = Ticket::new(&self.ledger);
                assert!(ticket.stand([&exceeded].into_iter()));
                let (at, due) = self.told(&exceeded);
                let rules = Arc::clone(&self.rules);
                self.waiting.push(Waiting { ticket, caller, ask, rules, at, due });
            }
        }
    }

    /// Where it waits now, and when it asks again by itself.
    fn told(&self, exceeded: &Exceeded) -> (Id, Option<Instant>) {
        let due = exceeded.wait.filter(|_| !exceeded.behind).map(|wait| self.now.instant + wait);
        ((exceeded.rule.key.to_string(), exceeded.each.clone()), due)
    }

    /// Lets everyone ask who was called or whose time has come, until nobody is.
    fn run(&mut self) {
        for _ in 0..10_000 {
            let now = self.now;
            let due = |waiting: &Waiting| {
                is_called(&waiting.ticket) || waiting.due.is_some_and(|due| due <= now.instant)
            };
            let Some(at) = self.waiting.iter().position(due) else { return };
            self.ask(at);
        }
        panic!("they ask for ever");
    }

    fn ask(&mut self, at: usize) {
        let Waiting { ticket, caller, ask, rules, .. } = &self.waiting[at];
        let asked = Ask { amounts: tokens(*ask), ..caller.ask() };
        match self.ledger.reserve_in_turn(rules, &asked, ticket, self.now) {
            Ok(call) => {
                let cells = self.waiting[at].cells();
                let earlier = &self.waiting[..at];
                assert!(!earlier.iter().any(|waiting| cells.contains(&waiting.at)), "overtook");
                self.holds(&cells);
                let gone = self.waiting.remove(at);
                self.running.push((call, gone.ask));
            }
            Err(exceeded) if exceeded.never => drop(self.waiting.remove(at)),
            Err(exceeded) => {
                let (id, due) = self.told(&exceeded);
                let waiting = &mut self.waiting[at];
                assert!(waiting.ticket.stand([&exceeded].into_iter()));
                (waiting.at, waiting.due) = (id, due);
            }
        }
    }

    /// Used and held of a cell, and its limit.
    fn of(&self, id: &Id) -> (u64, u64) {
        let uses = self.ledger.usage(self.now);
        let cell = uses.iter().find(|cell| cell.key.as_str() == id.0 && cell.value == id.1);
        cell.map_or((0, u64::MAX), |cell| (cell.settled + cell.reserved, cell.limit))
    }

    /// Whatever was just granted is within the limits in force.
    fn holds(&self, cells: &[Id]) {
        for id in cells {
            let (taken, limit) = self.of(id);
            assert!(taken <= limit, "{id:?} is at {taken} of {limit}");
        }
    }

    /// Who waits does so for want of room, or behind somebody who came earlier.
    fn check(&self) {
        for (at, waiting) in self.waiting.iter().enumerate() {
            let [tpm, open] = waiting.cells();
            let full = |id: &Id, ask| {
                let (taken, limit) = self.of(id);
                taken + ask > limit || self.waiting[..at].iter().any(|earlier| earlier.at == *id)
            };
            assert!(full(&tpm, waiting.ask) || full(&open, 1), "number {at} sleeps while there is room");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn nobody_overtakes_nobody_sleeps_while_there_is_room_and_the_limits_hold(schedule in steps()) {
        let (waiting, running) = (Vec::new(), Vec::new());
        let mut world = World { ledger: ledger(), rules: policy(100, 2), waiting, running, now: moment() };
        for step in &schedule {
            world.step(step);
        }
        world.running.clear();
        world.waiting.clear();
        let end = world.now + Duration::from_secs(100_000);
        prop_assert!(world.ledger.usage(end).iter().all(|cell| (cell.settled, cell.reserved) == (0, 0)));
    }
}
