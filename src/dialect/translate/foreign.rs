//! Signatures and ids that came from a provider of another dialect, on their way back in a caller's body.
//!
//! A conversation may move between dialects from turn to turn. What one provider has signed goes to its caller under the
//! name of its dialect, and the provider of another would refuse the whole call for it. So a body with such a mark is
//! written anew even in its own dialect: what that one signed is kept, the rest is lost and said to be.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dialect::Api;

static SIGNATURE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"signature\""));
static THOUGHT: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("\"thoughtSignature\""), Finder::new("\"thought_signature\"")]);
static ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"id\""));
static ENCRYPTED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"encrypted_content\""));

/// Whether a caller's body has a signature, or at Gemini an id, that its own dialect has not made. Text cannot look like a
/// key: its quotes have a backslash before them.
pub fn is_marked(api: Api, body: &[u8]) -> bool {
    match api {
        // Reasoning of a provider that signs none has an empty one.
        Api::Messages => has(&SIGNATURE, body, &[b"\"gemini.", b"\"openai.", b"\"\""]),
        // `anthropic.` and `openai.`, as base64 begins with them.
        Api::Generate => {
            THOUGHT.iter().any(|word| has(word, body, &[b"\"YW50aHJvcGlj", b"\"b3BlbmFp"]))
                // Ids of calls as OpenAI, Anthropic and vLLM make them: models before Gemini 3 refuse any.
                || has(&ID, body, &[b"\"call_", b"\"toolu_", b"\"chatcmpl-tool-"])
        }
        Api::Responses => {
            let made = [&b"\"anthropic."[..], b"\"anthropic-redacted.", b"\"gemini.", b"\"gemini-redacted."];
            has(&ENCRYPTED, body, &made)
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

/// Whether a member of this name has a value that begins so.
fn has(word: &Finder<'_>, body: &[u8], beginnings: &[&[u8]]) -> bool {
    word.find_iter(body).any(|at| {
        let behind = body.get(at + word.needle().len()..).unwrap_or_default().trim_ascii_start();
        let value = behind.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        beginnings.iter().any(|beginning| value.starts_with(beginning))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_dialect_signed_is_marked() {
        for (api, body, marked) in [
            (Api::Messages, r#"{"type":"thinking","thinking":"a","signature":"EqQB"}"#, false),
            (Api::Messages, r#"{"type":"thinking","thinking":"a","signature" : "gemini.Cg=="}"#, true),
            (Api::Messages, r#"{"type":"thinking","thinking":"a","signature":""}"#, true),
            (Api::Messages, r#"{"text":"\"signature\":\"gemini.\""}"#, false),
            (Api::Generate, r#"{"thoughtSignature":"Cg=="}"#, false),
            (Api::Generate, r#"{"thought_signature": "YW50aHJvcGljLkVx"}"#, true),
            (Api::Generate, r#"{"functionCall":{"id":"8f1b2c","name":"f"}}"#, false),
            (Api::Generate, r#"{"functionCall":{"id":"call_8f","name":"f"}}"#, true),
            (Api::Generate, r#"{"functionResponse":{"name":"f", "id": "toolu_01"}}"#, true),
            (Api::Generate, r#"{"text":"\"id\":\"call_8f\""}"#, false),
            (Api::Responses, r#"{"encrypted_content":"gAAAA"}"#, false),
            (Api::Responses, r#"{"encrypted_content":"gemini.Cg=="}"#, true),
            (Api::Chat, r#"{"signature":"gemini.x"}"#, false),
        ] {
            assert_eq!(is_marked(api, body.as_bytes()), marked, "{body}");
        }
    }
}
