//! All integration tests, in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod bodies;
mod failover;
mod layering;
mod leaving;
mod limits;
mod support;
mod timers;
