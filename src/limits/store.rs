//! What a store that outlives the process knows of each cell, and what it is asked to do.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;

/// What keeps the rows of cells: each whole, one for each key. Only one ledger has it at a time.
pub trait Store: Send {
    /// Every row.
    ///
    /// # Errors
    /// They cannot be read.
    fn rows(&mut self) -> Result<Vec<(String, Row)>, StoreError>;

    /// Removes the rows of `gone`, then writes those of `kept`: all, or none. What it has taken outlives the machine's
    /// loss of power.
    ///
    /// # Errors
    /// It is not known whether the rows were written. They will be told again, as they are then.
    fn write(&mut self, gone: &[Arc<str>], kept: &[(Arc<str>, Row)]) -> Result<(), StoreError>;
}

/// Why a store did not take rows, or give them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(String, #[source] Option<Box<dyn std::error::Error + Send + Sync>>);

impl StoreError {
    /// A sentence that names the store and what to do.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into(), None)
    }

    /// The same with its cause.
    pub fn caused(
        sentence: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self(sentence.into(), Some(cause.into()))
    }
}

/// What a store knows of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was used and still counted at `at`: calls, tokens or nano-dollars.
    pub settled: u64,
    /// What may have been used since, and what calls in flight hold.
    pub ahead: u64,
    /// As of when.
    pub at: Timestamp,
    /// How it comes to count no more.
    pub lapse: Lapse,
}

/// How what was used comes to count no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// It leaks: so much in each window.
    Leaks {
        /// Calls, tokens or nano-dollars.
        amount: u64,
        /// Nanoseconds.
        per: u64,
    },
    /// All at once, when its window turns.
    Turns {
        /// When the next one begins.
        at: Timestamp,
    },
}

impl Row {
    /// Whether it counts anything at `now`.
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        match self.lapse {
            Lapse::Leaks { .. } => self.ahead > 0 || self.remaining_parts(now) > 0,
            Lapse::Turns { at } => now < at && (self.settled > 0 || self.ahead > 0),
        }
    }

    /// What of a leaking row has not leaked at `now`, in parts of which one unit has as many as its window nanoseconds.
    /// What is ahead may have been used just now.
    pub fn remaining_parts(&self, now: Timestamp) -> u128 {
        let Lapse::Leaks { amount, per } = self.lapse else {
            return 0;
        };
        let passed = Duration::try_from(now.duration_since(self.at)).unwrap_or_default().as_nanos();
        let leak = passed.saturating_mul(u128::from(amount));
        (u128::from(self.settled) * u128::from(per)).saturating_sub(leak)
    }
}
