//! What the process has rather than a call: metrics that are read when somebody asks.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use parking_lot::Mutex;

use super::process;
use crate::clock::Clock;
use crate::limits::lease::LeaseMeters;
use crate::limits::ledger::{Ledger, LimitUse};
use crate::limits::{Each, Unit};
use crate::meters::Counter;
use crate::net::body::BufferBudget;
use crate::net::upstream::{ConnectionMeters, IdleConnections};
use crate::policy::store::PolicyStore;
use crate::server::Drain;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::limit_owner;
use crate::telemetry::semconv::{egret, metric};
use crate::telemetry::spans::Queue;

/// Connections to providers, over all workers.
#[derive(Clone, Default)]
pub(super) struct Connections {
    pub(super) meters: Arc<ConnectionMeters>,
    pub(super) idle: Arc<Mutex<Vec<IdleConnections>>>,
}

impl Connections {
    fn idle(&self) -> u64 {
        self.idle.lock().iter().map(|pool| pool.count() as u64).sum()
    }
}

/// Registers what the policy's store tells.
pub(super) fn policy(meter: &Meter, store: &Arc<PolicyStore>) {
    let of = Arc::clone(store);
    gauge(meter, metric::POLICY, "", "The policy in force, by revision.", move |into| {
        if let Some(policy) = of.status().in_force {
            into.observe(1, &[KeyValue::new("revision", policy.revision.to_string())]);
        }
    });
    let of = Arc::clone(store);
    gauge(
        meter,
        metric::POLICY_FAULTY,
        "",
        "1 while the policy's files are not what is in force.",
        move |into| into.observe(u64::from(of.status().fault.is_some()), &[]),
    );
    let of = Arc::clone(store);
    counter(meter, metric::POLICY_RELOADS, "Loads of the policy, by result.", move |into| {
        let counts = of.status().counts;
        let results =
            [("accepted", counts.accepted), ("unchanged", counts.unchanged), ("rejected", counts.rejected)];
        for (result, count) in results {
            into.observe(count, &[KeyValue::new("result", result)]);
        }
    });
}

/// Registers what calls hold.
pub(super) fn calls(meter: &Meter, drain: &Drain, budget: &BufferBudget) {
    let drain = drain.clone();
    gauge(meter, metric::IN_FLIGHT, "", "Calls from their head to the end of their answer.", move |into| {
        into.observe(drain.calls() as u64, &[]);
    });
    let budget = budget.clone();
    gauge(meter, metric::HELD, "By", "Bytes of request bodies held, of --max-buffered.", move |into| {
        into.observe(budget.used() as u64, &[]);
    });
}

/// Registers where limits stand: of those with a cell for each user, app, key or model the fullest cell, so that no
/// caller's name becomes a label.
pub(super) fn limits(meter: &Meter, ledger: &Arc<Ledger>, clock: &Clock) {
    // Looked at once per reading: the SDK asks in the order of registration.
    let seen: Arc<Mutex<Vec<LimitUse>>> = Arc::default();
    let (ledger, clock, looks) = (Arc::clone(ledger), clock.clone(), Arc::clone(&seen));
    let each_of = |observed: &LimitUse| observed.each.map_or_else(|| observed.owner.kind(), Each::as_str);
    let labels = move |limit: &LimitUse| {
        [
            KeyValue::new(egret::EACH, each_of(limit)),
            KeyValue::new(egret::LIMIT, limit.key.shared()),
            limit_owner(&limit.owner),
            KeyValue::new(egret::UNIT, limit.unit.as_str()),
            KeyValue::new(egret::WINDOW, window(limit)),
        ]
    };
    gauge(
        meter,
        metric::LIMIT_USED,
        "",
        "What of a limit is used or held, money in billionths of a dollar: of its fullest cell, where it has several.",
        move |into| {
            let limits = ledger.fullest(clock.moment());
            for limit in &limits {
                into.observe(limit.used, &labels(limit));
            }
            *looks.lock() = limits;
        },
    );
    let of = Arc::clone(&seen);
    gauge(
        meter,
        metric::LIMIT_AVAILABLE,
        "",
        "What of a limit is left, money in billionths of a dollar: of its fullest cell, where it has several.",
        move |into| {
            for limit in &*of.lock() {
                into.observe(limit.available, &labels(limit));
            }
        },
    );
    gauge(
        meter,
        metric::LIMIT_CELLS,
        "",
        "How many users, apps, keys or models a limit counts.",
        move |into| {
            for limit in seen.lock().iter().filter(|limit| limit.each.is_some()) {
                into.observe(limit.cells as u64, &labels(limit));
            }
        },
    );
}

/// Part of a cell's identity, so part of its labels.
fn window(limit: &LimitUse) -> &'static str {
    match (limit.unit, limit.turn) {
        (_, Some(turn)) => turn.as_str(),
        (Unit::Concurrent, None) => "none",
        (Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Usd, None) => {
            "rolling"
        }
    }
}

