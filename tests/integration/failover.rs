//! Where a failed attempt leads: to the next candidate, or to the caller.

use crate::support::*;

/// The faults that send a call on, whether plain or a stream, and how the log calls them.
const GO_ON: [(&str, &str); 12] = [
    ("{ status: { code: 401 } }", "key_refused"),
    ("{ status: { code: 403 } }", "key_refused"),
    ("{ status: { code: 408 } }", "error_status"),
    ("{ status: { code: 409 } }", "error_status"),
    ("{ status: { code: 429, retryAfter: 7s } }", "rate_limited"),
    ("{ status: { code: 500 } }", "error_status"),
    ("{ status: { code: 502 } }", "error_status"),
    ("{ status: { code: 503 } }", "error_status"),
    ("{ status: { code: 529 } }", "error_status"),
    ("{ reset: { afterChunks: 0 } }", "head"),
    ("empty", "empty"),
    ("html", "wrong_content_type"),
];

#[tokio::test(start_paused = true)]
async fn peer_bug_12_every_failure_before_the_answer_goes_on_to_the_next_target() {
    for (fault, outcome) in GO_ON {
        for stream in [false, true] {
            let proxy = proxy(&chain(&[fault, "ok"]));
            let answer = if stream { proxy.stream("chat").await } else { proxy.chat("chat").await };

            assert_eq!((answer.status, answer.text().as_str()), (200, "hello from p2"), "{fault} stream: {stream}");
            assert_eq!(answer.header("x-egret-attempts"), Some("2"), "{fault}");
            assert_eq!(answer.header("x-egret-provider"), Some("p2"), "{fault}");
            assert_eq!(answer.header("x-egret-model"), Some("m2"), "{fault}");
            assert_eq!(answer.header("retry-after"), None, "{fault}: an answer is nothing to wait for");
            let record = proxy.record();
            assert_eq!(record["attempts"][0]["outcome"], outcome, "{fault} stream: {stream}");
            assert_eq!(record["attempts"][1]["outcome"], "answered", "{fault}");
            assert_eq!((&record["model"], &record["outcome"]), (&"m2".into(), &"answered".into()), "{fault}");
        }
    }
}
