//! Live counts of every limit. Outlives policy reloads. Admission never waits; where counts outlive the process, a
//! settlement beyond its lease waits for the store.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;

use super::calendar::Turn;
use super::cell::{Cell, NAMELESS, Share, Short};
use super::lease::{Lease, LeaseMeters};
use super::limit::{Limit, Mark, Name};
use super::queue::Ticket;
use super::reservation::{Reservation, Who};
use super::rule::{Ask, Each, Exceeded, Mode, Owner, Quota, Rule, Standing, Unit};
use super::store::{Store, StoreError};
use crate::clock::{Now, Timestamp};
use crate::ids::LimitKey;
use crate::sync::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// The counts of every limit, shared by all workers.
///
/// A cell is known by owner, limit key, unit, kind of window and `each` value. Amount, length and zone come
/// with each ask, so what was used outlives a reload, and a limit that returns finds its count as long as it
/// counts anything.
/// At most 100,000 cells per limit; when none of them is idle, new names share one.
pub struct Ledger {
    mark: Mark,
    limits: Limits,
    /// With so many limits, those that no rule names any more are looked for.
    sweep_at: AtomicUsize,
    cap: usize,
    fills_slots: bool,
    /// The latest civil second that was told.
    latest: AtomicI64,
    /// Drawn by those who wait.
    numbers: AtomicU64,
    /// Where its counts outlive the process.
    lease: Option<Arc<Lease>>,
}

#[expect(clippy::disallowed_types, reason = "the one dashmap; its guards stay in this file")]
type Limits = dashmap::DashMap<Name, Arc<Limit>>;

/// What one cell holds, for `/usage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellUse {
    /// Whose limit it is.
    pub owner: Owner,
    /// The limit's key.
    pub key: LimitKey,
    /// Of what it is.
    pub unit: Unit,
    /// What has cells of its own; none where all share one.
    pub each: Option<Each>,
    /// The value of `each`; `(none)` and `(overflow)` for the shared cells.
    pub value: Option<String>,
    /// Whether the limit in force refuses.
    pub mode: Mode,
    /// What is used and still counts, a begun one as a whole: calls, tokens or nano-dollars.
    pub settled: u64,
    /// What is held: admitted and not yet used, or running for `concurrent`.
    pub reserved: u64,
    /// By how much what is used is beyond the limit.
    pub debt: u64,
    /// The limit in force: the one that was last asked about.
    pub limit: u64,
    /// What of the limit is granted to no call.
    pub kept_back: u64,
    /// How often its window turns; none where it rolls or has none.
    pub turn: Option<Turn>,
    /// The length of its window; none where it has none.
    pub per: Option<Duration>,
    /// When its window turns; none where it rolls or has none.
    pub reset: Option<Timestamp>,
    /// Until the least fits: zero where it does now, none where no time tells.
    pub wait: Option<Duration>,
    /// Whether it outlives the process.
    pub durable: bool,
}

/// What the fullest cell of a limit holds, for metrics: no names of callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUse {
    /// Whose limit it is.
    pub owner: Owner,
    /// The limit's key.
    pub key: LimitKey,
    /// Of what it is.
    pub unit: Unit,
    /// How often its window turns; none where it rolls or has none.
    pub turn: Option<Turn>,
    /// What has cells of its own; none where all share one.
    pub each: Option<Each>,
    /// Used and held, of the cell of which the largest share is.
    pub used: u64,
    /// What of it may yet be granted.
    pub available: u64,
    /// How many cells there are.
    pub cells: usize,
}

