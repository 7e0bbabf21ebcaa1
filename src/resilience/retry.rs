//! How many tries a provider gets beyond the first of each call: an outage must not be amplified.

/// What of a provider's calls may be tried there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudgetSettings {
    /// Tries beyond the first, of a thousand calls.
    pub permille: u32,
    /// So many a second are allowed however few calls there are.
    pub min_per_second: u32,
}

impl Default for RetryBudgetSettings {
    fn default() -> Self {
        Self { permille: 200, min_per_second: 3 }
    }
}
