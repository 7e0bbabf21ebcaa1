//! What one call holds of its limits, from admission to its end.

use std::cmp::Reverse;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::cell::{Cell, Share, Short};
use super::ledger::Ledger;
use super::queue::{Caller, Spot};
use super::rule::{Amounts, Ask, Each, Exceeded, Lack, LedgerDown, Mode, Rule, Standing, Unit};
use super::words::Words;
use crate::clock::Now;
use crate::ids::ModelId;
use crate::sync::MutexGuard;

/// One call's share of each of its limits.
///
/// Every attempt is admitted, by [`Ledger::reserve`] or [`Reservation::resize`]; told of when it was written; and
/// charged when it is over, the last one by [`Reservation::settle`]. On drop, all that is still held is given back
/// and nothing is charged.
#[derive(Debug)]
#[must_use = "what it holds is given back when it is dropped"]
pub struct Reservation {
    rules: Arc<[Rule]>,
    /// One for each rule.
    holds: Holds,
    /// Cells of models that the call was written to and has left. It counts once in each.
    left: SmallVec<[Arc<Cell>; 1]>,
    /// Rules that only count and had no room for it, by their place.
    beyond: Beyond,
    /// Where the cells of other models are; none where no rule depends on the model.
    ledger: Option<Arc<Ledger>>,
    over: bool,
}

/// More rules than this cost an allocation per call.
const INLINE: usize = 8;
type Holds = SmallVec<[Hold; INLINE]>;

/// Rules by their place, each once.
type Beyond = SmallVec<[usize; 2]>;

/// One call's share of one cell.
#[derive(Clone, Debug)]
struct Hold {
    cell: Arc<Cell>,
    held: Held,
    share: Share,
}

/// Who asks, and so before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A call that has just come: behind all who wait.
    New,
    /// One that has waited, by its number.
    InTurn(u64),
    /// One that was admitted and goes on to another model. It came before whoever waits now, and cannot wait itself.
    Admitted,
}

/// Whoever is to look again, once no lock is held.
type Called = SmallVec<[Arc<Caller>; 1]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Not yet taken.
    Asked,
    /// Taken; another amount is asked for.
    Resized,
    Reserved,
    /// Given back, or another rule's hold on the same cell stands for it.
    Nothing,
    /// A call that counts as used.
    Used,
}

impl Reservation {
    pub(super) fn take(
        ledger: &Arc<Ledger>,
        rules: &Arc<[Rule]>,
        ask: &Ask<'_>,
        who: Who,
        now: Now,
    ) -> Result<Self, Exceeded> {
        let hold = |rule: &Rule| {
            let value = rule.each.and_then(|each| each.of(ask));
            Hold::asked(ledger.cell(rule, value, now))
        };
        let mut holds: Holds = rules.iter().map(hold).collect();
        let beyond = take_all(rules, &mut holds, &ask.amounts, who, now)?;
        let moves = rules.iter().any(|rule| rule.each == Some(Each::Model));
        let ledger = moves.then(|| Arc::clone(ledger));
        let left = SmallVec::new();
        Ok(Self { rules: Arc::clone(rules), holds, left, beyond, ledger, over: false })
    }

