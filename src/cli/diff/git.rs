//! A policy at a revision of a git repository, read by `git` itself. Nothing is checked out.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::policy::load::{MAX_BYTES, Sources};

/// Why a policy cannot be read from git.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitFault {
    #[error("`git:{0}` names no revision and path: write git:REV:PATH, such as git:main:policies")]
    Form(String),
    #[error("git cannot be started: {0}")]
    NoGit(io::Error),
    #[error("{0}")]
    NoRepository(String),
    #[error("there is no revision `{0}` in this repository")]
    NoRevision(String),
    #[error("there is no `{path}` at `{revision}`{hint}")]
    NoPath { path: String, revision: String, hint: String },
    #[error("`{0}` is neither a file nor a folder there")]
    NoFile(String),
    #[error("`{0}` holds no *.yaml or *.yml file there")]
    NoFiles(String),
    #[error("the policy is larger than {} MB, the most that a policy may have", MAX_BYTES / (1024 * 1024))]
    TooLarge,
    #[error("git gave no answer that can be read")]
    Garbled,
}

/// What a repository has under a name.
enum Object {
    Missing,
    File(Vec<u8>),
    Folder,
    /// A commit of another repository, a link out of this one.
    Other,
}

/// Reads `REV:PATH`: one file, or every `*.yaml` and `*.yml` directly in a folder, as `load` reads them from disk.
pub(super) fn read(at: &str, folder: &Path) -> Result<Sources, GitFault> {
    let named = at.split_once(':').filter(|(revision, path)| !revision.is_empty() && !path.is_empty());
    let (revision, written) = named.ok_or_else(|| GitFault::Form(at.to_owned()))?;
    let git = Git { folder };
    let prefix = git.ask(&["rev-parse", "--show-prefix"]).map_err(|fault| match fault {
        Asked::NotStarted(cause) => GitFault::NoGit(cause),
        Asked::Refused(said) => GitFault::NoRepository(said),
    })?;
    let tree =
        git.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{tree}}")]);
    let tree = tree.map_err(|_| GitFault::NoRevision(revision.to_owned()))?;
    let (tree, prefix) = (tree.trim().to_owned(), prefix.trim_end_matches('\n').to_owned());
    let path = whole(written, &prefix);
    let found = path.as_deref().map_or(Ok(Object::Missing), |path| git.object(&tree, path))?;
    let path = path.unwrap_or_default();
    match found {
        Object::File(bytes) => {
            let name = path.rsplit('/').next().unwrap_or(&path);
            Ok(Sources::single(name, bytes))
        }
        Object::Folder => git.folder(&tree, &path, written),
        Object::Missing => {
            // Who forgot that a path is seen from the top.
            let below = whole(&format!("./{written}"), &prefix).filter(|below| *below != path);
            let there = below.map_or(Ok(Object::Missing), |below| git.object(&tree, &below))?;
            let hint = if matches!(there, Object::File(_) | Object::Folder) {
                format!("; from the current folder it is git:{revision}:./{written}")
            } else {
                String::new()
            };
            Err(GitFault::NoPath { path: written.to_owned(), revision: revision.to_owned(), hint })
        }
        Object::Other => Err(GitFault::NoFile(written.to_owned())),
    }
}

/// The path from the top of the repository; none where it leads out of it.
fn whole(written: &str, prefix: &str) -> Option<String> {
    let from_here =
        ["./", "../"].iter().any(|start| written.starts_with(start)) || matches!(written, "." | "..");
    let joined = if from_here { format!("{prefix}{written}") } else { written.to_owned() };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Why a question got no answer.
enum Asked {
    NotStarted(io::Error),
    /// What it said.
    Refused(String),
}

/// The repository around a folder.
struct Git<'a> {
    folder: &'a Path,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        // Its messages are read by people, its words by us.
        command.arg("-C").arg(self.folder).args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, Asked> {
        let output = self.command(arguments).output().map_err(Asked::NotStarted)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Asked::Refused(said.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned()))
    }

    /// What there is under a path; links are followed.
    fn object(&self, tree: &str, path: &str) -> Result<Object, GitFault> {
        if path.contains('\n') {
            return Ok(Object::Missing);
        }
        let mut command = self.command(&["cat-file", "--batch", "--follow-symlinks"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(GitFault::NoGit)?;
        if let Some(mut stdin) = child.stdin.take() {
            // Where it is not read, there is no answer either.
            drop(writeln!(stdin, "{tree}:{path}"));
        }
        let mut answer = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let read = stdout.take(MAX_BYTES as u64 + 1024).read_to_end(&mut answer);
            read.map_err(|_| GitFault::Garbled)?;
        }
        // The pipe is closed: it ends, be it that it had more to say.
        drop(child.wait());
        object(&answer)
    }

    fn folder(&self, tree: &str, path: &str, written: &str) -> Result<Sources, GitFault> {
        let listing = self.command(&["ls-tree", "--full-tree", "-z", &format!("{tree}:{path}")]).output();
        let listing = listing.map_err(GitFault::NoGit)?;
        let entries = listing.stdout.split(|byte| *byte == 0);
        let names = entries.filter_map(|entry| {
            let (about, name) = std::str::from_utf8(entry).ok()?.split_once('\t')?;
            let is_policy = name.ends_with(".yaml") || name.ends_with(".yml");
            (about.contains(" blob ") && is_policy && !name.starts_with('.')).then(|| name.to_owned())
        });
        let mut files: Vec<(Arc<str>, Vec<u8>)> = Vec::new();
        let mut room = MAX_BYTES;
        for name in names {
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            match self.object(tree, &below)? {
                Object::File(bytes) => {
                    room = room.checked_sub(bytes.len()).ok_or(GitFault::TooLarge)?;
                    files.push((name.into(), bytes));
                }
                // A link to a folder, as on disk.
                Object::Folder => {}
                Object::Missing | Object::Other => return Err(GitFault::NoFile(below)),
            }
        }
        if files.is_empty() {
            return Err(GitFault::NoFiles(written.to_owned()));
        }
        Ok(files.into_iter().collect())
    }
}

/// An answer of `cat-file --batch`: `ID blob SIZE`, a line break, so many bytes.
fn object(answer: &[u8]) -> Result<Object, GitFault> {
    let end = answer.iter().position(|byte| *byte == b'\n').ok_or(GitFault::Garbled)?;
    let (head, body) = answer.split_at(end);
    let head = String::from_utf8_lossy(head);
    let body = body.get(1..).unwrap_or_default();
    let words: Vec<&str> = head.split(' ').collect();
    match *words {
        [_, "blob", size] => {
            let size: usize = size.parse().map_err(|_| GitFault::Garbled)?;
            if size > MAX_BYTES {
                return Err(GitFault::TooLarge);
            }
            body.get(..size).map(|bytes| Object::File(bytes.to_vec())).ok_or(GitFault::Garbled)
        }
        [_, "tree", _] => Ok(Object::Folder),
        _ if head.ends_with(" missing") => Ok(Object::Missing),
        // `dangling`, `loop`, `notdir`, `symlink` with a size behind: links that lead to nothing here.
        _ => Ok(Object::Other),
    }
}
