//! SIGTERM, with calls in flight.

use std::net::TcpListener;
use std::num::NonZeroU32;
use std::time::Duration;

use egret::mock::{Fault, Script};
use tokio::time::Instant;

use super::client::{Answer, Connection, ask, chat, stream};
use super::policy;
use super::provider::Provider;
use super::support::{Egret, PolicyFile, egret, eventually, output};

/// What telemetry may take at the end of a process.
const TO_FLUSH: Duration = Duration::from_millis(1_500);

/// Words of a stream, and words a second: 1.2 s.
const PACED: (u32, u32) = (24, 20);

#[test]
fn peer_bug_30_a_gateway_ends_a_hundred_streams_in_full_and_then_itself() {
    let (provider, flags) = (paced(), ["--drain", "gateway", "--drain-grace", "200ms", "--workers", "2"]);
    let file = PolicyFile::new(&policy::one_provider(provider.address));
    let egret = Egret::run(&file.path, &flags);
    let streams = streams(&egret, 100);

    egret.signal("TERM");
    eventually("it is not ready", || egret.page("/readyz").status == 503);
    assert_eq!(egret.page("/livez").status, 200);
    all_end_whole(streams);

    let left = egret.left();
    assert_eq!((left.code, left.calls.len()), (Some(0), 100));
    assert!(left.calls.iter().all(|call| call["outcome"] == "answered"), "{:?}", left.calls);
}

#[test]
fn peer_bug_30_a_sidecar_ends_a_hundred_streams_in_full_and_answers_new_calls_until_it_is_idle() {
    let provider = paced();
    let file = PolicyFile::new(&policy::one_provider(provider.address));
    let egret = Egret::run(&file.path, &["--drain", "sidecar", "--workers", "2"]);
    let streams = streams(&egret, 100);

    egret.signal("TERM");
    eventually("it is not ready", || egret.page("/readyz").status == 503);
    for _ in 0..10 {
        assert_eq!(ask(egret.listen, &chat("small")).status, 200);
    }
    all_end_whole(streams);
    assert_eq!(ask(egret.listen, &chat("small")).status, 200, "idle for less than a second");

    let left = egret.left();
    assert_eq!((left.code, left.calls.len()), (Some(0), 111));
    assert!(left.calls.iter().all(|call| call["outcome"] == "answered"), "{:?}", left.calls);
}

#[test]
fn a_gateway_closes_kept_connections_and_accepts_none_when_its_grace_is_over() {
    let provider = paced();
    let file = PolicyFile::new(&policy::one_provider(provider.address));
    let egret = Egret::run(&file.path, &["--drain", "gateway", "--drain-grace", "3s"]);
    let mut kept = Connection::open(egret.listen);
    assert_eq!(kept.ask(&chat("small")).header("connection"), None);

    egret.signal("TERM");
    eventually("it is not ready", || egret.page("/readyz").status == 503);
    let last = kept.ask(&chat("small"));
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert!(kept.closed());

    let listen = egret.listen;
    assert_eq!(egret.left().code, Some(0));
    assert!(std::net::TcpStream::connect(listen).is_err());
}

/// What kubelet leaves a native sidecar where the app used up the grace of its pod.
const LEFT_TO_A_SIDECAR: Duration = Duration::from_secs(2);

#[test]
fn a_sidecar_whose_app_is_gone_ends_within_the_two_seconds_that_may_be_left() {
    let provider = stalling();
    let file = PolicyFile::new(&policy::one_provider(provider.address));
    let egret = Egret::run(&file.path, &["--drain", "sidecar"]);
    let kept = Connection::open(egret.listen);
    let streams = streams(&egret, 3);
    // As when a process ends: its calls are given up, and a connection of another container stays open and silent.
    drop(streams);

    let begun = Instant::now();
    egret.signal("TERM");
    let left = egret.left_within(LEFT_TO_A_SIDECAR);
    let took = begun.elapsed();

    assert_eq!((left.code, left.calls.len()), (Some(0), 3), "the log is whole");
    println!("SIGTERM to exit, idle sidecar: {} ms", took.as_millis());
    drop(kept);
}

#[test]
fn a_backend_that_takes_spans_and_never_answers_holds_up_the_end_of_neither_mode() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", silent.local_addr().unwrap());
    let file = PolicyFile::new(&policy::scripted());
    // A sidecar waits a second for calls first.
    for (mode, limit) in [("sidecar", Duration::from_secs(1) + TO_FLUSH), ("gateway", TO_FLUSH)] {
        let mut command = egret("run");
        command.arg("--policy").arg(&file.path).args(["--drain", mode, "--drain-grace", "0s"]);
        let egret = Egret::start(command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &at));
        assert_eq!(ask(egret.listen, &chat("small")).status, 200);

        let begun = Instant::now();
        egret.signal("TERM");
        let left = egret.left_within(limit);

        assert_eq!((left.code, left.calls.len()), (Some(0), 1), "{mode}: {:?}", left.stderr);
        println!("SIGTERM to exit, {mode}, the backend hangs: {} ms", begun.elapsed().as_millis());
    }
}

