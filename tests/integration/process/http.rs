//! HTTP as hostile or odd callers speak it, over a real socket: no more reaches the provider than was admitted, and
//! a connection that lives on is in step.

use std::time::Duration;

use egret::auth::api_key::KeyDigest;

use super::client::{Connection, ask, body, chat, get, post, stream};
use super::policy;
use super::provider::Provider;
use super::support::{Egret, PolicyFile, eventually};

const KEY: &str = "egret_of_a_test";

/// An egret and its provider.
struct Site {
    egret: Egret,
    provider: Provider,
}

impl Site {
    fn new(limits: &str, flags: &[&str]) -> Self {
        let provider = Provider::prompt();
        let at = format!("{{ dialect: openai, baseUrl: \"http://{}/v1\" }}", provider.address);
        let key = format!("local: true\n    match: [{{ apiKeySha256: \"{}\" }}]", KeyDigest::of(KEY).hex());
        let text = policy::with(&at, "[small]", limits).replace("local: true", &key);
        let egret = Egret::run(&PolicyFile::new(&text).path, flags);
        Self { egret, provider }
    }

    fn connect(&self) -> Connection {
        Connection::open(self.egret.listen)
    }
}

/// A request head that is smuggled as a body, or as what follows one.
fn hidden() -> String {
    chat("small")
}

#[test]
fn what_two_readers_could_read_differently_is_refused_and_reaches_no_provider() {
    let site = Site::new("{}", &[]);
    let body = body("small", false);
    let head = "content-type: application/json\r\n";
    let sized = format!("{head}content-length: {}\r\n", body.len());
    let path = "POST /v1/chat/completions HTTP/1.1\r\n";
    let host = "host: egret\r\n";
    let table = [
        ("no Host", 400, format!("{path}{sized}")),
        ("two Hosts", 400, format!("{path}{host}host: other\r\n{sized}")),
        ("the same Host twice", 400, format!("{path}{host}{host}{sized}")),
        ("a Host with a user", 400, format!("{path}host: me@egret\r\n{sized}")),
        ("an empty Host", 400, format!("{path}host:\r\n{sized}")),
        ("CONNECT", 405, format!("CONNECT egret:443 HTTP/1.1\r\n{host}{sized}")),
        ("OPTIONS *", 405, format!("OPTIONS * HTTP/1.1\r\n{host}{sized}")),
        ("a target without a path", 400, format!("POST * HTTP/1.1\r\n{host}{sized}")),
        ("stacked codings", 400, format!("{path}{host}{head}transfer-encoding: gzip, chunked\r\n")),
        (
            "chunked twice",
            400,
            format!("{path}{host}{head}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
        ),
        ("chunked, then another", 400, format!("{path}{host}{head}transfer-encoding: chunked, identity\r\n")),
        ("an unknown coding", 400, format!("{path}{host}{head}transfer-encoding: xchunked\r\n")),
        ("two lengths", 400, format!("{path}{host}{sized}content-length: 1\r\n")),
        ("a signed length", 400, format!("{path}{host}{head}content-length: +{}\r\n", body.len())),
        ("a length in hex", 400, format!("{path}{host}{head}content-length: 0x10\r\n")),
        ("a list of lengths", 400, format!("{path}{host}{head}content-length: 5, 6\r\n")),
        ("a space before the colon", 400, format!("{path}{host}{head}content-length : {}\r\n", body.len())),
        ("a folded line", 400, format!("{path}{host}{sized}x-a: b\r\n c\r\n")),
        ("a bare CR in a value", 400, format!("{path}{host}{sized}x-a: b\rc\r\n")),
        (
            "two Authorizations",
            400,
            format!("{path}{host}{sized}authorization: Bearer {KEY}\r\nauthorization: Bearer x\r\n"),
        ),
        ("two x-api-keys", 400, format!("{path}{host}{sized}x-api-key: {KEY}\r\nx-api-key: x\r\n")),
        ("an expectation unknown", 417, format!("{path}{host}{sized}expect: tea\r\n")),
    ];
    for (what, status, head) in table {
        let mut connection = site.connect();
        connection.send(&format!("{head}\r\n{body}{}", hidden()));
        let answer = connection.answer().unwrap();
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(connection.closed(), "{what}: what follows may be part of what was not understood");
    }
    assert_eq!(site.provider.seen().len(), 0);
}

#[test]
fn with_two_framings_one_request_reaches_the_provider_and_the_connection_closes() {
    let site = Site::new("{}", &[]);
    let body = body("small", false);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for length in [0, 5, body.len(), chunked.len() + hidden().len()] {
        let before = site.provider.seen().len();
        let mut connection = site.connect();
        connection.send(&format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: egret\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{chunked}{}",
            hidden()
        ));
        assert_eq!(connection.answer().unwrap().status, 200);
        assert!(connection.closed());
        let seen = site.provider.seen();
        assert_eq!(seen.len(), before + 1, "length {length}");
        assert_eq!(seen[before].header("transfer-encoding"), None);
    }
}

