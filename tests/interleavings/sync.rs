//! The locks and atomics of `src/limits` in this build: Shuttle's, which let it choose who goes on at each of them.

use std::sync::PoisonError;

pub(crate) use shuttle::sync::MutexGuard;
pub(crate) use shuttle::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// In the form of parking_lot's, and small as they are.
#[derive(Debug)]
pub(crate) struct Mutex<T>(Box<shuttle::sync::Mutex<T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Box::new(shuttle::sync::Mutex::new(value)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}
