//! Reading a secret from where it is kept.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::SecretRef;
use crate::environment::Environment;

/// No header may be longer than a request's head.
const BYTES_MAX: u64 = 64 * 1024;

/// Why a place holds no usable secret. Never says anything of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// The environment variable is not set, or not UTF-8.
    #[error("is not set")]
    NotSet,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// It is a directory, a pipe or the like.
    #[error("is no regular file")]
    NoFile,
    /// Nothing, or white space alone.
    #[error("is empty")]
    Empty,
    /// More than 64 KiB.
    #[error("is too large for a key: more than 64 KiB")]
    TooLarge,
    /// A line break inside it, a control character, or no ASCII.
    #[error("holds a line break or another character that no header may carry")]
    Malformed,
}

/// Reads the secret, without the white space around it.
pub(super) fn read(at: &SecretRef, environment: &Environment) -> Result<SecretString, SecretFault> {
    match at {
        SecretRef::Env(name) => {
            let text = Zeroizing::new(environment.var(name).ok_or(SecretFault::NotSet)?);
            trimmed(&text)
        }
        SecretRef::File(path) => {
            let bytes = read_file(path)?;
            trimmed(str::from_utf8(&bytes).map_err(|_| SecretFault::Malformed)?)
        }
    }
}

fn trimmed(text: &str) -> Result<SecretString, SecretFault> {
    match text.trim() {
        "" => Err(SecretFault::Empty),
        text => Ok(SecretString::from(text)),
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFault> {
    let unreadable = |error: io::Error| SecretFault::Unreadable(error.kind());
    let entry = fs::metadata(path).map_err(unreadable)?;
    // Opening a pipe would wait for its writer.
    if !entry.is_file() {
        return Err(SecretFault::NoFile);
    }
    if entry.len() > BYTES_MAX {
        return Err(SecretFault::TooLarge);
    }
    // Room for all of it at once: a vector that grows leaves copies behind that are not wiped.
    let room = usize::try_from(BYTES_MAX + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let file = File::open(path).map_err(unreadable)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(SecretFault::TooLarge);
    }
    Ok(bytes)
}

/// What a file's metadata were when it was last looked at.
#[derive(Default)]
pub(super) struct Stamp {
    seen: Option<Seen>,
    settled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds; the time of the last change moves even where a copy keeps the time of the last write.
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Looks at the file; true where it need not be read.
    ///
    /// A change is seen twice: once when it is found, once more at the next look, as a second write within the same
    /// tick of the file system's clock leaves the same metadata.
    pub(super) fn is_settled(&mut self, path: &Path) -> bool {
        let now = Seen::of(path);
        let same = now.is_some() && now == self.seen;
        let settled = same && self.settled;
        self.settled = same;
        self.seen = now;
        settled
    }
}

impl Seen {
    fn of(path: &Path) -> Option<Self> {
        let entry = fs::metadata(path).ok()?;
        Some(Self {
            device: entry.dev(),
            inode: entry.ino(),
            length: entry.len(),
            written: (entry.mtime(), entry.mtime_nsec()),
            changed: (entry.ctime(), entry.ctime_nsec()),
        })
    }
}
