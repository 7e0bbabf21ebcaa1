//! What few threads do to one ledger, and what holds whoever goes first.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use crate::clock::{Instant, Now, TimeZone};
use crate::ids::{ModelId, UserId};
use crate::limits::{
    Amounts, Ask, Calendar, CellUse, Each, Ledger, Owner, Quota, Reservation, Rule, Turn, Unit, Window,
};
use crate::units::{NanoUsd, Tokens};
use crate::wrong;

pub(crate) const FACTS: [(&str, fn()); 7] = [
    ("no grant passes a limit, whichever the order of rules and threads", || calls(&ledger())),
    ("what is charged beyond a reservation is the only debt, and accounted", charges),
    ("a reload under running calls loses nothing and passes no limit that was in force", reloads),
    ("a window turns once, whoever sees it first", turns),
    ("a name's cell that goes and returns is never counted twice", names),
    ("no more than the places are held, and in the end none", places),
    ("the ledgers below fail by what is wrong in them, and by nothing else", wrong::right),
];

/// What calls are held against.
pub(crate) trait Counts: Send + Sync + 'static {
    /// One that is admitted; dropped, it gives back what it holds.
    type Call: Call;
    fn reserve(self: &Arc<Self>, rules: &Arc<[Rule]>, ask: &Ask<'_>, now: Now) -> Option<Self::Call>;
    fn cells(&self, now: Now) -> Vec<CellUse>;
}

pub(crate) trait Call {
    fn resize(&mut self, model: &ModelId, amounts: &Amounts, now: Now) -> bool;
    fn settle(&mut self, amounts: &Amounts, now: Now);
}

impl Counts for Ledger {
    type Call = Reservation;

    fn reserve(self: &Arc<Self>, rules: &Arc<[Rule]>, ask: &Ask<'_>, now: Now) -> Option<Reservation> {
        Self::reserve(self, rules, ask, now).ok()
    }

    fn cells(&self, now: Now) -> Vec<CellUse> {
        self.usage(now)
    }
}

impl Call for Reservation {
    fn resize(&mut self, model: &ModelId, amounts: &Amounts, now: Now) -> bool {
        Self::resize(self, model, amounts, now).is_ok()
    }

    fn settle(&mut self, amounts: &Amounts, now: Now) {
        Self::settle(self, amounts, now);
    }
}

/// Calls that use no more than they hold, each thread's under rules in an order of its own.
pub(crate) fn calls<C: Counts>(counts: &Arc<C>) {
    let (now, spent) = (moment(), Arc::new(AtomicU64::new(0)));
    let thread = |turn: usize| {
        let (counts, spent) = (Arc::clone(counts), Arc::clone(&spent));
        let rules = turned([tokens(10), each_model(8), usd(12)], turn);
        move || {
            for _ in 0..2 {
                let (mut held, more, model) = (any(5), any(5), model());
                let Some(mut call) = ask(held, "gpt", |ask| counts.reserve(&rules, ask, now)) else {
                    continue;
                };
                within_limits(&counts.cells(now), 0)?;
                if call.resize(&model, &amounts(more), now) {
                    held = more;
                    within_limits(&counts.cells(now), 0)?;
                }
                // Some leave without an end.
                if thread_rng().gen_bool(0.7) {
                    let used = any(held);
                    call.settle(&amounts(used), now);
                    spent.fetch_add(used, Ordering::Relaxed);
                }
            }
            Ok(())
        }
    };
    together((0..3).map(thread));
    accounted(&counts.cells(now), spent.load(Ordering::Relaxed));
}

fn charges() {
    let (ledger, now) = (ledger(), moment());
    let (spent, early) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let thread = |turn: usize| {
        let (ledger, spent, early) = (Arc::clone(&ledger), Arc::clone(&spent), Arc::clone(&early));
        let rules = turned([tokens(9), each_model(7), usd(9)], turn);
        move || {
            for _ in 0..2 {
                let (failed, held, used) = (any(5), any(4), any(8));
                let Some(mut call) = ask(held, "gpt", |ask| ledger.reserve(&rules, ask, now).ok()) else {
                    continue;
                };
                // Said before it is done: others may see it at any moment in between.
                early.fetch_add(failed + used, Ordering::Relaxed);
                call.charge(&amounts(failed), now);
                drop(call.resize(&model(), &amounts(any(5)), now));
                within_limits(&ledger.usage(now), early.load(Ordering::Relaxed))?;
                spent.fetch_add(failed, Ordering::Relaxed);
                if thread_rng().gen_bool(0.7) {
                    call.settle(&amounts(used), now);
                    spent.fetch_add(used, Ordering::Relaxed);
                }
            }
            Ok(())
        }
    };
    together((0..3).map(thread));
    accounted(&ledger.usage(now), spent.load(Ordering::Relaxed));
}

