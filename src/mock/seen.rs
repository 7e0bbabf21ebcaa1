//! What a scripted provider was asked, and how each call ended: what tests assert on.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, request};
use parking_lot::Mutex;
use serde_json::Value;

use super::gemini::Verb;

/// Calls kept; the oldest go first.
const CALLS: usize = 1_000;
/// Bytes kept of one request body.
const BODY: usize = 64 * 1024;
/// Bytes kept of all calls together, so that a long-running provider stays small.
const TOTAL: usize = 8 * 1024 * 1024;

/// One request, as it came.
#[derive(Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// Path and query, as sent.
    pub path: String,
    /// Every header, credentials included.
    pub headers: HeaderMap,
    /// The body, or its first 64 KiB; empty while it has not been read.
    pub body: Bytes,
    /// How the answer ended.
    pub ending: Ending,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has not.
    Open,
    /// The last byte was handed over.
    Complete,
    /// The client left before the end.
    Left,
    /// A fault cut it.
    Cut,
}

impl Seen {
    /// Whether the client left before the end of its answer.
    pub fn left(&self) -> bool {
        self.ending == Ending::Left
    }

    /// The value of a header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the query says for a name, as sent.
    pub fn query(&self, name: &str) -> Option<&str> {
        value(self.path.split_once('?')?.1, name)
    }

    /// The body, where it was kept whole and is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The model that was asked for: the body's, of a Gemini call the path's.
    pub fn model(&self) -> Option<String> {
        let path = self.path.split('?').next().unwrap_or_default();
        if let Some((_, model)) = Verb::of(path, None) {
            return Some(model.to_owned());
        }
        Some(self.json()?.get("model")?.as_str()?.to_owned())
    }

    /// Whether a stream was asked for.
    pub fn streams(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        match Verb::of(path, None) {
            Some((verb, _)) => matches!(verb, Verb::Stream { .. }),
            None => self.json().is_some_and(|body| body["stream"] == true),
        }
    }

    /// The last four characters of the key that the call came with; none where a key is no longer than that.
    pub fn key_ends(&self) -> Option<&str> {
        let key = key(&self.headers, self.path.split_once('?').map(|(_, query)| query))?;
        let (at, _) = key.char_indices().nth_back(3).filter(|(at, _)| *at > 0)?;
        key.get(at..)
    }

    fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        self.path.len() + headers.sum::<usize>() + self.body.len()
    }
}

/// The key of a request: behind `Bearer`, in the header of Anthropic, Azure or Google, or in the query as Google has it.
pub(super) fn key<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a str> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let header = || ["x-api-key", "api-key", "x-goog-api-key"].into_iter().find_map(text);
    bearer.or_else(header).or_else(|| value(query?, "key")).map(str::trim)
}

/// The value of a name in a query, as it stands there.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

impl fmt::Debug for Seen {
    /// Headers hold credentials and bodies prompts: only their sizes are printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("method", &self.method)
            .field("path", &self.path.split('?').next())
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .field("ending", &self.ending)
            .finish()
    }
}

/// The last calls, bounded in number and bytes.
#[derive(Default)]
pub(super) struct Log(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    kept: VecDeque<Seen>,
    /// The number of the oldest call kept.
    first: u64,
    bytes: usize,
}

impl Log {
    /// Notes a request; its ending is told by the visit.
    pub(super) fn open(self: &Arc<Self>, head: &request::Parts) -> Visit {
        let seen = Seen {
            method: head.method.clone(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: head.headers.clone(),
            body: Bytes::new(),
            ending: Ending::Open,
        };
        let mut calls = self.0.lock();
        calls.bytes += seen.size();
        calls.kept.push_back(seen);
        let number = calls.first + calls.kept.len() as u64 - 1;
        calls.trim();
        Visit { log: Arc::clone(self), number }
    }

    pub(super) fn calls(&self) -> Vec<Seen> {
        self.0.lock().kept.iter().cloned().collect()
    }
}

impl Calls {
    fn find(&mut self, number: u64) -> Option<&mut Seen> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.kept.get_mut(at)
    }

    fn trim(&mut self) {
        while self.kept.len() > CALLS || self.bytes > TOTAL {
            let Some(oldest) = self.kept.pop_front() else {
                return;
            };
            self.bytes -= oldest.size();
            self.first += 1;
        }
    }
}

/// A call in flight. Dropped without an ending, the client has left.
pub(super) struct Visit {
    log: Arc<Log>,
    number: u64,
}

impl Visit {
    pub(super) fn body(&self, body: &[u8]) {
        // Copied: a slice would keep the whole read buffer alive.
        let kept = Bytes::copy_from_slice(body.get(..BODY).unwrap_or(body));
        let mut calls = self.log.0.lock();
        let bytes = kept.len();
        if let Some(seen) = calls.find(self.number) {
            seen.body = kept;
            calls.bytes += bytes;
            calls.trim();
        }
    }

