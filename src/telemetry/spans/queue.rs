//! Where spans wait: bounded, in batches that are ready to be sent.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::meters::Counter;

/// How many spans one request takes, unless [`Queue::in_batches`] says otherwise.
const BATCH: usize = 512;
/// The longest pause of a process that ends.
const MOMENT: Duration = Duration::from_millis(100);

/// Spans that wait, and what became of the others. Whoever pushes never waits; one exporter takes.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    room: usize,
    batch: usize,
    /// Something waits.
    pushed: Notify,
    /// A batch is full, or it is time to hurry.
    due: Notify,
    /// It is time to hurry.
    hurried: Notify,
    /// Spans for which there was no room.
    pub dropped: Counter,
    /// Spans that the backend took.
    pub exported: Counter,
    /// Spans that it did not take.
    pub failed: Counter,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    /// Spans that wait or are under way.
    count: usize,
    /// The process ends soon: nothing gathers any more.
    hurried: bool,
}

/// Spans for one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// They, as fields of OTLP's `ScopeSpans`.
    pub spans: Vec<u8>,
    /// How many they are.
    pub count: usize,
}

impl Queue {
    /// An empty queue for at most `room` spans, those under way included.
    pub fn new(room: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            room,
            batch: BATCH.min(room).max(1),
            pushed: Notify::new(),
            due: Notify::new(),
            hurried: Notify::new(),
            dropped: Counter::new(),
            exported: Counter::new(),
            failed: Counter::new(),
        }
    }

    /// The same, of which a request takes at most `batch` spans, or those of one call. A batch that cannot get full
    /// for want of room would wait while spans are dropped: it is no larger than the room.
    #[must_use]
    pub fn in_batches(self, batch: usize) -> Self {
        Self { batch: batch.min(self.room).max(1), ..self }
    }

    /// Adds the spans of one call: all of them, or none.
    pub(super) fn push(&self, spans: &[u8], count: usize) {
        let mut waiting = self.waiting.lock();
        if waiting.count + count > self.room {
            drop(waiting);
            self.dropped.add(count as u64);
            return;
        }
        let first = waiting.batches.is_empty();
        waiting.count += count;
        let full = match waiting.batches.back_mut() {
            Some(last) if last.count + count <= self.batch => {
                last.spans.extend_from_slice(spans);
                last.count += count;
                last.count == self.batch
            }
            Some(_) | None => {
                waiting.batches.push_back(Batch { spans: spans.to_vec(), count });
                !first || count >= self.batch
            }
        };
        let due = full || waiting.hurried;
        drop(waiting);
        if first {
            self.pushed.notify_one();
        }
        if due {
            self.due.notify_one();
        }
    }

    /// Takes the spans of one request; they keep their room until [`Queue::ended`].
    pub fn take(&self) -> Option<Batch> {
        self.waiting.lock().batches.pop_front()
    }

    /// Gives the room of a batch back, and counts what became of it.
    pub fn ended(&self, exported: usize, failed: usize) {
        self.waiting.lock().count -= exported + failed;
        self.exported.add(exported as u64);
        self.failed.add(failed as u64);
    }

    /// Resolves when it is time to export: when a batch is full, or `delay` after something came to wait.
    pub async fn due(&self, delay: Duration) {
        self.pushed.notified().await;
        if !self.is_hurried() {
            // Early or not: either way it is time.
            let _ = timeout(delay, self.due.notified()).await;
        }
    }

    /// Resolves after `pause`; as soon as the process is to end, after a moment of it.
    pub(in crate::telemetry) async fn pause(&self, pause: Duration) {
        if self.is_hurried() || timeout(pause, self.hurried.notified()).await.is_ok() {
            sleep(pause.min(MOMENT)).await;
        }
    }

    /// From here on nothing gathers: the process ends soon.
    pub fn hurry(&self) {
        self.waiting.lock().hurried = true;
        self.due.notify_one();
        self.hurried.notify_one();
    }

    /// Spans that wait or are under way.
    pub fn left(&self) -> usize {
        self.waiting.lock().count
    }

    /// Whether the process ends soon.
    pub fn is_hurried(&self) -> bool {
        self.waiting.lock().hurried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn calls_gather_in_batches_and_none_is_torn() {
        let queue = Queue::new(100).in_batches(4);
        for call in 0..3_u8 {
            queue.push(&[call; 2], 3);
        }
        queue.push(&[9], 1);
        let taken: Vec<_> =
            std::iter::from_fn(|| queue.take()).map(|batch| (batch.spans, batch.count)).collect();
        assert_eq!(taken, [(vec![0, 0], 3), (vec![1, 1], 3), (vec![2, 2, 9], 4)]);
    }

    #[test]
    fn what_is_under_way_keeps_its_room_until_it_has_ended() {
        let queue = Queue::new(3);
        queue.push(&[1], 2);
        queue.push(&[2], 2);
        assert_eq!(queue.dropped.value(), 2);
        let batch = queue.take().unwrap();
        queue.push(&[3], 2);
        assert_eq!(queue.dropped.value(), 4, "a backend that hangs does not make room");
        queue.ended(0, batch.count);
        queue.push(&[4], 3);
        assert_eq!((queue.dropped.value(), queue.failed.value(), queue.exported.value()), (4, 2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_export_is_due_a_while_after_the_first_span_or_with_a_full_batch() {
        let queue = Queue::new(100).in_batches(2);
        assert!(timeout(seconds(60), queue.due(seconds(5))).await.is_err(), "nothing waits");
        let began = tokio::time::Instant::now();
        queue.push(&[1], 1);
        queue.due(seconds(5)).await;
        assert_eq!(began.elapsed(), seconds(5));
        while queue.take().is_some() {}
        queue.push(&[1], 1);
        queue.push(&[1], 1);
        queue.due(seconds(5)).await;
        assert_eq!(began.elapsed(), seconds(5), "at once");
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_hurry_nothing_gathers() {
        let queue = Queue::new(100);
        let began = tokio::time::Instant::now();
        queue.push(&[1], 1);
        let (_, ()) = tokio::join!(queue.due(seconds(5)), async { queue.hurry() });
        while queue.take().is_some() {}
        queue.push(&[1], 1);
        queue.due(seconds(5)).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_full_with_one_call_or_with_all_the_room() {
        let began = tokio::time::Instant::now();
        let queue = Queue::new(100).in_batches(2);
        queue.push(&[1], 2);
        queue.due(seconds(5)).await;
        let queue = Queue::new(4).in_batches(512);
        queue.push(&[1], 2);
        queue.push(&[1], 2);
        queue.due(seconds(5)).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_cut_short_by_the_end() {
        let queue = Queue::new(100);
        let began = tokio::time::Instant::now();
        queue.pause(seconds(3)).await;
        assert_eq!(began.elapsed(), seconds(3));
        tokio::join!(queue.pause(seconds(5)), async { queue.hurry() });
        queue.pause(seconds(5)).await;
        assert_eq!(began.elapsed(), seconds(3) + 2 * MOMENT);
    }

    #[test]
    fn many_workers_lose_and_invent_no_span() {
        let queue = Queue::new(512);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..5_000).for_each(|_| queue.push(&[7, 7], 2)));
            }
            for _ in 0..5_000 {
                if let Some(batch) = queue.take() {
                    assert_eq!(batch.spans.len(), batch.count);
                    queue.ended(batch.count, 0);
                }
            }
        });
        while let Some(batch) = queue.take() {
            queue.ended(batch.count, 0);
        }
        assert_eq!(queue.exported.value() + queue.dropped.value(), 20_000);
        assert_eq!(queue.waiting.lock().count, 0);
    }
}
