//! What the fuzzer reaches of this module that nothing else outside of the crate does.

use bytes::Bytes;

use super::Api;
use super::neutral::Losses;
use super::provider::MaxTokensField;
use super::translate::{Accepts, Form, Recipient, decode_request, encode_request};

/// A request as it would be sent in the words of each other operation that one can be sent by; none where it cannot be
/// understood, or is no conversation.
#[must_use]
pub fn translated(from: Api, body: &[u8]) -> Option<Vec<Bytes>> {
    let (request, lost) = decode_request(Form::of(from)?, body).ok()?;
    let mut bodies = Vec::new();
    for accepts in [Accepts::default(), Accepts { call_ids: true, sampling: false, ..Accepts::default() }] {
        let recipient = Recipient {
            model: "m",
            accepts,
            max_tokens_field: MaxTokensField::MaxTokens,
            max_output: None,
            ask_usage: true,
            wants_reasoning: false,
        };
        for to in [Form::Chat, Form::Messages, Form::Generate] {
            let mut lost: Losses = lost.clone();
            bodies.extend(encode_request(to, &request, &recipient, &mut lost).map(|sent| sent.body(None)));
        }
    }
    Some(bodies)
}
