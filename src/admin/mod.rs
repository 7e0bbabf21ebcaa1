//! Operators' handlers.
