//! Answers, whole and as events.

use proptest::prelude::*;

use super::{Within, base64, maybe, name, object, signature, text};
use crate::dialect::neutral::{
    Answer, Choice, Content, Event, Finish, Literal, Part, Raw, Signature, ToolCall,
};
use crate::units::Tokens;
use crate::usage::Usage;

/// Any answer. No two texts stand side by side in it, and its calls have the ids `call_0`, `call_1`, choice by choice.
pub(crate) fn answer(within: Within) -> impl Strategy<Value = Answer<'static>> {
    let most = if within.choices { 3 } else { 1 };
    let choices = prop::collection::vec(choice(within), 1..=most);
    (name(), name(), choices, prop::option::of(usage(within))).prop_map(|(id, model, mut choices, usage)| {
        let parts = choices.iter_mut().flat_map(|choice| &mut choice.parts);
        let calls = parts.filter_map(|part| part.call_mut());
        for (place, call) in calls.enumerate() {
            call.id = Literal::from_text(&format!("call_{place}"));
        }
        Answer { id, model, choices, usage }
    })
}

/// Any answer, and it as events: its texts are cut anywhere and its choices mixed.
pub(crate) fn answer_and_events(
    within: Within,
) -> impl Strategy<Value = (Answer<'static>, Vec<Event<'static>>)> {
    (answer(within), prop::collection::vec(any::<u8>(), 16..64)).prop_map(|(answer, chance)| {
        let events = events(&answer, Chance { of: chance, at: 0 });
        (answer, events)
    })
}

fn choice(within: Within) -> impl Strategy<Value = Choice<'static>> {
    let finish = prop::sample::select(within.finishes);
    let stop = maybe(within.stop_told, text());
    (parts(within), finish, stop).prop_map(|(parts, finish, stop)| {
        let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
        let finish = if calls { Finish::ToolCalls } else { finish };
        Choice { parts, finish, stop: stop.filter(|_| finish == Finish::StopSequence) }
    })
}

/// What the model says: reasoning first, then texts and calls.
fn parts(within: Within) -> impl Strategy<Value = Vec<Part<'static>>> {
    let reasoning = (text(), signature(within.signatures))
        .prop_map(|(text, signature)| Content::Reasoning { text, signature });
    let redacted = base64().prop_map(move |text| {
        // Only where somebody writes it.
        Content::Redacted(Signature {
            by: within.redacted.unwrap_or(crate::dialect::Dialect::Anthropic),
            text,
        })
    });
    let call =
        (name(), object(), signature(within.call_signatures)).prop_map(|(name, arguments, signature)| {
            Content::ToolCall(ToolCall { id: Literal::default(), name, arguments, signature })
        });
    (
        maybe(within.reasoning, reasoning),
        maybe(within.redacted.is_some(), redacted),
        prop::option::of(text().prop_map(Content::Text)),
        maybe(within.refusals, text().prop_map(Content::Refusal)),
        prop::collection::vec(call, 0..3),
        maybe(within.any_order, text().prop_map(Content::Text)),
    )
        .prop_map(|(reasoning, redacted, text, refusal, calls, last)| {
            // A text at the end only where something stands between it and the first.
            let last = last.filter(|_| text.is_none() || refusal.is_some() || !calls.is_empty());
            let first = reasoning.into_iter().chain(redacted).chain(text).chain(refusal);
            first.chain(calls).chain(last).map(Part::of).collect()
        })
}

fn usage(within: Within) -> impl Strategy<Value = Usage> {
    let count = |allowed: bool| (0..if allowed { 900_u64 } else { 1 }).prop_map(Tokens);
    let written = count(within.usage_cache_write);
    let (reasoning, audio) = (count(within.usage_reasoning), within.usage_audio);
    (count(true), count(true), written, count(audio), count(true), reasoning, count(audio)).prop_map(
        |(input, cache_read, cache_write, input_audio, output, reasoning, output_audio)| Usage {
            input,
            cache_read,
            cache_write,
            input_audio,
            output,
            reasoning,
            output_audio,
        },
    )
}

