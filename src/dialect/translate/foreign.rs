//! Signatures and ids that came from a provider of another dialect, on their way back in a caller's body.
//!
//! A conversation may move between dialects from turn to turn. What one provider has signed goes to its caller under the
//! name of its dialect, and the provider of another would refuse the whole call for it. So a body with such a mark is
//! written anew even in its own dialect: what that one signed is kept, the rest is lost and said to be.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dialect::Api;
use crate::dialect::gemini::generate::read::member;
use crate::dialect::json::{self, Value};

static SIGNATURE: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("\"signature\""), Finder::new("\"data\"")]);
static THOUGHT: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("\"thoughtSignature\""), Finder::new("\"thought_signature\"")]);
static ID: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [Finder::new("\"id\"")]);
static ENCRYPTED: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [Finder::new("\"encrypted_content\"")]);

/// How a value begins that another dialect has made. Reasoning of a provider that signs none has an empty signature.
const SIGNED: [&[u8]; 3] = [b"\"gemini.", b"\"openai.", b"\"\""];
/// `anthropic.` and `openai.`, as base64 begins with them.
const THOUGHTS: [&[u8]; 2] = [b"\"YW50aHJvcGlj", b"\"b3BlbmFp"];
/// Ids of calls as OpenAI, Anthropic and vLLM make them: models before Gemini 3 refuse any.
const IDS: [&[u8]; 3] = [b"\"call_", b"\"toolu_", b"\"chatcmpl-tool-"];
const SEALED: [&[u8]; 4] = [b"\"anthropic.", b"\"anthropic-redacted.", b"\"gemini.", b"\"gemini-redacted."];

/// Whether a caller's body has a signature, or at Gemini an id, that its own dialect has not made. It is only read where the words of one stand
/// in it, and then where signatures are: an app's own tools may have a `signature` too.
pub fn is_marked(api: Api, body: &[u8]) -> bool {
    let read = || json::document(body).ok();
    match api {
        Api::Messages => {
            may_have(&*SIGNATURE, body, &SIGNED)
                && read().is_some_and(|whole| within(&whole, "messages", "content", is_foreign_block))
        }
        Api::Generate => {
            (may_have(&*THOUGHT, body, &THOUGHTS) || may_have(&*ID, body, &IDS))
                && read().is_some_and(|whole| within(&whole, "contents", "parts", is_foreign_part))
        }
        Api::Responses => {
            may_have(&*ENCRYPTED, body, &SEALED)
                && read().and_then(|whole| whole.member("input")).is_some_and(|input| {
                    input.elements().any(|item| begins(item.member("encrypted_content").as_ref(), &SEALED))
                })
        }
        Api::Chat
        | Api::Completions
        | Api::Embeddings
        | Api::CountTokens
        | Api::EmbedContent
        | Api::BatchEmbedContents
        | Api::CountContentTokens => false,
    }
}

fn is_foreign_block(block: &Value<'_>) -> bool {
    let kind = block.member("type").and_then(|kind| kind.one_of(&["thinking", "redacted_thinking"]));
    match kind {
        Some("thinking") => begins(block.member("signature").as_ref(), &SIGNED),
        Some(_) => begins(block.member("data").as_ref(), &SIGNED),
        None => false,
    }
}

fn is_foreign_part(part: &Value<'_>) -> bool {
    let id = |name: &str| member(part, name).and_then(|call| call.member("id"));
    begins(member(part, "thoughtSignature").as_ref(), &THOUGHTS)
        || begins(id("functionCall").as_ref(), &IDS)
        || begins(id("functionResponse").as_ref(), &IDS)
}

/// Whether it is so of an element of this member of a turn.
fn within(whole: &Value<'_>, turns: &str, parts: &str, is: impl Fn(&Value<'_>) -> bool) -> bool {
    let turns = whole.member(turns);
    turns.iter().flat_map(Value::elements).any(|turn| {
        let parts = turn.member(parts);
        parts.iter().flat_map(Value::elements).any(|part| is(&part))
    })
}

fn begins(value: Option<&Value<'_>>, beginnings: &[&[u8]]) -> bool {
    value.is_some_and(|value| beginnings.iter().any(|beginning| value.raw().starts_with(beginning)))
}

/// Whether a member of such a name has a value that begins so. Text cannot look like a key: its quotes have a backslash
/// before them.
fn may_have(words: &[Finder<'_>], body: &[u8], beginnings: &[&[u8]]) -> bool {
    let found = |word: &Finder<'_>| {
        word.find_iter(body).any(|at| {
            let behind = body.get(at + word.needle().len()..).unwrap_or_default().trim_ascii_start();
            let value = behind.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
            beginnings.iter().any(|beginning| value.starts_with(beginning))
        })
    };
    words.iter().any(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_dialect_signed_is_marked() {
        let turn = |block: &str| format!(r#"{{"messages":[{{"role":"assistant","content":[{block}]}}]}}"#);
        let contents = |part: &str| format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#);
        let input = |item: &str| format!(r#"{{"input":[{item}]}}"#);
        for (api, body, marked) in [
            (Api::Messages, turn(r#"{"type":"thinking","thinking":"a","signature":"EqQB"}"#), false),
            (Api::Messages, turn(r#"{"type":"thinking","thinking":"a","signature" : "gemini.Cg=="}"#), true),
            (Api::Messages, turn(r#"{"type":"thinking","thinking":"a","signature":""}"#), true),
            (Api::Messages, turn(r#"{"type":"redacted_thinking","data":"EqQB"}"#), false),
            (Api::Messages, turn(r#"{"type":"redacted_thinking","data":"gemini.Cg=="}"#), true),
            (Api::Messages, turn(r#"{"type":"text","text":"\"signature\":\"gemini.\""}"#), false),
            // An app's own tools may sign what they like.
            (
                Api::Messages,
                turn(r#"{"type":"tool_use","id":"a","name":"sign","input":{"signature":""}}"#),
                false,
            ),
            (Api::Generate, contents(r#"{"text":"a","thoughtSignature":"Cg=="}"#), false),
            (Api::Generate, contents(r#"{"text":"a","thought_signature": "YW50aHJvcGljLkVx"}"#), true),
            (
                Api::Generate,
                contents(r#"{"functionCall":{"name":"a","args":{"thoughtSignature":"YW50aHJvcGljLkVx"}}}"#),
                false,
            ),
            (Api::Generate, contents(r#"{"functionCall":{"id":"8f1b2c","name":"f"}}"#), false),
            (Api::Generate, contents(r#"{"functionCall":{"id":"call_8f","name":"f"}}"#), true),
            (Api::Generate, contents(r#"{"function_response":{"name":"f", "id": "toolu_01"}}"#), true),
            (Api::Generate, contents(r#"{"functionCall":{"name":"f","args":{"id":"call_1"}}}"#), false),
            (Api::Generate, contents(r#"{"text":"\"id\":\"call_8f\""}"#), false),
            (Api::Responses, input(r#"{"type":"reasoning","encrypted_content":"gAAAA"}"#), false),
            (Api::Responses, input(r#"{"type":"reasoning","encrypted_content":"gemini.Cg=="}"#), true),
            (Api::Chat, r#"{"signature":"gemini.x"}"#.to_owned(), false),
        ] {
            assert_eq!(is_marked(api, body.as_bytes()), marked, "{body}");
        }
    }
}
