//! The ledger as a whole: what its callers are promised.

mod books;
mod budgets;
mod churn;
mod concurrent;
mod crashes;
mod durable;
mod facts;
mod model;
mod peers;
mod queue;
mod renames;
mod schedules;
mod spending;

use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{Instant, Now, TimeZone};
use crate::ids::{ModelId, UserId};

const MINUTE: Duration = Duration::from_secs(60);

fn ledger() -> Arc<Ledger> {
    Arc::new(Ledger::new())
}

pub(super) fn requests(amount: u32, per: Duration) -> Quota {
    windowed(Unit::Requests, amount.into(), Window::Rolling(per))
}

fn windowed(unit: Unit, amount: u64, window: Window) -> Quota {
    Quota::Windowed { unit, amount: NonZeroU64::new(amount).unwrap(), window }
}

fn concurrent(amount: u32) -> Quota {
    Quota::Concurrent { amount: NonZeroU32::new(amount).unwrap() }
}

pub(super) fn rule(key: &str, quota: Quota, each: Option<Each>) -> Rule {
    let place = "policy.yaml:1".into();
    Rule { each, place, ..Rule::new(Owner::Tenant("checkout".into()), key.into(), quota) }
}

fn limits(rules: impl IntoIterator<Item = Rule>) -> Arc<[Rule]> {
    rules.into_iter().collect()
}

/// Some moment on both clocks.
pub(super) fn moment() -> Now {
    Now { instant: Instant::now(), wall: "2026-03-15T12:00:00Z".parse().unwrap() }
}

/// Later on both clocks.
impl Add<Duration> for Now {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self { instant: self.instant + span, wall: self.wall + span }
    }
}

/// A caller, owned, so that a test can make one in passing.
struct Caller {
    user: Option<UserId>,
    model: ModelId,
}

impl Caller {
    fn ask(&self) -> Ask<'_> {
        Ask { user: self.user.as_ref(), app: None, key: None, model: &self.model, amounts: Amounts::NONE }
    }
}

fn anyone() -> Caller {
    Caller { user: None, model: "gpt".into() }
}

fn user(name: &str) -> Caller {
    Caller { user: Some(name.into()), ..anyone() }
}

/// The one cell of a key and value as `/usage` shows it.
fn cell(ledger: &Ledger, key: &str, value: Option<&str>, now: Now) -> CellUse {
    let uses = ledger.usage(now);
    let mut found = uses.iter().filter(|cell| cell.key.as_str() == key && cell.value.as_deref() == value);
    let only = found.next().unwrap_or_else(|| panic!("no cell {key} {value:?} in {uses:?}"));
    assert!(found.next().is_none(), "more than one cell {key} {value:?}");
    only.clone()
}
