//! The policy in force: one arc-swap, and what is known of how it came to be so.
//!
//! A good policy replaces the one in force in one step; a bad one never does. Calls in flight keep the
//! snapshot that they began with.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::Snapshot;
use super::snapshot::Revision;
use crate::clock::Timestamp;

/// Rendered diagnostics longer than this are cut: they are shown on a page, not stored.
const DIAGNOSTICS_MAX: usize = 64 * 1024;

/// Holds the policy in force. Shared by all threads.
#[derive(Debug)]
pub struct PolicyStore {
    in_force: ArcSwapOption<Snapshot>,
    /// Swaps happen under this lock, so that a status never names another revision than the one it tells of.
    status: Mutex<Status>,
    /// Another one has come into force.
    changed: Notify,
}

/// What operators are told of the policy.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The policy in force; none while the first good one is awaited.
    pub in_force: Option<InForce>,
    /// What `check` would warn of in the policy in force.
    pub warnings: Vec<String>,
    /// The last reload, good or bad.
    pub last: Option<Reload>,
    /// Why the files as they are now were not accepted, rendered; none when the last reload was good.
    pub fault: Option<Arc<str>>,
    /// Reloads so far, by result.
    pub counts: ReloadCounts,
}

/// Which policy is in force, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// What identifies its text.
    pub revision: Revision,
    /// Its own `revision:`.
    pub label: Option<Box<str>>,
    /// When it came into force.
    pub since: Timestamp,
}

/// One reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When it was done.
    pub at: Timestamp,
    /// How it ended.
    pub result: ReloadResult,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// A new policy is in force.
    Accepted,
    /// The text is that of the policy in force.
    Unchanged,
    /// The files hold no good policy; the last good one stays.
    Rejected,
}

impl ReloadResult {
    /// The name that metrics and pages use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

/// Reloads by result, the first load included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadCounts {
    /// A new policy came into force.
    pub accepted: u64,
    /// The text was that of the policy in force.
    pub unchanged: u64,
    /// The files held no good policy.
    pub rejected: u64,
}

impl PolicyStore {
    /// A store in which `first` is in force.
    pub fn new(first: Snapshot, warnings: Vec<String>, at: Timestamp) -> Self {
        let store = Self::empty();
        store.accept(first, warnings, at);
        store
    }

    /// A store that awaits its first good policy.
    pub fn empty() -> Self {
        Self { in_force: ArcSwapOption::empty(), status: Mutex::default(), changed: Notify::new() }
    }

    /// The policy in force. Asked once per call: what a call decides, it decides under one policy.
    pub fn load(&self) -> Option<Arc<Snapshot>> {
        self.in_force.load_full()
    }

    /// Ready when another policy comes into force; it is told from its first poll on.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Brings `next` into force, and ends a standing fault.
    ///
    /// A policy of the revision in force is not swapped in: its snapshot, and the time since when it holds,
    /// stay as they are.
    pub fn accept(
        &self,
        next: impl Into<Arc<Snapshot>>,
        warnings: Vec<String>,
        at: Timestamp,
    ) -> ReloadResult {
        let next = next.into();
        let mut status = self.status.lock();
        status.fault = None;
        let same = status.in_force.as_ref().is_some_and(|now| now.revision == next.revision);
        let result = if same { ReloadResult::Unchanged } else { ReloadResult::Accepted };
        status.record(Reload { at, result });
        if !same {
            status.in_force = Some(InForce { revision: next.revision, label: next.label.clone(), since: at });
            status.warnings = warnings;
            self.in_force.store(Some(next));
            self.changed.notify_waiters();
        }
        result
    }

    /// Keeps the policy in force, and notes why the files hold no good one.
    ///
    /// True when these diagnostics are not the standing ones: they are to be logged, once.
    pub fn reject(&self, mut diagnostics: String, at: Timestamp) -> bool {
        cut(&mut diagnostics);
        let mut status = self.status.lock();
        status.record(Reload { at, result: ReloadResult::Rejected });
        if status.fault.as_deref() == Some(diagnostics.as_str()) {
            return false;
        }
        status.fault = Some(Arc::from(diagnostics));
        true
    }

    /// What operators are told of the policy, as of one moment.
    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }
}

impl Status {
    fn record(&mut self, reload: Reload) {
        self.last = Some(reload);
        let count = match reload.result {
            ReloadResult::Accepted => &mut self.counts.accepted,
            ReloadResult::Unchanged => &mut self.counts.unchanged,
            ReloadResult::Rejected => &mut self.counts.rejected,
        };
        *count += 1;
    }
}

