//! Every fault of a scripted provider, as a policy writes it.

use super::*;

/// The faults under `faults:`, compiled.
fn scripted(written: &str) -> Vec<Fault> {
    let mock = format!("openai: {{ mock: {{ faults: [{written}] }} }}");
    let (snapshot, _) = good(&allowed(&mock));
    snapshot.providers["openai"].mock.as_ref().unwrap().faults.clone()
}

fn allowed(provider: &str) -> String {
    with("openai: { key: { fromEnv: OPENAI_API_KEY } }", provider)
        .replace("kind: Policy", "kind: Policy\nallowMock: true")
}

#[test]
fn every_fault_has_a_form_in_a_policy_that_means_what_its_text_means() {
    for (written, text) in [
        ("ok", "none"),
        ("{ status: { code: 429, retryAfter: 7s } }", "status=429;retry-after=7"),
        ("{ error: content_filter }", "error=content_filter"),
        ("{ reset: { afterChunks: 3 } }", "reset=3"),
        ("resetAfterHead", "reset-after-head"),
        ("{ stall: { afterChunks: 0 } }", "stall=0"),
        ("stallAfterHead", "stall-after-head"),
        ("{ truncate: { afterChunks: 2 } }", "truncate=2"),
        ("{ errorEvent: { afterChunks: 2 } }", "error-event=2"),
        ("{ errorEvent: { afterChunks: 2, code: slow_down } }", "error-event=2;code=slow_down"),
        ("empty", "empty"),
        ("onlyPings", "only-pings"),
        ("onlyDone", "only-done"),
        ("html", "html"),
        ("notJson", "not-json"),
        ("wrongType", "wrong-type"),
        ("gzip", "gzip"),
        ("redirect", "redirect"),
        ("{ large: 100Mi }", "large=100Mi"),
        ("{ large: 4096 }", "large=4096"),
        ("{ slowHead: 5s }", "slow-head=5s"),
        ("{ slowFirstToken: { delay: 5s } }", "slow-first-token=5s"),
        ("{ slowFirstToken: { delay: 5s, pings: 1s } }", "slow-first-token=5s;pings=1s"),
        ("{ slowStream: 2 }", "slow-stream=2"),
        ("{ trickle: 20ms }", "trickle=20ms"),
        ("duplicate", "duplicate"),
        ("shuffle", "shuffle"),
        ("{ forKey: { endsWith: \"aaa\", code: 401 } }", "for-key=aaa;status=401"),
        ("{ forKey: { endsWith: b, code: 429, retryAfter: 7s } }", "for-key=b;status=429;retry-after=7"),
    ] {
        assert_eq!(scripted(written), [text.parse().unwrap()], "{written}");
    }
}

#[test]
fn the_codes_of_a_policy_are_those_of_the_provider() {
    for code in ErrorCode::ALL {
        assert_eq!(scripted(&format!("{{ error: {} }}", code.as_str())), [Fault::Error { code }]);
    }
}

#[test]
fn a_fault_that_cannot_be_is_an_error() {
    for (written, message) in [
        ("{ status: { code: 200 } }", "an error status is from 400 to 599"),
        ("{ slowStream: 0 }", "zero makes no sense here"),
        ("{ large: 100MB }", "this is no number of bytes up to 1024Gi"),
        ("{ large: 2048Gi }", "this is no number of bytes up to 1024Gi"),
        ("{ slowFirstToken: { delay: 1s, pings: 0s } }", "this time span must be from 1ms to 1h"),
        ("{ forKey: { endsWith: \"\", code: 401 } }", "every key ends so"),
        ("{ forKey: { endsWith: a, code: 200 } }", "an error status is from 400 to 599"),
    ] {
        let text = allowed(&format!("openai: {{ mock: {{ faults: [{written}] }} }}"));
        assert_eq!(faults(&text), [format!("6 error: {message}")], "{written}");
    }
}
