//! `egret run`: relay calls under a policy.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};

use super::overlay_args::OverlayArgs;
use crate::app::{self, LedgerPlace, Options};
use crate::environment::Environment;
use crate::ids::TenantId;
use crate::server::Mode;

/// Relays calls under a policy, until it is told to end.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes:\n  0  drained after SIGTERM or SIGINT\n  1  could not start: an address in use, an unreadable CA file or ledger, ..\n  2  no good policy (its diagnostics are printed), or wrong usage\n\nSignals:\n  SIGTERM, SIGINT  drain; a second one ends at once\n  SIGHUP           load the policy again"
)]
pub struct Args {
    /// The policy: a YAML file, or a directory of them; watched for changes
    #[arg(long, env = "EGRET_POLICY", value_name = "PATH")]
    policy: PathBuf,

    #[command(flatten)]
    overlay: OverlayArgs,

    /// Where apps call
    #[arg(long, env = "EGRET_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:4100")]
    listen: SocketAddr,

    /// Where operators look: /livez /readyz /metrics /policy /providers /usage /explain
    #[arg(long, env = "EGRET_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:4101")]
    admin: SocketAddr,

    /// A second address with just /livez /readyz /metrics, for kubelet and Prometheus
    #[arg(long, env = "EGRET_METRICS", value_name = "ADDR")]
    metrics: Option<SocketAddr>,

    /// The tenant of callers on loopback that send no key, instead of the one with `local: true`
    #[arg(long, env = "EGRET_TENANT", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    tenant: Option<String>,

    /// Where counts are kept: memory, or file:PATH, which survives restarts
    #[arg(long, env = "EGRET_LEDGER", value_name = "PLACE", default_value = "memory", value_parser = ledger)]
    ledger: LedgerPlace,

    /// What SIGTERM means: a sidecar serves on until its app is idle, a gateway stops accepting
    #[arg(long, env = "EGRET_DRAIN", value_name = "MODE", value_enum, default_value_t = DrainMode::Sidecar)]
    drain: DrainMode,

    /// How long calls in flight may take to end after SIGTERM
    #[arg(long, env = "EGRET_DRAIN_DEADLINE", value_name = "TIME", default_value = "25s", value_parser = duration)]
    drain_deadline: Duration,

    /// Gateway drain: how long to go on accepting after SIGTERM, until load balancers have noticed
    #[arg(long, env = "EGRET_DRAIN_GRACE", value_name = "TIME", default_value = "5s", value_parser = duration)]
    drain_grace: Duration,

    /// Without a good policy at start, stay live but not ready and wait for one
    #[arg(long, env = "EGRET_AWAIT_POLICY", value_parser = BoolishValueParser::new())]
    await_policy: bool,

    /// Worker threads; one serves some ten thousand calls a second
    #[arg(long, env = "EGRET_WORKERS", value_name = "N", default_value = "1")]
    workers: std::num::NonZeroUsize,

    /// The largest request body
    #[arg(long, env = "EGRET_MAX_BODY", value_name = "SIZE", default_value = "32Mi", value_parser = size)]
    max_body: usize,

    /// How many request bytes the process holds at most, all calls together; beyond, 503
    #[arg(long, env = "EGRET_MAX_BUFFERED", value_name = "SIZE", default_value = "48Mi", value_parser = size)]
    max_buffered: usize,

    /// Certificates to trust towards providers, beside the system's (PEM)
    #[arg(long, env = "EGRET_EXTRA_CA", value_name = "FILE")]
    extra_ca: Option<PathBuf>,

    /// Accept HTTP/2 without TLS as well; no official SDK needs it
    #[arg(long, env = "EGRET_H2C", value_parser = BoolishValueParser::new())]
    h2c: bool,

    /// Diagnostics to standard error: error, warn, info, debug, or a filter as in `egret=debug,warn`
    #[arg(long, env = "EGRET_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

/// What SIGTERM means.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DrainMode {
    /// Serve on until no call came for a second: the app may still need us
    Sidecar,
    /// Tell load balancers, stop accepting, finish what is in flight
    Gateway,
}