#[test]
fn an_absolute_target_names_no_destination() {
    let site = Site::new("{}", &[]);
    let request = chat("small").replace("POST /v1", "POST http://elsewhere.example/v1");
    assert_eq!(ask(site.egret.listen, &request).status, 200);
    let seen = site.provider.seen();
    assert_eq!((seen.len(), seen[0].path.as_str()), (1, "/v1/chat/completions"));
    assert_eq!(seen[0].header("host"), Some(site.provider.address.to_string().as_str()));
}

#[test]
fn a_refusal_leaves_its_connection_in_step_or_closes_it() {
    let site = Site::new("{ few: { requests: 6, per: 31d } }", &["--max-body", "64Ki"]);
    let wrong_key = "authorization: Bearer sk-wrong\r\n";
    let unread = format!("{}{}", body("small", false), hidden());
    let large = "x".repeat(100 * 1024);
    let refusals = [
        (401, post(wrong_key, &unread)),
        (401, post(wrong_key, &large)),
        (413, post("", &large)),
        (415, post("content-encoding: gzip\r\n", &unread)),
        (404, post("", &unread).replace("/v1/chat/completions", "/v1/nowhere")),
        (403, chat("large")),
    ];
    for (status, refused) in refusals {
        let mut connection = site.connect();
        // In one go: whatever of the first is left unread must not be taken for the second.
        connection.send(&refused);
        let answer = connection.answer().unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        connection.send(&chat("small"));
        match connection.answer() {
            Ok(next) => assert_eq!(next.status, 200, "after {status}: {next:?}"),
            Err(_) => assert_eq!(ask(site.egret.listen, &chat("small")).status, 200, "after {status}"),
        }
    }
    assert_eq!(site.provider.seen().len(), 6, "one per call that was answered");

    let mut connection = site.connect();
    for _ in 0..3 {
        assert_eq!(connection.ask(&chat("small")).status, 429);
    }
    assert_eq!(connection.ask(&get("/v1/models")).status, 200);
    assert_eq!(site.provider.seen().len(), 6);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let site = Site::new("{}", &[]);
    let mut connection = site.connect();
    let (plain, streamed, models) = (chat("small"), stream("small"), get("/v1/models"));
    connection.send(&format!("{plain}{models}{streamed}{}{plain}", chat("large")));
    assert!(connection.answer().unwrap().body.contains("chat.completion"));
    assert!(connection.answer().unwrap().body.contains("\"list\""));
    assert!(connection.answer().unwrap().body.ends_with("data: [DONE]\n\n"));
    assert_eq!(connection.answer().unwrap().status, 403);
    assert_eq!(connection.answer().unwrap().status, 200);
    assert_eq!(site.provider.seen().len(), 3);
}

#[test]
fn a_body_is_not_asked_for_where_the_head_is_refused_already() {
    let site = Site::new("{}", &[]);
    let expecting = |headers: &str| {
        let request = post(&format!("expect: 100-continue\r\n{headers}"), &body("small", false));
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (format!("{head}\r\n\r\n"), body.to_owned())
    };
    let mut connection = site.connect();
    connection.send(&expecting("authorization: Bearer sk-wrong\r\n").0);
    assert_eq!(connection.answer().unwrap().status, 401, "and no 100 before it");
    assert!(connection.closed(), "whether the body will follow cannot be known");

    let mut connection = site.connect();
    connection.send(&expecting("content-encoding: br\r\n").0);
    assert_eq!(connection.answer().unwrap().status, 415);

    let mut connection = site.connect();
    let (head, body) = expecting("");
    connection.send(&head);
    assert_eq!(connection.answer().unwrap().status, 100);
    connection.send(&body);
    assert_eq!(connection.answer().unwrap().status, 200);
    assert_eq!(connection.ask(&chat("small")).status, 200);
}

