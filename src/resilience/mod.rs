//! What is done about providers that fail: mechanisms and their state. Knows no policy and no call.
//!
//! State is live: it outlives reloads of the policy. Everything here is synchronous and takes `now`.

pub mod backoff;
pub mod breaker;
pub mod retry;

mod draw;
mod ring;
