//! One JSON line per call, written off the call's way.

mod line;

use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::record::CallRecord;
use crate::meters::Counter;

/// Calls that may wait to be written: some 80,000 calls a second until the next write.
const WAITING_MAX: usize = 8_192;
/// Room for so many records is kept after a burst.
const ROOM_KEPT: usize = 512;
/// Lines are handed to the writer when they are so many bytes: one write, unless many calls wait.
const WRITE_BYTES: usize = 256 * 1024;
/// How long lines gather before they are written.
const EVERY: Duration = Duration::from_millis(100);
/// How long the last lines may take at shutdown: whoever reads them may have stopped.
const LAST: Duration = Duration::from_secs(1);

/// Records of finished calls, on their way to be one JSON line each.
///
/// Workers [push](Self::push); one writer [drains](Self::write_to). A line has these fields, and leaves out what is not
/// known of the call:
///
/// | field | what |
/// |---|---|
/// | `timestamp` | when the call ended: RFC 3339, UTC, milliseconds |
/// | `request_id`, `caller_request_id` | our id, as in `x-request-id`; the caller's own |
/// | `tenant`, `user`, `app`, `key` | who called; `key` is the key's name |
/// | `api`, `route`, `model`, `provider` | what was asked for, and who answered or was tried last |
/// | `stream` | whether a stream was asked for |
/// | `status`, `outcome`, `refusal` | the status that the caller saw, how the call ended, the code of our refusal |
/// | `attempts` | every try: `provider`, `model`, `outcome`, `status`, `ms` |
/// | `usage` | tokens: the parts that are not zero (`input`, `cache_read`, `cache_write`, `input_audio`, `output`, `reasoning`, `output_audio`; none is in two of them), `total_input`, `total_output`, `total` |
/// | `duration_ms`, `first_byte_ms` | from the request's head to the end, and to the first byte, of the answer |
/// | `bytes_in`, `bytes_out` | of the bodies |
/// | `policy` | the revision that decided |
/// | `upstream_request_id` | the provider's own id |
///
/// Milliseconds have three decimals. No line holds a prompt, an answer or a key.
#[derive(Debug, Default)]
pub struct AccessLog {
    #[expect(clippy::vec_box, reason = "a call hands over a pointer, not some 700 bytes")]
    waiting: Mutex<Vec<Box<CallRecord>>>,
    /// Held by the writer alone; the vector that it just emptied is the next to be filled.
    scratch: Mutex<Scratch>,
    pushed: Notify,
    dropped: Counter,
    failed: Counter,
}

#[derive(Debug, Default)]
struct Scratch {
    #[expect(clippy::vec_box, reason = "swapped with `waiting`")]
    records: Vec<Box<CallRecord>>,
    text: String,
}

impl AccessLog {
    /// A log with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands over a finished call. Where 8,192 wait already it is dropped and counted: a log must not hold calls up.
    pub fn push(&self, record: Box<CallRecord>) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            drop(waiting);
            self.dropped.increment();
            return;
        }
        waiting.push(record);
        let first = waiting.len() == 1;
        drop(waiting);
        if first {
            self.pushed.notify_one();
        }
    }

    /// Calls that were not logged because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped.value()
    }

    /// Calls whose lines could not be written.
    pub fn failed(&self) -> u64 {
        self.failed.value()
    }

    /// Writes the line of every call that waits, and tells how many they were. Blocks as long as `out` does.
    ///
    /// # Errors
    /// The first error of `out`. The lines not written by then are given up and counted, so that a log that nobody
    /// reads any more costs nothing.
    pub fn drain_to(&self, out: &mut impl Write) -> io::Result<usize> {
        let mut scratch = self.scratch.lock();
        let Scratch { records, text } = &mut *scratch;
        std::mem::swap(&mut *self.waiting.lock(), records);
        let all = records.len();
        let mut written = 0;
        let mut result = Ok(());
        for (at, record) in records.iter().enumerate() {
            line::append(text, record);
            if text.len() < WRITE_BYTES && at + 1 < all {
                continue;
            }
            result = out.write_all(text.as_bytes());
            text.clear();
            if result.is_err() {
                break;
            }
            written = at + 1;
        }
        records.clear();
        records.shrink_to(ROOM_KEPT);
        text.shrink_to(WRITE_BYTES);
        self.failed.add((all - written) as u64);
        result.and_then(|()| out.flush()).map(|()| all)
    }

    /// Writes what is pushed to `out`, at most ten times a second, until `stopping` resolves; then once more.
    ///
    /// Writing happens on a thread of its own, one write at a time: a pipe that nobody reads stops the log, nothing
    /// else. At shutdown such a writer is left behind after a second.
    pub async fn write_to<W>(self: Arc<Self>, mut out: W, stopping: impl Future<Output = ()>)
    where
        W: Write + Send + 'static,
    {
        let mut stopping = pin!(stopping);
        loop {
            tokio::select! {
                () = self.due() => {}
                () = &mut stopping => break,
            }
            let mut writing = self.start_writing(out);
            tokio::select! {
                done = &mut writing => match done {
                    Ok(back) => out = back,
                    Err(_) => return,
                },
                () = &mut stopping => match timeout(LAST, writing).await {
                    Ok(Ok(back)) => {
                        out = back;
                        break;
                    }
                    Ok(Err(_)) | Err(_) => return,
                },
            }
        }
        // Lines that did not make it in time stay unwritten: the process ends.
        let _ = timeout(LAST, self.start_writing(out)).await;
    }

    /// Resolves a moment after something waits to be written: an idle process is not woken.
    async fn due(&self) {
        self.pushed.notified().await;
        sleep(EVERY).await;
    }

    /// One round on the blocking pool; gives `out` back.
    fn start_writing<W>(self: &Arc<Self>, mut out: W) -> JoinHandle<W>
    where
        W: Write + Send + 'static,
    {
        let log = Arc::clone(self);
        spawn_blocking(move || {
            let failed_before = log.failed();
            if let Err(error) = log.drain_to(&mut out)
                && failed_before == 0
            {
                warn!(%error, "access log not written; counted from here on, and not said again");
            }
            out
        })
    }
}

#[cfg(test)]
mod tests;