#[test]
fn probes_during_a_drain_say_live_and_not_ready_in_both_modes() {
    let provider = stalling();
    let file = PolicyFile::new(&policy::one_provider(provider.address));
    for mode in ["sidecar", "gateway"] {
        let egret = Egret::run(&file.path, &["--drain", mode]);
        let probe = |question| {
            let admin = egret.admin.to_string();
            output(super::support::egret("probe").args([question, "--admin", &admin])).status.code()
        };
        assert_eq!((probe("live"), probe("ready")), (Some(0), Some(0)), "{mode}");
        let _streams = streams(&egret, 1);
        egret.signal("TERM");
        eventually("kubelet is told that it is not ready", || probe("ready") == Some(1));
        assert_eq!(probe("live"), Some(0), "a restart would cut what still runs: {mode}");
    }
}

#[test]
fn the_deadline_cuts_what_does_not_end_and_says_how_many() {
    let provider = stalling();
    let file = PolicyFile::new(&policy::one_provider(provider.address));
    for mode in ["gateway", "sidecar"] {
        let flags = ["--drain", mode, "--drain-grace", "100ms", "--drain-deadline", "400ms"];
        let egret = Egret::run(&file.path, &flags);
        let streams = streams(&egret, 3);

        egret.signal("TERM");
        let left = egret.left_within(Duration::from_secs(5));

        assert_eq!((left.code, left.calls.len()), (Some(0), 3), "{mode}");
        let warning = left.stderr.iter().find(|line| line.contains("calls_cut")).expect("a warning");
        assert!(warning.contains("WARN") && warning.contains("calls_cut=3"), "{warning}");
        for (mut stream, mut answer) in streams {
            assert!(stream.body(&mut answer).is_err(), "a cut stream must look cut: {mode}");
        }
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let provider = stalling();
    let file = PolicyFile::new(&policy::one_provider(provider.address));
    for (first, second) in [("TERM", "TERM"), ("INT", "INT")] {
        let egret = Egret::run(&file.path, &[]);
        let _streams = streams(&egret, 2);

        egret.signal(first);
        eventually("it is not ready", || egret.page("/readyz").status == 503);
        egret.signal(second);

        // The deadline is 25 s.
        let left = egret.left_within(Duration::from_secs(5));
        assert_eq!((left.code, left.calls.len()), (Some(0), 2));
    }
}

#[test]
fn the_access_log_of_a_burst_is_complete_at_the_end() {
    let file = PolicyFile::new(&policy::scripted());
    let egret = Egret::run(&file.path, &[]);
    let mut connection = Connection::open(egret.listen);
    for _ in 0..200 {
        assert_eq!(connection.ask(&chat("small")).status, 200);
        assert_eq!(connection.ask(&chat("large")).status, 403);
    }
    egret.signal("TERM");
    let left = egret.left();
    let with = |status| left.calls.iter().filter(|call| call["status"] == status).count();
    assert_eq!((left.code, with(200), with(403), left.calls.len()), (Some(0), 200, 200, 400));
}

fn paced() -> Provider {
    let (words, per_second) = PACED;
    Provider::plain(Script {
        tokens: NonZeroU32::new(words).unwrap(),
        tokens_per_second: NonZeroU32::new(per_second),
        ..Script::default()
    })
}

fn stalling() -> Provider {
    Provider::plain(Script { faults: vec![Fault::Stall { after_chunks: 2 }], ..Script::default() })
}

/// So many streams that have begun, each on a connection of its own.
fn streams(egret: &Egret, count: usize) -> Vec<(Connection, Answer)> {
    let mut open: Vec<_> = (0..count).map(|_| Connection::open(egret.listen)).collect();
    open.iter_mut().for_each(|connection| connection.send(&stream("small")));
    let begun = open.into_iter().map(|mut connection| {
        let head = connection.head().unwrap();
        assert_eq!(head.status, 200);
        (connection, head)
    });
    begun.collect()
}

fn all_end_whole(streams: Vec<(Connection, Answer)>) {
    for (mut stream, mut answer) in streams {
        stream.body(&mut answer).unwrap();
        assert!(answer.body.ends_with("data: [DONE]\n\n"), "{answer:?}");
    }
}
