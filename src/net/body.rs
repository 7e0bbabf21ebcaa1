//! Bodies held whole: capped each, and capped together.

use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

/// Room that is set aside before the bytes are there: a declared length is only a claim.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// The bytes that all bodies of the process may hold together. Clones share one account.
#[derive(Clone, Debug)]
pub struct BufferBudget {
    account: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    free: AtomicUsize,
    total: usize,
}

impl BufferBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        let account = Arc::new(Account { free: AtomicUsize::new(bytes), total: bytes });
        Self { account }
    }

    /// Bytes that are held now.
    pub fn used(&self) -> usize {
        self.account.total - self.free()
    }

    /// Counts so many bytes as held, until what is given is dropped.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn hold(&self, bytes: usize) -> Result<Held, ReadError> {
        let mut share = self.share();
        share.grow(bytes)?;
        Ok(Held { _share: share })
    }

    fn free(&self) -> usize {
        self.account.free.load(Ordering::Relaxed)
    }

    fn share(&self) -> Share {
        Share { account: Arc::clone(&self.account), bytes: 0 }
    }
}

/// Bytes that are counted as held, whoever has them.
pub struct Held {
    _share: Share,
}

/// Bytes taken out of a budget; they go back when this is dropped.
struct Share {
    account: Arc<Account>,
    bytes: usize,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.account
            .free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes))
            .map_err(|_| ReadError::OverBudget)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.account.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// A whole body. Dropping it gives its bytes back to the budget, so it must live as long as they do.
pub struct Buffered {
    bytes: Bytes,
    _share: Share,
}

impl Buffered {
    /// The body. A clone of these bytes is counted only as long as `self` lives.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl fmt::Debug for Buffered {
    /// Bodies are prompts and answers: only the length is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffered").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Why a body is not held.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is longer than its cap.
    #[error("body exceeds {cap} bytes")]
    TooLarge {
        /// The cap, in bytes.
        cap: usize,
    },
    /// The process holds as many bytes as it may.
    #[error("no room left to buffer bodies")]
    OverBudget,
    /// The sender broke off.
    #[error("body broke off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// Reads a body to its end, at most `cap` bytes, all of them taken out of `budget`.
///
/// A declared length that cannot fit is refused before the body is polled, so a client that waits
/// for `100 Continue` never sends it. A body of one frame is not copied. Trailers are dropped.
/// When the future is dropped, the bytes read so far go back to the budget.
pub async fn read_capped<B>(body: B, cap: usize, budget: &BufferBudget) -> Result<Buffered, ReadError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > cap {
        return Err(ReadError::TooLarge { cap });
    }
    if declared > budget.free() {
        return Err(ReadError::OverBudget);
    }
    let mut body = pin!(body);
    let mut share = budget.share();
    let mut parts = Parts::None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| ReadError::Broken(error.into()))?.into_data() else {
            continue;
        };
        if data.len() > cap - share.bytes {
            return Err(ReadError::TooLarge { cap });
        }
        share.grow(data.len())?;
        parts = parts.and(data, declared);
        if body.is_end_stream() {
            break;
        }
    }
    Ok(Buffered { bytes: parts.whole(), _share: share })
}

/// The beginning of a body.
pub enum Prefix<B> {
    /// It was all.
    Whole(Bytes),
    /// More comes, or may.
    Part {
        /// What was read.
        first: Bytes,
        /// What was not.
        rest: B,
    },
}

/// Reads a body to its end, or until `cap` bytes or the room in `budget` are exceeded.
///
/// The bytes are taken out of `budget` only while more are awaited: what is returned is on its way out. A body of one
/// frame is not copied. Trailers are dropped.
pub async fn read_prefix<B>(mut body: B, cap: usize, budget: &BufferBudget) -> Result<Prefix<B>, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut share = budget.share();
    let mut parts = Parts::None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let over = data.len() > cap - share.bytes || share.grow(data.len()).is_err();
        parts = parts.and(data, declared);
        if over {
            return Ok(Prefix::Part { first: parts.whole(), rest: body });
        }
    }
    Ok(Prefix::Whole(parts.whole()))
}

/// What was read: copied together only from the second frame on.
enum Parts {
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Parts {
    fn and(self, data: Bytes, declared: usize) -> Self {
        match self {
            Self::None => Self::One(data),
            Self::One(first) => {
                let known = first.len() + data.len();
                let mut all = BytesMut::with_capacity(declared.min(AHEAD_BYTES_MAX).max(known));
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                Self::Many(all)
            }
            Self::Many(mut all) => {
                all.extend_from_slice(&data);
                Self::Many(all)
            }
        }
    }

    fn whole(self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(all) => all.freeze(),
        }
    }
}

#[cfg(test)]
mod tests;
