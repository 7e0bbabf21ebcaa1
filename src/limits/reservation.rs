//! What one call holds of its limits, from admission to its end.

use std::cmp::Reverse;
use std::mem;
use std::sync::Arc;

use smallvec::SmallVec;

use super::cell::{Cell, Short};
use super::ledger::Ledger;
use super::rule::{Ask, Each, Exceeded, Quota, Rule, Standing};
use crate::clock::Instant;
use crate::ids::ModelId;

/// One call's share of each of its limits.
///
/// On drop, places are given back and requests that were never written are refunded.
#[derive(Debug)]
#[must_use = "what it holds is given back when it is dropped"]
pub struct Reservation {
    holds: Holds,
    /// The rules whose cell depends on the model; they know the way to the next one.
    moving: SmallVec<[Moving; 1]>,
    /// Cells of models that the call was written to and has left. It counts once in each.
    left: SmallVec<[Arc<Cell>; 1]>,
    released: bool,
}

/// More rules than this cost an allocation per call.
const INLINE: usize = 8;
type Holds = SmallVec<[Hold; INLINE]>;

/// One call's share of one cell.
#[derive(Debug)]
struct Hold {
    cell: Arc<Cell>,
    quota: Quota,
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Not yet taken.
    Asked,
    Reserved,
    /// Counted as used, or given back, or another rule's hold on the same cell stands for it.
    Nothing,
    Used,
}

#[derive(Debug)]
struct Moving {
    /// Which of the holds.
    at: usize,
    rule: Rule,
    ledger: Arc<Ledger>,
}

impl Reservation {
    pub(super) fn take(
        ledger: &Arc<Ledger>,
        rules: &[Rule],
        ask: &Ask<'_>,
        now: Instant,
    ) -> Result<Self, Exceeded> {
        let mut holds = Holds::new();
        let mut moving = SmallVec::new();
        for (at, rule) in rules.iter().enumerate() {
            let value = rule.each.and_then(|each| each.of(ask));
            holds.push(Hold::asked(ledger.cell(rule, value, now), rule.quota));
            if rule.each == Some(Each::Model) {
                moving.push(Moving::new(at, rule, ledger));
            }
        }
        take_all(&mut holds, now).map_err(|refused| refused.exceeded(&holds, |at| &rules[at]))?;
        Ok(Self { holds, moving, left: SmallVec::new(), released: false })
    }

    /// Moves to another model before a fallback: the cells of `each: model` change, all others stay.
    ///
    /// A call that was written to the old model stays counted there, and only once however often it
    /// returns. After [`Reservation::release`] it holds nothing and takes nothing.
    ///
    /// # Errors
    /// The rule that has no room for the new model; what was held stays as it was.
    pub fn redirect(&mut self, model: &ModelId, now: Instant) -> Result<(), Exceeded> {
        if self.released || self.moving.is_empty() {
            return Ok(());
        }
        let mut next: Holds = self.moving.iter().map(|moving| self.hold_at(moving, model, now)).collect();
        take_all(&mut next, now).map_err(|refused| refused.exceeded(&next, |at| &self.moving[at].rule))?;
        for (moving, new) in self.moving.iter().zip(next) {
            let mut old = mem::replace(&mut self.holds[moving.at], new);
            if Arc::ptr_eq(&old.cell, &self.holds[moving.at].cell) {
                continue;
            }
            if old.held == Held::Used && !contains(&self.left, &old.cell) {
                self.left.push(old.cell);
            } else {
                old.give_back();
            }
        }
        Ok(())
    }

    /// The request was written to a provider: `requests` are used from here on and begin to leak. Idempotent.
    pub fn used(&mut self, now: Instant) {
        for hold in &mut self.holds {
            hold.settle(now);
        }
    }

    /// Ends the call: places are free when it returns, requests never written are refunded. Idempotent.
    pub fn release(&mut self) {
        self.released = true;
        for hold in &mut self.holds {
            hold.give_back();
        }
    }

