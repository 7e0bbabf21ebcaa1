//! What happens to calls beyond a limit, where they are not just refused.

use super::Tenant;
use crate::units::Tokens;

/// What happens to a call beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExceed {
    /// It writes what there is room for, if each of its answers may have so much.
    Clamp {
        /// Tokens of each answer.
        at_least: Tokens,
    },
}

impl Tenant {
    /// Below what no answer is bounded: the largest number that one of its limits says.
    pub fn least_answer(&self) -> Tokens {
        let least = |event: &OnExceed| match event {
            OnExceed::Clamp { at_least } => *at_least,
        };
        self.on_exceed.values().map(least).max().unwrap_or_default()
    }
}
