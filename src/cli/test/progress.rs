//! A line that says how far the tests are, while somebody looks.

use std::io::{self, IsTerminal, Write};

use crate::scenario::Outcome;

/// How far the tests are. Shown on standard error where that is a terminal, and wiped at the end.
pub(super) struct Progress {
    shown: bool,
    done: usize,
    failed: usize,
    expected: usize,
}

impl Progress {
    /// Shown where somebody looks, and wants to.
    pub(super) fn on_terminal(wanted: bool) -> Self {
        let shown = wanted && io::stderr().is_terminal() && io::stdout().is_terminal();
        Self { shown, done: 0, failed: 0, expected: 0 }
    }

    /// So many more are to come.
    pub(super) fn expect(&mut self, tests: usize) {
        self.expected += tests;
    }

    /// One has ended.
    pub(super) fn done(&mut self, outcome: &Outcome) {
        self.done += 1;
        self.failed += usize::from(!outcome.passed());
        let Self { done, failed, expected, .. } = *self;
        self.show(&format!("{done} of {expected} tests, {failed} failed"));
    }

    /// All have ended.
    pub(super) fn end(&self) {
        self.show("");
    }

    fn show(&self, line: &str) {
        if self.shown {
            // Nobody misses a line that could not be shown.
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
        }
    }
}
