//! How late threads come to their work: a machine that is busy with other things is no fault of egret's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use egret::clock::Instant;
use tokio::time::sleep;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(50);

/// The most by which a timer of some threads rang late.
#[derive(Clone, Default)]
pub(crate) struct Lag(Arc<AtomicU64>);

impl Lag {
    /// Watches the threads that it runs on, without end.
    pub(crate) async fn watch(self) {
        loop {
            let begun = Instant::now();
            sleep(EVERY).await;
            self.note(begun.elapsed().saturating_sub(EVERY));
        }
    }

    fn note(&self, late: Duration) {
        self.0.fetch_max(u64::try_from(late.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The most so far.
    pub(crate) fn most(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}
