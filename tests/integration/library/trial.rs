//! An example on trial: its tests, under its policy or another text of it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret::app::rehearsal;
use egret::policy::compile::rehearse;
use egret::policy::compile::suite::{self, Document};
use egret::policy::load::{self, Sources};
use egret::policy::suite::Test;
use egret::scenario::Coverage;

/// An example's tests, and where its policy is.
pub(super) struct Example {
    pub(super) policy: PathBuf,
    sources: Sources,
    documents: Vec<Document>,
}

/// What becomes of a changed policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is no policy.
    Refused,
    /// A test fails, or can no longer be run under it.
    Noticed,
    /// Every test passes.
    Unnoticed,
}

impl Example {
    pub(super) fn read(suite: &Path) -> Self {
        let sources = load::read(suite).unwrap();
        let documents = suite::read(&sources).unwrap_or_else(|found| panic!("{found}"));
        let named = documents[0].policy().unwrap_or("policy.yaml");
        let policy = match named.strip_prefix("../") {
            Some(name) => suite.parent().unwrap().parent().unwrap().join(name),
            None => suite.with_file_name(named),
        };
        Self { policy, sources, documents }
    }

    /// Runs the tests under the policy as it is; gives what failed, and what they saw.
    pub(super) fn run(&self) -> (Vec<String>, Coverage) {
        let policy = load::read(&self.policy).unwrap();
        let policy = Arc::new(rehearse(&policy).unwrap_or_else(|found| panic!("{found}")).0);
        let mut failures = Vec::new();
        let mut coverage: Option<Coverage> = None;
        for document in &self.documents {
            let tests = document.compile(&self.sources, &policy).unwrap_or_else(|found| panic!("{found}"));
            let seen = rehearsal::run(&policy, &tests, |outcome| {
                let told = outcome.failures.iter().map(|f| {
                    format!("{}: {} {}: wanted {}, got {}", outcome.name, f.which, f.field, f.wanted, f.got)
                });
                failures.extend(told);
            });
            match &mut coverage {
                Some(coverage) => coverage.join(seen.unwrap()),
                None => coverage = Some(seen.unwrap()),
            }
        }
        (failures, coverage.unwrap())
    }

    /// Runs the tests under another text of the policy, up to the first that fails.
    pub(super) fn judge(&self, text: &str) -> Verdict {
        let Ok((policy, _)) = rehearse(&Sources::single("policy.yaml", text)) else {
            return Verdict::Refused;
        };
        let policy = Arc::new(policy);
        for document in &self.documents {
            let Ok(tests) = document.compile(&self.sources, &policy) else { return Verdict::Noticed };
            if tests.iter().any(|test| !passes(&policy, test)) {
                return Verdict::Noticed;
            }
        }
        Verdict::Unnoticed
    }
}

fn passes(policy: &Arc<egret::policy::Snapshot>, test: &Test) -> bool {
    let passed = Cell::new(true);
    rehearsal::run(policy, std::slice::from_ref(test), |outcome| passed.set(outcome.passed())).unwrap();
    passed.get()
}
