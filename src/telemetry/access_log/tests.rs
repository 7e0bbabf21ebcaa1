use opentelemetry::trace::SpanId;
use smallvec::smallvec;

use super::*;
use crate::clock::Timestamp;
use crate::ids::RequestId;
use crate::limits::Amounts;
use crate::telemetry::record::{AttemptRecord, Destination};
use crate::units::{NanoUsd, Tokens};
use crate::usage::Usage;

/// A call of which as little as possible is known.
fn refused() -> CallRecord {
    CallRecord {
        ended: Timestamp::UNIX_EPOCH,
        id: RequestId::new(0xab),
        caller_id: None,
        tenant: None,
        user: None,
        app: None,
        key: None,
        api: None,
        route: None,
        downgraded_to: None,
        stream: false,
        status: 401,
        outcome: "refused",
        refusal: Some("invalid_api_key"),
        attempts: smallvec![],
        passed_over: Vec::new(),
        would_refuse: Vec::new(),
        lost: Vec::new(),
        usage: None,
        cost: None,
        charged: Amounts::NONE,
        met: Vec::new(),
        duration: Duration::from_micros(7),
        first_byte: None,
        waited: Duration::ZERO,
        queued: Duration::ZERO,
        cut_bytes: 0,
        bytes_in: 0,
        bytes_out: 120,
        policy: Some(*b"0123456789ab"),
        upstream_request_id: None,
        trace: None,
    }
}

/// A call of which everything is known.
fn answered() -> CallRecord {
    let attempt = |provider: &str, outcome, status, millis| AttemptRecord {
        destination: Arc::new(Destination {
            provider: provider.into(),
            convention: provider.into(),
            model: "gpt".into(),
            name: "gpt".into(),
            server: None,
        }),
        outcome,
        status,
        held: Amounts::NONE,
        began: Duration::ZERO,
        duration: Duration::from_millis(millis),
        lasted: Duration::from_millis(millis),
        first_chunk: None,
        span: SpanId::INVALID,
    };
    CallRecord {
        ended: "2026-11-20T18:42:32.123999999Z".parse().unwrap(),
        id: RequestId::new(u128::MAX),
        caller_id: Some("job-7".into()),
        tenant: Some("shop".into()),
        user: Some("ann".into()),
        app: Some("cart".into()),
        key: Some("ci".into()),
        api: Some("chat"),
        route: Some("fast".into()),
        downgraded_to: None,
        stream: true,
        status: 200,
        outcome: "answered",
        refusal: None,
        attempts: smallvec![
            attempt("azure", "connect", None, 3),
            attempt("openai", "answered", Some(200), 1_040)
        ],
        passed_over: Vec::new(),
        would_refuse: Vec::new(),
        lost: Vec::new(),
        usage: Some(Usage {
            input: Tokens(10),
            cache_read: Tokens(5),
            output: Tokens(20),
            ..Usage::default()
        }),
        cost: Some(NanoUsd(123_456)),
        charged: Amounts::NONE,
        met: Vec::new(),
        duration: Duration::from_micros(1_234_567),
        first_byte: Some(Duration::from_micros(450_001)),
        waited: Duration::from_micros(449_000),
        queued: Duration::ZERO,
        cut_bytes: 0,
        bytes_in: 812,
        bytes_out: 9_001,
        policy: Some(*b"0123456789ab"),
        upstream_request_id: Some("req_9".into()),
        trace: None,
    }
}

