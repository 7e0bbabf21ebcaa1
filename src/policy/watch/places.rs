//! Where a policy lives: the directories on the way to it, and a fingerprint of what is there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// As many symlinks as Linux follows in one path.
const LINKS_MAX: usize = 40;
/// Files beyond these in a directory, and bytes beyond these in all, are looked at by size alone: a policy is refused
/// at 10 MB.
const FILES_MAX: usize = 10_000;
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The directories in which a change could lead to another policy, by paths without symlinks: those that hold a
/// symlink on the way, the one that holds the policy, the policy's own; where something is missing, the last one that
/// exists.
pub(super) fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    walk(path, &mut found);
    for file in policy_files(path).unwrap_or_default() {
        if file.is_symlink() {
            walk(&file, &mut found);
        }
    }
    found
}

/// Follows `path` component by component, as the system does, and notes the directories it depends on.
fn walk(path: &Path, found: &mut BTreeSet<PathBuf>) {
    let Ok(path) = std::path::absolute(path) else {
        return;
    };
    let mut at = PathBuf::from("/");
    let mut ahead = components(&path);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        match fs::symlink_metadata(&next) {
            Ok(entry) if entry.is_symlink() => {
                found.insert(at.clone());
                links += 1;
                let Ok(target) = fs::read_link(&next) else {
                    return;
                };
                if links > LINKS_MAX {
                    return;
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                ahead.extend(components(&target));
            }
            Ok(_) => at = next,
            Err(_) => {
                found.insert(at);
                return;
            }
        }
    }
    found.extend(at.parent().map(Path::to_owned));
    if at.is_dir() {
        found.insert(at);
    }
}

/// The policy's files that are mounts of their own, as Kubernetes makes them for a `subPath`; `mounts` is the text of
/// `/proc/self/mountinfo`.
pub(super) fn mounted_files(path: &Path, mounts: &str) -> Vec<PathBuf> {
    let points: BTreeSet<_> =
        mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped).collect();
    let mut files = policy_files(path).unwrap_or_else(|_| vec![path.to_owned()]);
    files.retain(|file| file.is_file() && file.canonicalize().is_ok_and(|real| points.contains(&real)));
    files
}

/// A path as the kernel writes it: blanks and backslashes are `\` and three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut ahead = text.as_bytes();
    while let Some((&byte, rest)) = ahead.split_first() {
        let octal = (byte == b'\\').then(|| rest.get(..3)).flatten();
        let code = octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(byte));
        ahead = if code.is_some() { &rest[3..] } else { rest };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// The names in a path, last first; a step up is `..`.
fn components(path: &Path) -> Vec<OsString> {
    let mut names: Vec<_> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect();
    names.reverse();
    names
}

/// The policy files directly in a directory, by name.
fn policy_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| is_policy_file(path))
        .take(FILES_MAX)
        .collect();
    files.sort();
    Ok(files)
}

