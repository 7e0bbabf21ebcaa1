//! Reloads: load, then accept or reject.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::Watch;
use crate::clock::Clock;
use crate::policy::Snapshot;
use crate::policy::diff::Changes;
use crate::policy::store::{PolicyStore, ReloadResult};

/// How often, and how far apart, unreadable files are tried again: a kubelet with `fsGroup` gives the new files to the
/// group only after it has swapped them in.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// What a good load gives.
#[derive(Debug)]
pub struct Loaded {
    /// The policy.
    pub snapshot: Snapshot,
    /// What `check` would warn of, rendered.
    pub warnings: Vec<String>,
}

/// Why a load gave no policy; the text is rendered for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadFault {
    /// The files could not be read: worth another try.
    Unreadable(String),
    /// The files were read, and are no policy.
    Bad(String),
}

/// Reloads whenever `watch` tells to, for ever; drop it to end it.
///
/// Loads on the caller's thread, as compiling a policy of 10 MB takes a while: run it on a thread of its own, never on
/// a worker that serves calls.
pub async fn follow(
    store: &PolicyStore,
    mut watch: Watch,
    load: impl Fn(&Path) -> Result<Loaded, LoadFault>,
    clock: &Clock,
) -> Infallible {
    loop {
        let why = watch.changed().await;
        debug!(why = why.name(), "policy reload");
        reload(store, watch.path(), &load, clock).await;
    }
}

/// Loads once, and brings what came of it into force or leaves the last good policy there.
pub async fn reload(
    store: &PolicyStore,
    path: &Path,
    load: impl Fn(&Path) -> Result<Loaded, LoadFault>,
    clock: &Clock,
) -> ReloadResult {
    match patient(path, load).await {
        Ok(loaded) => accept(store, loaded, clock),
        Err(LoadFault::Unreadable(diagnostics) | LoadFault::Bad(diagnostics)) => {
            reject(store, path, diagnostics, clock);
            ReloadResult::Rejected
        }
    }
}

/// One load; files that cannot be read are tried again for a while.
async fn patient(
    path: &Path,
    load: impl Fn(&Path) -> Result<Loaded, LoadFault>,
) -> Result<Loaded, LoadFault> {
    let mut tries = 1;
    loop {
        match load(path) {
            Err(LoadFault::Unreadable(why)) if tries < TRIES => {
                debug!(tries, why, "policy files cannot be read; once more");
            }
            done @ (Ok(_) | Err(LoadFault::Unreadable(_) | LoadFault::Bad(_))) => return done,
        }
        tries += 1;
        sleep(BETWEEN_TRIES).await;
    }
}

fn accept(store: &PolicyStore, loaded: Loaded, clock: &Clock) -> ReloadResult {
    let Loaded { snapshot, warnings } = loaded;
    let (snapshot, said) = (Arc::new(snapshot), warnings.clone());
    let revision = snapshot.revision;
    // Held until calls under it have ended, so that no worker has to take it apart.
    let before = store.load().filter(|before| before.revision != revision);
    let result = store.accept(Arc::clone(&snapshot), warnings, clock.wall());
    // Told by what callers gain and lose; the first policy has nothing before it.
    let changes = before.map(|before| Changes::between(&before, &snapshot));
    match result {
        ReloadResult::Accepted => {
            info!(%revision, changes = changes.map(|changes| changes.to_string()), "policy in force");
            for warning in said {
                warn!(%revision, warning, "policy warning");
            }
        }
        ReloadResult::Unchanged | ReloadResult::Rejected => debug!(%revision, "policy unchanged"),
    }
    result
}

