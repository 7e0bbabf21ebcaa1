//! A store in one file, for one process at a time: rows in a table of an embedded database, each batch in one synced
//! transaction.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::store::{Lapse, Row, Store, StoreError};
use crate::clock::Timestamp;

/// By key: settled, ahead, as of (milliseconds), then amount and nanoseconds of a rate, or zero twice and the end of a
/// window (milliseconds).
const CELLS: TableDefinition<'_, &str, Words> = TableDefinition::new("egret cells 1");

type Words = (u64, u64, i64, u64, u64, i64);

/// More than the rows of most: what is not in it is read again.
const CACHE: usize = 4 << 20;

/// Rows in a file.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    /// None after a write failed: the next opens the file anew.
    open: Option<Database>,
}

impl FileStore {
    /// Opens the file, which is made if need be, and checks all of it.
    ///
    /// # Errors
    /// It cannot be made, read or written, another process has it, it is damaged, or it is no ledger.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = file(path).map_err(|cause| unusable(path, &cause))?;
        let path = path.to_owned();
        let database = guarded(&path, || {
            let mut database = redb::Builder::new().set_cache_size(CACHE).create_file(file)?;
            let sound = database.check_integrity()?;
            if !sound {
                tracing::error!(path = %path.display(), "the ledger was damaged and repaired: its counts may be older ones");
            }
            // The table is there from now on, and the file can be written.
            let transaction = database.begin_write()?;
            drop(transaction.open_table(CELLS)?);
            transaction.commit()?;
            Ok(database)
        })?;
        Ok(Self { path, open: Some(database) })
    }

    /// The file as it is open, or opened anew; never made anew, for then rows would be missing.
    fn database(&mut self) -> Result<&Database, redb::Error> {
        let database = match self.open.take() {
            Some(database) => database,
            None => redb::Builder::new().set_cache_size(CACHE).open(&self.path)?,
        };
        Ok(self.open.insert(database))
    }

    fn put(&mut self, gone: &[Arc<str>], kept: &[(Arc<str>, Row)]) -> Result<(), redb::Error> {
        let transaction = self.database()?.begin_write()?;
        {
            let mut cells = transaction.open_table(CELLS)?;
            for key in gone {
                cells.remove(&**key)?;
            }
            for (key, row) in kept {
                cells.insert(&**key, words(row))?;
            }
        }
        Ok(transaction.commit()?)
    }
}

impl Store for FileStore {
    fn rows(&mut self) -> Result<Vec<(String, Row)>, StoreError> {
        let path = self.path.clone();
        guarded(&path, || {
            let transaction = self.database()?.begin_read()?;
            let cells = transaction.open_table(CELLS)?;
            let row = |entry: Result<(redb::AccessGuard<'_, &str>, redb::AccessGuard<'_, Words>), _>| {
                let (key, words) = entry?;
                Ok((key.value().to_owned(), row(words.value())))
            };
            cells.iter()?.map(row).collect()
        })
    }

    fn write(&mut self, gone: &[Arc<str>], kept: &[(Arc<str>, Row)]) -> Result<(), StoreError> {
        let path = self.path.clone();
        let written = guarded(&path, || self.put(gone, kept));
        if written.is_err() {
            // After an error of the disk the database takes nothing more.
            self.open = None;
        }
        written
    }
}

/// Nobody else's to read: it names users.
fn file(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if let (true, Some(folder)) = (is_new, path.parent().filter(|folder| !folder.as_os_str().is_empty())) {
        // The file's name has to survive a loss of power as well.
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

thread_local! {
    /// Whether a panic on this thread is a fault of the file, which is told in a sentence of ours.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// The database does not expect some damage and panics: a fault of the file, not of the process.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                told(info);
            }
        }));
    });
    GUARDED.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    match done {
        Ok(done) => done.map_err(|error| fault(path, error)),
        Err(_) => Err(damaged(path)),
    }
}

fn fault(path: &Path, error: redb::Error) -> StoreError {
    use redb::Error::*;
    if let Io(cause) = &error {
        return if cause.kind() == ErrorKind::InvalidData { foreign(path) } else { unusable(path, cause) };
    }
    let is_foreign = matches!(
        error,
        TableTypeMismatch { .. } | TypeDefinitionChanged { .. } | TableIsMultimap(_) | UpgradeRequired(_)
    );
    if matches!(error, DatabaseAlreadyOpen) {
        in_use(path)
    } else if is_foreign {
        foreign(path)
    } else if matches!(error, Corrupted(_) | RepairAborted) {
        damaged(path)
    } else {
        StoreError::caused(format!("the ledger {} cannot be used", path.display()), error)
    }
}

fn in_use(path: &Path) -> StoreError {
    StoreError::new(format!(
        "the ledger {} is in use by another process: give each egret a file of its own, or end the other one",
        path.display()
    ))
}

fn unusable(path: &Path, cause: &io::Error) -> StoreError {
    StoreError::new(format!(
        "the ledger {} cannot be opened or written ({cause}): name a file in a folder that egret may write to, on a \
         disk with room",
        path.display()
    ))
}

fn foreign(path: &Path) -> StoreError {
    StoreError::new(format!(
        "{} is not a ledger of this version of egret: name another file, or move it away to begin with empty counts",
        path.display()
    ))
}

fn damaged(path: &Path) -> StoreError {
    StoreError::new(format!(
        "the ledger {} is damaged: restore it from a backup, or move it away to begin with empty counts",
        path.display()
    ))
}

fn words(row: &Row) -> Words {
    let Row { settled, ahead, at, lapse } = *row;
    // Later than it was, if anything: what is read has leaked less.
    let as_of = at.as_millisecond().saturating_add(1);
    match lapse {
        Lapse::Leaks { amount, per } => (settled, ahead, as_of, amount, per, 0),
        Lapse::Turns { at } => (settled, ahead, as_of, 0, 0, at.as_millisecond()),
    }
}

fn row((settled, ahead, at, amount, per, turns): Words) -> Row {
    let time = |ms| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    let lapse = if per > 0 { Lapse::Leaks { amount, per } } else { Lapse::Turns { at: time(turns) } };
    Row { settled, ahead, at: time(at), lapse }
}

#[cfg(test)]
mod tests;
