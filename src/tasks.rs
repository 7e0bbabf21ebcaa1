//! Background tasks that shutdown knows of.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Starts tasks and waits for them. Clones share one set.
///
/// Dropping every clone stops nothing: a task runs until it ends or its runtime does.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` on the current runtime, under a name that its log events carry.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // A closed tracker still tracks; it only lets `wait` end when the set is empty.
        #[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
        tokio::spawn(self.tracker.track_future(task.instrument(tracing::debug_span!("task", name))));
    }

    /// Resolves when [`Tasks::stop`] was called: a long-running task ends then.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        self.stop.clone().cancelled_owned()
    }

    /// Asks every task that listens to end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until no task is left.
    pub async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// How many tasks run.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }
}