    /// Asks anew, before another attempt: for room at `model` where a limit is its own, and for what the attempt may
    /// use there in place of what the last one held.
    ///
    /// A call that was written to a model stays counted there, and only once however often it returns. What is held
    /// already is judged by the limit in force, which may be newer than the call's own. Once the call is over, it
    /// holds nothing and takes nothing.
    ///
    /// # Errors
    /// The rule that has no room. What was held stays as it was.
    pub fn resize(&mut self, model: &ModelId, amounts: &Amounts, now: Now) -> Result<(), Exceeded> {
        if self.over {
            return Ok(());
        }
        let mut next: Holds = self
            .rules
            .iter()
            .zip(&self.holds)
            .map(|(rule, hold)| self.next(rule, hold, model, now))
            .collect();
        for at in take_all(&self.rules, &mut next, amounts, Who::Admitted, now)? {
            if !self.beyond.contains(&at) {
                self.beyond.push(at);
            }
        }
        for (mut old, new) in mem::replace(&mut self.holds, next).into_iter().zip(&self.holds) {
            if Arc::ptr_eq(&old.cell, &new.cell) {
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

    /// The request was written to a provider: `requests` are used from here on, and leak where they roll. Idempotent.
    pub fn written(&mut self, now: Now) {
        let mut owes = false;
        for (rule, hold) in self.rules.iter().zip(&mut self.holds) {
            if rule.quota.unit() == Unit::Requests {
                owes |= hold.settle(1, now) && must_be_kept(rule);
            }
        }
        self.write_through(owes);
    }

    /// An attempt is over and has cost this much, at the model it was admitted to. It counts at once, as debt if need
    /// be; what is held stays held for the next attempt. Once the call is over, nothing is charged.
    pub fn charge(&mut self, amounts: &Amounts, now: Now) {
        let mut owes = false;
        for (rule, hold) in self.rules.iter().zip(&mut self.holds) {
            owes |= hold.charge(sized(rule, amounts), now) && must_be_kept(rule);
        }
        self.write_through(owes);
    }

    /// Ends the call, whose last attempt has cost this much: that counts as used and what was held is free when it
    /// returns, in one step for each cell. Requests never written are refunded. Idempotent.
    pub fn settle(&mut self, amounts: &Amounts, now: Now) {
        self.over = true;
        let mut owes = false;
        for (rule, hold) in self.rules.iter().zip(&mut self.holds) {
            match sized(rule, amounts) {
                0 => hold.give_back(),
                used => owes |= hold.settle(used, now) && must_be_kept(rule),
            }
        }
        self.write_through(owes);
    }

    /// Gives back what is held of tokens and money: from here on another reservation stands for it. Calls and places
    /// stay held.
    pub fn free(&mut self) {
        for (rule, hold) in self.rules.iter().zip(&mut self.holds) {
            if is_sized(rule.quota.unit()) {
                hold.give_back();
            }
        }
    }

    /// Ends the call, which has cost nothing but what was charged. Idempotent.
    pub fn release(&mut self) {
        self.over = true;
        for hold in &mut self.holds {
            hold.give_back();
        }
    }

    /// The rules that only count and would have refused the call, or one of its attempts.
    pub fn would_refuse(&self) -> impl Iterator<Item = &Rule> {
        self.beyond.iter().filter_map(|at| self.rules.get(*at))
    }

    /// Where the caller stands with the limit of a unit of which the least is left, its own share counted, and which
    /// of the rules it is. Of limits that refuse.
    ///
    /// As of the last time anyone asked that limit; what has leaked since comes on top.
    pub fn standing(&self, unit: Unit) -> Option<(&Rule, Standing)> {
        self.rules
            .iter()
            .zip(&self.holds)
            .filter(|(rule, _)| rule.quota.unit() == unit && rule.mode == Mode::Enforce)
            .filter_map(|(rule, hold)| Some((rule, hold.cell.lock().standing()?)))
            .min_by_key(|(_, standing)| (standing.remaining, Reverse(standing.reset)))
    }

    /// Nobody hears of what was used before it is kept: where it is more than all that was leased, the store is told now.
    fn write_through(&self, owes: bool) {
        if let (true, Some(lease)) = (owes, self.holds.iter().find_map(|hold| hold.cell.lease())) {
            lease.write_through();
        }
    }

    /// What the call would hold of a rule at `model`: what it holds already, or has used there, or asks for anew.
    fn next(&self, rule: &Rule, hold: &Hold, model: &ModelId, now: Now) -> Hold {
        let moves = self.ledger.as_ref().filter(|_| rule.each == Some(Each::Model));
        if let Some(ledger) = moves {
            let cell = ledger.cell(rule, Some(model.as_str()), now);
            if !Arc::ptr_eq(&cell, &hold.cell) {
                let held = if contains(&self.left, &cell) { Held::Used } else { Held::Asked };
                return Hold { held, ..Hold::asked(cell) };
            }
        }
        match hold.held {
            Held::Reserved if is_sized(rule.quota.unit()) => Hold { held: Held::Resized, ..hold.clone() },
            Held::Asked | Held::Resized | Held::Reserved | Held::Nothing | Held::Used => hold.clone(),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

impl Hold {
    fn asked(cell: Arc<Cell>) -> Self {
        Self { cell, held: Held::Asked, share: Share::default() }
    }

    /// Whether the store has to be told.
    fn charge(&mut self, used: u64, now: Now) -> bool {
        if self.held != Held::Reserved || used == 0 {
            return false;
        }
        let mut words = self.cell.lock();
        let owes = words.charge(used, &mut self.share, now);
        if owes {
            self.cell.queue(&mut words);
        }
        owes
    }

    /// Whether the store has to be told.
    fn settle(&mut self, used: u64, now: Now) -> bool {
        if self.held != Held::Reserved {
            return false;
        }
        self.held = Held::Used;
        self.cell.settle(used, &mut self.share, now)
    }

    fn give_back(&mut self) {
        if self.held == Held::Reserved {
            self.cell.give_back(&mut self.share);
            self.held = Held::Nothing;
        }
    }
}

/// Whether nobody may hear of what was used before the store has. What only counts is written when there is time.
fn must_be_kept(rule: &Rule) -> bool {
    match rule.mode {
        Mode::Enforce => true,
        Mode::Shadow => false,
    }
}

/// Whether attempts use more or less of it.
fn is_sized(unit: Unit) -> bool {
    match unit {
        Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Usd => true,
        Unit::Requests | Unit::Concurrent => false,
    }
}

/// What is charged for an attempt; calls and places are not.
fn sized(rule: &Rule, amounts: &Amounts) -> u64 {
    let unit = rule.quota.unit();
    if is_sized(unit) { amounts.of(unit) } else { 0 }
}

/// Which hold does not fit, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Refused {
    short: Missing,
    /// Of several with the same wait, the one written first.
    at: Reverse<usize>,
    room: u64,
    soonest: Option<Duration>,
    behind: bool,
}

/// What a hold lacks; the greater is said. Without room no lease helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Missing {
    Lease,
    Store,
    Room(Short),
}

impl Refused {
    /// By what is missing of a store.
    fn of_store(missing: Missing, at: usize) -> Self {
        Self { short: missing, at: Reverse(at), room: 0, soonest: None, behind: false }
    }

    fn exceeded(self, rules: &[Rule], holds: &[Hold], amounts: &Amounts) -> Exceeded {
        let Reverse(at) = self.at;
        let rule = Box::new(rules[at].clone());
        Exceeded {
            asked: amounts.of(rule.quota.unit()),
            room: self.room,
            rule,
            each: holds[at].cell.value().map(str::to_owned),
            wait: match self.short {
                Missing::Room(Short::For(wait)) => Some(wait),
                Missing::Room(Short::UntilFreed | Short::Never) | Missing::Lease | Missing::Store => None,
            },
            never: self.short == Missing::Room(Short::Never),
            lack: match self.short {
                Missing::Room(_) => Lack::Room,
                Missing::Lease => Lack::Lease,
                Missing::Store => Lack::Store,
            },
            soonest: self.soonest.filter(|_| self.short != Missing::Room(Short::Never)),
            behind: self.behind,
            spot: Spot(Arc::clone(&holds[at].cell)),
        }
    }
}

/// Takes every hold that is asked, or none. Gives the rules that only count and had no room.
fn take_all(
    rules: &[Rule],
    holds: &mut [Hold],
    amounts: &Amounts,
    who: Who,
    now: Now,
) -> Result<Beyond, Exceeded> {
    let mut order: SmallVec<[usize; INLINE]> =
        (0..holds.len()).filter(|&at| matches!(holds[at].held, Held::Asked | Held::Resized)).collect();
    order.sort_unstable_by_key(|&at| holds[at].cell.order());
    let mut called = Called::new();
    let taken = take_locked(rules, holds, &order, (amounts, who, now), &mut called);
    // No lock is held any more.
    called.iter().for_each(|caller| caller.call());
    let (shares, beyond) = taken.map_err(|refused| refused.exceeded(rules, holds, amounts))?;
    // Of several rules with one cell only the first holds.
    for at in order {
        holds[at].held = Held::Nothing;
    }
    for (at, share) in shares {
        holds[at].held = Held::Reserved;
        holds[at].share = share;
    }
    Ok(beyond)
}

type Granted = SmallVec<[(usize, Share); INLINE]>;

/// One step for all others: every lock is held from the first check to the last. However many rules name a cell, which
/// are neighbours in this order, it holds once. Gives what was granted, by the first rule of each cell, and the rules
/// that only count and had no room.
fn take_locked(
    rules: &[Rule],
    holds: &[Hold],
    order: &[usize],
    (amounts, who, now): (&Amounts, Who, Now),
    called: &mut Called,
) -> Result<(Granted, Beyond), Refused> {
    let mut locked: SmallVec<[(usize, MutexGuard<'_, Words>); INLINE]> = SmallVec::new();
    let mut refused: Option<Refused> = None;
    let mut beyond = Beyond::new();
    for &at in order {
        let (hold, rule) = (&holds[at], &rules[at]);
        let again = locked.last().is_some_and(|&(of, _)| Arc::ptr_eq(&holds[of].cell, &hold.cell));
        if !again {
            locked.push((at, hold.cell.lock()));
        }
        let Some((_, count)) = locked.last_mut() else {
            continue;
        };
        match (hold.held, who) {
            (Held::Asked, Who::New | Who::Admitted) => adopt(count, rule, now, called),
            // Its own policy may be older than the limit in force.
            (Held::Asked, Who::InTurn(_))
            | (Held::Resized | Held::Reserved | Held::Nothing | Held::Used, _) => count.advance(now),
        }
        if count.is_stale() {
            hold.cell.queue(count);
        }
        match (refusal(count, rule, &hold.share, at, (amounts, who, now)), count.mode()) {
            (Some(refusal), Mode::Enforce) => refused = refused.max(Some(refusal)),
            (Some(_), Mode::Shadow) => beyond.push(at),
            (None, Mode::Enforce | Mode::Shadow) => {
                let missing = uncovered(rule, hold, count, amounts.of(rule.quota.unit()));
                refused = refused.max(missing.map(|missing| Refused::of_store(missing, at)));
            }
        }
    }
    if let Some(refused) = refused {
        if refused.short == Missing::Lease {
            want_all(rules, holds, &mut locked, amounts);
        }
        return Err(refused);
    }
    // What is unlocked on the way is written; nobody gets past what is still locked.
    let granted = locked.into_iter().map(|(at, mut count)| {
        let mut share = holds[at].share;
        let held = share.held;
        if count.grant(amounts.of(rules[at].quota.unit()), &mut share) {
            holds[at].cell.queue(&mut count);
        }
        if share.held < held {
            called.extend(count.next());
        }
        (at, share)
    });
    Ok((granted.collect(), beyond))
}

/// Puts a limit in force; where that changes it, those who wait look at it.
fn adopt(count: &mut Words, rule: &Rule, now: Now, called: &mut Called) {
    let Some(next) = count.next() else { return count.adopt(rule, now) };
    let before = count.in_force();
    count.adopt(rule, now);
    if count.in_force() != before {
        called.push(next);
    }
}

/// Why a cell, whose time has acted, has no room for the ask; none where it has.
fn refusal(
    count: &Words,
    rule: &Rule,
    share: &Share,
    at: usize,
    (amounts, who, now): (&Amounts, Who, Now),
) -> Option<Refused> {
    let unit = rule.quota.unit();
    let ask = amounts.of(unit);
    let ahead = match who {
        // What only counts lets nobody wait.
        _ if count.mode() == Mode::Shadow => None,
        Who::New => count.ahead(None),
        Who::InTurn(number) => count.ahead(Some(number)),
        Who::Admitted => None,
    };
    let short = match ahead {
        None => count.short(ask, share, now)?,
        Some(ahead) => count.short_behind(ahead, ask, now),
    };
    // Those before it use up their calls; of tokens and money most of what they ask for comes back.
    let used_before = if unit == Unit::Requests { ahead.unwrap_or(0) } else { 0 };
    Some(Refused {
        short: Missing::Room(short),
        at: Reverse(at),
        room: if ahead.is_some() { 0 } else { count.room(share) },
        soonest: count.soonest(ask.saturating_add(used_before)),
        behind: ahead.is_some(),
    })
}

/// What is missing of the lease of a cell that has room; nothing of a cell that does not outlive the process.
fn uncovered(rule: &Rule, hold: &Hold, count: &Words, ask: u64) -> Option<Missing> {
    let lease = hold.cell.lease().filter(|_| must_be_kept(rule))?;
    let covered = || count.covers(ask, &hold.share);
    match (lease.is_down(), rule.on_ledger_down) {
        (true, LedgerDown::Allow) => None,
        (true, LedgerDown::Deny) => Some(Missing::Store),
        (true, LedgerDown::SpendLease) => (!covered()).then_some(Missing::Store),
        (false, LedgerDown::Allow | LedgerDown::Deny | LedgerDown::SpendLease) => {
            (!covered()).then_some(Missing::Lease)
        }
    }
}

/// Asks the store for what is missing, all at once.
fn want_all(
    rules: &[Rule],
    holds: &[Hold],
    locked: &mut [(usize, MutexGuard<'_, Words>)],
    amounts: &Amounts,
) {
    for (at, count) in locked {
        let (hold, ask) = (&holds[*at], amounts.of(rules[*at].quota.unit()));
        if !count.covers(ask, &hold.share) {
            count.want(ask);
            hold.cell.queue(count);
        }
    }
}

fn contains(cells: &[Arc<Cell>], cell: &Arc<Cell>) -> bool {
    cells.iter().any(|other| Arc::ptr_eq(other, cell))
}