    /// The first ending told stands.
    pub(super) fn ended(&self, ending: Ending) {
        if let Some(seen) = self.log.0.lock().find(self.number)
            && seen.ending == Ending::Open
        {
            seen.ending = ending;
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.ended(Ending::Left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(path: &str) -> request::Parts {
        http::Request::post(path).header("authorization", "Bearer secret").body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_last_thousand_calls_are_kept() {
        let log = Arc::new(Log::default());
        for i in 0..1_500 {
            log.open(&head(&format!("/{i}"))).ended(Ending::Complete);
        }
        let calls = log.calls();
        assert_eq!((calls.len(), calls[0].path.as_str()), (1_000, "/500"));
        assert!(calls.iter().all(|call| call.ending == Ending::Complete));
    }

    #[test]
    fn bodies_are_bounded_each_and_together() {
        let log = Arc::new(Log::default());
        for _ in 0..500 {
            log.open(&head("/big")).body(&vec![b'x'; 100_000]);
        }
        let calls = log.calls();
        assert!(calls.iter().all(|call| call.body.len() == BODY));
        assert!(calls.iter().map(Seen::size).sum::<usize>() <= TOTAL);
        assert_eq!(log.0.lock().bytes, calls.iter().map(Seen::size).sum::<usize>());
    }

    #[test]
    fn a_dropped_visit_is_a_client_that_left_and_the_first_ending_stands() {
        let log = Arc::new(Log::default());
        drop(log.open(&head("/a")));
        log.open(&head("/b")).ended(Ending::Cut);
        let endings: Vec<_> = log.calls().iter().map(|call| call.ending).collect();
        assert_eq!(endings, [Ending::Left, Ending::Cut]);
    }

    #[test]
    fn debug_output_holds_no_credential() {
        let log = Arc::new(Log::default());
        let visit = log.open(&head("/a?key=secret"));
        visit.body(b"secret prompt");
        assert!(!format!("{:?}", log.calls()).contains("secret"));
    }

    #[test]
    fn model_stream_and_query_are_told_of_body_and_path() {
        let seen = |path: &str, body: &str| {
            let log = Arc::new(Log::default());
            log.open(&head(path)).body(body.as_bytes());
            log.calls().remove(0)
        };
        let chat = seen("/v1/chat/completions?a=1", r#"{"model":"gpt","stream":true}"#);
        assert_eq!(
            (chat.model().as_deref(), chat.streams(), chat.query("a")),
            (Some("gpt"), true, Some("1"))
        );
        let plain = seen("/v1/messages", r#"{"model":"claude"}"#);
        assert_eq!(
            (plain.model().as_deref(), plain.streams(), plain.query("a")),
            (Some("claude"), false, None)
        );
        let gemini = seen("/v1/models/tuned/x:streamGenerateContent?alt=sse&key=k", "{}");
        assert_eq!((gemini.model().as_deref(), gemini.streams()), (Some("tuned/x"), true));
        assert_eq!((gemini.query("alt"), gemini.query("key")), (Some("sse"), Some("k")));
    }

    #[test]
    fn a_key_in_the_query_is_one_where_no_header_has_one() {
        let plain = HeaderMap::new();
        assert_eq!(key(&plain, Some("alt=sse&key=abc")), Some("abc"));
        assert_eq!(key(&plain, Some("monkey=abc")), None);
        assert_eq!(key(&head("/").headers, Some("key=abc")), Some("secret"));
    }

    #[test]
    fn of_a_key_the_last_four_characters_are_told_and_never_all() {
        let ends = |name: &'static str, value: &str| {
            let log = Arc::new(Log::default());
            let request = http::Request::post("/").header(name, value).body(()).unwrap();
            log.open(&request.into_parts().0);
            log.calls()[0].key_ends().map(str::to_owned)
        };
        assert_eq!(ends("authorization", "Bearer sk-12345678").as_deref(), Some("5678"));
        assert_eq!(ends("api-key", "0123456789abcdef").as_deref(), Some("cdef"));
        assert_eq!(ends("authorization", "Bearer five5").as_deref(), Some("ive5"));
        assert_eq!(ends("x-api-key", "sk-ant-12345678").as_deref(), Some("5678"));
        assert_eq!(ends("x-goog-api-key", "AIza12345678").as_deref(), Some("5678"));
        for (name, short) in
            [("authorization", "Bearer four"), ("authorization", "Basic abcdefgh"), ("api-key", "")]
        {
            assert_eq!(ends(name, short), None, "{short}");
        }
    }
}