fn is_policy_file(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// A hash of what a load would read: names and bytes, or why they cannot be read.
///
/// Of bytes rather than times: a file system's clock may be too coarse to tell two writes apart, and a file that was
/// merely touched is no change. One that becomes readable is.
pub(super) fn fingerprint(path: &Path) -> u64 {
    let mut hash = DefaultHasher::new();
    let mut left = BYTES_MAX;
    if path.is_dir() {
        match policy_files(path) {
            Ok(files) => {
                for file in files {
                    file.file_name().hash(&mut hash);
                    hash_file(&file, &mut left, &mut hash);
                }
            }
            Err(error) => error.kind().hash(&mut hash),
        }
    } else {
        hash_file(path, &mut left, &mut hash);
    }
    hash.finish()
}

fn hash_file(path: &Path, left: &mut u64, hash: &mut DefaultHasher) {
    if let Err(error) = try_hash_file(path, left, hash) {
        error.kind().hash(hash);
    }
}

fn try_hash_file(path: &Path, left: &mut u64, hash: &mut DefaultHasher) -> io::Result<()> {
    let entry = fs::metadata(path)?;
    entry.len().hash(hash);
    // Opening a pipe would wait for its writer.
    if !entry.is_file() {
        return Ok(());
    }
    let mut file = fs::File::open(path)?.take(*left);
    let mut chunk = [0; 8 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            n => chunk[..n].hash(hash),
        }
    }
    *left = file.limit();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn real(path: &Path) -> PathBuf {
        path.canonicalize().unwrap()
    }

    #[test]
    fn a_plain_file_depends_on_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, "a").unwrap();
        assert_eq!(folders(&file), [real(dir.path())].into());
    }

    #[test]
    fn a_directory_depends_on_itself_and_on_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        let policies = dir.path().join("policies");
        fs::create_dir(&policies).unwrap();
        assert_eq!(folders(&policies), [real(dir.path()), real(&policies)].into());
    }

    #[test]
    fn what_does_not_exist_depends_on_the_last_directory_that_does() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(folders(&dir.path().join("no/such/policy.yaml")), [real(dir.path())].into());
    }

    #[test]
    fn every_directory_that_holds_a_symlink_on_the_way_counts() {
        let dir = tempfile::tempdir().unwrap();
        let [links, releases] = ["links", "releases"].map(|name| dir.path().join(name));
        fs::create_dir(&links).unwrap();
        fs::create_dir_all(releases.join("42")).unwrap();
        fs::write(releases.join("42/policy.yaml"), "a").unwrap();
        symlink("../releases/42", links.join("current")).unwrap();
        let expected = [real(&links), real(&releases.join("42"))];
        assert_eq!(folders(&links.join("current/policy.yaml")), expected.into());
    }

    #[test]
    fn a_circle_of_symlinks_ends() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert_eq!(folders(&dir.path().join("a")), [real(dir.path())].into());
    }

    #[test]
    fn a_fingerprint_follows_names_and_bytes_of_policy_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            fingerprint(dir.path())
        };
        let first = write("a.yaml", "one");
        assert_eq!(write("a.yaml", "one"), first, "touched");
        assert_eq!(write("notes.txt", "x"), first);
        assert_eq!(write(".a.yaml.swp", "x"), first);
        assert_eq!(write(".hidden.yaml", "x"), first);
        assert_ne!(write("a.yaml", "two"), first, "same length, other bytes");
        assert_eq!(write("a.yaml", "one"), first);
        assert_ne!(write("b.yml", ""), first, "an empty file has a name");
    }

    #[test]
    fn a_file_that_is_a_mount_of_its_own_is_found_by_its_real_path() {
        let dir = tempfile::tempdir().unwrap();
        let folder = real(dir.path()).join("a b\\c");
        fs::create_dir(&folder).unwrap();
        for name in ["mounted.yaml", "plain.yaml", "notes.txt"] {
            fs::write(folder.join(name), "a").unwrap();
        }
        symlink("mounted.yaml", folder.join("link.yaml")).unwrap();
        let mount = |at: &str| {
            let at = folder.join(at).display().to_string().replace('\\', "\\134").replace(' ', "\\040");
            format!("742 731 254:1 /pods/subpaths/0 {at} ro,relatime - ext4 /dev/vda1 rw\n")
        };
        let mounts = ["", "notes.txt", "mounted.yaml"].map(mount).concat();

        let [mounted, plain, link] =
            ["mounted.yaml", "plain.yaml", "link.yaml"].map(|name| folder.join(name));
        assert_eq!(mounted_files(&folder, &mounts), [link, mounted.clone()]);
        assert_eq!(mounted_files(&mounted, &mounts), [mounted]);
        assert!(mounted_files(&plain, &mounts).is_empty());
        assert!(mounted_files(&folder, &mount("")).is_empty(), "the whole directory");
        assert!(mounted_files(&folder.join("none.yaml"), &mounts).is_empty());
    }

    #[test]
    fn a_pipe_is_not_opened_and_bytes_beyond_the_cap_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe.yaml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        fingerprint(&pipe);
        // Sparse: a terabyte by its size, nothing on disk.
        fs::File::create(dir.path().join("huge.yaml")).unwrap().set_len(1 << 40).unwrap();
        fingerprint(dir.path());
    }
}
