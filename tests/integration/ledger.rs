//! Counts that outlive the process, as callers and operators notice them: while their store fails, answers late, or
//! comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use egret::admin::Sight as _;
use egret::limits::Ledger;
use egret::limits::store::{Row, Store, StoreError};
use parking_lot::Mutex;

use crate::support::{Proxy, Start, moment, quiet, secs};

/// A store in memory that fails on demand.
#[derive(Clone, Default)]
struct Disk {
    rows: Arc<Mutex<BTreeMap<String, Row>>>,
    fails: Arc<AtomicBool>,
}

impl Store for Disk {
    fn rows(&mut self) -> Result<Vec<(String, Row)>, StoreError> {
        Ok(self.rows.lock().clone().into_iter().collect())
    }

    fn write(&mut self, gone: &[Arc<str>], kept: &[(Arc<str>, Row)]) -> Result<(), StoreError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::new("the disk is full"));
        }
        let mut rows = self.rows.lock();
        rows.retain(|key, _| !gone.iter().any(|gone| **gone == **key));
        rows.extend(kept.iter().map(|(key, row)| (key.to_string(), *row)));
        Ok(())
    }
}

impl Disk {
    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// A proxy that counts here, without a writer.
    fn unwritten(&self, limits: &str) -> Proxy {
        let ledger = Ledger::durable(Box::new(self.clone()), moment()).unwrap();
        Start { ledger, ..Start::default() }.proxy(&policy(limits))
    }

    /// The same with a writer, which tries again each millisecond.
    fn proxy(&self, limits: &str) -> Proxy {
        let proxy = self.unwritten(limits);
        let (ledger, stopping) = (Arc::clone(&proxy.state.shared.ledger), proxy.state.tasks.stopping());
        let write = async move {
            loop {
                ledger.write();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        proxy.state.tasks.spawn("writer", async move {
            tokio::select! {
                () = stopping => {}
                () = write => {}
            }
        });
        proxy
    }
}

fn policy(limits: &str) -> String {
    format!(
        "providers: {{ p: {{ mock: {{}} }} }}
models: {{ m: {{ provider: p }} }}
tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {limits} }} }} }}
"
    )
}

async fn statuses(proxy: &Proxy, calls: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..calls {
        statuses.push(proxy.chat("m").await.status);
        quiet().await;
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn peer_bug_07_while_its_store_fails_each_limit_does_as_its_policy_says() {
    let during = async |choice: &str| {
        let disk = Disk::default();
        let proxy = disk.proxy(&format!("day: {{ requests: 64, per: day{choice} }}"));
        assert_eq!(statuses(&proxy, 3).await, [200; 3]);
        disk.fail(true);
        // The first that makes it ask for more finds the failure out.
        let during = statuses(&proxy, 12).await;
        let metrics = proxy.state.sight().metrics();
        assert!(metrics.contains("egret_ledger_degraded 1"), "{metrics}");
        disk.fail(false);
        quiet().await;
        assert_eq!(statuses(&proxy, 3).await, [200; 3], "the store is back");
        let metrics = proxy.state.sight().metrics();
        assert!(metrics.contains("egret_ledger_degraded 0"), "{metrics}");
        let served = 6 + during.iter().filter(|status| **status == 200).count() as u64;
        assert_eq!(proxy.cells(), [("day".to_owned(), None, served, 0)]);
        let rows: Vec<Row> = disk.rows.lock().values().copied().collect();
        assert!(rows[0].settled + rows[0].ahead >= served, "{rows:?}");
        during
    };
    let allow = during(", onLedgerDown: allow").await;
    assert_eq!(allow, [200; 12]);
    let deny = during(", onLedgerDown: deny").await;
    assert_eq!(deny[1..], [503; 11]);
    for choice in ["", ", onLedgerDown: spendLease"] {
        let spend = during(choice).await;
        assert_eq!(spend[0], 200, "{spend:?}");
        assert!(spend.is_sorted() && spend[4..] == [503; 8], "{spend:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_counted_hears_it_in_its_dialect_and_may_try_again() {
    let disk = Disk::default();
    let proxy = disk.proxy("day: { requests: 64, per: day, onLedgerDown: deny }");
    disk.fail(true);
    assert_eq!(proxy.chat("m").await.status, 503);
    proxy.records();
    let answer = proxy.chat("m").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "ledger_unavailable"));
    assert!(!answer.headers.contains_key("x-should-retry"), "{answer:?}");
    let record = proxy.record();
    assert_eq!(record["refusal"], "ledger_unavailable");
    assert!(proxy.seen("p").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_waited_for_once_and_not_by_every_call() {
    for (choice, status) in [("allow", 200), ("spendLease", 503), ("deny", 503)] {
        let proxy =
            Disk::default().unwritten(&format!("day: {{ requests: 64, per: day, onLedgerDown: {choice} }}"));
        let took = async |proxy: &Proxy| {
            let begun = tokio::time::Instant::now();
            assert_eq!(proxy.chat("m").await.status, status, "{choice}");
            begun.elapsed()
        };
        let first = took(&proxy).await;
        assert!(first >= secs(2) && first < secs(3), "{first:?}");
        assert!(took(&proxy).await < secs(1));
        let metrics = proxy.state.sight().metrics();
        let overhead = metrics.lines().find(|line| line.starts_with("egret_call_overhead_seconds_sum"));
        let (_, seconds) = overhead.unwrap().rsplit_once(' ').unwrap();
        assert!(seconds.parse::<f64>().unwrap() < 1.0, "the wait is no work of ours: {seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_at_once_wait_for_one_lease_and_all_get_room() {
    let disk = Disk::default();
    let proxy = disk.proxy("day: { requests: 20, per: day }, rpm: { requests: 500, per: 1m, each: user }");
    let answers = crate::support::all((0..30).map(|_| proxy.chat("m"))).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(served, 20);
    assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
}

#[tokio::test(start_paused = true)]
async fn what_a_file_keeps_is_no_warning_and_shows_after_a_restart_before_any_call() {
    let disk = Disk::default();
    let limits = "open: { concurrent: 3 }, day: { requests: 64, per: day }";
    let proxy = disk.proxy(limits);
    assert!(proxy.state.shared.store.status().warnings.is_empty());
    assert_eq!(statuses(&proxy, 3).await, [200; 3]);
    proxy.state.tasks.stop();
    proxy.state.shared.ledger.close(proxy.state.clock.moment());

    let again = disk.proxy(limits);
    let usage = again.state.sight().usage();
    let seen: Vec<_> = usage["limits"].as_array().unwrap().iter().collect();
    assert_eq!(
        (&seen[0]["limit"], &seen[0]["used"], &seen[0]["durable"]),
        (&"day".into(), &3.into(), &true.into())
    );
    assert_eq!((&seen[1]["limit"], &seen[1]["durable"]), (&"open".into(), &false.into()));
}
