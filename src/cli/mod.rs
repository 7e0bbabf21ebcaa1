//! The verbs.

pub mod key;
pub mod mock;
pub mod probe;
