//! The verbs.

pub mod check;
pub mod key;
pub mod mock;
pub mod probe;
