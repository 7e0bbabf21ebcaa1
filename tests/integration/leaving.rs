//! Callers that leave: the provider is told at once, and nothing stays behind.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use crate::support::*;

/// A provider with this script, and a tenant with a place for one and ten calls a minute.
fn policy(mock: &str) -> String {
    format!(
        "providers: {{ p: {{ mock: {{ {mock} }} }}, q: {{ mock: {{}} }} }}\n\
         models: {{ m: {{ provider: p }}, n: {{ provider: q }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m }}, {{ model: n }}] }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, \
         limits: {{ open: {{ concurrent: 1 }}, rpm: {{ requests: 10, per: 1m }} }} }} }}\n"
    )
}

/// Drops what is asked when nobody moves any more.
async fn leaves<F: IntoFuture>(asked: F) {
    tokio::select! {
        _ = asked.into_future() => panic!("there was an answer"),
        () = quiet() => {}
    }
    quiet().await;
}

/// Nothing of the call is left but what it used.
async fn nothing_is_left(proxy: &Proxy, requests: u64) {
    assert_eq!(proxy.callers.running(), 0, "connections of callers");
    assert_eq!(proxy.state.drain.calls(), 0);
    assert_eq!(proxy.state.shared.budget.used(), 0, "bytes held");
    assert_eq!(proxy.cells(), [("open".into(), None, 0, 0), ("rpm".into(), None, requests, 0)]);
    no_connection_is_left(proxy).await;
}

async fn no_connection_is_left(proxy: &Proxy) {
    assert_eq!(proxy.idle(), 0, "a connection with half an answer on it is good for nobody");
    assert!(proxy.state.tasks.running() <= 1, "the pool's own");
    tokio::time::sleep(secs(120)).await;
    assert_eq!(proxy.state.tasks.running(), 0, "and that one ends when there is nothing to look after");
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_left_at_once_by_a_caller_that_waited_for_the_answer() {
    for stream in [false, true] {
        for fault in ["{ stall: { afterChunks: 0 } }", "{ slowHead: 9s }"] {
            let proxy = proxy(&policy(&format!("faults: [{fault}]")));
            leaves(if stream { proxy.stream("chat") } else { proxy.chat("chat") }).await;

            assert!(proxy.seen("p")[0].left(), "{fault} stream: {stream}");
            assert_eq!(proxy.seen("q").len(), 0, "nobody is there to be answered by another");
            let record = proxy.record();
            assert_eq!((&record["outcome"], &record["status"]), (&"client_gone".into(), &499.into()));
            nothing_is_left(&proxy, 1).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn peer_bug_11_a_provider_is_left_at_once_by_a_caller_that_had_part_of_the_stream() {
    let proxy = proxy(&policy("tokensPerSecond: 1, tokens: 100"));
    let mut stream = proxy.stream("chat").open().await;
    assert_eq!(stream.status, 200);
    stream.next().await.unwrap();
    stream.next().await.unwrap();
    drop(stream);
    quiet().await;

    assert!(proxy.seen("p")[0].left());
    let records = proxy.records();
    assert_eq!(records.len(), 1, "once, and only once: {records:#?}");
    let record = &records[0];
    assert_eq!(
        (&record["outcome"], &record["status"]),
        (&"client_gone".into(), &200.into()),
        "the caller saw 200"
    );
    assert!(record["bytes_out"].as_u64().unwrap() > 0);
    nothing_is_left(&proxy, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_left_in_the_middle_of_a_plain_answer_is_noted_as_gone() {
    let proxy = proxy(&policy("faults: [{ stall: { afterChunks: 1 } }]"));
    leaves(proxy.chat("chat")).await;
    assert!(proxy.seen("p")[0].left());
    assert_eq!(proxy.record()["outcome"], "client_gone");
    nothing_is_left(&proxy, 1).await;
}

/// A request's body that begins and does not end.
pub(crate) struct Endless(pub(crate) Option<Bytes>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_left_while_it_sent_its_body_has_asked_nobody() {
    let proxy = proxy(&policy(""));
    let body = Endless(Some(Bytes::from_static(b"{\"model\":\"chat\",\"messages\":[")));
    leaves(Box::pin(proxy.chat("chat").open_with(body))).await;

    assert_eq!(proxy.seen("p").len(), 0);
    let record = proxy.record();
    assert_eq!((&record["outcome"], &record["status"]), (&"client_gone".into(), &499.into()));
    assert_eq!(record["attempts"], serde_json::json!([]));
    assert_eq!((proxy.state.tasks.running(), proxy.callers.running()), (0, 0));
    assert_eq!(proxy.state.shared.budget.used(), 0);
    assert_eq!(proxy.cells(), []);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for_longer_than_a_minute() {
    let proxy = proxy(&policy(""));
    let begun = egret::clock::Instant::now();
    let answer = proxy.chat("chat").open_with(Endless(Some(Bytes::from_static(b"{")))).await.rest().await;
    assert_eq!(answer.refused(), (408, "request_timeout".into()));
    assert_eq!((egret::clock::Instant::now() - begun).as_secs(), 60);
    assert_eq!(proxy.seen("p").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn callers_that_leave_in_hundreds_leave_nothing() {
    let limits = "open: { concurrent: 1 }, rpm: { requests: 10, per: 1m }";
    let many =
        policy("faults: [{ stall: { afterChunks: 2 } }]").replace(limits, "rpm: { requests: 1000, per: 1m }");
    let proxy = proxy(&many);
    let mut streams = Vec::new();
    for _ in 0..300 {
        let mut stream = proxy.stream("m").open().await;
        stream.next().await;
        streams.push(stream);
    }
    assert_eq!(proxy.state.drain.calls(), 300);
    drop(streams);
    quiet().await;
    assert!(proxy.seen("p").iter().all(egret::mock::Seen::left));
    assert_eq!(proxy.records().iter().filter(|record| record["outcome"] == "client_gone").count(), 300);
    assert_eq!((proxy.callers.running(), proxy.state.drain.calls()), (0, 0));
    no_connection_is_left(&proxy).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_answered_well_keeps_its_connection_for_the_next_call() {
    let proxy = proxy(&policy(""));
    for _ in 0..5 {
        assert_eq!(proxy.chat("chat").await.status, 200);
        assert!(proxy.stream("chat").await.is_done());
    }
    assert_eq!(proxy.idle(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_of_broken_chunks_is_refused_and_not_taken_for_a_caller_that_left() {
    let proxy = proxy(&policy(""));
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: egret\r\ncontent-type: application/json\r\n";
    let answer =
        proxy.exchange(format!("{head}transfer-encoding: chunked\r\n\r\nno number\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(proxy.record()["outcome"], "refused");
}
