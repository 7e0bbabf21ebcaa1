//! egret: a sidecar proxy for LLM API calls.
//!
//! The modules form rows; a module names only rows below it, and siblings do not name each other
//! (`tests/integration/layering.rs` enforces it). A call runs through
//! [`server`] -> [`relay`] -> [`net`], under the [`policy`] snapshot that it loaded when it began.

// Row 7
pub mod cli;
// Row 6: wiring, start and stop order.
pub mod app;
// Row 5: listeners and operators' handlers.
pub mod admin;
pub mod scenario;
pub mod server;
// Row 4: one call, from request to settlement.
pub mod relay;
// Row 3: text -> Snapshot.
pub mod policy;
// Row 2
pub mod auth;
pub mod mock;
pub mod telemetry;
// Row 1: mechanisms; know no policy and no call.
pub mod dialect;
pub mod limits;
pub mod net;
pub mod pricing;
pub mod resilience;
// Row 0: vocabulary.
pub mod clock;
pub mod environment;
pub mod ids;
pub mod meters;
pub mod random;
pub mod secret;
mod sync;
pub mod tasks;
pub mod units;
pub mod usage;
