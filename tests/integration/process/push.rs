//! Metrics and spans on their way to a backend, over OTLP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use tokio::net::TcpSocket;

use super::client::{ask, chat};
use super::policy;
use super::support::{Egret, PolicyFile, egret, eventually};

/// A backend that takes every request of one client after the other, until a connection says nothing.
struct Backend {
    address: SocketAddr,
    thread: JoinHandle<Vec<(String, Vec<u8>)>>,
}

impl Backend {
    fn start() -> Self {
        Self::that_refuses(0)
    }

    /// One that refuses so many requests before it takes the others.
    fn that_refuses(mut refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let take = move || {
            let mut taken = Vec::new();
            for stream in listener.incoming() {
                let before = taken.len();
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(request) = request(&mut stream) {
                    taken.push(request);
                    let status = if refused > 0 { "400 Bad Request" } else { "200 OK" };
                    refused = refused.saturating_sub(1);
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                }
                if taken.len() == before {
                    break;
                }
            }
            taken
        };
        Self { address, thread: std::thread::spawn(take) }
    }

    /// What came, in order.
    fn taken(self) -> Vec<(String, Vec<u8>)> {
        drop(TcpStream::connect(self.address).unwrap());
        self.thread.join().unwrap()
    }
}

/// Path and body of one request; none at the end of the connection.
fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut path, mut length, mut line) = (None, 0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path?, body))
}

#[test]
fn the_last_metrics_are_pushed_when_the_process_ends() {
    let (backend, file) = (Backend::start(), PolicyFile::new(&policy::scripted()));
    let mut command = egret("run");
    command.arg("--policy").arg(&file.path);
    command.env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", format!("http://{}/v1/metrics", backend.address));
    let egret = Egret::start(&mut command);
    assert_eq!(ask(egret.listen, &chat("small")).status, 200);
    egret.signal("TERM");
    let left = egret.left();
    assert_eq!(left.code, Some(0), "{:?}", left.stderr);
    let taken = backend.taken();
    let (path, body) = taken.last().expect("something was pushed");
    assert_eq!(path, "/v1/metrics");
    let has = |text: &str| body.windows(text.len()).any(|at| at == text.as_bytes());
    for text in
        ["egret.calls", "gen_ai.client.inference.duration", "egret.policy.info", "service.instance.id"]
    {
        assert!(has(text), "{text}");
    }
}

#[test]
fn spans_that_a_backend_did_not_take_in_time_are_said_at_the_end() {
    // Connections stand, for the kernel accepts them; nobody answers.
    let (silent, file) = (TcpListener::bind("127.0.0.1:0").unwrap(), PolicyFile::new(&policy::scripted()));
    let mut command = egret("run");
    command.arg("--policy").arg(&file.path);
    let endpoint = format!("http://{}/v1/traces", silent.local_addr().unwrap());
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint);
    let egret = Egret::start(&mut command);
    assert_eq!(ask(egret.listen, &chat("small")).status, 200);
    egret.signal("TERM");
    let left = egret.left();
    assert_eq!(left.code, Some(0), "{:?}", left.stderr);
    let said = left.stderr.iter().find(|line| line.contains("spans were lost")).expect("it is said");
    assert!(said.contains("unsent=2 failed=0 dropped=0"), "{said}");
}

#[test]
fn spans_that_a_backend_refused_are_said_at_the_end() {
    // Bound, so that nobody else gets the port; it does not listen, so that connections are refused.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}/v1/traces", deaf.local_addr().unwrap());
    let file = PolicyFile::new(&policy::scripted());
    let mut command = egret("run");
    command.arg("--policy").arg(&file.path).env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint);
    let egret = Egret::start(&mut command);
    assert_eq!(ask(egret.listen, &chat("small")).status, 200);
    egret.signal("TERM");
    let left = egret.left();
    let said = left.stderr.iter().find(|line| line.contains("spans were lost")).expect("it is said");
    assert!(said.contains("unsent=0 failed=2 dropped=0"), "{said}");
}

#[test]
fn that_spans_are_not_exported_is_said_once_until_they_are_again() {
    let (backend, file) = (Backend::that_refuses(2), PolicyFile::new(&policy::scripted()));
    let mut command = egret("run");
    command.arg("--policy").arg(&file.path);
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://{}/v1/traces", backend.address));
    command.env("OTEL_BSP_SCHEDULE_DELAY", "1");
    let egret = Egret::start(&mut command);
    for (ended, count) in [("failed", 2), ("failed", 4), ("exported", 2)] {
        assert_eq!(ask(egret.listen, &chat("small")).status, 200);
        let counter = format!("egret_spans_{ended}_total");
        eventually("its spans are counted", || egret.metric(&counter) == count);
    }
    egret.signal("TERM");
    let left = egret.left();
    let said = |text: &str| left.stderr.iter().filter(|line| line.contains(text)).count();
    assert_eq!(said("spans not exported"), 1, "{:?}", left.stderr);
    assert_eq!(said("spans are exported again"), 1, "{:?}", left.stderr);
    assert_eq!(backend.taken().len(), 3);
}
