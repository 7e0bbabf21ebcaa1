//! Shutdowns in both forms.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::{GET, Reached, connect, held, hello, read_until};
use crate::clock::Instant;
use crate::server::{Drain, Drained, Mode, Settings, Timing, drain};
use crate::tasks::Tasks;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A shutdown that runs while the test goes on; gives how it went and the seconds it took.
fn begin(server: &Drain, mode: Mode) -> tokio::sync::oneshot::Receiver<(Drained, u64)> {
    let (done, result) = tokio::sync::oneshot::channel();
    let server = server.clone();
    Tasks::new().spawn("drain", async move {
        let start = Instant::now();
        let drained = drain(&server, mode, Timing::default(), start).await;
        let _ = done.send((drained, start.elapsed().as_secs()));
    });
    result
}

async fn is_closed(caller: &mut DuplexStream) -> bool {
    caller.read(&mut [0; 1]).await.is_ok_and(|n| n == 0)
}

#[tokio::test(start_paused = true)]
async fn a_hundred_streams_in_flight_all_finish_in_a_gateways_drain() {
    let (permits, server, tasks) = (Arc::new(Semaphore::new(0)), Drain::new(), Tasks::new());
    let mut callers = Vec::new();
    for _ in 0..100 {
        let mut caller = connect(held(&permits), Settings::default(), &server, &tasks);
        caller.write_all(GET).await.unwrap();
        read_until(&mut caller, "\r\n\r\n").await;
        callers.push(caller);
    }
    let drained = begin(&server, Mode::Gateway);
    sleep(secs(10)).await;
    assert!(!server.ready());
    assert_eq!(server.calls(), 100);

    permits.add_permits(100);
    for caller in &mut callers {
        assert!(read_until(caller, "0\r\n\r\n").await.contains("done"));
        assert!(is_closed(caller).await);
    }
    assert_eq!(drained.await.unwrap(), (Drained { calls_cut: 0 }, 10));
    assert_eq!(tasks.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_leaving_gateway_answers_and_closes_kept_alive_connections() {
    let (reached, server, tasks) = (Reached::default(), Drain::new(), Tasks::new());
    let mut used = connect(hello(&reached), Settings::default(), &server, &tasks);
    let mut idle = connect(hello(&reached), Settings::default(), &server, &tasks);
    for caller in [&mut used, &mut idle] {
        caller.write_all(GET).await.unwrap();
        read_until(caller, "hello").await;
    }
    let drained = begin(&server, Mode::Gateway);
    sleep(secs(1)).await;

    used.write_all(GET).await.unwrap();
    assert!(read_until(&mut used, "hello").await.contains("connection: close"));
    assert!(is_closed(&mut used).await);
    assert!(is_closed(&mut idle).await);
    assert_eq!(drained.await.unwrap(), (Drained { calls_cut: 0 }, 5));
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_keeps_answering_until_its_application_is_silent() {
    let (reached, server, tasks) = (Reached::default(), Drain::new(), Tasks::new());
    let mut caller = connect(hello(&reached), Settings::default(), &server, &tasks);
    let drained = begin(&server, Mode::Sidecar);
    for _ in 0..10 {
        caller.write_all(GET).await.unwrap();
        assert!(!read_until(&mut caller, "hello").await.contains("connection: close"));
        assert!(!server.ready());
        sleep(Duration::from_millis(900)).await;
    }
    assert!(is_closed(&mut caller).await);
    let (drained, took) = drained.await.unwrap();
    assert_eq!((drained.calls_cut, reached.count()), (0, 10));
    assert!((9..=11).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn what_runs_at_the_deadline_is_cut_and_counted() {
    for mode in [Mode::Gateway, Mode::Sidecar] {
        let (permits, server, tasks) = (Arc::new(Semaphore::new(0)), Drain::new(), Tasks::new());
        let mut caller = connect(held(&permits), Settings::default(), &server, &tasks);
        caller.write_all(GET).await.unwrap();
        read_until(&mut caller, "\r\n\r\n").await;
        let drained = begin(&server, mode).await.unwrap();
        assert_eq!(drained, (Drained { calls_cut: 1 }, 25), "{mode:?}");
        assert!(is_closed(&mut caller).await);
        assert_eq!((server.calls(), tasks.running()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_cuts_at_once() {
    let (permits, server, tasks) = (Arc::new(Semaphore::new(0)), Drain::new(), Tasks::new());
    let mut caller = connect(held(&permits), Settings::default(), &server, &tasks);
    caller.write_all(GET).await.unwrap();
    read_until(&mut caller, "\r\n\r\n").await;
    let drained = begin(&server, Mode::Gateway);
    sleep(secs(2)).await;
    server.cut();
    assert_eq!(drained.await.unwrap(), (Drained { calls_cut: 1 }, 2));
    assert!(is_closed(&mut caller).await);
}

#[tokio::test(start_paused = true)]
async fn a_drain_of_nothing_ends_as_soon_as_its_form_allows() {
    assert_eq!(begin(&Drain::new(), Mode::Gateway).await.unwrap(), (Drained { calls_cut: 0 }, 5));
    assert_eq!(begin(&Drain::new(), Mode::Sidecar).await.unwrap(), (Drained { calls_cut: 0 }, 1));
}

#[tokio::test(start_paused = true)]
async fn streams_of_http_2_finish_in_a_drain_and_are_cut_at_its_deadline() {
    for (finish, expected) in [(true, (0, 8)), (false, (2, 25))] {
        let (permits, server, tasks) = (Arc::new(Semaphore::new(0)), Drain::new(), Tasks::new());
        let settings = Settings { h2c: true, ..Settings::default() };
        let caller = TokioIo::new(connect(held(&permits), settings, &server, &tasks));
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), caller).await.unwrap();
        Tasks::new().spawn("client", async {
            let _ = connection.await;
        });
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let request = Request::get("http://egret/v1/models").body(Empty::<Bytes>::new()).unwrap();
            bodies.push(sender.send_request(request).await.unwrap().into_body());
        }
        assert_eq!(server.calls(), 2);

        let drained = begin(&server, Mode::Gateway);
        sleep(secs(8)).await;
        permits.add_permits(if finish { 2 } else { 0 });
        for mut body in bodies {
            assert_eq!(body.frame().await.unwrap().is_ok(), finish);
        }
        let (drained, took) = drained.await.unwrap();
        assert_eq!((drained.calls_cut, took), expected);
        sleep(secs(1)).await;
        assert_eq!((server.calls(), tasks.running()), (0, 0));
    }
}