    /// Where the caller stands with the `requests` limit that has the fewest calls left, itself counted, and which
    /// of the rules it is.
    ///
    /// As of the last time anyone asked that limit; what has leaked since comes on top.
    pub fn standing(&self) -> Option<(usize, Standing)> {
        self.holds
            .iter()
            .enumerate()
            .filter_map(|(at, hold)| Some((at, hold.cell.lock().standing()?)))
            .min_by_key(|(_, standing)| (standing.remaining, Reverse(standing.reset)))
    }

    /// What the call would hold at `model`: what it holds already, or has used there, or asks for anew.
    fn hold_at(&self, moving: &Moving, model: &ModelId, now: Instant) -> Hold {
        let cell = moving.ledger.cell(&moving.rule, Some(model.as_str()), now);
        let old = &self.holds[moving.at];
        let held = if Arc::ptr_eq(&old.cell, &cell) {
            old.held
        } else if contains(&self.left, &cell) {
            Held::Used
        } else {
            Held::Asked
        };
        let quota = moving.rule.quota;
        Hold { cell, quota, held }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

impl Moving {
    fn new(at: usize, rule: &Rule, ledger: &Arc<Ledger>) -> Self {
        Self { at, rule: rule.clone(), ledger: Arc::clone(ledger) }
    }
}

impl Hold {
    fn asked(cell: Arc<Cell>, quota: Quota) -> Self {
        Self { cell, quota, held: Held::Asked }
    }

    fn settle(&mut self, now: Instant) {
        if self.held == Held::Reserved && self.cell.lock().settle(now) {
            self.held = Held::Used;
        }
    }

    fn give_back(&mut self) {
        if self.held == Held::Reserved {
            self.cell.lock().give_back();
            self.held = Held::Nothing;
        }
    }
}

/// Which hold does not fit, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Refused {
    short: Short,
    /// Of several with the same wait, the one written first.
    at: Reverse<usize>,
}

impl Refused {
    fn exceeded<'a>(self, holds: &[Hold], rule: impl FnOnce(usize) -> &'a Rule) -> Exceeded {
        let Reverse(at) = self.at;
        Exceeded {
            rule: Box::new(rule(at).clone()),
            each: holds[at].cell.value().map(str::to_owned),
            wait: match self.short {
                Short::For(wait) => Some(wait),
                Short::UntilFreed => None,
            },
        }
    }
}

/// Takes every hold that is asked, or none.
fn take_all(holds: &mut [Hold], now: Instant) -> Result<(), Refused> {
    let mut order: SmallVec<[usize; INLINE]> =
        (0..holds.len()).filter(|&at| holds[at].held == Held::Asked).collect();
    order.sort_unstable_by_key(|&at| holds[at].cell.order());
    take_locked(holds, &order, now)?;
    // Of several rules with one cell, which are neighbours in this order, the first holds.
    let mut last = None;
    for at in order {
        let cell = holds[at].cell.order();
        holds[at].held = if last.replace(cell) == Some(cell) { Held::Nothing } else { Held::Reserved };
    }
    Ok(())
}

/// One step for all others: every lock is held from the first check to the last write. However many rules name a
/// cell, it holds once.
fn take_locked(holds: &[Hold], order: &[usize], now: Instant) -> Result<(), Refused> {
    let mut locked: SmallVec<[_; INLINE]> = SmallVec::new();
    let mut refused: Option<Refused> = None;
    for &at in order {
        let hold = &holds[at];
        let again = locked.last().is_some_and(|&(of, _): &(&Hold, _)| Arc::ptr_eq(&of.cell, &hold.cell));
        if !again {
            locked.push((hold, hold.cell.lock()));
        }
        let Some((_, count)) = locked.last_mut() else {
            continue;
        };
        count.adopt(hold.quota, now);
        let short = count.short().map(|short| Refused { short, at: Reverse(at) });
        refused = refused.max(short);
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    for (_, count) in &mut locked {
        count.hold();
    }
    Ok(())
}

fn contains(cells: &[Arc<Cell>], cell: &Arc<Cell>) -> bool {
    cells.iter().any(|other| Arc::ptr_eq(other, cell))
}