fn lines(log: &AccessLog) -> String {
    let mut out = Vec::new();
    log.drain_to(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A writer that fails, as a pipe does that nobody reads any more.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that the test reads, and that counts its writes.
#[derive(Clone, Default)]
struct Page(Arc<Written>);

#[derive(Default)]
struct Written {
    text: Mutex<(String, usize)>,
    written: Notify,
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut page = self.0.text.lock();
        page.0.push_str(str::from_utf8(bytes).unwrap());
        page.1 += 1;
        self.0.written.notify_one();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_line_of_a_full_record() {
    let log = AccessLog::new();
    log.push(&answered());
    let expected = concat!(
        r#"{"timestamp":"2026-11-20T18:42:32.123Z","request_id":"ffffffffffffffffffffffffffffffff","#,
        r#""caller_request_id":"job-7","tenant":"shop","user":"ann","app":"cart","key":"ci","#,
        r#""api":"chat","route":"fast","model":"gpt","provider":"openai","stream":true,"status":200,"#,
        r#""outcome":"answered","attempts":[{"provider":"azure","model":"gpt","outcome":"connect","ms":3.000},"#,
        r#"{"provider":"openai","model":"gpt","outcome":"answered","status":200,"ms":1040.000}],"#,
        r#""usage":{"input":10,"cache_read":5,"output":20,"total_input":15,"total_output":20,"total":35},"cost_usd":0.000123456,"#,
        r#""duration_ms":1234.567,"first_byte_ms":450.001,"bytes_in":812,"bytes_out":9001,"#,
        r#""policy":"0123456789ab","upstream_request_id":"req_9"}"#,
        "\n",
    );
    assert_eq!(lines(&log), expected);
}

#[test]
fn what_is_not_known_is_left_out() {
    let log = AccessLog::new();
    log.push(&refused());
    let expected = concat!(
        r#"{"timestamp":"1970-01-01T00:00:00.000Z","request_id":"000000000000000000000000000000ab","#,
        r#""stream":false,"status":401,"outcome":"refused","refusal":"invalid_api_key","attempts":[],"#,
        r#""duration_ms":0.007,"bytes_in":0,"bytes_out":120,"policy":"0123456789ab"}"#,
        "\n",
    );
    assert_eq!(lines(&log), expected);
}

#[test]
fn hostile_names_stay_one_line_and_read_back() {
    let log = AccessLog::new();
    let hostile = "a\"\\\n\r\u{0}\u{1b}[31m\u{85}\u{2028}ü\u{1f600}";
    let mut record = answered();
    record.caller_id = Some(hostile.into());
    record.user = Some(hostile.into());
    log.push(&record);
    let text = lines(&log);
    assert_eq!(text.lines().count(), 1);
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["user"], hostile);
    assert_eq!(read["caller_request_id"], hostile);
}

#[test]
fn calls_are_written_once_in_order_and_each_is_json() {
    let log = AccessLog::new();
    for round in 0..3 {
        for n in 0..1_000 {
            log.push(&CallRecord { bytes_in: round * 1_000 + n, ..answered() });
        }
        let text = lines(&log);
        let seen = text.lines().map(|line| {
            let read: serde_json::Value = serde_json::from_str(line).unwrap();
            read["bytes_in"].as_u64().unwrap()
        });
        assert!(seen.eq(round * 1_000..(round + 1) * 1_000));
    }
    assert_eq!(lines(&log), "");
}

#[test]
fn many_lines_are_written_in_pieces_of_whole_lines_and_those_after_a_failure_are_counted() {
    /// Takes so many writes, then fails.
    struct Failing(usize, Vec<u8>);
    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            assert!(bytes.len() <= WRITE_BYTES && bytes.ends_with(b"\n"));
            self.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let log = AccessLog::new();
    (0..1_000).for_each(|_| log.push(&answered()));
    let mut out = Failing(2, Vec::new());
    log.drain_to(&mut out).unwrap_err();
    let written = out.1.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert!(written > 0 && log.failed() > 0);
    assert_eq!(written + log.failed(), 1_000);
}

#[test]
fn a_full_buffer_drops_and_counts_and_is_free_again_after_a_write() {
    let log = AccessLog::new();
    for _ in 0..WAITING_MAX + 10 {
        log.push(&refused());
    }
    assert_eq!(log.dropped(), 10);
    assert_eq!(lines(&log).lines().count(), WAITING_MAX);
    log.push(&refused());
    assert_eq!((log.dropped(), lines(&log).lines().count()), (10, 1));
}

#[test]
fn a_writer_that_fails_costs_its_lines_and_nothing_else() {
    let log = AccessLog::new();
    log.push(&refused());
    log.push(&refused());
    assert_eq!(log.drain_to(&mut Broken).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(log.failed(), 2);
    log.push(&refused());
    assert_eq!(lines(&log).lines().count(), 1, "neither half a line nor an old one is left");
}

#[test]
fn many_workers_lose_no_call_while_the_log_is_written() {
    let log = AccessLog::new();
    let mut out = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| (0..2_000).for_each(|_| log.push(&refused())))).collect();
        while !workers.iter().all(|worker| worker.is_finished()) {
            log.drain_to(&mut out).unwrap();
        }
        log.drain_to(&mut out).unwrap();
    });
    let lines = out.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(lines + log.dropped(), 4_000);
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_a_moment_go_out_in_one_write_and_the_last_ones_at_shutdown() {
    let (log, page) = (Arc::new(AccessLog::new()), Page::default());
    let calls = async {
        log.push(&refused());
        log.push(&refused());
        page.0.written.notified().await;
        log.push(&refused());
    };
    Arc::clone(&log).write_to(page.clone(), calls).await;
    let text = page.0.text.lock();
    assert_eq!((text.0.lines().count(), text.1), (3, 2));
}

#[tokio::test]
async fn a_writer_that_hangs_holds_up_neither_calls_nor_the_end() {
    /// Blocks until the test lets go of it.
    struct Stuck(std::sync::mpsc::Receiver<()>);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (let_go, stuck) = std::sync::mpsc::sync_channel(0);
    let log = Arc::new(AccessLog::new());
    for _ in 0..WAITING_MAX + 1 {
        log.push(&refused());
    }
    // Ends though the write never does.
    Arc::clone(&log).write_to(Stuck(stuck), std::future::ready(())).await;
    assert_eq!(log.dropped(), 1);
    drop(let_go);
}
