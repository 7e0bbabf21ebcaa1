//! A policy's files, read into memory. The only I/O on the way from text to snapshot.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::snapshot::Revision;

/// The most bytes that a policy has, all its files together.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;

/// A policy's files, and those of its overlays: all that `compile` looks at. Those of the policy come first, then
/// those of each overlay in their order; within each they are sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

/// One file of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is read as.
    pub role: Role,
    /// Its name, without the folders above it; an overlay's with the folder in which it was given, so that it is no
    /// namesake of a file of the policy.
    pub name: Arc<str>,
    /// What it holds; not necessarily UTF-8.
    pub bytes: Vec<u8>,
}

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Part of the policy.
    Base,
    /// Part of an overlay: the first is 0, and each is laid over what stands before it.
    Overlay(usize),
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
    /// An overlay would be read twice, as part of the policy too.
    #[error("the overlay {} is part of the policy already: it has to lie outside of the policy's folder", path.display())]
    OverlayInPolicy {
        /// The overlay.
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
    read_with(path, &[])
}

/// Reads a policy and the overlays to lay over it, in this order. Each is read as the policy is; where several lie in
/// ConfigMaps, also in one, none of these is swapped meanwhile.
pub fn read_with(path: &Path, overlays: &[PathBuf]) -> Result<Sources, LoadError> {
    if let Some(overlay) = overlays.iter().find(|overlay| lies_in(overlay, path)) {
        return Err(LoadError::OverlayInPolicy { path: overlay.clone() });
    }
    let states = || -> Vec<_> {
        let places = std::iter::once(path).chain(overlays.iter().map(PathBuf::as_path));
        places.map(|place| config_map_state(folder_of(place))).collect()
    };
    let mut before = states();
    for _ in 0..SWAPS {
        let sources = read_once(path, overlays);
        let now = states();
        // Swapped between two files: what was read is of both states, or missed a file.
        if now == before {
            return sources;
        }
        before = now;
    }
    Err(LoadError::Io {
        path: path.to_owned(),
        cause: io::Error::other("its files are swapped faster than they can be read"),
    })
}

fn read_once(path: &Path, overlays: &[PathBuf]) -> Result<Sources, LoadError> {
    laid_over(read_path(path, MAX_BYTES)?.into_iter().collect(), overlays)
}

/// Reads overlays to lay over a policy that was read already.
pub fn laid_over(mut sources: Sources, overlays: &[PathBuf]) -> Result<Sources, LoadError> {
    for overlay in overlays {
        let read: usize = sources.0.iter().map(|source| source.bytes.len()).sum();
        let named = |(name, bytes): (Arc<str>, Vec<u8>)| (name_in(folder_of(overlay), &name), bytes);
        let files = read_path(overlay, MAX_BYTES.saturating_sub(read))?;
        sources = sources.overlaid(files.into_iter().map(named));
    }
    Ok(sources)
}

/// The folder itself, or that in which a file lies.
fn folder_of(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Whether the file or folder is one that makes the policy.
fn lies_in(overlay: &Path, policy: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let is_in_folder = policy.is_dir() && !overlay.is_dir() && is_policy_name(overlay);
    let policy = real(policy);
    policy.is_some() && (real(overlay) == policy || (is_in_folder && real(folder_of(overlay)) == policy))
}

/// The name of an overlay's file, always with a folder before it.
fn name_in(folder: &Path, name: &str) -> Arc<str> {
    folder.join(name).to_string_lossy().into()
}

/// Names and texts.
type Files = Vec<(Arc<str>, Vec<u8>)>;

fn read_path(path: &Path, room: usize) -> Result<Files, LoadError> {
    if !path.is_dir() {
        return read_all(path, vec![path.to_owned()], room);
    }
    let state = config_map_state(path);
    let files =
        files_of(path, state.as_deref()).map_err(|cause| LoadError::Io { path: path.to_owned(), cause })?;
    if files.is_empty() {
        return Err(LoadError::NoFiles { path: path.to_owned() });
    }
    read_all(path, files, room)
}

/// How often a ConfigMap may be swapped while it is read.
const SWAPS: usize = 5;

/// The link that the kubelet swaps to change all files of a ConfigMap at once.
const STATE: &str = "..data";

/// What it points to.
fn config_map_state(folder: &Path) -> Option<PathBuf> {
    folder.join(STATE).read_link().ok()
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

fn read_all(path: &Path, files: Vec<PathBuf>, mut room: usize) -> Result<Files, LoadError> {
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        let bytes = read_capped(&file, room).map_err(|cause| LoadError::Io { path: file.clone(), cause })?;
        room = room.checked_sub(bytes.len()).ok_or_else(|| LoadError::TooLarge { path: path.to_owned() })?;
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        sources.push((Arc::from(name), bytes));
    }
    Ok(sources)
}

fn policy_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        // A link that leads nowhere is an error when it is read, not a file that silently is not there.
        if is_policy_name(&path) && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(files)
}

fn is_policy_name(path: &Path) -> bool {
    let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    is_yaml && path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
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

    /// The same with one overlay more, laid over all before it.
    pub fn overlaid(mut self, files: impl IntoIterator<Item = (Arc<str>, Vec<u8>)>) -> Self {
        let role = match self.0.last().map(|source| source.role) {
            None | Some(Role::Base) => Role::Overlay(0),
            Some(Role::Overlay(n)) => Role::Overlay(n + 1),
        };
        self.0.extend(sorted(role, files));
        self
    }

    /// Its files: the policy's, then those of each overlay.
    pub fn files(&self) -> &[Source] {
        &self.0
    }

    /// What identifies this text: 12 hex digits of a SHA-256 over names and bytes.
    pub fn revision(&self) -> Revision {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hash = Sha256::new();
        for Source { role, name, bytes } in &self.0 {
            let name = match role {
                Role::Base => &**name,
                Role::Overlay(n) => {
                    // No file's name is so long: what follows is an overlay's, whatever came before.
                    hash.update(u64::MAX.to_be_bytes());
                    hash.update((*n as u64).to_be_bytes());
                    // Without its folder, so that a state of a policy is the same one wherever it lies.
                    name.rsplit_once('/').map_or(&**name, |(_, name)| name)
                }
            };
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
        Self(sorted(Role::Base, files))
    }
}

fn sorted(role: Role, files: impl IntoIterator<Item = (Arc<str>, Vec<u8>)>) -> Vec<Source> {
    let mut files: Vec<_> = files.into_iter().map(|(name, bytes)| Source { role, name, bytes }).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

#[cfg(test)]
mod tests;
