//! One JSON line per call: formatted where the call ends, written off its way.
//!
//! A line is a microsecond's work. Records that wait to be formatted in bulk cost more: they are cold by then, freed on
//! another thread than they came from, and the burst holds up whoever shares the core with the writer.

mod line;

use std::cell::RefCell;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::warn;

use super::record::CallRecord;
use crate::meters::Counter;

/// Calls that may wait to be written: some 80,000 calls a second until the next write.
const WAITING_MAX: usize = 8_192;
/// And so many bytes of them.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Lines are written in pieces of so many bytes, and early when so many wait: what a pipe takes at once.
const WRITE_BYTES: usize = 64 * 1024;
/// How long lines gather before they are written, unless there are many.
const EVERY: Duration = Duration::from_millis(100);
/// How long the last lines may take at shutdown: whoever reads them may have stopped.
const LAST: Duration = Duration::from_secs(1);

/// Records of finished calls, on their way to be one JSON line each.
///
/// Workers [push](Self::push) them; one writer [drains](Self::write_to). A line has these fields, and leaves out what is not
/// known of the call:
///
/// | field | what |
/// |---|---|
/// | `timestamp` | when the call ended: RFC 3339, UTC, milliseconds |
/// | `request_id`, `caller_request_id` | our id, as in `x-request-id`; the caller's own |
/// | `trace_id` | the trace of a sampled call |
/// | `tenant`, `user`, `app`, `key` | who called; `key` is the key's name |
/// | `api`, `route`, `model`, `provider` | what was asked for, and who answered or was tried last |
/// | `downgraded_to` | the route by way of which the call went instead, beyond a limit |
/// | `stream` | whether a stream was asked for |
/// | `status`, `outcome`, `refusal` | the status that the caller saw, how the call ended, the code of our refusal |
/// | `attempts` | every try: `provider`, `model`, `outcome`, `status`, `ms` |
/// | `passed_over` | targets that were not tried, if there are any: `provider`, `model`, `reason` |
/// | `would_refuse` | limits with `mode: shadow` that had no room for the call, if there are any: the tenant's by name, a provider's as `PROVIDER/NAME` |
/// | `lost` | fields of the request that were not carried over into the provider's dialect, if there are any, in the caller's words |
/// | `usage` | tokens: the parts that are not zero (`input`, `cache_read`, `cache_write`, `input_audio`, `output`, `reasoning`, `output_audio`; none is in two of them), `total_input`, `total_output`, `total` |
/// | `cost_usd` | what they cost in US dollars, an exact decimal: at the price of the model that served, as it held when the call began |
/// | `duration_ms`, `first_byte_ms` | from the request's head to the end, and to the first byte, of the answer |
/// | `queued_ms` | of that, how long the call waited for room beyond a limit |
/// | `bytes_in`, `bytes_out` | of the bodies |
/// | `cut_bytes` | of messages that were left out of the request, so that it fits (`onContextOverflow: truncateOldest`) |
/// | `policy` | the revision that decided |
/// | `upstream_request_id` | the provider's own id |
///
/// Milliseconds have three decimals. No line holds a prompt, an answer or a key.
#[derive(Debug, Default)]
pub struct AccessLog {
    waiting: Mutex<Lines>,
    /// Held by the writer alone; the text that it just emptied is the next to be filled.
    writing: Mutex<Lines>,
    /// Something waits.
    pushed: Notify,
    /// Enough waits for a write.
    gathered: Notify,
    dropped: Counter,
    failed: Counter,
}

/// Whole lines, and how many.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    count: usize,
}

thread_local! {
    static LINE: RefCell<line::Writer> = RefCell::default();
}

impl AccessLog {
    /// A log with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a finished call. Where 8,192 wait already it is dropped and counted: a log must not hold calls up.
    pub fn push(&self, record: &CallRecord) {
        LINE.with_borrow_mut(|line| self.add(line.write(record)));
    }

    fn add(&self, line: &str) {
        let mut waiting = self.waiting.lock();
        let (before, after) = (waiting.text.len(), waiting.text.len() + line.len());
        if waiting.count >= WAITING_MAX || after > WAITING_BYTES_MAX {
            drop(waiting);
            self.dropped.increment();
            return;
        }
        waiting.text.push_str(line);
        waiting.count += 1;
        drop(waiting);
        if before == 0 {
            self.pushed.notify_one();
        }
        if before < WRITE_BYTES && after >= WRITE_BYTES {
            self.gathered.notify_one();
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
        let mut writing = self.writing.lock();
        std::mem::swap(&mut *self.waiting.lock(), &mut *writing);
        let all = std::mem::take(&mut writing.count);
        let mut rest = writing.text.as_str();
        let mut result = Ok(());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_of(rest));
            result = out.write_all(piece.as_bytes());
            if result.is_err() {
                break;
            }
            rest = after;
        }
        self.failed.add(memchr::memchr_iter(b'\n', rest.as_bytes()).count() as u64);
        writing.text.clear();
        writing.text.shrink_to(2 * WRITE_BYTES);
        result.and_then(|()| out.flush()).map(|()| all)
    }

    /// Writes what is pushed to `out`, ten times a second or when 64 KiB wait, until `stopping` resolves; then once
    /// more.
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
        // Early or not: either way it is time.
        let _ = timeout(EVERY, self.gathered.notified()).await;
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

/// The length of the first lines that make one write; one line at least.
fn piece_of(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes.len() <= WRITE_BYTES {
        return bytes.len();
    }
    let (first, rest) = bytes.split_at(WRITE_BYTES);
    match memchr::memrchr(b'\n', first) {
        Some(end) => end + 1,
        None => memchr::memchr(b'\n', rest).map_or(bytes.len(), |end| WRITE_BYTES + end + 1),
    }
}

#[cfg(test)]
mod tests;