fn reloads() {
    let (ledger, now, spent) = (ledger(), moment(), Arc::new(AtomicU64::new(0)));
    let policy = |of: u64| [tokens(of), each_model(of), usd(of)];
    let thread = |turn: usize| {
        let (ledger, spent) = (Arc::clone(&ledger), Arc::clone(&spent));
        // The last thread is told of the reload while the others are at work; one of them never is.
        let rules = match turn {
            0 => [turned(policy(9), 0), turned(policy(9), 1)],
            1 => [turned(policy(9), 2), turned(policy(5), 0)],
            _ => [turned(policy(5), 1), turned(policy(5), 2)],
        };
        move || {
            for rules in rules {
                let (mut held, more) = (any(5), any(5));
                let Some(mut call) = ask(held, "gpt", |ask| ledger.reserve(&rules, ask, now).ok()) else {
                    continue;
                };
                if call.resize(&model(), &amounts(more), now).is_ok() {
                    held = more;
                }
                let cells = ledger.usage(now);
                let beyond = cells.into_iter().find(|cell| cell.settled + cell.reserved > 9);
                beyond.map_or(Ok(()), |cell| Err(format!("beyond any limit: {cell:?}")))?;
                let used = any(held);
                call.settle(&amounts(used), now);
                spent.fetch_add(used, Ordering::Relaxed);
            }
            Ok(())
        }
    };
    together((0..3).map(thread));
    let spent = spent.load(Ordering::Relaxed);
    accounted(&ledger.usage(now), spent);
    for limit in [5, 9] {
        // The limit in force is that of who asks, to the last token.
        let rules = turned([tokens(limit), usd(limit)], 0);
        let room = limit.saturating_sub(spent);
        let fits = |all| ask(all, "gpt", |ask| ledger.reserve(&rules, ask, now).ok()).is_some();
        assert!(spent > limit || fits(room), "{room} of {limit} are free");
        assert!(!fits(room + 1), "{room} of {limit} are free");
    }
}

fn turns() {
    let ledger = ledger();
    let before = Now { wall: "2026-03-15T23:59:59Z".parse().unwrap(), ..moment() };
    let after = Now { wall: "2026-03-16T00:00:00Z".parse().unwrap(), ..before };
    let (old, new) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let thread = |turn: usize| {
        let (ledger, old, new) = (Arc::clone(&ledger), Arc::clone(&old), Arc::clone(&new));
        let rules = turned([usd(8), rule("day", calendar(Unit::Tokens, 7), None)], turn);
        let now = if turn == 2 { after } else { before };
        move || {
            for _ in 0..2 {
                let held = any(5);
                let Some(mut call) = ask(held, "gpt", |ask| ledger.reserve(&rules, ask, now).ok()) else {
                    continue;
                };
                within_limits(&ledger.usage(now), 0)?;
                let used = any(held);
                call.settle(&amounts(used), after);
                if now == after { &new } else { &old }.fetch_add(used, Ordering::Relaxed);
            }
            Ok(())
        }
    };
    together((0..3).map(thread));
    let (old, new) = (old.load(Ordering::Relaxed), new.load(Ordering::Relaxed));
    for cell in ledger.usage(after) {
        assert_eq!(cell.reserved, 0, "{cell:?}");
        // Who asked before midnight, but came to a cell that had turned, is the new day's.
        assert!((new..=new + old).contains(&cell.settled), "{new} and {old} before midnight: {cell:?}");
        assert_eq!(cell.reset, Some("2026-03-17T00:00:00Z".parse().unwrap()));
    }
    let tomorrow = Now { wall: "2026-03-17T00:00:00Z".parse().unwrap(), ..after };
    assert!(ledger.usage(tomorrow).iter().all(|cell| (cell.settled, cell.reserved) == (0, 0)));
}

