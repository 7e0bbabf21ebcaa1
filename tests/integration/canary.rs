//! Canaries: a prompt, an answer and keys that must turn up nowhere but where they belong, whatever happens.

use std::io;
use std::sync::{Arc, LazyLock};

use egret::admin::{self, Face};
use egret::environment::Environment;
use egret::mock::{Fault, Mock, Script};
use egret::tasks::Tasks;
use egret::telemetry::sampler::{Root, Sampler};
use egret::telemetry::semconv::Edition;
use egret::telemetry::spans::{Queue, Spans};
use http::Request;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::json;
use tracing::Level;

use crate::support::*;

const PROMPT: &str = "canary-prompt";
const ANSWER: &str = "canary-answer";
const PROVIDER_KEY: &str = "sk-canary-provider";
const CALLER_KEY: &str = "egret_canary-caller";
const WRONG_KEY: &str = "egret_canary-wrong";
const TRACE: &str = "canary-header";

/// Everything that was traced on this thread, at every level.
#[derive(Clone, Default)]
pub(crate) struct Traced(Arc<Mutex<Vec<u8>>>);

impl io::Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hears nothing. Beside a single listener, an event that a thread without one met first would not be told to that
/// listener either.
static ANOTHER: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

impl Traced {
    /// Begins to listen, until the guard is dropped.
    pub(crate) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        LazyLock::force(&ANOTHER);
        let traced = Self::default();
        let writer = traced.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (traced, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

/// What is told beside answers, the access log and pages: events, and the spans of every call.
struct Told {
    events: Traced,
    spans: Arc<Queue>,
}

impl Told {
    /// The bytes of the spans since the last time, texts in them as they are.
    fn spans(&self) -> String {
        let batches = std::iter::from_fn(|| self.spans.take());
        batches.map(|batch| String::from_utf8_lossy(&batch.spans).into_owned()).collect()
    }

    /// Neither events nor the spans of what just ended say anything.
    #[track_caller]
    fn silent(&self, what: &str) {
        let spans = self.spans();
        assert!(spans.contains("egret.policy.revision"), "{what} is no span");
        silent(&spans, &format!("the spans of {what}"));
        silent(&self.events.text(), &format!("the events of {what}"));
    }
}

/// A proxy that tells all it can.
fn telling(start: Start, policy: &str, events: Traced) -> (Proxy, Told) {
    let spans = Spans::new(Sampler::Root(Root::AlwaysOn), Edition::Both, Queue::new(1_000));
    let told = Told { events, spans: Arc::clone(spans.queue()) };
    (Start { spans: Some(spans), ..start }.proxy(policy), told)
}

#[track_caller]
fn silent(text: &str, where_: &str) {
    for canary in [PROMPT, ANSWER, PROVIDER_KEY, CALLER_KEY, WRONG_KEY, TRACE] {
        assert!(!text.contains(canary), "{canary} is in {where_}:\n{text}");
    }
}

/// What operators see, on every page.
async fn pages(proxy: &Proxy) -> String {
    let mut pages = String::new();
    for path in ["/policy", "/usage", "/metrics", "/readyz"] {
        let request = Request::get(path).body(()).unwrap();
        let mut body = admin::answer(&request, Face::Full, &proxy.state.sight()).into_body();
        while let Some(frame) = body.frame().await {
            pages += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
        }
    }
    for key in [CALLER_KEY, WRONG_KEY] {
        let inquiry =
            json!({ "key": key, "model": "m", "input": PROMPT, "headers": { "x-anything": TRACE } });
        let explained = proxy.state.explain(inquiry.to_string().as_bytes()).unwrap();
        assert!(explained.get("caller").is_some(), "{explained:#}");
        pages += &explained.to_string();
    }
    for metric in ["egret_policy_info", "egret_calls_total", "gen_ai_client_inference_duration_seconds"] {
        assert!(pages.contains(metric), "{metric} is not there:\n{pages}");
    }
    pages
}

fn tenants() -> String {
    let hash = hash(CALLER_KEY);
    format!(
        "tenants:\n  shop: {{ match: [{{ apiKeySha256: \"{hash}\", name: ci }}], access: {{ allow: [\"*\"], deny: [denied] }} }}\n\
         \x20 poor: {{ local: true, access: {{ allow: [m] }}, limits: {{ rpm: {{ requests: 1, per: 1h }} }} }}\n"
    )
}

fn body(model: &str, stream: bool) -> String {
    format!(
        "{{\"model\":\"{model}\",\"stream\":{stream},\"user\":\"{PROMPT}\",\
         \"messages\":[{{\"role\":\"user\",\"content\":\"{PROMPT}\"}}]}}"
    )
}

/// Every answer that is an error of ours, or the log, may not repeat what was said.
async fn check(proxy: &Proxy, told: &Told, ask: Ask<'_>, what: &str) -> Answer {
    let answer = ask.header("x-request-id", "mine").header("x-anything", TRACE).await;
    if answer.status != 200 {
        silent(answer.raw(), &format!("the error of {what}"));
    }
    silent(&format!("{:?}", answer.headers), &format!("the headers of {what}"));
    let log = proxy.log_text();
    assert_eq!(log.lines().count(), 1, "{what}: {log}");
    silent(&log, &format!("the access log of {what}"));
    told.silent(what);
    answer
}

#[tokio::test(start_paused = true)]
async fn peer_bug_26_no_failure_of_a_provider_tells_what_was_asked_answered_or_held() {
    let (events, _guard) = Traced::begin();
    let policy = format!(
        "providers: {{ p: {{ mock: {{ says: \"{ANSWER} and more of it\" }} }} }}\n\
         models: {{ m: {{ provider: p }}, other: {{ provider: p }} }}\n\
         routes: {{ chat: {{ targets: [{{ model: m }}, {{ model: other }}] }} }}\n{}",
        tenants().replace(", deny: [denied]", "")
    );
    let (proxy, told) = telling(Start::default(), &policy, events);
    let faults = [
        "none",
        "status=400",
        "status=401",
        "status=403",
        "status=404",
        "status=429;retry-after=7",
        "status=500",
        "status=529",
        "error=context_length_exceeded",
        "error=insufficient_quota",
        "reset=0",
        "reset=2",
        "stall=0",
        "stall=2",
        "error-event=0",
        "error-event=2",
        "empty",
        "html",
        "slow-head=900s",
        "no-such-fault",
    ];
    for fault in faults {
        for (name, stream) in [("m", false), ("m", true), ("chat", false), ("chat", true)] {
            // Whatever was learned of provider and key is forgotten by then.
            tokio::time::sleep(secs(2 * 60 * 60)).await;
            let ask = proxy.chat(name).body(body(name, stream)).key(CALLER_KEY).fault(fault);
            check(&proxy, &told, ask, &format!("{fault} {name} stream: {stream}")).await;
        }
    }
    assert!(told.events.text().contains("an attempt failed"), "something was traced at all");
    silent(&pages(&proxy).await, "an operator's page");
}

#[tokio::test(start_paused = true)]
async fn peer_bug_26_no_refusal_tells_what_was_asked_or_held() {
    let (events, _guard) = Traced::begin();
    let policy = format!(
        "providers: {{ p: {{ apis: [chat], mock: {{ says: \"{ANSWER}\" }} }} }}\n\
         models: {{ m: {{ provider: p }}, denied: {{ provider: p }} }}\n{}",
        tenants()
    );
    let start = Start { max_body: 4096, ..Start::default() };
    let (proxy, told) = telling(start, &policy, events);
    let good = body("m", false);
    let chat = || proxy.chat("m").body(good.clone());
    let with = |field: &str| good.replacen('{', &format!("{{{field},"), 1);
    let refusals = [
        ("a wrong key", chat().key(WRONG_KEY), 401),
        ("two keys", chat().key(CALLER_KEY).header("x-api-key", WRONG_KEY), 401),
        ("another scheme", chat().header("authorization", &format!("Basic {WRONG_KEY}")), 401),
        ("no key from afar", chat().afar(), 401),
        (
            "an unknown model",
            proxy
                .chat("m")
                .body(body("x", false).replace("\"x\"", &format!("\"{}\"", "canary-prompt é")))
                .key(CALLER_KEY),
            404,
        ),
        ("a denied model", proxy.chat("m").body(body("denied", false)).key(CALLER_KEY), 403),
        ("an unknown path", proxy.post("/v1/other", good.clone()).key(CALLER_KEY), 404),
        ("another operation", proxy.post("/v1/embeddings", body("m", false)).key(CALLER_KEY), 400),
        ("no JSON", proxy.chat("m").body(format!("{{\"model\":\"m\",\"x\":{PROMPT}")).key(CALLER_KEY), 400),
        (
            "a model that is no string",
            chat().body(format!("{{\"model\":[\"{PROMPT}\"]}}")).key(CALLER_KEY),
            400,
        ),
        ("two models", chat().body(with(&format!("\"model\":\"{PROMPT}\""))).key(CALLER_KEY), 400),
        (
            "a wrong flag",
            chat().body(format!("{{\"model\":\"m\",\"stream\":\"{PROMPT}\"}}")).key(CALLER_KEY),
            400,
        ),
        ("a guarded field", chat().body(with(&format!("\"api_key\":\"{PROMPT}\""))).key(CALLER_KEY), 400),
        ("compressed", chat().header("content-encoding", "gzip").key(CALLER_KEY), 415),
        (
            "another type",
            proxy
                .untyped("/v1/chat/completions")
                .header("content-type", PROMPT)
                .body(good.clone())
                .key(CALLER_KEY),
            415,
        ),
        (
            "a query",
            proxy.post(&format!("/v1/chat/completions?q={PROMPT}"), body("denied", false)).key(CALLER_KEY),
            403,
        ),
        (
            "another key in the query",
            proxy.post(&format!("/v1/chat/completions?key={PROMPT}"), body("denied", false)).key(CALLER_KEY),
            401,
        ),
        ("too large", chat().body(PROMPT.repeat(1000)).key(CALLER_KEY), 413),
        ("the last that a rate admits", chat(), 200),
        ("beyond the rate", chat(), 429),
    ];
    for (what, ask, status) in refusals {
        let answer = check(&proxy, &told, ask, what).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.raw());
    }
    silent(&pages(&proxy).await, "an operator's page");
}

#[tokio::test(start_paused = true)]
async fn peer_bug_26_a_caller_that_leaves_tells_nothing_either() {
    let (events, _guard) = Traced::begin();
    let policy = format!(
        "providers: {{ p: {{ mock: {{ says: \"{ANSWER} and {ANSWER}\", tokensPerSecond: 1 }} }} }}\n\
         models: {{ m: {{ provider: p }} }}\n{}",
        tenants().replace(", deny: [denied]", "")
    );
    let (proxy, told) = telling(Start::default(), &policy, events);
    let mut stream = proxy.chat("m").body(body("m", true)).key(CALLER_KEY).open().await;
    stream.next().await;
    drop(stream);
    quiet().await;
    let log = proxy.log_text();
    assert!(log.contains("client_gone"), "{log}");
    silent(&log, "the access log");
    told.silent("the call");
}

/// In real time: a provider that repeats what it was asked is one of bytes.
#[tokio::test]
async fn peer_bug_30_an_error_that_quotes_the_prompt_is_in_no_span_no_log_and_no_page() {
    let (events, _guard) = Traced::begin();
    let quoting = format!(
        "{{\"error\":{{\"message\":\"not a fit: {PROMPT}\",\"type\":\"{PROMPT}\",\"code\":\"{PROMPT}\"}}}}"
    );
    let length = quoting.len();
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let said = format!("data: {{\"id\":\"a\",\"choices\":[{{\"delta\":{{\"content\":\"{ANSWER}\"}}}}]}}\n\n");
    let answers = [
        format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{quoting}"
        ),
        format!(
            "HTTP/1.1 500 {PROMPT}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{quoting}"
        ),
        canned("content-type: application/json\r\n", &quoting),
        canned("content-type: text/html\r\n", PROMPT),
        format!("{stream}data: {quoting}\n\n"),
        format!("{stream}{said}data: {quoting}\n\n"),
        format!("{stream}{said}event: {PROMPT}\ndata: {PROMPT}\n\n"),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let raw = Raw::answers(answer).await;
        let (proxy, told) = telling(Start::default(), &raw.policy(""), events.clone());
        proxy.chat("m").body(body("m", number > 3)).await;
        let what = format!("answer {number}");
        silent(&proxy.log_text(), &format!("the access log of {what}"));
        told.silent(&what);
        silent(&pages(&proxy).await, "an operator's page");
    }
}

