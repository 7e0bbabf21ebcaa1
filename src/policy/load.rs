//! A policy's files, read into memory. The only I/O on the way from text to snapshot.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::snapshot::Revision;

/// The most bytes that a policy has, all its files together.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;

/// A policy's files, sorted by name: all that `compile` looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

/// One file of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, without the folders above it.
    pub name: Arc<str>,
    /// What it holds; not necessarily UTF-8.
    pub bytes: Vec<u8>,
}

/// Why a policy's files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A folder without policy files.
    #[error("{} holds no *.yaml or *.yml file", path.display())]
    NoFiles {
        /// Which one.
        path: PathBuf,
    },
    /// The files are larger than a policy may be.
    #[error("{} is larger than {} MB, the most that a policy may have", path.display(), MAX_BYTES / (1024 * 1024))]
    TooLarge {
        /// The file or folder.
        path: PathBuf,
    },
}

/// Reads one file, or every `*.yaml` and `*.yml` directly in a folder.
///
/// In a folder, names that begin with a dot are left out (a ConfigMap's `..data`, editors' swap files); symbolic
/// links are followed (a ConfigMap's files are links), and files of two states of a ConfigMap are never mixed. Reads
/// at most [`MAX_BYTES`] and one.
pub fn read(path: &Path) -> Result<Sources, LoadError> {
    if !path.is_dir() {
        return read_all(path, vec![path.to_owned()]);
    }
    let mut state = config_map_state(path);
    for _ in 0..SWAPS {
        let sources = read_folder(path, state.as_deref());
        let now = config_map_state(path);
        // Swapped between two files: what was read is of both states, or missed a file.
        if now == state {
            return sources;
        }
        state = now;
    }
    Err(LoadError::Io {
        path: path.to_owned(),
        cause: io::Error::other("its files are swapped faster than they can be read"),
    })
}

/// How often a ConfigMap may be swapped while it is read.
const SWAPS: usize = 5;

/// The link that the kubelet swaps to change all files of a ConfigMap at once.
const STATE: &str = "..data";

/// What it points to.
fn config_map_state(folder: &Path) -> Option<PathBuf> {
    folder.join(STATE).read_link().ok()
}

fn read_folder(folder: &Path, state: Option<&Path>) -> Result<Sources, LoadError> {
    let files = files_of(folder, state).map_err(|cause| LoadError::Io { path: folder.to_owned(), cause })?;
    if files.is_empty() {
        return Err(LoadError::NoFiles { path: folder.to_owned() });
    }
    read_all(folder, files)
}

/// A ConfigMap's files are listed where they are: the links to them come and go one by one, before and after the swap.
fn files_of(folder: &Path, state: Option<&Path>) -> io::Result<Vec<PathBuf>> {
    let Some(state) = state else {
        return policy_files(folder);
    };
    let is_of_a_state = |path: &PathBuf| path.read_link().is_ok_and(|to| to.starts_with(STATE));
    let mut files = policy_files(folder)?;
    files.retain(|path| !is_of_a_state(path));
    files.extend(policy_files(&folder.join(state))?);
    Ok(files)
}

fn read_all(path: &Path, files: Vec<PathBuf>) -> Result<Sources, LoadError> {
    let mut room = MAX_BYTES;
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        let bytes = read_capped(&file, room).map_err(|cause| LoadError::Io { path: file.clone(), cause })?;
        room = room.checked_sub(bytes.len()).ok_or_else(|| LoadError::TooLarge { path: path.to_owned() })?;
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        sources.push((Arc::from(name), bytes));
    }
    Ok(sources.into_iter().collect())
}

fn policy_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let is_policy = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link that leads nowhere is an error when it is read, not a file that silently is not there.
        if is_policy && !is_hidden && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Reads one byte more than there is room for, so that the caller sees that it was too much.
fn read_capped(file: &Path, room: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(room as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Sources {
    /// A policy of one file.
    pub fn single(name: &str, text: impl Into<Vec<u8>>) -> Self {
        Self::from_iter([(Arc::from(name), text.into())])
    }

    /// Its files, sorted by name.
    pub fn files(&self) -> &[Source] {
        &self.0
    }

    /// What identifies this text: 12 hex digits of a SHA-256 over names and bytes.
    pub fn revision(&self) -> Revision {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hash = Sha256::new();
        for Source { name, bytes } in &self.0 {
            // With their lengths, so that no byte can move from a name to a text, or from file to file.
            for part in [name.as_bytes(), bytes] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        let hash = hash.finalize();
        Revision(std::array::from_fn(|i| {
            let byte = hash[i / 2];
            DIGITS[usize::from(if i % 2 == 0 { byte >> 4 } else { byte & 15 })]
        }))
    }
}

impl FromIterator<(Arc<str>, Vec<u8>)> for Sources {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Vec<u8>)>>(files: I) -> Self {
        let mut files: Vec<_> = files.into_iter().map(|(name, bytes)| Source { name, bytes }).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Self(files)
    }
}

#[cfg(test)]
mod tests;
