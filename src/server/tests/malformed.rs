//! Requests that must not reach a service, and the few odd ones that may.

use super::{Reached, exchange, hello};

/// Refused by our checks: a native error that closes the connection.
const REFUSED: &[(&str, &str)] = &[
    ("no host", "400\nGET /v1/models HTTP/1.1\n\n"),
    ("two hosts", "400\nGET /v1/models HTTP/1.1\nhost: a\nhost: a\n\n"),
    ("two hosts, different", "400\nGET /v1/models HTTP/1.1\nhost: a\nhost: b\n\n"),
    ("host with a user", "400\nGET /v1/models HTTP/1.1\nhost: me@a\n\n"),
    ("empty host", "400\nGET /v1/models HTTP/1.1\nhost:\n\n"),
    ("connect", "405\nCONNECT a:443 HTTP/1.1\nhost: a:443\n\n"),
    ("authority form", "400\nGET a:443 HTTP/1.1\nhost: a\n\n"),
    ("asterisk form", "400\nGET * HTTP/1.1\nhost: a\n\n"),
    ("options asterisk", "405\nOPTIONS * HTTP/1.1\nhost: a\n\n"),
    ("gzip coding", "400\nPOST /v1/x HTTP/1.1\nhost: a\ntransfer-encoding: gzip, chunked\n\n0\n\n"),
    (
        "two authorizations",
        "400\nGET /v1/x HTTP/1.1\nhost: a\nauthorization: Bearer x\nauthorization: Bearer y\n\n",
    ),
    ("two api keys", "400\nGET /v1/x HTTP/1.1\nhost: a\nx-api-key: x\nX-Api-Key: y\n\n"),
    ("expectation", "417\nPOST /v1/x HTTP/1.1\nhost: a\nexpect: tea\ncontent-length: 0\n\n"),
];

/// Refused by hyper: a bare status.
const REFUSED_BY_HYPER: &[(&str, &str)] = &[
    ("different lengths", "400\nPOST /v1/x HTTP/1.1\nhost: a\ncontent-length: 1\ncontent-length: 2\n\nab"),
    ("length list", "400\nPOST /v1/x HTTP/1.1\nhost: a\ncontent-length: 3, 3\n\nabc"),
    ("signed length", "400\nPOST /v1/x HTTP/1.1\nhost: a\ncontent-length: +3\n\nabc"),
    ("chunked not last", "400\nPOST /v1/x HTTP/1.1\nhost: a\ntransfer-encoding: chunked, identity\n\n0\n\n"),
    ("unknown coding", "400\nPOST /v1/x HTTP/1.1\nhost: a\ntransfer-encoding: xchunked\n\n0\n\n"),
    ("space before colon", "400\nGET /v1/x HTTP/1.1\nhost : a\n\n"),
    ("folded line", "400\nGET /v1/x HTTP/1.1\nhost: a\nx: 1\n 2\n\n"),
    ("nonsense", "400\n\u{16}\u{3}\u{1}\u{2}\n\n"),
];

#[tokio::test(start_paused = true)]
async fn a_malformed_request_gets_a_native_error_and_reaches_nothing() {
    for (name, case) in REFUSED {
        let (answer, reached) = send(case).await;
        assert!(answer.contains("\r\nconnection: close\r\n"), "{name}: {answer}");
        assert!(answer.contains("\r\n\r\n{\"error\":{"), "{name}: {answer}");
        assert!(answer.contains("\"type\":\"invalid_request_error\""), "{name}: {answer}");
        assert_eq!(reached, 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_hyper_refuses_gets_a_bare_status_and_reaches_nothing() {
    for (name, case) in REFUSED_BY_HYPER {
        let (_, reached) = send(case).await;
        assert_eq!(reached, 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_speaks_http_2_is_closed_where_that_is_off() {
    let reached = Reached::default();
    assert_eq!(exchange(hello(&reached), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, "");
    assert_eq!(reached.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_odd_request_that_means_one_thing_is_served_once() {
    for case in [
        "200\nGET http://elsewhere/v1/models HTTP/1.1\nhost: a\nconnection: close\n\n",
        "200\nGET /v1/models HTTP/1.0\n\n",
        "200\nGET /v1/x HTTP/1.1\nhost: [::1]:4100\nupgrade: h2c\nconnection: upgrade, close\n\n",
        "200\nPOST /v1/x HTTP/1.1\nhost: a\nexpect: 100-continue\ncontent-length: 0\nconnection: close\n\n",
        "200\nGET /v1/x HTTP/1.1\nhost: a\nauthorization: Bearer x\nx-api-key: x\nconnection: close\n\n",
    ] {
        assert_eq!(send(case).await.1, 1, "{case}");
    }
}

/// The body says it is over; what follows would be a second request to whoever believed the length.
#[tokio::test(start_paused = true)]
async fn length_and_chunked_together_are_one_request_and_the_end_of_the_connection() {
    let (answer, reached) = send(
        "200\nPOST /v1/x HTTP/1.1\nhost: a\ncontent-length: 46\ntransfer-encoding: chunked\n\n0\n\n\
         GET /smuggled HTTP/1.1\nhost: a\n\n",
    )
    .await;
    assert_eq!((reached, answer.matches("HTTP/1.1 ").count()), (1, 1), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_behind_a_malformed_one_is_not_read() {
    let (answer, reached) = send("400\nGET /v1/x HTTP/1.1\n\nGET /smuggled HTTP/1.1\nhost: a\n\n").await;
    assert_eq!((reached, answer.matches("HTTP/1.1 ").count()), (0, 1), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_head_over_64_kib_or_100_headers_is_431() {
    let large = format!("431\nGET /v1/x HTTP/1.1\nhost: a\nx: {}\n\n", "x".repeat(70 * 1024));
    assert_eq!(send(&large).await.1, 0);
    let many = format!("431\nGET /v1/x HTTP/1.1\nhost: a\n{}\n", "x: 1\n".repeat(100));
    assert_eq!(send(&many).await.1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_head_of_60_kib_with_100_headers_is_served() {
    let fits = format!(
        "200\nGET /v1/x HTTP/1.1\nhost: a\nconnection: close\n{}y: {}\n\n",
        "x: 1\n".repeat(97),
        "y".repeat(60 * 1024)
    );
    assert_eq!(send(&fits).await.1, 1);
}

/// Sends what follows the expected status, with CRLF for LF; gives the answer and how many requests reached a service.
async fn send(case: &str) -> (String, usize) {
    let (status, request) = case.split_once('\n').unwrap();
    let reached = Reached::default();
    let answer = exchange(hello(&reached), request.replace('\n', "\r\n").as_bytes()).await;
    let found = answer.split(' ').nth(1);
    assert_eq!(found, Some(status), "{} -> {answer}", &request[..request.len().min(200)]);
    (answer, reached.count())
}
