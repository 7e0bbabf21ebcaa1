//! All integration tests, in one binary: a proxy in this process, under virtual time (`support`).
//!
//! What users of other proxies complain of must not happen here: each complaint, by its number, is a test whose name
//! begins `peer_bug_NN_`. Those whose subject exists:
//!
//! | complaint | where |
//! |---|---|
//! | 1 a limit passed under concurrency, 2 a path that is not counted, 3 a limit that bites a call too late, 4 counts lost by a reload | `limits`, and `src/limits/tests/peers.rs` (1, 3, 4) |
//! | 9 usage of streams, 10 its parts, 20 limits of size, 29 rewritten bodies | `bodies` |
//! | 10 the cost of each part | `cost` |
//! | 11 callers that leave | `leaving` |
//! | 12 failures without fallback, 13 after a good head, 14 DNS and connect, 15 a fallback that spins | `failover` |
//! | 18 silence before the answer, 19 stalls in it, 30 cut streams | `timers` |
//! | 22 no reload of files, 23 a bad policy in force, 24 a database for what is configuration | `reload` |
//! | 25 allow lists bypassed | `access` |
//! | 26 keys and contents in logs, errors, pages | `canary` |
//!
//! Waiting for what they are about: 5 to 8 (money, replicas, windows of the calendar), 16 and 17
//! (measured by `tests/bench`), first-token time in 18, 21 (hedging), 27 (releases), 28 (translation), spans in 30.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod bodies;
mod canary;
mod cost;
mod failover;
mod layering;
mod leaving;
mod limits;
mod metrics;
mod process;
mod reload;
mod support;
mod timers;
mod traces;
