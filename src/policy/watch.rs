//! Tells when the policy's files may say something new, and brings it into force.
//!
//! Directories are watched, never files: a file that is replaced by a rename, as editors and Kubernetes do it, takes
//! its watch with it. What an event says does not matter, only that one came: then what a load would read is
//! fingerprinted, and a change is told where that differs. A slow poll of the same fingerprint covers file systems
//! without events, and events that were lost.

mod follow;
mod places;

use std::collections::BTreeSet;
use std::fs;
use std::future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

pub use follow::{LoadFault, Loaded, follow, reload};

/// A change is told when no event came for this long: one update of a ConfigMap is a burst of 8 to 19 events.
const QUIET: Duration = Duration::from_millis(100);
/// A change is told this long after its first event even where events keep coming.
const SETTLED: Duration = Duration::from_secs(1);
/// How often to look where events come.
const POLL: Duration = Duration::from_secs(10);
/// How often to look where none come: an edit is to be in force within two seconds.
const POLL_ALONE: Duration = Duration::from_secs(1);
/// Every mount that this process sees.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Watches a policy's file or directory, and those of its overlays. Dropping it ends the watch.
///
/// Start it before the first load: a change between the two is then told, and one that the load already saw is
/// accepted again as the revision in force.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    overlays: Vec<PathBuf>,
    events: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    /// Directories under watch, each by the one path that has no symlink in it: inotify knows a directory once.
    armed: Vec<PathBuf>,
    hangup: Option<Signal>,
    seen: Vec<u64>,
}

/// Why a reload is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The file system told of a change.
    Event,
    /// A look at the files found a change that no event told of.
    Poll,
    /// SIGHUP: someone asked for it.
    Hangup,
}

impl Why {
    /// The word that logs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Poll => "poll",
            Self::Hangup => "hangup",
        }
    }
}

impl Watch {
    /// Watches `path`, which need not exist yet. Where the system has no watches to give (inotify instances are few
    /// on a node, and shared by its pods), this is logged and the files are looked at every second instead.
    pub fn start(path: impl Into<PathBuf>) -> Self {
        Self::start_all(path, &[])
    }

    /// The same, and watches the overlays too.
    pub fn start_all(path: impl Into<PathBuf>, overlays: &[PathBuf]) -> Self {
        let events = Arc::<Notify>::default();
        let woken = Arc::clone(&events);
        let told = move |event: notify::Result<Event>| {
            if may_tell_of_a_change(&event) {
                // One permit, however many events: nothing queues up behind a slow reload.
                woken.notify_one();
            }
        };
        let watch = Self { overlays: overlays.to_vec(), events, ..Self::without_events(path) };
        watch.armed_with(notify::recommended_watcher(told))
    }

    fn armed_with(self, watcher: notify::Result<RecommendedWatcher>) -> Self {
        let mut watch = self;
        match watcher {
            Ok(watcher) => watch.watcher = Some(watcher),
            Err(error) => warn!(%error, "the file system gives no events; the policy is polled"),
        }
        watch.arm();
        if watch.watcher.is_some() && watch.armed.is_empty() {
            warn!(path = %watch.path.display(), "no directory of the policy can be watched; it is polled");
        }
        let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
        for file in watch.paths().flat_map(|path| places::mounted_files(path, &mounts)) {
            warn!(
                file = %file.display(),
                "this file is a mount of its own, as `subPath` makes them: where another file takes its place outside, \
                 as Kubernetes and editors do it, that is never seen; mount its directory"
            );
        }
        // After arming: what changes from here on is told by an event.
        watch.seen = watch.fingerprints();
        watch
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&*self.path).chain(self.overlays.iter().map(PathBuf::as_path))
    }

    fn fingerprints(&self) -> Vec<u64> {
        self.paths().map(places::fingerprint).collect()
    }

    /// Watches `path` by looking at it alone.
    pub fn without_events(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let seen = vec![places::fingerprint(&path)];
        let overlays = Vec::new();
        Self { path, overlays, events: Arc::default(), watcher: None, armed: Vec::new(), hangup: None, seen }
    }

    /// Tells of SIGHUP, too, and from now on keeps it from ending the process.
    ///
    /// # Errors
    /// Where the signal's handler cannot be set.
    pub fn on_hangup(mut self) -> io::Result<Self> {
        self.hangup = Some(signal(SignalKind::hangup())?);
        Ok(self)
    }

    /// The policy's file or directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is laid over it, in this order.
    pub fn overlays(&self) -> &[PathBuf] {
        &self.overlays
    }

    /// Whether the file system tells of changes; where not, they are found by polling alone.
    pub fn has_events(&self) -> bool {
        !self.armed.is_empty()
    }

    /// Waits until what a load would read has changed, or someone asked for a reload.
    ///
    /// Looks at the files on the caller's thread. Where it is dropped while waiting, a change is told later, by the
    /// next poll at the latest.
    pub async fn changed(&mut self) -> Why {
        loop {
            let why = self.woken().await;
            match why {
                Why::Event => self.settle().await,
                Why::Poll | Why::Hangup => {}
            }
            if self.look() || why == Why::Hangup {
                return why;
            }
        }
    }

    async fn woken(&mut self) -> Why {
        let poll = if self.has_events() { POLL } else { POLL_ALONE };
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            _ = hangup => Why::Hangup,
            () = self.events.notified() => Why::Event,
            () = sleep(poll) => Why::Poll,
        }
    }

    /// Waits until the burst that an event belongs to is over.
    async fn settle(&self) {
        let quiet = async { while timeout(QUIET, self.events.notified()).await.is_ok() {} };
        let _ = timeout(SETTLED, quiet).await;
    }

    /// Whether a load would read something else than at the last look.
    fn look(&mut self) -> bool {
        self.arm();
        let now = self.fingerprints();
        let is_new = now != self.seen;
        self.seen = now;
        is_new
    }

    /// Watches every directory in which a change could lead to another policy.
    ///
    /// Each time anew: where a directory was replaced, the watch is on the one that is gone.
    fn arm(&mut self) {
        let folders: BTreeSet<PathBuf> = self.paths().flat_map(places::folders).collect();
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for folder in self.armed.drain(..) {
            // Fails where the directory is gone, and its watch with it.
            let _ = watcher.unwatch(&folder);
        }
        for folder in folders {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => self.armed.push(folder),
                Err(error) => debug!(folder = %folder.display(), %error, "directory not watched"),
            }
        }
    }
}

/// Opening and reading is no change, and our own looks are among it. An error, or a queue that overflowed, may hide
/// one.
fn may_tell_of_a_change(event: &notify::Result<Event>) -> bool {
    match event {
        Ok(event) => match event.kind {
            EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => true,
        },
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests;