#[test]
fn a_caller_of_http_1_0_gets_whole_answers_that_end_with_the_connection() {
    let site = Site::new("{}", &[]);
    for (request, end) in [(chat("small"), "}"), (stream("small"), "data: [DONE]\n\n")] {
        let mut connection = site.connect();
        let answer = connection.ask(&request.replace("HTTP/1.1\r\nhost: egret", "HTTP/1.0"));
        assert_eq!((answer.status, answer.header("transfer-encoding")), (200, None));
        assert!(answer.body.ends_with(end), "{answer:?}");
        assert!(connection.closed());
    }
}

#[test]
fn head_and_options_are_refused_and_the_connection_goes_on() {
    let site = Site::new("{}", &[]);
    let mut connection = site.connect();
    for _ in 0..2 {
        connection.send("HEAD /v1/chat/completions HTTP/1.1\r\nhost: egret\r\n\r\n");
        // No body may follow: the next answer would be out of step.
        assert_eq!(connection.head().unwrap().status, 405);
        let options = "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: egret\r\n\r\n";
        assert_eq!(connection.ask(options).status, 405);
        assert_eq!(connection.ask(&chat("small")).status, 200);
    }
}

#[test]
fn a_refusal_arrives_where_its_caller_is_still_sending() {
    let site = Site::new("{}", &["--max-body", "1Mi"]);
    // More than the sockets' buffers hold: a close with bytes unread would reset the answer away.
    let large = "x".repeat(12 << 20);
    for (status, headers) in
        [(401, "authorization: Bearer sk-wrong\r\n"), (413, ""), (415, "content-encoding: br\r\n")]
    {
        let mut connection = site.connect();
        assert!(connection.sends(&post(headers, &large)), "{status}: cut off while sending");
        let answer = connection.answer().unwrap_or_else(|error| panic!("{status}: {error}"));
        assert_eq!(answer.status, status);
    }
    assert!(site.provider.seen().is_empty());
}

#[test]
fn a_head_that_trickles_in_is_cut_off_and_disturbs_no_one() {
    let site = Site::new("{}", &[]);
    let mut slow: Vec<_> = (0..50).map(|_| site.connect()).collect();
    for connection in &mut slow {
        connection.send("POST /v1/chat/completions HTTP/1.1\r\nhost: egret\r\n");
    }
    let mut prompt = site.connect();
    let took = eventually("the slow ones are cut off", || {
        assert_eq!(prompt.ask(&chat("small")).status, 200);
        // A byte now and then gains no time: the limit is for the whole head.
        slow.iter_mut().filter(|connection| !connection.closed_by_now()).map(|c| c.send("x")).count() == 0
    });
    assert!(took > Duration::from_secs(9), "a caller has 10 s for a head, not {took:?}");
}

#[test]
fn a_head_or_a_header_count_beyond_the_cap_is_431() {
    let site = Site::new("{}", &[]);
    let long = format!("x-long: {}\r\n", "a".repeat(70 * 1024));
    let many: String = (0..120).map(|n| format!("x-{n}: a\r\n")).collect();
    for headers in [long, many] {
        let mut connection = site.connect();
        connection.send(&post(&headers, &body("small", false)));
        assert_eq!(connection.answer().unwrap().status, 431);
        assert!(connection.closed());
    }
    assert!(site.provider.seen().is_empty());
}

#[test]
fn http_2_without_tls_is_not_spoken_unless_it_was_asked_for() {
    let site = Site::new("{}", &[]);
    let mut connection = site.connect();
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(connection.answer().map_or(true, |answer| answer.status >= 400));
    let upgrade =
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    assert_eq!(ask(site.egret.listen, &post(upgrade, &body("small", false))).status, 200);
}
