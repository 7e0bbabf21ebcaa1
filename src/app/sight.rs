//! What operators see of a running process.

use std::sync::Arc;

use serde_json::{Value, json};

use super::State;
use super::health::Seen;
use crate::admin::Sight;
use crate::limits::ledger::CellUse;
use crate::limits::{Calendar, Each, Quota, Rule, Turn, Unit, Window};
use crate::policy::Snapshot;
use crate::policy::store::{Reload, Status};
use crate::relay::Shared;
use crate::units::NanoUsd;

/// The process, to operators.
pub(super) struct ProcessSight(Arc<State>);

impl ProcessSight {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self(state)
    }
}

impl State {
    /// What operators see of it.
    pub fn sight(self: &Arc<Self>) -> impl Sight + use<> {
        ProcessSight::new(Arc::clone(self))
    }
}

impl Sight for ProcessSight {
    fn ready(&self) -> Result<(), &'static str> {
        if !self.0.drain.ready() {
            return Err("draining");
        }
        // Listeners are bound before anyone can ask.
        if self.0.shared.store.load().is_none() {
            return Err("no good policy is loaded");
        }
        Ok(())
    }

    fn policy(&self) -> Value {
        let Status { in_force, warnings, last, fault, counts } = self.0.shared.store.status();
        json!({
            "revision": in_force.as_ref().map(|policy| policy.revision.to_string()),
            "label": in_force.as_ref().and_then(|policy| policy.label.clone()),
            "inForceSince": in_force.as_ref().map(|policy| policy.since.to_string()),
            "lastReload": last.map(|Reload { at, result }| json!({ "at": at.to_string(), "result": result.name() })),
            "fault": fault,
            "warnings": warnings,
            "reloads": { "accepted": counts.accepted, "unchanged": counts.unchanged, "rejected": counts.rejected },
            "limits": self.0.shared.store.load().map(|snapshot| limits(&snapshot)),
        })
    }

    fn usage(&self) -> Value {
        let cells = self.0.shared.ledger.usage(self.0.clock.moment());
        let snapshot = self.0.shared.store.load();
        let rules: Vec<&Rule> = snapshot.iter().flat_map(|snapshot| snapshot.rules()).collect();
        let place = |cell: &CellUse| rules.iter().find(|rule| cell.is_of(rule)).map(|rule| &*rule.place);
        json!({ "limits": cells.iter().map(|cell| shown(cell, place(cell))).collect::<Vec<_>>() })
    }

    fn providers(&self) -> Value {
        let Shared { health, secrets, store, .. } = &*self.0.shared;
        let seen = Seen { health, secrets, now: self.0.clock.now() };
        store.load().map_or(Value::Null, |snapshot| seen.page(&snapshot))
    }

    fn explain(&self, inquiry: &[u8]) -> Result<Value, String> {
        self.0.explain(inquiry)
    }

    fn metrics(&self) -> String {
        self.0.shared.telemetry.metrics.render()
    }
}

/// The limits of a policy as it was compiled.
fn limits(snapshot: &Snapshot) -> Vec<Value> {
    snapshot.rules().map(|rule| limit(rule, snapshot.overrun(rule))).collect()
}

fn limit(rule: &Rule, overrun: Option<u64>) -> Value {
    let unit = rule.quota.unit();
    let (amount, window, per, zone) = match &rule.quota {
        Quota::Windowed { amount, window: Window::Rolling(per), .. } => {
            (amount.get(), None, Some(per.as_secs_f64()), None)
        }
        Quota::Windowed { amount, window: Window::Calendar(Calendar { turn, zone }), .. } => {
            (amount.get(), Some(turn.as_str()), None, zone.iana_name())
        }
        Quota::Concurrent { amount } => (amount.get().into(), None, None, None),
    };
    json!({
        (rule.owner.kind()): &*rule.owner.name(),
        "limit": rule.key.as_str(),
        "unit": unit.as_str(),
        "amount": counted(unit, amount),
        "window": window,
        "perSeconds": per,
        "timeZone": zone,
        "each": rule.each.map(Each::as_str),
        "mode": rule.mode.as_str(),
        "place": &*rule.place,
        // What one answer may use beyond what was held for it, and leave as debt; null where nothing bounds it.
        "overrun": overrun.map(|most| counted(unit, most)),
    })
}

/// An amount; money as policies write it.
fn counted(unit: Unit, count: u64) -> Value {
    match unit {
        Unit::Usd => json!(NanoUsd(count).to_string()),
        Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Concurrent => {
            json!(count)
        }
    }
}

fn shown(cell: &CellUse, place: Option<&str>) -> Value {
    let amount = |count| counted(cell.unit, count);
    json!({
        (cell.owner.kind()): &*cell.owner.name(),
        "limit": cell.key.as_str(),
        "unit": cell.unit.as_str(),
        "each": cell.each.map(Each::as_str),
        "value": cell.value,
        "mode": cell.mode.as_str(),
        "used": amount(cell.settled),
        "reserved": amount(cell.reserved),
        "amount": amount(cell.limit),
        "keptBack": amount(cell.kept_back),
        "debt": amount(cell.debt),
        "window": cell.turn.map(Turn::as_str),
        "perSeconds": cell.per.map(|per| per.as_secs_f64()),
        "resetsAt": cell.reset.map(|reset| reset.to_string()),
        "waitMs": cell.wait.map(|wait| wait.as_millis() as u64),
        "place": place,
        "scope": "pod",
        "durable": cell.durable,
    })
}