fn cut(diagnostics: &mut String) {
    if diagnostics.len() > DIAGNOSTICS_MAX {
        diagnostics.truncate(diagnostics.floor_char_boundary(DIAGNOSTICS_MAX));
        diagnostics.push_str("\n..");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    /// A policy of nothing but a revision.
    pub(in crate::policy) fn snapshot(revision: &str) -> Snapshot {
        let mut digits = [b'0'; 12];
        for (digit, given) in digits.iter_mut().zip(revision.bytes()) {
            *digit = given;
        }
        Snapshot {
            revision: Revision(digits),
            header: http::HeaderValue::from_static(""),
            label: Some(revision.into()),
            providers: BTreeMap::new(),
            models: BTreeMap::new(),
            routes: HashMap::new(),
            tenants: BTreeMap::new(),
            keys: HashMap::new(),
            local: None,
            unkeyed: HashMap::new(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_store_without_a_policy_gives_none() {
        let store = PolicyStore::empty();
        assert!(store.load().is_none());
        assert!(store.status().last.is_none());
        assert!(store.reject("no such file".into(), at(1)));
        assert!(store.load().is_none());
    }

    #[test]
    fn a_good_policy_replaces_the_one_in_force_and_calls_keep_the_one_they_began_with() {
        let store = PolicyStore::new(snapshot("a"), vec!["old".into()], at(1));
        let call = store.load().unwrap();
        assert_eq!(store.accept(snapshot("b"), vec!["new".into()], at(2)), ReloadResult::Accepted);
        assert_eq!(call.label.as_deref(), Some("a"));
        assert_eq!(store.load().unwrap().label.as_deref(), Some("b"));
        let status = store.status();
        assert_eq!(status.in_force.unwrap().since, at(2));
        assert_eq!(status.warnings, ["new"]);
    }

    #[test]
    fn the_revision_in_force_is_not_swapped_but_ends_a_standing_fault() {
        let store = PolicyStore::new(snapshot("a"), Vec::new(), at(1));
        let before = store.load().unwrap();
        assert!(store.reject("line 3: what is this".into(), at(2)));
        assert_eq!(store.accept(snapshot("a"), Vec::new(), at(3)), ReloadResult::Unchanged);
        assert!(Arc::ptr_eq(&before, &store.load().unwrap()));
        let status = store.status();
        assert_eq!(status.in_force.unwrap().since, at(1));
        assert_eq!(status.fault, None);
        assert_eq!(status.last, Some(Reload { at: at(3), result: ReloadResult::Unchanged }));
        assert_eq!(status.counts, ReloadCounts { accepted: 1, unchanged: 1, rejected: 1 });
    }

    #[test]
    fn a_bad_policy_keeps_the_last_good_one_and_its_diagnostics_are_new_once() {
        let store = PolicyStore::new(snapshot("a"), Vec::new(), at(1));
        assert!(store.reject("first".into(), at(2)));
        assert!(!store.reject("first".into(), at(3)));
        assert!(store.reject("second".into(), at(4)));
        store.accept(snapshot("b"), Vec::new(), at(5));
        assert!(store.reject("second".into(), at(6)), "a fault that came back is new");
        assert_eq!(store.load().unwrap().label.as_deref(), Some("b"));
        assert_eq!(store.status().fault.as_deref(), Some("second"));
    }

    #[test]
    fn diagnostics_without_end_are_cut_between_characters_and_still_told_apart_once() {
        let store = PolicyStore::empty();
        let endless = "ü".repeat(DIAGNOSTICS_MAX);
        assert!(store.reject(format!("x{endless}"), at(1)));
        assert!(!store.reject(format!("x{endless}"), at(2)));
        assert!(store.status().fault.unwrap().len() <= DIAGNOSTICS_MAX + 3);
    }

    #[test]
    fn no_reader_sees_anything_but_good_policies_in_order_during_a_thousand_swaps() {
        let store = PolicyStore::new(snapshot("0000"), Vec::new(), at(0));
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut last = 0;
                        while last < 1_000 {
                            let label =
                                store.load().unwrap().label.as_deref().unwrap().parse::<u32>().unwrap();
                            assert!(label >= last, "{label} after {last}");
                            last = label;
                        }
                    })
                })
                .collect();
            for n in 1..=1_000 {
                store.reject(format!("bad {n}"), at(n));
                store.accept(snapshot(&format!("{n:04}")), Vec::new(), at(n));
            }
            for reader in readers {
                reader.join().unwrap();
            }
        });
        assert_eq!(store.status().counts, ReloadCounts { accepted: 1_001, unchanged: 0, rejected: 1_000 });
    }
}
