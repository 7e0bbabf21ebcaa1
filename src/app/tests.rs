//! Answers on their way to callers that read as they like, from a provider that writes as it likes.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::State;
use crate::clock::{Clock, Timestamp};
use crate::environment::Environment;
use crate::net::tls::LazyTls;
use crate::policy::compile;
use crate::policy::load::Sources;
use crate::policy::watch::Loaded;
use crate::random::Random;
use crate::relay::{RelayBody, Settings};
use crate::telemetry::Telemetry;

const POLICY: &str = "\
apiVersion: egret.dev/v1alpha1
kind: Policy
allowMock: true
defaults: { timeouts: { streamIdle: 2s, total: 10s } }
providers: { p: { mock: {} } }
models: { m: { provider: p } }
tenants: { app: { local: true, access: { allow: [\"*\"] } } }
";

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const WORD: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n";

/// An egret whose provider `p` is what `provider` makes of each connection.
fn egret<F>(provider: impl Fn(DuplexStream) -> F + Send + Sync + 'static) -> State
where
    F: Future<Output = ()> + Send + 'static,
{
    let settings = Settings { max_body: 1 << 20, stamp: None };
    let clock = Clock::standing(Timestamp::UNIX_EPOCH);
    let (tls, telemetry) = (LazyTls::new(None).unwrap(), Telemetry::default());
    let state = State::new(&Environment::given([]), clock, settings, 1 << 20, tls, telemetry);
    let (snapshot, _) = compile::compile(&Sources::single("policy.yaml", POLICY)).unwrap();
    state.begin(Loaded { snapshot, warnings: Vec::new() });
    let tasks = state.tasks.clone();
    state.memory.register("p", Arc::new(move |io| tasks.spawn("provider", provider(io))));
    state
}

/// Reads the request that came, so far as it has come.
async fn asked(io: &mut DuplexStream) {
    let mut request = [0; 4096];
    assert_ne!(io.read(&mut request).await.unwrap(), 0);
}

async fn stream(state: &State) -> Response<RelayBody> {
    let body = r#"{"model":"m","stream":true,"messages":[]}"#;
    let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    let request =
        request.body(Full::<Bytes>::from(body).map_err(|never: Infallible| match never {})).unwrap();
    state.relay(Random::seeded(1)).handle(request, IpAddr::from(Ipv4Addr::LOCALHOST)).await
}

/// What a caller gets that waits this long before each look.
async fn read(response: Response<RelayBody>, wait: Duration) -> String {
    let (mut body, mut text) = (response.into_body(), String::new());
    while let Some(frame) = body.frame().await {
        text += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
        tokio::time::sleep(wait).await;
    }
    text
}

fn log(state: &State) -> serde_json::Value {
    let mut line = Vec::new();
    state.shared.telemetry.access_log.drain_to(&mut line).unwrap();
    serde_json::from_slice(&line).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_reads_slowly_has_no_more_time_than_any_other() {
    let state = egret(|mut io| async move {
        asked(&mut io).await;
        io.write_all(HEAD.as_bytes()).await.unwrap();
        while io.write_all(WORD.as_bytes()).await.is_ok() {}
    });
    let text = read(stream(&state).await, Duration::from_secs(3)).await;
    assert!(text.ends_with("\n\n") && text.contains("took longer than its policy allows"), "{}", text.len());
    assert_eq!(log(&state)["outcome"], "stream_interrupted");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_stays_after_its_last_event_or_breaks_then_spoils_nothing() {
    for breaks in [false, true] {
        let state = egret(move |mut io| async move {
            asked(&mut io).await;
            let chunked = HEAD.replace("\r\n\r\n", "\r\ntransfer-encoding: chunked\r\n\r\n");
            let event = format!("{WORD}data: [DONE]\n\n");
            let answer = format!("{chunked}{:x}\r\n{event}\r\n", event.len());
            io.write_all(answer.as_bytes()).await.unwrap();
            if !breaks {
                std::future::pending::<()>().await;
            }
        });
        let text = read(stream(&state).await, Duration::ZERO).await;
        assert_eq!(text, format!("{WORD}data: [DONE]\n\n"), "{breaks}");
        assert_eq!(log(&state)["outcome"], "answered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_event_that_comes_slowly_is_no_silence() {
    let state = egret(|mut io| async move {
        asked(&mut io).await;
        io.write_all(HEAD.as_bytes()).await.unwrap();
        io.write_all(format!("{WORD}data: {{\"x\":\"").as_bytes()).await.unwrap();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            io.write_all(&[b'x'; 1000]).await.unwrap();
        }
        io.write_all(b"\"}\n\ndata: [DONE]\n\n").await.unwrap();
    });
    let text = read(stream(&state).await, Duration::ZERO).await;
    assert!(text.ends_with("[DONE]\n\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_nothing_but_its_end_is_no_answer() {
    let state = egret(|mut io| async move {
        asked(&mut io).await;
        io.write_all(format!("{HEAD}data: [DONE]\n\n").as_bytes()).await.unwrap();
    });
    assert_eq!(stream(&state).await.status(), 502);
    assert_eq!(log(&state)["attempts"][0]["outcome"], "empty");
}
