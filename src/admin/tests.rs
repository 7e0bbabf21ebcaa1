//! Every page, on both faces.

use http_body::Body as _;
use serde_json::{Value, json};

use super::*;

struct Pod {
    ready: Result<(), &'static str>,
}

impl Sight for Pod {
    fn ready(&self) -> Result<(), &'static str> {
        self.ready
    }
    fn policy(&self) -> Value {
        json!({ "revision": "0123456789ab" })
    }
    fn usage(&self) -> Value {
        json!({ "cells": [] })
    }
    fn providers(&self) -> Value {
        json!({ "providers": [] })
    }
    fn explain(&self, inquiry: &[u8]) -> Result<Value, String> {
        serde_json::from_slice(inquiry).map_err(|_| "no JSON".to_owned())
    }
    fn metrics(&self) -> String {
        "egret_calls_total 1\n".to_owned()
    }
}

const READY: Pod = Pod { ready: Ok(()) };
const DRAINING: Pod = Pod { ready: Err("draining") };

fn ask(method: &str, path: &str, face: Face, pod: &Pod) -> Response<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    answer(&request, face, pod)
}

fn status(path: &str, face: Face, pod: &Pod) -> u16 {
    ask("GET", path, face, pod).status().as_u16()
}

#[test]
fn each_face_shows_its_pages_and_no_other() {
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(
            (status(path, Face::Probes, &READY), status(path, Face::Full, &READY)),
            (200, 200),
            "{path}"
        );
    }
    for path in ["/policy", "/providers", "/usage"] {
        assert_eq!(
            (status(path, Face::Probes, &READY), status(path, Face::Full, &READY)),
            (404, 200),
            "{path}"
        );
    }
    for path in ["/", "/livez/", "/policy/x", "/v1/models", "*"] {
        assert_eq!(
            (status(path, Face::Probes, &READY), status(path, Face::Full, &READY)),
            (404, 404),
            "{path}"
        );
    }
}

#[test]
fn a_process_that_is_not_ready_is_live_and_says_why() {
    assert_eq!(status("/livez", Face::Probes, &DRAINING), 200);
    let answer = ask("GET", "/readyz", Face::Probes, &DRAINING);
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body().size_hint().exact(), Some("draining\n".len() as u64));
}

#[test]
fn only_get_and_head_are_answered() {
    assert_eq!(ask("HEAD", "/livez", Face::Full, &READY).status(), 200);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = ask(method, "/policy", Face::Full, &READY);
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.headers()[ALLOW], "GET, HEAD");
    }
}

#[test]
fn pages_name_their_content_and_are_not_cached() {
    for (path, kind) in [
        ("/policy", "application/json"),
        ("/usage", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/readyz", "text/plain; charset=utf-8"),
    ] {
        let answer = ask("GET", path, Face::Full, &READY);
        assert_eq!(answer.headers()[CONTENT_TYPE], kind, "{path}");
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    }
}
