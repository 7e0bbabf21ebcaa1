//! What a slow or silent peer is given.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{GET, Reached, connect, held, hello, read_until};
use crate::clock::Instant;
use crate::server::{Drain, Settings};
use crate::tasks::Tasks;

fn connect_plainly(reached: &Reached) -> DuplexStream {
    connect(hello(reached), Settings::default(), &Drain::new(), &Tasks::new())
}

/// The seconds until the other side closes.
async fn seconds_until_closed(caller: &mut DuplexStream) -> u64 {
    let start = Instant::now();
    let mut rest = Vec::new();
    let _ = caller.read_to_end(&mut rest).await;
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_says_nothing_is_let_go_after_ten_seconds() {
    let mut caller = connect_plainly(&Reached::default());
    assert_eq!(seconds_until_closed(&mut caller).await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_is_cut_ten_seconds_after_it_began() {
    let reached = Reached::default();
    let mut caller = connect_plainly(&reached);
    caller.write_all(GET).await.unwrap();
    read_until(&mut caller, "hello").await;
    sleep(Duration::from_secs(30)).await;

    let start = Instant::now();
    for byte in b"GET /v1/models HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
        if caller.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    // The write that finds the connection closed comes up to two turns later.
    assert!((10..=12).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(reached.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_for_ten_minutes() {
    let mut caller = connect_plainly(&Reached::default());
    for _ in 0..2 {
        caller.write_all(GET).await.unwrap();
        read_until(&mut caller, "hello").await;
        sleep(Duration::from_secs(500)).await;
    }
    assert_eq!(seconds_until_closed(&mut caller).await, 100);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_last_longer_than_every_timeout_of_its_connection() {
    let permits = Arc::new(Semaphore::new(0));
    let mut caller = connect(held(&permits), Settings::default(), &Drain::new(), &Tasks::new());
    caller.write_all(GET).await.unwrap();
    sleep(Duration::from_secs(3000)).await;
    permits.add_permits(1);
    read_until(&mut caller, "done\r\n0\r\n\r\n").await;
    assert_eq!(seconds_until_closed(&mut caller).await, 600);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_no_slow_head() {
    let permits = Arc::new(Semaphore::new(0));
    let mut caller = connect(held(&permits), Settings::default(), &Drain::new(), &Tasks::new());
    caller.write_all(b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 30\r\n\r\n").await.unwrap();
    for _ in 0..30 {
        sleep(Duration::from_secs(1)).await;
        caller.write_all(b"x").await.unwrap();
    }
    permits.add_permits(1);
    read_until(&mut caller, "done\r\n0\r\n\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn with_h2c_a_silent_or_slow_caller_is_let_go_as_well() {
    let settings = Settings { h2c: true, ..Settings::default() };
    for start in ["", "PRI * HT", "GET /v1/models HTT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut caller = connect(hello(&Reached::default()), settings, &Drain::new(), &Tasks::new());
        caller.write_all(start.as_bytes()).await.unwrap();
        assert_eq!(seconds_until_closed(&mut caller).await, 10, "{start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_h2c_http_1_is_served_and_checked_too() {
    let settings = Settings { h2c: true, ..Settings::default() };
    let reached = Reached::default();
    let mut caller = connect(hello(&reached), settings, &Drain::new(), &Tasks::new());
    caller.write_all(GET).await.unwrap();
    read_until(&mut caller, "hello").await;
    caller.write_all(b"GET /v1/models HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    timeout(Duration::from_secs(1), caller.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.starts_with("HTTP/1.1 400"), "{rest}");
    let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(70 * 1024));
    let mut caller = connect(hello(&reached), settings, &Drain::new(), &Tasks::new());
    caller.write_all(large.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    caller.read_exact(&mut answer).await.unwrap();
    assert_eq!((&answer, reached.count()), (b"HTTP/1.1 431", 1));
}
