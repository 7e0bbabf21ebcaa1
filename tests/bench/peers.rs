//! The proxies that are compared, and how each is started.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::measure::{self, Core, Process};
use crate::wire;

/// Who is between the load and the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// Nobody: what every added time is measured against.
    Direct,
    /// The bare hyper relay: what every ratio is measured against.
    Floor,
    /// nginx, bare.
    Nginx,
    /// egret at the reference load: a tenth of the calls is traced.
    Egret,
    /// The same without traces.
    EgretUntraced,
    /// The same with every call traced.
    EgretTraced,
}

impl Peer {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 6] =
        [Self::Direct, Self::Floor, Self::Nginx, Self::Egret, Self::EgretUntraced, Self::EgretTraced];

    /// Its name in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Floor => "floor",
            Self::Nginx => "nginx",
            Self::Egret => "egret",
            Self::EgretUntraced => "egret, no call traced",
            Self::EgretTraced => "egret, every call traced",
        }
    }

    /// The share of calls that are traced; none where nothing is exported.
    const fn traced(self) -> Option<&'static str> {
        match self {
            Self::Direct | Self::Floor | Self::Nginx | Self::EgretUntraced => None,
            Self::Egret => Some("0.1"),
            Self::EgretTraced => Some("1"),
        }
    }
}

/// What it takes to start a peer.
pub(crate) struct Setup {
    /// Where the provider listens.
    pub(crate) provider: SocketAddr,
    /// egret's binary.
    pub(crate) egret: PathBuf,
    /// Room for generated files.
    pub(crate) dir: PathBuf,
    /// Whether processes are kept on their cores.
    pub(crate) pin: bool,
    /// Put before the proxy's command line; callgrind goes here.
    pub(crate) under: Vec<String>,
}

/// A proxy that answers.
pub(crate) struct Started {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start to its first answer.
    pub(crate) first_answer: Duration,
    /// Its process; none for `direct`.
    pub(crate) process: Option<Process>,
    /// Lines of its access log so far; none where it writes none.
    pub(crate) log_lines: Option<Arc<AtomicU64>>,
    /// Where its metrics are; none where it has none.
    pub(crate) metrics: Option<SocketAddr>,
}

impl Setup {
    /// The binary of a peer; none for `direct`, or where it is not installed.
    pub(crate) fn binary(&self, peer: Peer) -> Option<PathBuf> {
        match peer {
            Peer::Direct => None,
            Peer::Floor => std::env::current_exe().ok(),
            Peer::Nginx => ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"]
                .iter()
                .map(PathBuf::from)
                .find(|path| path.exists()),
            Peer::Egret | Peer::EgretUntraced | Peer::EgretTraced => {
                Some(self.egret.clone()).filter(|path| path.exists())
            }
        }
    }

    /// Starts a peer and waits for its first answer.
    pub(crate) fn start(&self, peer: Peer) -> anyhow::Result<Started> {
        if peer == Peer::Direct {
            return Ok(Started {
                address: self.provider,
                first_answer: Duration::ZERO,
                process: None,
                log_lines: None,
                metrics: None,
            });
        }
        let binary = self.binary(peer).with_context(|| format!("{} is not installed", peer.name()))?;
        let (address, metrics) = (measure::free_port()?, measure::free_port()?);
        let mut command = self.command(peer, &binary, address, metrics)?;
        let since = Instant::now();
        let mut process = Process::start(&mut command)?;
        let log_lines = process.stdout().map(measure::drain);
        let first_answer = measure::first_answer(address, &mut process, since)
            .with_context(|| format!("starting {}", peer.name()))?;
        let metrics = log_lines.is_some().then_some(metrics);
        Ok(Started { address, first_answer, process: Some(process), log_lines, metrics })
    }

    /// Starts egret under a policy in a file of its own, which may be changed, and waits for its first answer.
    pub(crate) fn start_under(&self, policy: &Path) -> anyhow::Result<Started> {
        let (address, metrics) = (measure::free_port()?, measure::free_port()?);
        let mut command = measure::command(&self.egret, Core::Proxy, self.pin);
        command.args(["run", "--policy"]).arg(policy);
        command.args(["--listen", &address.to_string(), "--admin", &metrics.to_string(), "--workers", "1"]);
        command.env("BENCH_PROVIDER_KEY", "no-secret").env("EGRET_LOG", "error").stdout(Stdio::piped());
        let since = Instant::now();
        let mut process = Process::start(&mut command)?;
        let log_lines = process.stdout().map(measure::drain);
        let first_answer = measure::first_answer(address, &mut process, since)?;
        Ok(Started { address, first_answer, process: Some(process), log_lines, metrics: Some(metrics) })
    }

    fn command(
        &self,
        peer: Peer,
        binary: &Path,
        listen: SocketAddr,
        metrics: SocketAddr,
    ) -> anyhow::Result<Command> {
        let mut parts = self.under.iter().cloned().map(Into::into).chain([binary.as_os_str().to_owned()]);
        let first = parts.next().context("no program")?;
        let mut command = measure::command(first, Core::Proxy, self.pin);
        command.args(parts);
        match peer {
            Peer::Direct => {}
            Peer::Floor => {
                let (listen, upstream) = (listen.to_string(), self.provider.to_string());
                command.args(["floor", "--listen", &listen, "--upstream", &upstream]);
            }
            Peer::Nginx => {
                let conf = include_str!("nginx.conf")
                    .replace("{listen}", &listen.to_string())
                    .replace("{provider}", &self.provider.to_string())
                    .replace("{dir}", &self.dir.display().to_string());
                command.args([
                    "-p",
                    &self.dir.display().to_string(),
                    "-c",
                    &self.write("nginx.conf", &conf)?,
                ]);
            }
            Peer::Egret | Peer::EgretUntraced | Peer::EgretTraced => {
                let policy = self.policy();
                command
                    .args(["run", "--policy", &self.write("policy.yaml", &policy)?])
                    .args([
                        "--listen",
                        &listen.to_string(),
                        "--admin",
                        &metrics.to_string(),
                        "--workers",
                        "1",
                    ])
                    .env("BENCH_PROVIDER_KEY", "no-secret")
                    // The access log, one line per call; read by the bench.
                    .stdout(Stdio::piped());
                if let Some(share) = peer.traced() {
                    let backend = format!("http://{}/v1/traces", self.provider);
                    command
                        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", backend)
                        .env("OTEL_TRACES_SAMPLER", "traceidratio")
                        .env("OTEL_TRACES_SAMPLER_ARG", share);
                }
            }
        }
        Ok(command)
    }

    /// The reference load's policy.
    pub(crate) fn policy(&self) -> String {
        include_str!("policy.yaml")
            .replace("{provider}", &self.provider.to_string())
            .replace("{key}", &wire::caller_key_digest())
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.dir.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }
}
