//! The lines at cells: who waits for room, in the order in which they came. Nothing here waits: whoever stands in a line
//! is called when something has changed for it, and asks again.
//!
//! Who comes first is told by a number that a caller draws when it first has to wait. It keeps it from line to line, so
//! that nobody who came later gets before it. Only the first of a line is ever called, and only it may be granted
//! anything there: a smaller ask behind it waits as well, else a large one would wait for ever.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;

use super::cell::Cell;
use super::ledger::Ledger;
use super::limit::Name;
use super::rule::{Exceeded, Rule};
use crate::clock::Now;
use crate::sync::Mutex;

/// Callers that may wait at one cell.
const LONGEST: usize = 1_000;

/// The line at one cell.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<u64, Place>,
    /// What all of them ask for: a thousand times a u64 fits.
    asked: u128,
}

#[derive(Debug)]
struct Place {
    ask: u64,
    caller: Arc<Caller>,
}

/// Someone in a line.
#[derive(Debug)]
pub(super) struct Caller {
    /// Who came earlier has the smaller one.
    number: u64,
    bell: Mutex<Bell>,
}

#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    waker: Option<Waker>,
}

impl Caller {
    /// Calls it. Not under the lock of a cell: whoever is woken may run, or be dropped, at once.
    pub(super) fn call(&self) {
        let waker = {
            let mut bell = self.bell.lock();
            bell.rung = true;
            bell.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Line {
    /// What those ask for who come before a caller of this number, or before one that has none; none where nobody does.
    pub(super) fn ahead(&self, number: Option<u64>) -> Option<u64> {
        let Some(number) = number else {
            return (!self.waiting.is_empty()).then(|| u64::try_from(self.asked).unwrap_or(u64::MAX));
        };
        let before = self.waiting.range(..number).map(|(_, place)| place.ask);
        before.reduce(u64::saturating_add)
    }

    /// Who is first.
    pub(super) fn first(&self) -> Option<Arc<Caller>> {
        self.waiting.first_key_value().map(|(_, place)| Arc::clone(&place.caller))
    }

    /// Lets a caller stand in it; none where it is full. True where it came to be the first.
    fn enter(&mut self, caller: &Arc<Caller>, ask: u64) -> Option<bool> {
        if let Some(place) = self.waiting.get_mut(&caller.number) {
            let before = mem::replace(&mut place.ask, ask);
            self.asked = self.asked + u128::from(ask) - u128::from(before);
            return Some(false);
        }
        if self.waiting.len() >= LONGEST {
            return None;
        }
        self.asked += u128::from(ask);
        self.waiting.insert(caller.number, Place { ask, caller: Arc::clone(caller) });
        Some(self.is_first(caller))
    }

    /// Lets a caller go. Gives who is first now, where it was.
    fn leave(&mut self, caller: &Caller) -> Option<Arc<Caller>> {
        let was_first = self.is_first(caller);
        if let Some(place) = self.waiting.remove(&caller.number) {
            self.asked -= u128::from(place.ask);
        }
        if was_first { self.first() } else { None }
    }

    fn is_first(&self, caller: &Caller) -> bool {
        self.waiting.first_key_value().is_some_and(|(first, _)| *first == caller.number)
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Where a call was refused, and may wait.
#[derive(Clone)]
pub struct Spot(pub(super) Arc<Cell>);

impl PartialEq for Spot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Spot {}

impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spot({:?})", self.0.value())
    }
}

/// One call's place in the lines of the limits that refused it. It holds nothing of any limit.
///
/// Dropped, it leaves them, and whoever is next is called.
#[derive(Debug)]
pub struct Ticket {
    caller: Arc<Caller>,
    lines: SmallVec<[(Spot, Box<Rule>); 1]>,
}

impl Ticket {
    /// A place behind all others, in no line yet.
    pub fn new(ledger: &Ledger) -> Self {
        let caller = Caller { number: ledger.next_number(), bell: Mutex::new(Bell::default()) };
        Self { caller: Arc::new(caller), lines: SmallVec::new() }
    }

    /// Stands in the lines of these refusals, and in no other; 1,000 may wait at one cell. False where it stands in none.
    ///
    /// Who comes to be the first of a line is called at once, to ask again: of what changed since it was refused it was
    /// not told.
    pub fn stand<'e>(&mut self, refused: impl Iterator<Item = &'e Exceeded>) -> bool {
        let before = mem::take(&mut self.lines);
        for exceeded in refused {
            let entered = exceeded.spot.0.enter(&self.caller, exceeded.asked);
            if entered.is_some() && !contains(&self.lines, &exceeded.spot) {
                self.lines.push((exceeded.spot.clone(), exceeded.rule.clone()));
            }
            if entered == Some(true) {
                self.caller.call();
            }
        }
        for (spot, _) in before.iter().filter(|(spot, _)| !contains(&self.lines, spot)) {
            spot.0.leave(&self.caller);
        }
        !self.lines.is_empty()
    }

    /// Puts the limits of a newer policy in force where it stands: those who wait do so under the policy of their calls.
    pub fn adopt(&self, rules: &[Rule], now: Now) {
        for (spot, old) in &self.lines {
            let name = Name::of(old);
            let is_its = |rule: &&Rule| {
                let former = rule.was.iter().map(|was| Name { key: was.clone(), ..Name::of(rule) });
                former.chain([Name::of(rule)]).any(|known| known == name)
            };
            if let Some(rule) = rules.iter().find(is_its) {
                spot.0.adopt(rule, now);
            }
        }
    }

    /// Ready when it has been called since the last time that it was; for one task.
    pub fn poll_called(&self, cx: &Context<'_>) -> Poll<()> {
        let mut bell = self.caller.bell.lock();
        if mem::take(&mut bell.rung) {
            return Poll::Ready(());
        }
        bell.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn number(&self) -> u64 {
        self.caller.number
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.stand([].iter());
    }
}

fn contains(lines: &[(Spot, Box<Rule>)], spot: &Spot) -> bool {
    lines.iter().any(|(other, _)| other == spot)
}

/// A line comes with its first caller and goes with its last.
pub(super) fn enter(line: &mut Option<Box<Line>>, caller: &Arc<Caller>, ask: u64) -> Option<bool> {
    line.get_or_insert_default().enter(caller, ask)
}

pub(super) fn leave(line: &mut Option<Box<Line>>, caller: &Caller) -> Option<Arc<Caller>> {
    let next = line.as_mut()?.leave(caller);
    if line.as_ref().is_some_and(|line| line.is_empty()) {
        *line = None;
    }
    next
}