/// In real time: a provider with a key is one on a socket.
#[tokio::test]
async fn peer_bug_26_the_providers_key_is_told_to_the_provider_alone() {
    let (events, _guard) = Traced::begin();
    let faults = vec![
        Fault::None,
        Fault::Status { status: 500, retry_after: None },
        Fault::Reset { after_chunks: 0 },
        Fault::Empty,
        Fault::Html,
        // Last: the key is not used again after it.
        Fault::Status { status: 401, retry_after: None },
    ];
    let (calls, script) =
        (faults.len(), Arc::new(Script { says: Some(ANSWER.into()), faults, ..Script::default() }));
    let mock = Mock::new(move || Arc::clone(&script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, provider, tasks) = (listener.local_addr().unwrap().port(), mock.clone(), Tasks::new());
    tasks.clone().spawn("provider", async move {
        while let Ok((socket, _)) = listener.accept().await {
            let provider = provider.clone();
            tasks.spawn("provider's connection", async move { provider.serve(socket).await });
        }
    });
    let policy = format!(
        "providers: {{ p: {{ dialect: openai, baseUrl: \"http://127.0.0.1:{port}/v1\", key: {{ fromEnv: KEY }} }} }}\n\
         models: {{ m: {{ provider: p }} }}\ndefaults: {{ retry: {{ maxAttempts: 1 }} }}\n{}",
        tenants().replace(", deny: [denied]", "")
    );
    let environment = Environment::given([("KEY", PROVIDER_KEY)]);
    let start = Start { environment, ..Start::default() };
    let (proxy, told) = telling(start, &policy, events);
    for call in 0..calls {
        let ask = proxy.chat("m").body(body("m", false)).key(CALLER_KEY);
        check(&proxy, &told, ask, &format!("call {call}")).await;
    }
    assert_eq!(mock.seen().len(), calls);
    for seen in mock.seen() {
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {PROVIDER_KEY}").as_str()));
        assert!(!format!("{:?}", seen.headers).contains(CALLER_KEY));
    }
    silent(&pages(&proxy).await, "an operator's page");
    silent(&format!("{:?}", proxy.state.shared.secrets), "the secrets' own debug output");
}
