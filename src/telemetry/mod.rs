//! What operators see of calls: takes finished records, and hands them on off the call's path.

pub mod access_log;
pub mod context;
pub mod metrics;
pub mod otlp;
mod protobuf;
pub mod record;
pub mod sampler;
pub mod semconv;
pub mod spans;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access_log::AccessLog;
use metrics::Metrics;
use record::CallRecord;
use spans::Spans;

/// Where finished calls are noted.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// One line each.
    pub access_log: Arc<AccessLog>,
    /// Their counts and times.
    pub metrics: Metrics,
    /// Their spans; none where traces go nowhere.
    pub spans: Option<Spans>,
    /// Who else looks at them, in rehearsals.
    pub watch: Option<Watch>,
}

/// Somebody who looks at finished calls. Called on the call's own path, so it must not wait.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn(&CallRecord) + Send + Sync>);

impl Watch {
    /// Calls this with each record.
    pub fn new(look: impl Fn(&CallRecord) + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Telemetry {
    /// Notes a finished call. Nothing here waits, and no call is held up: where there is no room, it is dropped and
    /// counted.
    pub fn note(&self, record: &CallRecord) {
        self.access_log.push(record);
        self.metrics.note(record);
        if let Some(spans) = &self.spans {
            spans.push(record);
        }
        if let Some(Watch(look)) = &self.watch {
            look(record);
        }
    }

    /// From here on nothing gathers: the process ends soon.
    pub fn hurry(&self) {
        if let Some(spans) = &self.spans {
            spans.queue().hurry();
        }
    }

    /// Says which spans no backend has, if there are any: at the end, when nothing more is exported.
    pub fn say_lost(&self) {
        let Some(queue) = self.spans.as_ref().map(Spans::queue) else { return };
        let (unsent, failed, dropped) = (queue.left(), queue.failed.value(), queue.dropped.value());
        if unsent > 0 || failed > 0 || dropped > 0 {
            tracing::warn!(unsent, failed, dropped, "spans were lost");
        }
    }

    /// Pushes the metrics for the last time, for at most about `limit`. Blocks.
    pub fn end(&self, limit: Duration) {
        let Some(pushing) = self.metrics.end() else { return };
        match pushing.recv_timeout(limit) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last metrics were not pushed"),
            Err(_) => tracing::warn!("the last metrics were not pushed in time"),
        }
    }
}