/// Cells per limit.
const CELLS: usize = 100_000;
/// Fewer limits than this are never worth a search.
const FIRST_SWEEP: usize = 256;

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::with_cells(CELLS)
    }

    /// An empty ledger of at most `cells` cells per limit, the shared ones not counted.
    pub fn with_cells(cells: usize) -> Self {
        Self {
            mark: Arc::new(()),
            limits: Limits::new(),
            sweep_at: AtomicUsize::new(FIRST_SWEEP),
            cap: cells,
            fills_slots: true,
            latest: AtomicI64::new(i64::MIN),
            numbers: AtomicU64::new(0),
            lease: None,
        }
    }

    /// A ledger whose windows outlive the process: what a store has of them is what was used. Somebody has to
    /// [`Ledger::keep`] it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn durable(store: Box<dyn Store>, now: Now) -> Result<Self, StoreError> {
        let lease = Arc::new(Lease::open(store, now.wall)?);
        Ok(Self { lease: Some(lease), ..Self::new() })
    }

    /// An empty ledger for offline use: it leaves no trace on the rules, whose slots are the serving one's.
    pub fn scratch() -> Self {
        Self { fills_slots: false, ..Self::new() }
    }

    /// A scratch ledger in which these rules have counted what they have here; what calls hold is taken for used. Callers
    /// that wait are not in it.
    pub fn apart<'r>(&self, rules: impl IntoIterator<Item = &'r Rule>, now: Now) -> Self {
        let apart = Self::scratch();
        let rules: HashMap<Name, &Rule> = rules.into_iter().map(|rule| (Name::of(rule), rule)).collect();
        for limit in self.all() {
            let Some(rule) = rules.get(limit.name()) else { continue };
            for cell in limit.cells(now) {
                let CellUse { value, settled, reserved, .. } = CellUse::of(limit.name(), &cell, now);
                // The cell of callers without a name has none.
                let value = value.as_deref().filter(|value| *value != NAMELESS);
                apart.count(rule, value, settled.saturating_add(reserved), now);
            }
        }
        apart
    }

    /// Takes one call's share of every rule, or of none.
    ///
    /// The cells are locked in a fixed order, all checked, then all written: no rule is passed on the way
    /// to another's refusal, and no caller is refused for a share that is about to be given back.
    ///
    /// A rule that only counts refuses nothing: its cell may hold more than its limit.
    ///
    /// # Errors
    /// The rule without room that has the longest wait. The limit in force is that of `rules` from now on.
    pub fn reserve(
        self: &Arc<Self>,
        rules: &Arc<[Rule]>,
        ask: &Ask<'_>,
        now: Now,
    ) -> Result<Reservation, Exceeded> {
        Reservation::take(self, rules, ask, Who::New, now)
    }

    /// The same for a call that has waited: it comes before all who came later. What it asks for is judged by the limits
    /// in force, which may be newer than its own.
    ///
    /// # Errors
    /// The rule without room that has the longest wait.
    pub fn reserve_in_turn(
        self: &Arc<Self>,
        rules: &Arc<[Rule]>,
        ask: &Ask<'_>,
        ticket: &Ticket,
        now: Now,
    ) -> Result<Reservation, Exceeded> {
        Reservation::take(self, rules, ask, Who::InTurn(ticket.number()), now)
    }

    /// The number of the next caller that has to wait.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Brings the rules of a policy into force, all of them together and before its first call: one that was renamed
    /// takes over the cells of its old name, unless it counts something already. Calls under the old policy count in
    /// the same cells.
    pub fn adopt<'r>(&self, rules: impl IntoIterator<Item = &'r Rule>, now: Now) {
        let now = self.no_earlier(now);
        let rules: HashMap<Name, &Rule> = rules.into_iter().map(|rule| (Name::of(rule), rule)).collect();
        for (name, rule) in &rules {
            self.rename(name, rule, |name| rules.contains_key(name), now);
        }
    }

    /// Whether its windows outlive the process.
    pub fn is_durable(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether the store of a durable ledger fails.
    pub fn is_down(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_down())
    }

    /// What the store of a durable ledger was told.
    pub fn meters(&self) -> Option<&LeaseMeters> {
        self.lease.as_ref().map(|lease| &lease.meters)
    }

    /// Makes the cells of `rules` of which an earlier process has left something, so that they are seen before the
    /// first call; forgets what counts no more.
    pub fn restore<'r>(&self, rules: impl IntoIterator<Item = &'r Rule>, now: Now) {
        let Some(lease) = &self.lease else { return };
        for rule in rules {
            self.limit(rule, now).restore(rule, now);
        }
        lease.sweep(now.wall);
    }

    /// Writes to the store what is to be written, as it comes, until [`Ledger::close`]: for a thread of its own.
    pub fn keep(&self) {
        if let Some(lease) = &self.lease {
            lease.run();
        }
    }

    /// Writes to the store what is to be written now.
    pub fn write(&self) {
        if let Some(lease) = &self.lease {
            lease.turn();
        }
    }

    /// Resolves when the store has taken something or failed: time to ask again where a lease was lacking. Counts from
    /// when it is enabled.
    pub fn renewed(&self) -> Option<OwnedNotified> {
        self.lease.as_ref().map(|lease| lease.renewed())
    }

    /// The store has not answered for as long as a call can wait.
    pub fn is_late(&self) {
        if let Some(lease) = &self.lease {
            lease.is_late();
        }
    }

    /// Ends a durable ledger: the store keeps what was used, and nothing that is leased beyond it.
    pub fn close(&self, now: Now) {
        let Some(lease) = &self.lease else { return };
        let now = self.no_earlier(now);
        let limits: Vec<Arc<Limit>> = self.limits.iter().map(|limit| Arc::clone(&limit)).collect();
        let cells: Vec<Arc<Cell>> = limits.iter().flat_map(|limit| limit.all_cells()).collect();
        lease.close(&cells, now);
    }

    /// Where whoever asks stands with a rule; none of places.
    pub fn standing(&self, rule: &Rule, ask: &Ask<'_>, now: Now) -> Option<Standing> {
        let cell = self.cell(rule, rule.each.and_then(|each| each.of(ask)), now);
        let mut words = cell.lock();
        words.advance(now);
        words.standing()
    }

    /// Counts so much of a rule as used, or so many places as taken for good, whatever the limit: what a rehearsal finds
    /// there.
    pub fn count(&self, rule: &Rule, value: Option<&str>, amount: u64, now: Now) {
        let cell = self.cell(rule, value, now);
        let mut words = cell.lock();
        words.advance(now);
        let mut share = Share::default();
        match rule.quota {
            Quota::Windowed { .. } => {
                words.charge(amount, &mut share, now);
            }
            Quota::Concurrent { .. } => (0..amount).for_each(|_| {
                words.grant(1, &mut share);
            }),
        }
    }

    /// How much of a rule would be granted to whoever asks: calls, tokens, nano-dollars or places.
    pub fn room(&self, rule: &Rule, ask: &Ask<'_>, now: Now) -> u64 {
        let cell = self.cell(rule, rule.each.and_then(|each| each.of(ask)), now);
        let mut words = cell.lock();
        words.advance(now);
        words.room(&Share::default())
    }

    /// What every cell holds at `now`, by owner, key and value.
    ///
    /// An idle cell of an `each` may be missing. For operators: it copies the list of all cells.
    pub fn usage(&self, now: Now) -> Vec<CellUse> {
        let now = self.no_earlier(now);
        let mut uses: Vec<CellUse> = self
            .all()
            .iter()
            .flat_map(|limit| {
                let cells = limit.cells(now);
                cells.into_iter().map(|cell| CellUse::of(limit.name(), &cell, now))
            })
            .collect();
        uses.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        uses
    }

    /// What every limit's fullest cell holds at `now`, in no order; a limit without cells is left out.
    pub fn fullest(&self, now: Now) -> Vec<LimitUse> {
        let now = self.no_earlier(now);
        self.all().iter().filter_map(|limit| LimitUse::of(limit, now)).collect()
    }

    /// The cell of `rule` for one value of its `each`, made if need be.
    pub(super) fn cell(&self, rule: &Rule, value: Option<&str>, now: Now) -> Arc<Cell> {
        // A cell that is made anew after a clock stepped back must not begin in a window that has turned.
        let now = if rule.quota.turn().is_some() { self.no_earlier(now) } else { now };
        if let Some(limit) = rule.slot.limit().filter(|limit| limit.is_of(&self.mark, rule)) {
            return limit.cell(value, rule, now);
        }
        let limit = self.limit(rule, now);
        let cell = limit.cell(value, rule, now);
        if self.fills_slots {
            rule.slot.fill(limit);
        }
        cell
    }

    /// The same moment, or the latest civil second that was told before, where that is later.
    fn no_earlier(&self, now: Now) -> Now {
        let (second, latest) = (now.wall.as_second(), self.latest.load(Ordering::Relaxed));
        if second > latest {
            // Once a second; a thread that comes late with an earlier one does no harm.
            self.latest.fetch_max(second, Ordering::Relaxed);
        }
        if second >= latest {
            return now;
        }
        Now { wall: Timestamp::from_second(latest).unwrap_or(now.wall), ..now }
    }

    /// Every limit, each once.
    fn all(&self) -> Vec<Arc<Limit>> {
        let limits = self.limits.iter().map(|limit| Arc::clone(&limit));
        limits.filter(|limit| !limit.is_passed_on()).collect()
    }

    fn find(&self, name: &Name) -> Option<Arc<Limit>> {
        self.limits.get(name).map(|limit| Arc::clone(&limit))
    }

    /// Gives a rule the cells that it had under another name, be it that it was renamed, or renamed and then had its
    /// old name back. What another rule in force has stays there.
    fn rename(&self, name: &Name, rule: &Rule, is_in_force: impl Fn(&Name) -> bool, now: Now) {
        let former = rule.was.as_ref().map(|was| Name { key: was.clone(), ..name.clone() });
        let own = self.find(name);
        let passed_on = own.clone().filter(|own| own.is_passed_on());
        let idle = own.filter(|own| !own.is_passed_on());
        if idle.as_ref().is_some_and(|own| former.is_none() || own.counts(now)) {
            return;
        }
        let known = former.as_ref().and_then(|former| self.find(former));
        let holders = [passed_on.clone(), known].into_iter().flatten().filter_map(|limit| self.holder(limit));
        if let Some(holder) = holders.into_iter().find(|holder| !is_in_force(holder.name())) {
            // The keys of its rows are another's from here on.
            if let Some(idle) = idle {
                idle.forget_rows();
            }
            self.limits.insert(name.clone(), Arc::new(holder.renamed(name.clone())));
            self.limits.insert(holder.name().clone(), Arc::new(holder.passed_on(holder.name().clone())));
            return;
        }
        if passed_on.is_some() {
            self.limits.remove(name);
        }
        // Nobody has asked under the old name yet; whoever still does counts with the others.
        if let Some(former) =
            former.filter(|former| !is_in_force(former) && !self.limits.contains_key(former))
        {
            let passed_on = self.limit(rule, now).passed_on(former.clone());
            self.limits.insert(former, Arc::new(passed_on));
        }
    }

    /// The limit that has these cells now.
    fn holder(&self, limit: Arc<Limit>) -> Option<Arc<Limit>> {
        if !limit.is_passed_on() {
            return Some(limit);
        }
        self.all().into_iter().find(|other| other.shares_cells(&limit))
    }

    fn limit(&self, rule: &Rule, now: Now) -> Arc<Limit> {
        let name = Name::of(rule);
        if let Some(limit) = self.find(&name) {
            return limit;
        }
        self.sweep(now);
        let new = || Arc::new(Limit::new(Arc::clone(&self.mark), rule, self.cap, self.lease.as_ref(), now));
        Arc::clone(&self.limits.entry(name).or_insert_with(new))
    }

    /// Forgets limits that no rule names and that count nothing, each time their number has doubled.
    fn sweep(&self, now: Now) {
        if self.limits.len() < self.sweep_at.load(Ordering::Relaxed) {
            return;
        }
        self.limits.retain(|_, limit| !Limit::is_replaceable(limit, now));
        let next = self.limits.len().saturating_mul(2).max(FIRST_SWEEP);
        self.sweep_at.store(next, Ordering::Relaxed);
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("limits", &self.limits.len()).finish_non_exhaustive()
    }
}

