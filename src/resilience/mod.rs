//! What is done about providers that fail: mechanisms and their state. Knows no policy and no call.
//!
//! State is live: it outlives reloads of the policy. Everything here is synchronous and takes `now`; locks are held for
//! a few instructions, and a call that meets no trouble takes few.

pub mod allowance;
pub mod backoff;
pub mod balancer;
pub mod breaker;
pub mod cooldown;
pub mod health;
pub mod keys;
pub mod latency;
pub mod retry;

mod draw;
mod quantile;
mod ring;

#[cfg(test)]
mod tests;
