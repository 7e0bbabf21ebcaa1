//! The verbs.

pub mod mock;