fn reject(store: &PolicyStore, path: &Path, diagnostics: String, clock: &Clock) {
    let said = diagnostics.clone();
    if store.reject(diagnostics, clock.wall()) {
        let in_force = store.status().in_force.map(|policy| policy.revision.to_string());
        error!(
            path = %path.display(),
            in_force,
            diagnostics = said,
            "the policy's files hold no good policy; the last good one stays in force"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;
    use std::sync::{Arc, LazyLock};

    use parking_lot::Mutex;

    use super::*;
    use crate::clock::Timestamp;
    use crate::policy::compile::compile;
    use crate::policy::load::Sources;
    use crate::policy::store::tests::snapshot;

    fn clock() -> Clock {
        Clock::standing(Timestamp::UNIX_EPOCH)
    }

    fn loaded(revision: &str) -> Result<Loaded, LoadFault> {
        Ok(Loaded { snapshot: snapshot(revision), warnings: Vec::new() })
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_become_readable_a_moment_later_are_no_bad_policy() {
        let store = PolicyStore::empty();
        let tries = Cell::new(0);
        let load = |_: &Path| {
            tries.set(tries.get() + 1);
            if tries.get() < 4 { Err(LoadFault::Unreadable("permission denied".into())) } else { loaded("a") }
        };
        assert_eq!(reload(&store, Path::new("p"), load, &clock()).await, ReloadResult::Accepted);
        assert_eq!(store.status().counts.rejected, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_stay_unreadable_are_rejected_and_bad_ones_at_once() {
        let store = PolicyStore::empty();
        let tries = Cell::new(0);
        let load = |_: &Path| {
            tries.set(tries.get() + 1);
            Err(LoadFault::Unreadable("permission denied".into()))
        };
        assert_eq!(reload(&store, Path::new("p"), load, &clock()).await, ReloadResult::Rejected);
        assert_eq!(tries.get(), TRIES);
        assert_eq!(store.status().fault.as_deref(), Some("permission denied"));

        tries.set(0);
        let load = |_: &Path| {
            tries.set(tries.get() + 1);
            Err(LoadFault::Bad("line 1".into()))
        };
        reload(&store, Path::new("p"), load, &clock()).await;
        assert_eq!((tries.get(), store.status().fault.as_deref()), (1, Some("line 1")));
    }
    /// What was logged on this thread.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Logged {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Hears nothing. Beside a single listener, an event that a thread without one met first would not be told to that
    /// listener either.
    static ANOTHER: LazyLock<tracing::Dispatch> =
        LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

    #[tokio::test(start_paused = true)]
    async fn a_reload_logs_in_one_line_what_it_changes_and_no_secret() {
        LazyLock::force(&ANOTHER);
        let logged = Logged::default();
        let writer = logged.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let store = PolicyStore::empty();
        let policy = |requests: u32, variable: &str| {
            let text = format!(
                "apiVersion: egret.dev/v1alpha1\nkind: Policy\nproviders: {{ openai: {{ key: {{ fromEnv: {variable} }} }} }}\n\
                 models: {{ m: {{ provider: openai }} }}\ntenants: {{ a: {{ local: true, access: {{ allow: [m] }}, \
                 limits: {{ rpm: {{ requests: {requests}, per: 1m }} }} }} }}\n"
            );
            let (snapshot, _) = compile(&Sources::single("p.yaml", text)).unwrap();
            Ok(Loaded { snapshot, warnings: Vec::new() })
        };
        for (requests, variable) in [(5, "A"), (6, "A"), (6, "A"), (4, "SECRET_B")] {
            reload(&store, Path::new("p"), |_: &Path| policy(requests, variable), &clock()).await;
        }
        let text = String::from_utf8(logged.0.lock().clone()).unwrap();
        let changes: Vec<_> = text
            .lines()
            .filter(|line| line.contains("policy in force"))
            .map(|line| line.split_once(" changes=").map(|(_, changes)| changes))
            .collect();
        let loosened = Some("\"1 tenant loosened\"");
        let tightened = Some("\"1 tenant tightened, 1 provider changed\"");
        assert_eq!(changes, [None, loosened, tightened], "{text}");
        assert!(!text.contains("SECRET_B"), "{text}");
    }
}
