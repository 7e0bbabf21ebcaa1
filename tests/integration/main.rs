//! All integration tests, in one binary: a proxy in this process, under virtual time (`support`).
//!
//! What users of other proxies complain of must not happen here: each complaint, by its number, is a test whose name
//! begins `peer_bug_NN_` (`test_peer_bug_NN_` in Python), in the files named. Those whose subject exists:
//!
//! | complaint | where |
//! |---|---|
//! | 01 a limit passed under concurrency, 03 one that bites a call too late, 04 counts lost by a reload | `tests/integration/limits.rs`, `src/limits/tests/peers.rs` |
//! | 01 a budget passed by clients at once, 09 tokens and money of mixed calls | `tests/integration/process/exact.rs` |
//! | 01 a budget passed under concurrency, 03 one that is spent, 04 what was spent lost by a reload | `tests/integration/budgets.rs` |
//! | 02 a path that is not counted | `tests/integration/limits.rs`, `tests/integration/budgets.rs` |
//! | 05 budgets for groups, changed without a deployment, 08 windows that begin at the wrong time or zone | `tests/integration/windows.rs` |
//! | 08 windows that begin at the wrong time or zone | `src/limits/tests/peers.rs` |
//! | 07 what holds while a store fails | `tests/integration/ledger.rs` |
//! | 09 usage of streams, 10 its parts, 20 limits of size, 29 rewritten bodies | `tests/integration/bodies.rs` |
//! | 25 bypasses by another face, 28 what translation loses, 29 rewritten bodies of every dialect | `tests/integration/dialects.rs` |
//! | 10 the cost of each part | `tests/integration/cost.rs` |
//! | 11 callers that leave | `tests/integration/leaving.rs`, `tests/integration/budgets.rs` |
//! | 12 failures without fallback, 13 after a good head, 14 DNS and connect, 15 a fallback that spins | `tests/integration/failover.rs` |
//! | 15 a fallback that spins | `tests/integration/retries.rs` |
//! | 12 failures without fallback, every one under every strategy | `tests/integration/fault_matrix.rs` |
//! | 13 failures inside a good stream, 18 the time of a first token | `tests/integration/commit.rs` |
//! | 17 memory that grows with the names callers invent | `tests/integration/metrics.rs` |
//! | 17 memory that grows while a backend is away | `tests/telemetry/test_faults.py` |
//! | 16 time that calls at once wait for nothing, 17 what is held of calls that are over, 18 silence before the answer, 19 stalls in it, 30 cut streams | `tests/integration/timers.rs` |
//! | 19 keep-alives while a stream does not begin | `tests/integration/keep_alive.rs` |
//! | 21 hedged calls | `tests/integration/hedging.rs` |
//! | 22 no reload of files, 23 a bad policy in force | `tests/integration/reload.rs`, `tests/integration/process/reload.rs` |
//! | 23 pods that restart when the policy changes, 26 keys in other containers | `tests/delivery/test_charts.py` |
//! | 24 a database for what is configuration | `tests/integration/reload.rs` |
//! | 25 allow lists bypassed | `tests/integration/access.rs` |
//! | 26 keys and contents in logs, errors, pages, metrics and spans, 30 content in spans | `tests/integration/canary.rs` |
//! | 30 wrong parents, spans missing or there twice | `tests/integration/traces.rs` |
//! | 30 streams cut at a rollout | `tests/integration/process/drain.rs` |
//!
//! Waiting for what they are about: 06 (replicas), 27 (releases). What a call costs (16) and holds (17)
//! under load is measured by `tests/bench` and `tests/chaos`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod agree;
mod bodies;
mod breakers;
mod budgets;
mod canary;
mod ci;
mod commit;
mod conditions;
mod cost;
mod dialects;
mod diff;
mod exceed;
mod exhausted;
mod explain;
mod failover;
mod fault_matrix;
mod hedging;
mod keep_alive;
mod key_pools;
mod layering;
mod leaving;
mod ledger;
mod library;
mod limits;
mod manual;
mod metrics;
mod peers;
mod policy_faults;
mod process;
mod provider_limits;
mod queue;
mod reload;
mod retries;
mod schema;
mod shadow;
mod storm;
mod strategies;
mod support;
mod timers;
mod traces;
mod window;
mod windows;
