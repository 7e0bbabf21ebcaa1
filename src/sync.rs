//! The locks and atomics of cells and lines that threads share: named in one place, so that a test can put others in theirs.

pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

pub(crate) use parking_lot::{Mutex, MutexGuard};
