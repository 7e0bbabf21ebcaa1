//! Calls, as every provider gets them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::{Golden, api, cases, pretty};
use crate::dialect::neutral::{Losses, Weight};
use crate::dialect::provider::MaxTokensField;
use crate::dialect::translate::{Accepts, Form, ReasoningForm, Recipient, decode_request, request};
use crate::units::Tokens;

const USUAL: Accepts = Accepts {
    sampling: true,
    forced_tool_choice: true,
    prefill: true,
    json_schema: true,
    call_ids: false,
    reasoning: ReasoningForm::Effort,
};

fn recipient(model: &'static str, accepts: Accepts) -> Recipient<'static> {
    Recipient {
        model,
        accepts,
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        max_output: Some(Tokens(8192)),
        ask_usage: true,
        wants_reasoning: false,
    }
}

#[test]
fn every_call_is_written_for_openai() {
    check(&[("openai", Form::Chat, recipient("gpt-5.6", USUAL))]);
}

#[test]
fn every_call_is_written_for_anthropic() {
    check(&[("anthropic", Form::Messages, recipient("claude-sonnet-4-5", USUAL))]);
}

#[test]
fn every_call_is_written_for_gemini() {
    let older = Accepts { reasoning: ReasoningForm::Budget, ..USUAL };
    let newer = Accepts { call_ids: true, ..USUAL };
    check(&[
        ("gemini-2.5", Form::Generate, recipient("gemini-2.5-flash", older)),
        ("gemini-3", Form::Generate, recipient("gemini-3.8-flash", newer)),
    ]);
}

fn check(recipients: &[(&str, Form, Recipient<'_>)]) {
    let mut golden = Golden::new();
    for case in cases("requests") {
        let body = fs::read(case.path.with_extension("json")).unwrap();
        for (name, to, recipient) in recipients {
            let became = translated(case.form, &body, *to, recipient);
            golden.check(&case, &format!("{name}.json"), &pretty(&became));
        }
    }
    golden.finish();
}

/// The request that is sent and what is lost on the way in the caller's words, or why there is none.
fn translated(from: Form, body: &[u8], to: Form, recipient: &Recipient<'_>) -> Value {
    let stream = decode_request(from, body).is_ok_and(|(request, _)| request.stream);
    let (prepared, lost) = match request(api(from), api(to), body, stream, recipient) {
        Ok(translated) => translated,
        Err(why) => return json!({ "untranslatable": { "field": why.field, "message": why.message } }),
    };
    let sent: Value = serde_json::from_slice(&prepared.body(None)).unwrap();
    json!({ "request": sent, "lost": { "hint": of(&lost, Weight::Hint), "meaning": of(&lost, Weight::Meaning) } })
}

fn of(lost: &Losses, weight: Weight) -> BTreeSet<&str> {
    lost.iter().filter(|loss| loss.weight == weight).map(|loss| &*loss.field).collect()
}
