//! Processes and what they cost: started on their core, read out of `/proc`, ended.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::wire::{self, Kind};

/// The core of provider and load, and the core of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// Provider, load and the bench itself.
    Load,
    /// The proxy, alone.
    Proxy,
}

impl Core {
    const fn number(self) -> &'static str {
        match self {
            Self::Load => "0",
            Self::Proxy => "1",
        }
    }
}

/// Whether processes can be kept on their cores here.
pub(crate) fn can_pin() -> bool {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores > 1
        && Command::new("taskset")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
}

/// Keeps the bench itself off the proxy's core.
pub(crate) fn pin_self() {
    let pid = std::process::id().to_string();
    let pinned =
        Command::new("taskset").args(["-apc", Core::Load.number(), &pid]).stdout(Stdio::null()).status();
    if !pinned.is_ok_and(|status| status.success()) {
        eprintln!("bench: could not pin itself to core {}", Core::Load.number());
    }
}

/// A command line that runs `program` on `core`, with room for thousands of sockets.
pub(crate) fn command(program: impl AsRef<OsStr>, core: Core, pin: bool) -> Command {
    // The shell raises the limit and then becomes the program: the process id stays the same.
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 16384 2>/dev/null || true; exec "$@""#, "sh"]);
    if pin {
        command.args(["taskset", "-c", core.number()]);
    }
    command.arg(program);
    command
}

/// A process of the benchmark; killed when dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts it. What it prints goes to where `command` says.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child })
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its output, if it was piped and not taken yet.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end and waits for it, ten seconds at most.
    pub(crate) fn terminate(mut self) -> anyhow::Result<()> {
        let kill =
            Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh", &self.id().to_string()]).status()?;
        anyhow::ensure!(kill.success(), "SIGTERM could not be sent");
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(10) {
            if self.ended().is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("still there 10 s after SIGTERM")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads a pipe to its end on a thread, as a log collector would, and counts its lines.
pub(crate) fn drain(mut pipe: impl Read + Send + 'static) -> Arc<AtomicU64> {
    let lines = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lines);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            let found = memchr::memchr_iter(b'\n', buffer.get(..read).unwrap_or_default()).count();
            counted.fetch_add(found as u64, Ordering::Relaxed);
        }
    });
    lines
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits for the first right answer at `target` and says how long after `since` it came.
pub(crate) fn first_answer(
    target: SocketAddr,
    process: &mut Process,
    since: Instant,
) -> anyhow::Result<Duration> {
    let request = wire::request(Kind::Plain);
    while since.elapsed() < Duration::from_secs(60) {
        if let Some(status) = process.ended() {
            bail!("ended before its first answer ({status})");
        }
        match ask(target, &request) {
            Ok(answer) if answer.starts_with(b"HTTP/1.1 200 ") => return Ok(since.elapsed()),
            Ok(answer) => bail!("first answer is not a 200: {}", String::from_utf8_lossy(&answer)),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                thread::sleep(Duration::from_micros(500));
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("no answer within 60 s")
}

fn ask(target: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(target)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    socket.write_all(request)?;
    let mut answer = vec![0; 8192];
    let read = socket.read(&mut answer)?;
    answer.truncate(read);
    Ok(answer)
}

/// A page of metrics.
pub(crate) fn metrics(at: SocketAddr) -> anyhow::Result<String> {
    let mut socket = TcpStream::connect(at)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut page = String::new();
    socket.read_to_string(&mut page)?;
    anyhow::ensure!(page.starts_with("HTTP/1.1 200 "), "no metrics");
    Ok(page)
}

/// The sum of a metric's values over its labels; none where it is not on the page.
pub(crate) fn sum(page: &str, name: &str) -> Option<f64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = if rest.starts_with('{') { rest.rsplit_once('}')?.1 } else { rest };
        value.trim().parse::<f64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// Scrapes a page once a second until it is dropped, as Prometheus would at its fastest.
pub(crate) struct Scraper {
    go_on: Arc<AtomicBool>,
}

impl Scraper {
    /// Begins.
    pub(crate) fn start(at: SocketAddr) -> Self {
        let go_on = Arc::new(AtomicBool::new(true));
        let going = Arc::clone(&go_on);
        thread::spawn(move || {
            while going.load(Ordering::Relaxed) {
                // A proxy that is busy is scraped a second later.
                drop(metrics(at));
                thread::sleep(Duration::from_secs(1));
            }
        });
        Self { go_on }
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.go_on.store(false, Ordering::Relaxed);
    }
}

/// CPU time that a process has used so far, user and system, in microseconds.
///
/// From `/proc/PID/task/*/schedstat`, whose first field counts nanoseconds; where the kernel keeps none, from
/// `/proc/PID/stat` in ticks of 10 ms. Both are in proc(5).
pub(crate) fn cpu_us(pid: u32) -> anyhow::Result<f64> {
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("schedstat");
        let text = fs::read_to_string(path).unwrap_or_default();
        nanoseconds += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or_default();
    }
    if nanoseconds > 0 {
        return Ok(nanoseconds as f64 / 1000.0);
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold blanks; utime and stime are the 12th and 13th field after it.
    let after_name = stat.rsplit_once(')').context("/proc/PID/stat has no name")?.1;
    let ticks = |n: usize| after_name.split_whitespace().nth(n).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, system) = (ticks(11).context("no utime")?, ticks(12).context("no stime")?);
    Ok((user + system) * 10_000.0)
}

/// Resident memory of a process, in KiB.
pub(crate) fn rss_kib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Runs this program again, as the part that `args` name, and gives what it printed.
pub(crate) fn again(args: &[OsString], pin: bool) -> anyhow::Result<String> {
    let output = command(std::env::current_exe()?, Core::Load, pin)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(output.status.success(), "the load failed");
    Ok(String::from_utf8(output.stdout)?)
}
