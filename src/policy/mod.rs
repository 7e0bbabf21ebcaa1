//! Policy: text -> [`Snapshot`]. Pure but for `load` (reads files) and `watch` (tells when to).

pub mod compile;
mod compose;
pub mod cost;
pub mod diagnostic;
pub mod diff;
pub mod glob;
pub mod lint;
pub mod load;
pub mod node;
pub mod origin;
pub mod schema;
pub mod snapshot;
pub mod spec;
pub mod store;
pub mod suite;
pub mod watch;

pub use snapshot::Snapshot;