fn names() {
    // As many names as cells: each new one looks for idle cells of others.
    const NAMES: [&str; 3] = ["ana", "bo", "cy"];
    let (ledger, now) = (Arc::new(Ledger::with_cells(NAMES.len())), moment());
    let admitted: Arc<[AtomicU64; 3]> = Arc::default();
    let rolling = Quota::Windowed { unit: Unit::Requests, amount: nonzero(1), window: minute() };
    let rules: Arc<[Rule]> = [rule("rpm", rolling, Some(Each::User))].into();
    let thread = |turn: usize| {
        let (ledger, admitted, rules) = (Arc::clone(&ledger), Arc::clone(&admitted), Arc::clone(&rules));
        move || {
            for round in 0..3 {
                let name = (turn + round) % NAMES.len();
                let (user, model) = (UserId::from(NAMES[name]), ModelId::from("gpt"));
                let asked = Ask { user: Some(&user), ..whoever(&model, 0) };
                if let Ok(mut call) = ledger.reserve(&rules, &asked, now)
                    && thread_rng().gen_bool(0.6)
                {
                    call.written(now);
                    admitted[name].fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(())
        }
    };
    together((0..3).map(thread));
    for (name, admitted) in NAMES.iter().zip(admitted.iter()) {
        let admitted = admitted.load(Ordering::Relaxed);
        let shown = ledger.usage(now).into_iter().find(|cell| cell.value.as_deref() == Some(name));
        assert!(admitted <= 1, "{name} was admitted {admitted} times");
        assert_eq!(shown.map_or(0, |cell| cell.settled + cell.reserved), admitted, "{name}");
    }
}

fn places() {
    let (ledger, now, running) = (ledger(), moment(), Arc::new(AtomicU64::new(0)));
    let open = |key| rule(key, Quota::Concurrent { amount: NonZeroU32::MIN.saturating_add(1) }, None);
    let thread = |turn: usize| {
        let (ledger, running) = (Arc::clone(&ledger), Arc::clone(&running));
        let rules = turned([open("a"), open("b"), open("c")], turn);
        move || {
            for _ in 0..2 {
                let Some(call) = ask(0, "gpt", |ask| ledger.reserve(&rules, ask, now).ok()) else {
                    continue;
                };
                let others = running.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
                running.fetch_sub(1, Ordering::Relaxed);
                drop(call);
                if others >= 2 {
                    return Err(format!("{others} were running"));
                }
            }
            Ok(())
        }
    };
    together((0..3).map(thread));
    assert!(ledger.usage(now).iter().all(|cell| cell.reserved == 0));
    assert!(ask(0, "gpt", |ask| ledger.reserve(&turned([open("a")], 0), ask, now).ok()).is_some());
}

/// The promise, as the cells show it; `debt` is what may have been charged beyond reservations by now.
fn within_limits(cells: &[CellUse], debt: u64) -> Result<(), String> {
    let beyond = cells.iter().find(|cell| cell.settled + cell.reserved > cell.limit + debt);
    beyond.map_or(Ok(()), |cell| Err(format!("beyond its limit: {cell:?}")))
}

/// In the end nothing is held, and what is used is what was charged.
fn accounted(cells: &[CellUse], spent: u64) {
    assert!(cells.iter().all(|cell| cell.reserved == 0), "still held: {cells:?}");
    for key in ["tokens", "model", "usd"] {
        let used: u64 = cells.iter().filter(|cell| cell.key.as_str() == key).map(|cell| cell.settled).sum();
        assert_eq!(used, spent, "of {key}: {cells:?}");
    }
}

/// Lets them go. What one of them finds is told when all have ended: a thread that panics gives back what it holds while
/// the others go on, and who panicked of what is lost.
fn together<F: FnOnce() -> Result<(), String> + Send + 'static>(threads: impl Iterator<Item = F>) {
    let threads: Vec<_> = threads.map(thread::spawn).collect();
    let found: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let faults: Vec<_> = found.into_iter().filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{}", faults.join("; "));
}

fn ledger() -> Arc<Ledger> {
    Arc::new(Ledger::new())
}

fn any(most: u64) -> u64 {
    thread_rng().gen_range(0..=most)
}

fn model() -> ModelId {
    if thread_rng().gen_bool(0.5) { "gpt".into() } else { "claude".into() }
}

/// So much of everything.
fn amounts(of: u64) -> Amounts {
    Amounts { input: Tokens(of), output: Tokens::ZERO, usd: NanoUsd(of) }
}

fn whoever(model: &ModelId, of: u64) -> Ask<'_> {
    Ask { user: None, app: None, key: None, model, amounts: amounts(of) }
}

fn ask<T>(of: u64, model: &str, then: impl FnOnce(&Ask<'_>) -> T) -> T {
    then(&whoever(&model.into(), of))
}

fn moment() -> Now {
    Now { instant: Instant::now(), wall: "2026-03-15T12:00:00Z".parse().unwrap() }
}

fn tokens(amount: u64) -> Rule {
    rule("tokens", Quota::Windowed { unit: Unit::Tokens, amount: nonzero(amount), window: minute() }, None)
}

fn each_model(amount: u64) -> Rule {
    let quota = Quota::Windowed { unit: Unit::InputTokens, amount: nonzero(amount), window: minute() };
    rule("model", quota, Some(Each::Model))
}

fn usd(amount: u64) -> Rule {
    rule("usd", calendar(Unit::Usd, amount), None)
}

fn calendar(unit: Unit, amount: u64) -> Quota {
    let window = Window::Calendar(Calendar { turn: Turn::Day, zone: Arc::new(TimeZone::UTC) });
    Quota::Windowed { unit, amount: nonzero(amount), window }
}

fn minute() -> Window {
    Window::Rolling(Duration::from_secs(60))
}

fn nonzero(amount: u64) -> NonZeroU64 {
    NonZeroU64::new(amount).unwrap()
}

fn rule(key: &str, quota: Quota, each: Option<Each>) -> Rule {
    Rule { each, ..Rule::new(Owner::Tenant("checkout".into()), key.into(), quota) }
}

/// The rules in an order of the thread's own.
fn turned<const N: usize>(mut rules: [Rule; N], turn: usize) -> Arc<[Rule]> {
    rules.rotate_left(turn % N);
    if turn % 2 == 1 {
        rules.reverse();
    }
    rules.into()
}