/// Registers what of logs and traces was lost.
pub(super) fn telemetry(meter: &Meter, log: &Arc<AccessLog>, spans: Option<&Arc<Queue>>) {
    let log = Arc::clone(log);
    counter(meter, metric::LOG_LOST, "Access-log lines that were not written, by why.", move |into| {
        into.observe(log.dropped(), &[KeyValue::new("reason", "full")]);
        into.observe(log.failed(), &[KeyValue::new("reason", "write")]);
    });
    let Some(queue) = spans else { return };
    let count = |name, help, of: fn(&Queue) -> &Counter| {
        let queue = Arc::clone(queue);
        counter(meter, name, help, move |into| into.observe(of(&queue).value(), &[]));
    };
    count(metric::SPANS_EXPORTED, "Spans that the backend took.", |queue| &queue.exported);
    count(metric::SPANS_DROPPED, "Spans for which there was no room.", |queue| &queue.dropped);
    count(metric::SPANS_FAILED, "Spans that the backend did not take.", |queue| &queue.failed);
}

/// Registers how the ledger's store does; one in memory has none that could fail.
pub(super) fn ledger(meter: &Meter, ledger: &Arc<Ledger>) {
    let of = Arc::clone(ledger);
    let help = "1 while the ledger's store fails, and limits do as their onLedgerDown says.";
    gauge(meter, metric::LEDGER_DEGRADED, "", help, move |into| into.observe(u64::from(of.is_down()), &[]));
    let count = |of: fn(&LeaseMeters) -> &Counter| {
        let ledger = Arc::clone(ledger);
        move || ledger.meters().map_or(0, |meters| of(meters).value())
    };
    let (failed, written) = (count(|meters| &meters.failed), count(|meters| &meters.written));
    counter(meter, metric::LEDGER_WRITES, "Transactions of the ledger's store, by result.", move |into| {
        into.observe(failed(), &[KeyValue::new("result", "failed")]);
        into.observe(written(), &[KeyValue::new("result", "written")]);
    });
    let rows = count(|meters| &meters.rows);
    counter(meter, metric::LEDGER_ROWS, "Counts that the ledger's store has taken.", move |into| {
        into.observe(rows(), &[]);
    });
}

/// Registers the connections to providers.
pub(super) fn connections(meter: &Meter, connections: &Connections) {
    let of = connections.clone();
    gauge(meter, metric::CONNECTIONS, "", "Open connections to providers, by state.", move |into| {
        let open = u64::try_from(of.meters.open.value()).unwrap_or_default();
        let idle = of.idle().min(open);
        into.observe(open - idle, &[KeyValue::new("state", "active")]);
        into.observe(idle, &[KeyValue::new("state", "idle")]);
    });
    let meters = Arc::clone(&connections.meters);
    counter(meter, metric::CONNECTS, "Connections to providers that were opened, or not.", move |into| {
        into.observe(meters.failed.value(), &[KeyValue::new("result", "failed")]);
        into.observe(meters.opened.value(), &[KeyValue::new("result", "opened")]);
    });
}

/// Registers what Prometheus' own clients tell of a process, by the names that its dashboards know; only where there is
/// a `/proc`.
pub(super) fn process(meter: &Meter, clock: &Clock) {
    let started = clock.wall().as_millisecond() as f64 / 1_000.0;
    let _ = meter
        .f64_observable_gauge("process.start_time")
        .with_unit("s")
        .with_description("When the process started, since 1970.")
        .with_callback(move |into| into.observe(started, &[]))
        .build();
    let _ = meter
        .f64_observable_counter("process.cpu")
        .with_unit("s")
        .with_description("User and system time of the process.")
        .with_callback(|into| {
            if let Some(seconds) = process::cpu_seconds() {
                into.observe(seconds, &[]);
            }
        })
        .build();
    gauge(meter, "process.resident_memory", "By", "Resident memory of the process.", |into| {
        if let Some(bytes) = process::resident_bytes() {
            into.observe(bytes, &[]);
        }
    });
    gauge(meter, "process.open_fds", "", "Open file descriptors of the process.", |into| {
        if let Some(count) = process::open_fds() {
            into.observe(count, &[]);
        }
    });
}

pub(super) fn gauge(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    observe: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) {
    // The provider keeps it; what is given back is only a mark.
    let _ = meter
        .u64_observable_gauge(name)
        .with_unit(unit)
        .with_description(help)
        .with_callback(observe)
        .build();
}

pub(super) fn counter(
    meter: &Meter,
    name: &'static str,
    help: &'static str,
    observe: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) {
    let _ = meter.u64_observable_counter(name).with_description(help).with_callback(observe).build();
}
