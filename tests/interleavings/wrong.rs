//! Ledgers that are wrong, each in one way, under the same calls: what is wrong with them is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Now;
use crate::ids::ModelId;
use crate::limits::{Amounts, Ask, CellUse, Each, Mode, Owner, Quota, Rule, Unit};
use crate::scenarios::{Call, Counts, calls};
use crate::sync::{Mutex, MutexGuard};

/// The fact, the calls, and what the fault looks like.
pub(crate) const FACTS: [(&str, fn(), &str); 3] = [
    (
        "a ledger that looks first and takes afterwards overspends",
        || calls(&Wrong::how(How::LooksFirst)),
        "beyond its limit",
    ),
    (
        "a ledger that locks cells in the order of the rules stands still",
        || calls(&Wrong::how(How::LocksAsWritten)),
        "deadlock",
    ),
    (
        "a ledger that gives back first and charges afterwards overspends",
        || calls(&Wrong::how(How::SettlesInTwoSteps)),
        "beyond its limit",
    ),
];

/// The same ledger, wrong in nothing.
pub(crate) fn right() {
    calls(&Wrong::how(How::Not));
}

/// What it does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Not,
    LooksFirst,
    LocksAsWritten,
    SettlesInTwoSteps,
}

/// A cell for each key and model, in the order of their names.
struct Wrong {
    how: How,
    cells: BTreeMap<(&'static str, &'static str), Mutex<Count>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    settled: u64,
    reserved: u64,
    limit: u64,
}

struct Held {
    ledger: Arc<Wrong>,
    rules: Arc<[Rule]>,
    model: ModelId,
    held: Amounts,
    over: bool,
}

impl Wrong {
    fn how(how: How) -> Arc<Self> {
        let keys = [("tokens", ""), ("usd", ""), ("model", "gpt"), ("model", "claude")];
        let cells = keys.into_iter().map(|key| (key, Mutex::new(Count::default()))).collect();
        Arc::new(Self { how, cells })
    }

    /// The cells of these rules, in the order in which they are locked.
    fn order<'a>(&'a self, rules: &'a [Rule], model: &str) -> Vec<(&'a Rule, &'a Mutex<Count>)> {
        let mut rules: Vec<&Rule> = rules.iter().collect();
        if self.how != How::LocksAsWritten {
            rules.sort_by_key(|rule| rule.key.as_str());
        }
        let cell = |rule: &Rule| {
            let value = if rule.each == Some(Each::Model) { model } else { "" };
            let found = self.cells.iter().find(|((key, of), _)| *key == rule.key.as_str() && *of == value);
            found.map(|(_, cell)| cell).unwrap()
        };
        rules.into_iter().map(|rule| (rule, cell(rule))).collect()
    }

    /// Takes room for `asked` in place of what a call holds there.
    fn take(&self, rules: &[Rule], model: &str, asked: &Amounts, held: &Amounts) -> bool {
        let cells = self.order(rules, model);
        let fits = |rule: &Rule, count: &mut Count| {
            let Quota::Windowed { amount, unit, .. } = rule.quota else { unreachable!("none has places") };
            count.limit = amount.get();
            count.settled + count.reserved - held.of(unit) + asked.of(unit) <= count.limit
        };
        let write = |rule: &Rule, count: &mut Count| {
            let unit = rule.quota.unit();
            count.reserved = count.reserved + asked.of(unit) - held.of(unit);
        };
        if self.how == How::LooksFirst {
            let room = cells.iter().all(|(rule, cell)| fits(rule, &mut cell.lock()));
            if room {
                cells.iter().for_each(|(rule, cell)| write(rule, &mut cell.lock()));
            }
            return room;
        }
        let mut locked: Vec<(&Rule, MutexGuard<'_, Count>)> =
            cells.iter().map(|(rule, cell)| (*rule, cell.lock())).collect();
        let room = locked.iter_mut().all(|(rule, count)| fits(rule, count));
        if room {
            locked.iter_mut().for_each(|(rule, count)| write(rule, count));
        }
        room
    }
}

impl Counts for Wrong {
    type Call = Held;

    fn reserve(self: &Arc<Self>, rules: &Arc<[Rule]>, ask: &Ask<'_>, _: Now) -> Option<Held> {
        let (held, model) = (ask.amounts, ask.model.clone());
        self.take(rules, model.as_str(), &held, &Amounts::NONE).then(|| Held {
            ledger: Arc::clone(self),
            rules: Arc::clone(rules),
            model,
            held,
            over: false,
        })
    }

    fn cells(&self, _: Now) -> Vec<CellUse> {
        let shown = |((key, value), cell): (&(&str, &str), &Mutex<Count>)| {
            let count = *cell.lock();
            CellUse {
                owner: Owner::Tenant("checkout".into()),
                key: (*key).into(),
                unit: Unit::Tokens,
                each: None,
                value: Some((*value).to_owned()),
                settled: count.settled,
                reserved: count.reserved,
                debt: 0,
                limit: count.limit,
                turn: None,
                per: None,
                reset: None,
                mode: Mode::Enforce,
                kept_back: 0,
                durable: false,
                wait: None,
            }
        };
        self.cells.iter().map(shown).collect()
    }
}

impl Call for Held {
    /// Only where it is; another model has no room.
    fn resize(&mut self, model: &ModelId, amounts: &Amounts, _: Now) -> bool {
        let fits =
            *model == self.model && self.ledger.take(&self.rules, self.model.as_str(), amounts, &self.held);
        if fits {
            self.held = *amounts;
        }
        fits
    }

    fn settle(&mut self, amounts: &Amounts, _: Now) {
        self.end(amounts);
    }
}

impl Held {
    fn end(&mut self, amounts: &Amounts) {
        self.over = true;
        for (rule, cell) in self.ledger.order(&self.rules, self.model.as_str()) {
            let unit = rule.quota.unit();
            let mut count = cell.lock();
            count.reserved -= self.held.of(unit);
            if self.ledger.how == How::SettlesInTwoSteps {
                drop(count);
                count = cell.lock();
            }
            count.settled += amounts.of(unit);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.over {
            self.end(&Amounts::NONE);
        }
    }
}
