//! What came of all tests.

use std::path::PathBuf;

use crate::scenario::{Coverage, Outcome};

/// The results of every path.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Documents whose tests ran.
    pub(super) suites: Vec<Suite>,
    /// Why paths, tests or policies could not be read.
    pub(super) faults: Vec<String>,
    /// How much of each policy has to be covered.
    pub(super) demanded: Option<u8>,
}

/// The tests of one path under one policy.
#[derive(Debug)]
pub(super) struct Suite {
    /// Where the tests are.
    pub(super) path: PathBuf,
    /// The policy under test, with what is laid over it.
    pub(super) policy: String,
    /// How each test came out.
    pub(super) outcomes: Vec<Outcome>,
    /// What they saw of the policy.
    pub(super) coverage: Coverage,
}

impl Report {
    /// Asks for so much coverage.
    pub(super) fn demand(&mut self, percent: Option<u8>) {
        self.demanded = percent;
    }

    /// Suites that cover less than is asked for.
    pub(super) fn lacking(&self) -> impl Iterator<Item = &Suite> {
        let demanded = self.demanded.unwrap_or(0);
        self.suites.iter().filter(move |suite| suite.coverage.percent() < demanded)
    }

    /// How many tests passed, and how many failed.
    pub(super) fn counts(&self) -> (usize, usize) {
        let outcomes = || self.suites.iter().flat_map(|suite| &suite.outcomes);
        let passed = outcomes().filter(|outcome| outcome.passed()).count();
        (passed, outcomes().count() - passed)
    }

    pub(super) fn exit_code(&self) -> u8 {
        let (passed, failed) = self.counts();
        if !self.faults.is_empty() || passed + failed == 0 {
            2
        } else if failed > 0 || self.lacking().next().is_some() {
            1
        } else {
            0
        }
    }
}