/// Runs until drained.
pub(super) fn run(args: Args, environment: &Environment) -> ExitCode {
    if let Err(error) = start_log(&args.log) {
        print(&format!("egret: --log {}: {error}", args.log));
        return ExitCode::from(2);
    }
    // Said whatever the log's filter: scripts wait for it, and read the addresses from it.
    let say = |line: &str| print(line);
    match app::run(&options(args), environment, say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print(&format!("egret: {}", app::chain(&error)));
            ExitCode::from(error.exit_code())
        }
    }
}

/// To standard error; where that is closed, nobody listens.
fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn options(args: Args) -> Options {
    Options {
        policy: args.policy,
        overlays: args.overlay.paths(),
        listen: args.listen,
        admin: args.admin,
        metrics: args.metrics,
        stamp: args.tenant.map(TenantId::from),
        drain: match args.drain {
            DrainMode::Sidecar => Mode::Sidecar,
            DrainMode::Gateway => Mode::Gateway,
        },
        drain_deadline: args.drain_deadline,
        drain_grace: args.drain_grace,
        await_policy: args.await_policy,
        workers: args.workers,
        max_body: args.max_body,
        max_buffered: args.max_buffered,
        extra_ca: args.extra_ca,
        h2c: args.h2c,
        ledger: args.ledger,
    }
}

/// Diagnostics go to standard error, so that standard output is the access log alone.
fn start_log(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter: tracing_subscriber::EnvFilter = filter.parse()?;
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    if started.is_err() {
        tracing::debug!("a log is running already");
    }
    Ok(())
}

/// `memory`, `file:/var/lib/egret/ledger`.
fn ledger(text: &str) -> Result<LedgerPlace, String> {
    if text == "memory" {
        return Ok(LedgerPlace::Memory);
    }
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(LedgerPlace::File(PathBuf::from(path))),
        Some(("redis" | "rediss", _)) => {
            Err("a ledger in Redis is not built yet; there are `memory` and `file:PATH`".to_owned())
        }
        Some(_) | None => Err("needs `memory` or `file:PATH`, as in file:/var/lib/egret/ledger".to_owned()),
    }
}

/// `300ms`, `25s`, `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "needs a number and a unit, as in 25s".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err("needs a unit: ms, s or m, as in 25s".to_owned()),
    }
}

/// `65536`, `512Ki`, `32Mi`, `1Gi`.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: usize = number.parse().map_err(|_| "needs a number of bytes, as in 32Mi".to_owned())?;
    let factor = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return Err("has an unknown unit; known are Ki, Mi and Gi".to_owned()),
    };
    number.checked_mul(factor).ok_or_else(|| "is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_flag_with_its_variable_and_default() {
        let command = <Args as clap::Args>::augment_args(clap::Command::new("run"));
        let row = |flag: &clap::Arg| {
            let variable = flag.get_env().unwrap().to_str().unwrap();
            let default = flag.get_default_values().first().filter(|_| flag.get_action().takes_values());
            let default = default.map_or(String::new(), |value| format!("`{}`", value.to_str().unwrap()));
            let help = flag.get_help().unwrap();
            format!("| `--{}` | `{variable}` | {default} | {help} |\n", flag.get_long().unwrap())
        };
        let table: String = command.get_arguments().map(row).collect();
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&table), "the README's table of flags is not\n{table}");
    }

    #[test]
    fn a_ledger_is_memory_or_a_file() {
        assert_eq!(ledger("memory"), Ok(LedgerPlace::Memory));
        assert_eq!(ledger("file:/var/lib/a:b"), Ok(LedgerPlace::File("/var/lib/a:b".into())));
        assert!(ledger("redis://cache:6379").is_err_and(|error| error.contains("not built yet")));
        for wrong in ["", "file", "file:", "/var/lib/ledger", "disk:x", "Memory"] {
            assert!(ledger(wrong).is_err_and(|error| error.contains("`memory` or `file:PATH`")), "{wrong}");
        }
    }

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("25").is_err() && duration("s").is_err() && duration("1h").is_err());
        assert_eq!(size("32Mi"), Ok(32 << 20));
        assert_eq!(size("17"), Ok(17));
        assert!(size("1MB").is_err() && size("").is_err());
    }
}
