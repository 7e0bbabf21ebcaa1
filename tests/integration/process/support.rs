//! A running egret: started on ports of its own choice, watched on both standard streams, killed at the end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use super::client::{self, get};

/// How long anything may take that must happen.
const SOON: Duration = Duration::from_secs(20);

/// Waits until `is_so`.
pub(super) fn eventually(what: &str, is_so: impl FnMut() -> bool) -> Duration {
    within(SOON, what, is_so)
}

/// Waits until `is_so`, and tells how long it took.
pub(super) fn within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// The binary, in an environment without a trace of this one's.
pub(super) fn egret(verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
    command.env_clear().arg(verb).stdin(Stdio::null());
    command
}

/// The same as a user without the rights of root, as it is in a pod: a copy, where that user gets at it.
pub(super) fn egret_of_a_user(place: &Path, verb: &str) -> Command {
    let binary = place.join("egret");
    fs::copy(env!("CARGO_BIN_EXE_egret"), &binary).unwrap();
    let mut command = Command::new(binary);
    command.env_clear().arg(verb).stdin(Stdio::null());
    // Whoever is not root already is such a user, and may not become another.
    if fs::metadata(place).unwrap().uid() == 0 {
        command.uid(65_532).gid(65_532);
    }
    command
}

/// Runs a command that ends by itself; one that does not is killed, and fails the test.
pub(super) fn output(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (whole(child.stdout.take().unwrap()), whole(child.stderr.take().unwrap()));
    let status = ended(&mut child, SOON);
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn whole(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn ended(child: &mut Child, limit: Duration) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the process did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal, by its name without `SIG`.
pub(super) fn signal(to: &Child, name: &str) {
    let pid = to.id().to_string();
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status().unwrap();
    assert!(sent.success());
}

/// A folder with a policy file in it.
pub(super) struct PolicyFile {
    folder: TempDir,
    pub(super) path: PathBuf,
}

impl PolicyFile {
    pub(super) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    /// Writes in place, as `echo >` does.
    pub(super) fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
    }

    /// Writes beside and renames over, as editors do.
    pub(super) fn replace(&self, text: &str) {
        let beside = self.beside(".policy.yaml.swp");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, &self.path).unwrap();
    }

    /// A path in the same folder.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// What a process wrote to one of its streams so far.
struct Lines {
    read: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let read = Arc::<Mutex<Vec<String>>>::default();
        let lines = Arc::clone(&read);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                lines.lock().push(line.unwrap());
            }
        });
        Self { read, reader: Some(reader) }
    }

    fn all(&self) -> Vec<String> {
        self.read.lock().clone()
    }

    /// Everything, once the process has ended.
    fn rest(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.all()
    }
}

/// A running egret.
pub(super) struct Egret {
    child: Child,
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    stdout: Result<Lines, Option<ChildStdout>>,
    stderr: Lines,
}

/// What an egret left behind.
pub(super) struct Left {
    pub(super) code: Option<i32>,
    /// Its access log, a line per call.
    pub(super) calls: Vec<Value>,
    pub(super) stderr: Vec<String>,
}

impl Egret {
    /// Runs under a policy and waits for the ready line.
    pub(super) fn run(policy: &Path, flags: &[&str]) -> Self {
        Self::start(egret("run").arg("--policy").arg(policy).args(flags))
    }

    /// Starts a `run` on ports of its own and waits for the line that names them.
    pub(super) fn start(command: &mut Command) -> Self {
        Self::spawn(command, true)
    }

    /// Runs under a policy with a standard output that nobody reads.
    pub(super) fn unread(policy: &Path, flags: &[&str]) -> Self {
        Self::spawn(egret("run").arg("--policy").arg(policy).args(flags), false)
    }

    /// Closes a standard output that nobody reads.
    pub(super) fn stop_reading(&mut self) {
        self.stdout = Err(None);
    }

    fn spawn(command: &mut Command, read: bool) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout =
            if read { Ok(Lines::of(child.stdout.take().unwrap())) } else { Err(child.stdout.take()) };
        let stderr = Lines::of(child.stderr.take().unwrap());
        let mut ready = None;
        eventually("egret says that it runs", || {
            ready = stderr.all().into_iter().find(|line| line.contains("egret is "));
            if let Some(status) = child.try_wait().unwrap() {
                panic!("egret ended with {status}:\n{}", stderr.all().join("\n"));
            }
            ready.is_some()
        });
        let ready = ready.unwrap();
        Self { child, listen: address(&ready, "listen="), admin: address(&ready, "admin="), stdout, stderr }
    }

    /// A page of the admin port.
    pub(super) fn page(&self, path: &str) -> client::Answer {
        client::ask(self.admin, &get(path))
    }

    /// A page of the admin port that is JSON.
    pub(super) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.page(path).body).unwrap()
    }

    /// The value of a line of `/metrics`.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let page = self.page("/metrics").body;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{page}")).parse().unwrap()
    }

    /// Sends a signal, by its name without `SIG`.
    pub(super) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// The lines on standard error so far.
    pub(super) fn diagnostics(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Waits for its end.
    pub(super) fn left(self) -> Left {
        self.left_within(SOON)
    }

    /// Waits for its end, not longer than this.
    pub(super) fn left_within(mut self, limit: Duration) -> Left {
        let code = ended(&mut self.child, limit).code();
        let lines = self.stdout.as_mut().map_or_else(|_| Vec::new(), Lines::rest);
        let calls = lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect();
        Left { code, calls, stderr: self.stderr.rest() }
    }
}

impl Drop for Egret {
    #[expect(clippy::print_stderr, reason = "shown with the failed test")]
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("standard error of egret:\n{}", self.stderr.rest().join("\n"));
        }
    }
}

fn address(line: &str, name: &str) -> SocketAddr {
    let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
    word.unwrap_or_else(|| panic!("no {name} in {line}")).parse().unwrap()
}
