use proptest::prelude::*;

use super::*;

/// Of headers alone.
fn in_headers(headers: &HeaderMap) -> Result<Credential<'_>, CredentialFault> {
    credential(headers, None)
}

fn headers<const N: usize>(pairs: [(&'static str, &str); N]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn fault<const N: usize>(pairs: [(&'static str, &str); N]) -> CredentialFault {
    in_headers(&headers(pairs)).unwrap_err()
}

#[test]
fn a_request_without_credential_headers_has_none() {
    assert_eq!(in_headers(&headers([("accept", "*/*")])), Ok(Credential::None));
}

#[test]
fn every_header_that_an_sdk_uses_carries_a_key() {
    for (name, value) in [
        ("authorization", "Bearer k1"),
        ("authorization", "bearer k1"),
        ("authorization", "BEARER   k1 "),
        ("x-api-key", "k1"),
        ("x-goog-api-key", " k1 "),
        ("api-key", "k1"),
    ] {
        assert_eq!(in_headers(&headers([(name, value)])), Ok(Credential::Key("k1")), "{name}: {value}");
    }
}

#[test]
fn the_placeholder_is_no_key_wherever_it_comes() {
    for (name, value) in [("authorization", "Bearer egret-local"), ("x-api-key", "egret-local")] {
        assert_eq!(in_headers(&headers([(name, value)])), Ok(Credential::Placeholder));
    }
    // Only the placeholder itself: a key that looks like it is judged.
    assert_eq!(in_headers(&headers([("api-key", "Egret-local")])), Ok(Credential::Key("Egret-local")));
}

#[test]
fn the_same_key_in_two_headers_is_one_and_two_different_are_a_fault() {
    let twice = headers([("authorization", "Bearer k1"), ("x-api-key", "k1"), ("api-key", "k1")]);
    assert_eq!(in_headers(&twice), Ok(Credential::Key("k1")));
    assert_eq!(fault([("authorization", "Bearer k1"), ("x-api-key", "k2")]), CredentialFault::Different);
    assert_eq!(fault([("x-api-key", "k1"), ("x-goog-api-key", "k2")]), CredentialFault::Different);
    // The placeholder beside a key: which of them is meant is not ours to guess.
    assert_eq!(
        fault([("authorization", "Bearer egret-local"), ("x-api-key", "k")]),
        CredentialFault::Different
    );
}

#[test]
fn a_repeated_header_is_a_fault_even_with_the_same_value() {
    assert_eq!(
        fault([("authorization", "Bearer k"), ("authorization", "Bearer k")]),
        CredentialFault::Repeated("authorization")
    );
    assert_eq!(fault([("x-api-key", "k"), ("x-api-key", "k")]), CredentialFault::Repeated("x-api-key"));
    assert_eq!(fault([("api-key", "k"), ("api-key", "l")]), CredentialFault::Repeated("api-key"));
}

#[test]
fn an_empty_header_is_a_fault_not_an_absence() {
    for value in ["", " ", "Bearer", "Bearer  "] {
        assert_eq!(fault([("authorization", value)]), CredentialFault::Empty("authorization"), "{value:?}");
    }
    assert_eq!(fault([("x-goog-api-key", "")]), CredentialFault::Empty("x-goog-api-key"));
}

#[test]
fn other_schemes_are_a_fault() {
    for value in ["Basic dXNlcjpwYXNz", "Bearerk1", "Bear", "k1", "Bearer,k1", "Bearer\tk1"] {
        assert_eq!(fault([("authorization", value)]), CredentialFault::Scheme, "{value:?}");
    }
}

#[test]
fn a_key_is_visible_ascii_without_spaces() {
    for value in ["k 1", "k\t1", "schlüssel", "k\u{a0}1"] {
        assert_eq!(fault([("x-api-key", value)]), CredentialFault::Malformed("x-api-key"), "{value:?}");
    }
    assert_eq!(fault([("authorization", "Bearer a b")]), CredentialFault::Malformed("authorization"));
}

#[test]
fn neither_a_credential_nor_a_fault_prints_the_key() {
    let map = headers([("x-api-key", "sk-hush")]);
    assert_eq!(format!("{:?}", in_headers(&map).unwrap()), "Key([REDACTED])");
    let different = fault([("authorization", "Bearer sk-hush"), ("x-api-key", "sk-other")]);
    assert!(!format!("{different} {different:?}").contains("sk-"));
}

proptest! {
    #[test]
    fn whatever_the_headers_hold_a_key_is_graphic_and_not_empty(
        bearer in proptest::option::of("[ -~\u{e4}]{0,12}"),
        prefix in prop_oneof![Just(""), Just("Bearer "), Just("bEaReR  ")],
        bare in proptest::option::of("[ -~\u{e4}]{0,12}"),
    ) {
        let mut map = HeaderMap::new();
        if let Some(value) = &bearer {
            map.insert(AUTHORIZATION, HeaderValue::from_bytes(format!("{prefix}{value}").as_bytes()).unwrap());
        }
        if let Some(value) = &bare {
            map.insert("x-api-key", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match in_headers(&map) {
            Ok(Credential::Key(key)) => {
                prop_assert!(!key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic()));
            }
            Ok(Credential::None) => prop_assert!(bearer.is_none() && bare.is_none()),
            Ok(Credential::Placeholder) | Err(_) => {}
        }
    }
}

#[test]
fn a_key_in_the_query_is_one_like_any_other() {
    let none = HeaderMap::new();
    assert_eq!(credential(&none, Some("alt=sse&key=k1")), Ok(Credential::Key("k1")));
    assert_eq!(credential(&none, Some("key=egret-local")), Ok(Credential::Placeholder));
    assert_eq!(credential(&none, Some("alt=sse&monkey=1")), Ok(Credential::None));
    assert_eq!(credential(&none, Some("key=a&key=a")), Err(CredentialFault::Repeated("?key=")));
    assert_eq!(credential(&none, Some("key=")), Err(CredentialFault::Empty("?key=")));
    let both = headers([("x-goog-api-key", "k1")]);
    assert_eq!(credential(&both, Some("key=k1")), Ok(Credential::Key("k1")));
    assert_eq!(credential(&both, Some("key=k2")), Err(CredentialFault::Different));
}
