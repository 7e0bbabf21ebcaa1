//! `egret probe`: asks a running egret whether it is live or ready, for exec probes in an image without a shell.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::clock::{Clock, Instant};

/// How soon to ask again: an app waits for the answer.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);
/// The status line is in the first bytes; more is not read.
const ANSWER_BYTES_MAX: usize = 512;

/// Asks a running egret whether it is live or ready.
///
/// Exits 0 when it is, 1 when it is not or does not answer in time.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where egret's admin port is.
    #[arg(long, value_name = "ADDR", env = "EGRET_ADMIN", default_value = "127.0.0.1:4101")]
    admin: String,
    /// How long to wait for the whole answer.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1_000)]
    timeout_ms: u64,
    /// Ask again until it is, at most for so long: as a `postStart` hook, it holds back the containers that follow.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = super::run::duration)]
    wait: Duration,
    /// What to ask. Live: the process works. Ready: it has a good policy and listens.
    #[arg(value_enum, default_value_t = Question::Ready)]
    question: Question,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Question {
    /// Does the process work?
    Live,
    /// May traffic come?
    Ready,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
        }
    }
}

/// Asks, says the last answer in one sentence, and gives the exit code: 0 for yes, 1 for no. Blocks for `wait` and
/// once `timeout_ms`.
///
/// # Errors
/// Where `out` fails.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let word = args.question.word();
    match last_answer(args) {
        Ok(200) => {
            writeln!(out, "{word}")?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(status) => {
            writeln!(out, "not {word}: {} answered {status}", args.admin)?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            writeln!(out, "not {word}: {error:#}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A yes, or what was said when there was no time left to ask again.
fn last_answer(args: &Args) -> anyhow::Result<u16> {
    let until = Clock::system().now() + args.wait;
    loop {
        let answer = ask(args);
        if matches!(answer, Ok(200)) || Clock::system().now() + BETWEEN_QUESTIONS > until {
            return answer;
        }
        std::thread::sleep(BETWEEN_QUESTIONS);
    }
}

/// The status that the admin port answers with.
fn ask(args: &Args) -> anyhow::Result<u16> {
    let until = Clock::system().now() + Duration::from_millis(args.timeout_ms);
    let address = resolve(&args.admin)?;
    let mut stream = TcpStream::connect_timeout(&address, left(until)?)
        .with_context(|| format!("no connection to {address}"))?;
    stream.set_write_timeout(Some(left(until)?))?;
    let path = args.question.path();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .with_context(|| format!("{address} takes no request"))?;
    status(&mut stream, until).with_context(|| format!("no answer from {address}"))
}

/// The first address of a name; an address that means all of them is asked by loopback.
fn resolve(admin: &str) -> anyhow::Result<SocketAddr> {
    let mut addresses = admin.to_socket_addrs().with_context(|| format!("`{admin}` is no address"))?;
    let mut address = addresses.next().with_context(|| format!("`{admin}` has no address"))?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(address)
}

/// Reads up to the end of the status line. The time is for all of it: an answer byte by byte gains none.
fn status(stream: &mut TcpStream, until: Instant) -> anyhow::Result<u16> {
    let mut answer = [0; ANSWER_BYTES_MAX];
    let mut length = 0;
    while length < answer.len() && !answer[..length].contains(&b'\n') {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut answer[length..])? {
            0 => break,
            n => length += n,
        }
    }
    let Some(status) = status_code(&answer[..length]) else {
        bail!("what it says is no HTTP");
    };
    Ok(status)
}

fn status_code(answer: &[u8]) -> Option<u16> {
    let digits = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The time left, never zero: a socket takes zero for no limit.
fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Clock::system().now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_flags_are_sound() {
        <Args as clap::Args>::augment_args(clap::Command::new("probe")).debug_assert();
    }

    /// Answers one request, and gives what was asked: read to its end, since closing with bytes unread would reset the
    /// connection.
    fn answered(listener: &TcpListener, answer: &[u8]) -> (TcpStream, String) {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut n) = ([0; 256], 0);
        while !request[..n].ends_with(b"\r\n\r\n") {
            n += stream.read(&mut request[n..]).unwrap();
        }
        stream.write_all(answer).unwrap();
        (stream, String::from_utf8_lossy(&request[..n]).into_owned())
    }

    /// Answers one request with `answer`, and gives what was asked and said.
    fn probe(question: Question, answer: &'static [u8], hold: bool) -> (String, String, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, asked) = answered(&listener, answer);
            if hold {
                // Until the probe gives up.
                let _ = stream.read(&mut [0; 1]);
            }
            asked
        });
        let mut out = Vec::new();
        let timeout_ms = if hold { 100 } else { 5_000 };
        let code = run(&Args { admin, timeout_ms, wait: Duration::ZERO, question }, &mut out).unwrap();
        let yes = format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
        (server.join().unwrap(), String::from_utf8(out).unwrap(), yes)
    }

    #[test]
    fn a_200_is_yes_and_the_path_is_that_of_the_question() {
        let (asked, said, yes) = probe(Question::Live, b"HTTP/1.1 200 OK\r\n\r\n", false);
        assert!(asked.starts_with("GET /livez HTTP/1.1\r\nHost: 127.0.0.1:"), "{asked}");
        assert_eq!((said.as_str(), yes), ("live\n", true));
        let (asked, _, _) = probe(Question::Ready, b"HTTP/1.1 200 OK\r\n\r\n", false);
        assert!(asked.starts_with("GET /readyz "));
    }

    #[test]
    fn any_other_answer_is_no_and_says_why() {
        let (_, said, yes) = probe(Question::Ready, b"HTTP/1.1 503 Service Unavailable\r\n\r\n", false);
        assert!(said.starts_with("not ready: ") && said.ends_with("answered 503\n"), "{said}");
        assert!(!yes);
        for answer in [b"".as_slice(), b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 2"] {
            let (_, said, yes) = probe(Question::Live, answer, false);
            assert!(said.contains("no HTTP") && !yes, "{said}");
        }
    }

    #[test]
    fn silence_is_no_after_the_timeout_and_so_is_a_closed_port() {
        let (_, said, yes) = probe(Question::Ready, b"HTTP", true);
        assert!(said.starts_with("not ready: no answer from ") && !yes, "{said}");
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut out = Vec::new();
        let args = Args { admin, timeout_ms: 1_000, wait: Duration::ZERO, question: Question::Live };
        run(&args, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().starts_with("not live: no connection to "));
    }

    #[test]
    fn who_waits_asks_again_after_a_no_and_after_a_connection_that_breaks_off() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            for answer in ["", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
                answered(&listener, answer.as_bytes());
            }
        });
        let mut out = Vec::new();
        let wait = Duration::from_secs(60);
        run(&Args { admin, timeout_ms: 5_000, wait, question: Question::Ready }, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "ready\n");
        server.join().unwrap();
    }

    #[test]
    fn an_address_that_means_all_is_asked_by_loopback() {
        assert_eq!(resolve("0.0.0.0:4101").unwrap().to_string(), "127.0.0.1:4101");
        assert_eq!(resolve("[::]:4101").unwrap().to_string(), "[::1]:4101");
        assert!(resolve("nonsense").is_err());
    }
}