/// Numbers that decide where texts are cut and choices mixed; they repeat.
struct Chance {
    of: Vec<u8>,
    at: usize,
}

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.at = (self.at + 1) % self.of.len();
        usize::from(self.of[self.at]) % end.max(1)
    }

    /// The text in pieces of a few characters, none of them empty.
    fn cut(&mut self, text: &str) -> Vec<Literal<'static>> {
        let mut pieces = vec![String::new()];
        for letter in text.chars() {
            if self.below(4) == 0 {
                pieces.push(String::new());
            }
            pieces.last_mut().unwrap().push(letter);
        }
        pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| Literal::from_text(piece)).collect()
    }
}

fn events(answer: &Answer<'static>, mut chance: Chance) -> Vec<Event<'static>> {
    let mut choices: Vec<std::collections::VecDeque<_>> = (0..)
        .zip(&answer.choices)
        .map(|(index, choice)| choice_events(index, choice, &mut chance).into())
        .collect();
    let mut events = vec![Event::Start { id: answer.id.clone(), model: answer.model.clone() }];
    while !choices.is_empty() {
        let next = chance.below(choices.len());
        match choices[next].pop_front() {
            Some(event) => events.push(event),
            None => drop(choices.remove(next)),
        }
    }
    events.extend(answer.usage.map(Event::Usage));
    events.push(Event::End);
    events
}

fn choice_events(choice: u32, said: &Choice<'static>, chance: &mut Chance) -> Vec<Event<'static>> {
    let mut events = Vec::new();
    let mut calls = 0;
    for part in &said.parts {
        match part.content.clone() {
            Content::Text(text) => {
                events.extend(chance.cut(&text.text()).into_iter().map(|text| Event::Text { choice, text }));
            }
            Content::Refusal(text) => {
                events
                    .extend(chance.cut(&text.text()).into_iter().map(|text| Event::Refusal { choice, text }));
            }
            Content::Reasoning { text, signature } => {
                events.extend(
                    chance.cut(&text.text()).into_iter().map(|text| Event::Reasoning { choice, text }),
                );
                events.extend(signature.map(|signature| Event::Signature { choice, signature }));
            }
            Content::Redacted(data) => events.push(Event::Redacted { choice, data }),
            Content::ToolCall(ToolCall { id, name, arguments, signature }) => {
                events.push(Event::ToolCall { choice, index: calls, id, name, signature });
                let pieces = chance.cut(arguments_text(&arguments)).into_iter();
                events.extend(pieces.map(|json| Event::Arguments { choice, index: calls, json }));
                calls += 1;
            }
            Content::Image { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::ToolResult(_) => {
                panic!("no model says this")
            }
        }
    }
    events.push(Event::Finish { choice, finish: said.finish, stop: said.stop.clone() });
    events
}

/// Nothing for no arguments, as some providers write them.
fn arguments_text<'r>(arguments: &'r Raw<'_>) -> &'r str {
    let text = std::str::from_utf8(arguments.raw()).unwrap();
    if text == "{}" { "" } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::fold;
    use super::*;
    use crate::dialect::Dialect;

    const WITHIN: Within = Within {
        reasoning: true,
        signatures: Some(Dialect::Anthropic),
        call_signatures: Some(Dialect::Gemini),
        redacted: Some(Dialect::Anthropic),
        refusals: true,
        any_order: true,
        choices: true,
        finishes: &[Finish::Stop, Finish::StopSequence, Finish::Refused],
        stop_told: true,
        ..Within::PLAIN
    };

    proptest! {
        #[test]
        fn the_events_of_an_answer_tell_it((answer, events) in answer_and_events(WITHIN)) {
            prop_assert_eq!(fold(&events), answer);
        }
    }
}
