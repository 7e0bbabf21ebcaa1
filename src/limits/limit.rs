//! One limit: its identity and its cells.

use std::sync::Arc;

use super::calendar::Turn;
use super::cell::{Cell, Value};
use super::lease::{Lease, Leased};
use super::rule::{Each, Owner, Rule, Unit};
use super::table::Table;
use crate::clock::Now;
use crate::ids::LimitKey;
use crate::sync::Mutex;

/// The cells of one limit. Amount and window come with every ask, so a reload finds the same cells.
#[derive(Debug)]
pub(super) struct Limit {
    ledger: Mark,
    name: Name,
    cells: Cells,
    /// Whether its cells are another's now, which was renamed: it is there for those who still know it by this name.
    passed_on: bool,
    /// Where its cells outlive the process.
    leased: Option<Arc<Leased>>,
}

/// Tells ledgers apart for as long as any of their limits lives.
pub(super) type Mark = Arc<()>;

/// What makes two rules count in the same cells, from one policy to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) owner: Owner,
    pub(super) key: LimitKey,
    pub(super) unit: Unit,
    /// None where the window rolls, or there is none.
    pub(super) turn: Option<Turn>,
    pub(super) each: Option<Each>,
}

/// Shared by all names of a limit that was renamed.
#[derive(Clone, Debug)]
enum Cells {
    Whole(Arc<Cell>),
    Each(Arc<EachCells>),
}

#[derive(Debug)]
struct EachCells {
    named: Mutex<Table>,
    nameless: Arc<Cell>,
    overflow: Arc<Cell>,
}

impl Limit {
    pub(super) fn new(ledger: Mark, rule: &Rule, cap: usize, lease: Option<&Arc<Lease>>, now: Now) -> Self {
        let name = Name::of(rule);
        let was = || rule.was.as_ref().map(|was| Name { key: was.clone(), ..name.clone() });
        let leased = lease.map(|lease| Arc::new(Leased::new(lease, &name, was())));
        let cell = |value| Arc::new(Cell::leased(value, rule, now, leased.as_deref()));
        let cells = match rule.each {
            None => Cells::Whole(cell(Value::Whole)),
            Some(_) => Cells::Each(Arc::new(EachCells {
                named: Mutex::new(Table::new(cap).leased(leased.clone())),
                nameless: cell(Value::Nameless),
                overflow: cell(Value::Overflow),
            })),
        };
        Self { ledger, name, cells, leased, passed_on: false }
    }

    /// Its cells under another name, which has them from here on, and what a store has of them.
    pub(super) fn renamed(&self, name: Name) -> Self {
        let leased = self.leased.as_ref().map(|leased| Arc::new(leased.renamed(&name)));
        if let Some(leased) = &leased {
            // Before the cells that there are: none is made under the old name in between.
            if let Cells::Each(each) = &self.cells {
                each.named.lock().rename(leased);
            }
            self.all_cells().iter().for_each(|cell| cell.rekey(leased));
        }
        Self { leased, ..self.shared(name) }
    }

    /// Its cells outlive the process no more: their rows go.
    pub(super) fn forget_rows(&self) {
        self.all_cells().iter().for_each(|cell| cell.forget_row());
    }

    /// Its cells for those who still know it by this name.
    pub(super) fn passed_on(&self, name: Name) -> Self {
        Self { passed_on: true, ..self.shared(name) }
    }

    fn shared(&self, name: Name) -> Self {
        let (ledger, leased) = (Arc::clone(&self.ledger), self.leased.clone());
        Self { ledger, name, cells: self.cells.clone(), leased, passed_on: false }
    }

    pub(super) fn is_passed_on(&self) -> bool {
        self.passed_on
    }

    pub(super) fn shares_cells(&self, other: &Self) -> bool {
        match (&self.cells, &other.cells) {
            (Cells::Whole(cell), Cells::Whole(its)) => Arc::ptr_eq(cell, its),
            (Cells::Each(cells), Cells::Each(its)) => Arc::ptr_eq(cells, its),
            (Cells::Whole(_), Cells::Each(_)) | (Cells::Each(_), Cells::Whole(_)) => false,
        }
    }

    /// Whether any of its cells counts something.
    pub(super) fn counts(&self, now: Now) -> bool {
        self.cells(now).iter().any(|cell| !cell.lock().is_idle(now))
    }

    /// Makes the cells of which an earlier process has left rows.
    pub(super) fn restore(&self, rule: &Rule, now: Now) {
        for value in self.leased.iter().flat_map(|leased| leased.unclaimed()) {
            drop(self.cell(value.as_deref(), rule, now));
        }
    }

    /// Whether it is the limit of `rule` in that ledger.
    pub(super) fn is_of(&self, ledger: &Mark, rule: &Rule) -> bool {
        let Name { owner, key, unit, turn, each } = &self.name;
        Arc::ptr_eq(&self.ledger, ledger)
            && *unit == rule.quota.unit()
            && *turn == rule.quota.turn()
            && *each == rule.each
            && *key == rule.key
            && *owner == rule.owner
    }

    /// The cell of one value of `each`; no value where the caller has none. `rule` is for a new cell.
    pub(super) fn cell(&self, value: Option<&str>, rule: &Rule, now: Now) -> Arc<Cell> {
        match (&self.cells, value) {
            (Cells::Whole(cell), _) => Arc::clone(cell),
            (Cells::Each(each), None) => Arc::clone(&each.nameless),
            (Cells::Each(each), Some(name)) => {
                let found = each.named.lock().cell(name, rule, now);
                found.unwrap_or_else(|| Arc::clone(&each.overflow))
            }
        }
    }

    /// Its cells as they are now; of the shared ones of `each` only those that count something.
    pub(super) fn cells(&self, now: Now) -> Vec<Arc<Cell>> {
        match &self.cells {
            Cells::Whole(cell) => vec![Arc::clone(cell)],
            Cells::Each(each) => {
                let mut cells = each.named.lock().cells();
                let shared =
                    [&each.nameless, &each.overflow].into_iter().filter(|cell| !cell.lock().is_idle(now));
                cells.extend(shared.cloned());
                cells
            }
        }
    }

    /// Its cells, be it that they count nothing.
    pub(super) fn all_cells(&self) -> Vec<Arc<Cell>> {
        match &self.cells {
            Cells::Whole(cell) => vec![Arc::clone(cell)],
            Cells::Each(each) => {
                let mut cells = each.named.lock().cells();
                cells.extend([Arc::clone(&each.nameless), Arc::clone(&each.overflow)]);
                cells
            }
        }
    }

    /// Whether a new limit could stand in for this one.
    pub(super) fn is_replaceable(limit: &mut Arc<Self>, now: Now) -> bool {
        let Some(limit) = Arc::get_mut(limit) else {
            return false;
        };
        if limit.passed_on {
            // The cells stay with the name that has them.
            return !limit.counts(now);
        }
        match &mut limit.cells {
            Cells::Whole(cell) => Cell::is_replaceable(cell, now),
            Cells::Each(each) => Arc::get_mut(each).is_some_and(|each| {
                Cell::is_replaceable(&mut each.nameless, now)
                    && Cell::is_replaceable(&mut each.overflow, now)
                    && each.named.get_mut().is_replaceable(now)
            }),
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }
}

impl Name {
    pub(super) fn of(rule: &Rule) -> Self {
        let (unit, turn) = (rule.quota.unit(), rule.quota.turn());
        Self { owner: rule.owner.clone(), key: rule.key.clone(), unit, turn, each: rule.each }
    }
}
