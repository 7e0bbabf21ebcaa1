//! Files as they are found from where a command runs: editors and annotations lead there.

use std::path::Path;
use std::sync::Arc;

/// A file of the policy at `path`, as it is found from where the command runs.
pub(super) fn from_here(path: &Path, file: &Arc<str>) -> Arc<str> {
    let at = if path.is_dir() { path.join(&**file) } else { path.to_owned() };
    let at = at.strip_prefix(".").unwrap_or(&at);
    Arc::from(at.to_string_lossy())
}