/// Used and held, the limit, and what of it is granted.
type Held = (u64, u64, u64);

impl LimitUse {
    fn of(limit: &Limit, now: Now) -> Option<Self> {
        let cells = limit.cells(now);
        let held = cells.iter().map(|cell| {
            let mut count = cell.lock();
            count.advance(now);
            let used = count.settled().saturating_add(count.reserved());
            (used, count.limit(), count.grantable())
        });
        // Shares compared without dividing: a/b < c/d where a*d < c*b.
        let share = |(used, limit, _): Held, (other, its, _): Held| {
            (u128::from(used) * u128::from(its)).cmp(&(u128::from(other) * u128::from(limit)))
        };
        let (used, _, grantable) = held.max_by(|a, b| share(*a, *b))?;
        let name = limit.name();
        Some(Self {
            owner: name.owner.clone(),
            key: name.key.clone(),
            unit: name.unit,
            turn: name.turn,
            each: name.each,
            used,
            available: grantable.saturating_sub(used),
            cells: cells.len(),
        })
    }
}

impl CellUse {
    /// Whether it is a cell of this rule.
    pub fn is_of(&self, rule: &Rule) -> bool {
        let Self { owner, key, unit, turn, each, .. } = self;
        *unit == rule.quota.unit()
            && *turn == rule.quota.turn()
            && *each == rule.each
            && *key == rule.key
            && *owner == rule.owner
    }

    fn of(name: &Name, cell: &Cell, now: Now) -> Self {
        let mut count = cell.lock();
        count.advance(now);
        let (settled, limit, grantable) = (count.settled(), count.limit(), count.grantable());
        let (reserved, reset, mode) = (count.reserved(), count.turns(), count.mode());
        let per = count.standing().map(|standing| standing.per);
        let wait = match count.short(1, &Share::default(), now) {
            None => Some(Duration::ZERO),
            Some(Short::For(wait)) => Some(wait),
            Some(Short::UntilFreed | Short::Never) => None,
        };
        drop(count);
        Self {
            owner: name.owner.clone(),
            key: name.key.clone(),
            unit: name.unit,
            turn: name.turn,
            each: name.each,
            value: cell.value().map(str::to_owned),
            mode,
            settled,
            reserved,
            debt: settled.saturating_sub(limit),
            limit,
            kept_back: limit - grantable,
            per,
            reset,
            wait,
            durable: cell.lease().is_some(),
        }
    }

    fn order(&self) -> (&Owner, &LimitKey, Unit, Option<Turn>, Option<Each>, Option<&str>) {
        (&self.owner, &self.key, self.unit, self.turn, self.each, self.value.as_deref())
    }
}
