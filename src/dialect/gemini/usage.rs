//! Reads what answers report of their use, and writes it.

use crate::dialect::json::{Kind, Scanner, Value};
use crate::dialect::write::Object;
use crate::units::Tokens;
use crate::usage::Usage;

/// What a plain answer reports, if it does.
pub(crate) fn in_answer(body: &[u8]) -> Option<Usage> {
    let mut usage = None;
    let mut scanner = Scanner::at(body, 0);
    let read = scanner.members(|key, scanner| {
        let value = scanner.value()?;
        if key.is("usageMetadata") {
            usage = of(&value);
        }
        Ok(())
    });
    read.and_then(|()| scanner.end()).ok()?;
    usage
}

/// The parts of a `usageMetadata` object; none where it is null, or holds no count that we know.
pub(crate) fn of(usage: &Value<'_>) -> Option<Usage> {
    let mut reported = Reported::default();
    for member in usage.members() {
        let value = &member.value;
        if member.is("promptTokenCount") {
            reported.prompt = count(value);
        } else if member.is("candidatesTokenCount") {
            reported.candidates = count(value);
        } else if member.is("totalTokenCount") {
            reported.total = count(value);
        } else if member.is("toolUsePromptTokenCount") {
            reported.tool_use = count(value).unwrap_or_default();
        } else if member.is("cachedContentTokenCount") {
            reported.cached = count(value).unwrap_or_default();
        } else if member.is("thoughtsTokenCount") {
            reported.thoughts = count(value).unwrap_or_default();
        } else if member.is("promptTokensDetails") {
            reported.prompt_audio = audio(value);
        } else if member.is("cacheTokensDetails") {
            reported.cached_audio = audio(value);
        } else if member.is("candidatesTokensDetails") {
            reported.candidates_audio = audio(value);
        }
    }
    reported.disjoint()
}

/// The members of a `usageMetadata` object.
pub(crate) fn write(object: &mut Object<'_>, usage: &Usage) {
    let answer = usage.output + usage.output_audio;
    object.number("promptTokenCount", usage.total_input().0);
    if usage.cache_read > Tokens::ZERO {
        object.number("cachedContentTokenCount", usage.cache_read.0);
    }
    object.number("candidatesTokenCount", answer.0);
    if usage.reasoning > Tokens::ZERO {
        object.number("thoughtsTokenCount", usage.reasoning.0);
    }
    object.number("totalTokenCount", usage.total().0);
    write_details(object, "promptTokensDetails", usage.total_input(), usage.input_audio);
    write_details(object, "candidatesTokensDetails", answer, usage.output_audio);
}

fn write_details(object: &mut Object<'_>, name: &str, all: Tokens, audio: Tokens) {
    if audio == Tokens::ZERO {
        return;
    }
    object.array(name, |details| {
        for (modality, tokens) in [("TEXT", all.saturating_sub(audio)), ("AUDIO", audio)] {
            details.object(|detail| {
                detail.word("modality", modality);
                detail.number("tokenCount", tokens.0);
            });
        }
    });
}

/// The counts as they are reported.
#[derive(Default)]
struct Reported {
    /// Cached content is in it.
    prompt: Option<Tokens>,
    /// Thoughts are not in it.
    candidates: Option<Tokens>,
    total: Option<Tokens>,
    tool_use: Tokens,
    cached: Tokens,
    thoughts: Tokens,
    prompt_audio: Tokens,
    cached_audio: Tokens,
    candidates_audio: Tokens,
}

impl Reported {
    /// Takes the parts out of the sums. Parts larger than their sum stay, and nothing is left of the sum.
    fn disjoint(self) -> Option<Usage> {
        if self.prompt.is_none() && self.candidates.is_none() && self.total.is_none() {
            return None;
        }
        let total = self.total.unwrap_or_default();
        let prompt = self.prompt.unwrap_or_else(|| {
            total.saturating_sub(self.candidates.unwrap_or_default() + self.thoughts + self.tool_use)
        });
        let input = prompt + self.tool_use;
        let candidates = self.candidates.unwrap_or_else(|| total.saturating_sub(input + self.thoughts));
        let input_audio = self.prompt_audio.saturating_sub(self.cached_audio);
        Some(Usage {
            input: input.saturating_sub(self.cached + input_audio),
            cache_read: self.cached,
            cache_write: Tokens::ZERO,
            input_audio,
            output: candidates.saturating_sub(self.candidates_audio),
            reasoning: self.thoughts,
            output_audio: self.candidates_audio,
        })
    }
}

/// The audio of a list of modalities.
fn audio(details: &Value<'_>) -> Tokens {
    let of_audio =
        |detail: &Value<'_>| detail.member("modality").is_some_and(|it| it.one_of(&["AUDIO"]).is_some());
    details.elements().filter(of_audio).filter_map(|detail| count(&detail.member("tokenCount")?)).sum()
}

/// A count; a number of 64 bits may be written as a text. Less than nothing is nothing.
fn count(value: &Value<'_>) -> Option<Tokens> {
    if value.kind == Kind::String {
        return value.short_text(20)?.parse().ok().map(Tokens);
    }
    // The cast saturates at both ends.
    value.number().or_else(|| value.number::<f64>().map(|float| float.ceil() as u64)).map(Tokens)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::write::object;
    use crate::dialect::{json, samples};

    fn usage(input: u64, cache_read: u64, output: u64, reasoning: u64) -> Option<Usage> {
        let (input, cache_read) = (Tokens(input), Tokens(cache_read));
        Some(Usage {
            input,
            cache_read,
            output: Tokens(output),
            reasoning: Tokens(reasoning),
            ..Usage::default()
        })
    }

    fn of_metadata(metadata: &str) -> Option<Usage> {
        in_answer(format!(r#"{{"usageMetadata":{metadata}}}"#).as_bytes())
    }

    #[test]
    fn the_samples_report_what_they_used() {
        assert_eq!(in_answer(&samples::gemini("generate.response.json")), usage(56, 64, 9, 22));
        assert_eq!(in_answer(&samples::gemini("generate.blocked.json")), usage(12, 0, 0, 0));
        assert_eq!(in_answer(&samples::gemini("error.429.json")), None);
    }

    #[test]
    fn results_of_googles_tools_are_input_and_thoughts_are_no_candidates() {
        let metadata = r#"{"promptTokenCount":10,"toolUsePromptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":3,"totalTokenCount":25}"#;
        assert_eq!(of_metadata(metadata), usage(15, 0, 7, 3));
        let without_candidates = r#"{"promptTokenCount":10,"toolUsePromptTokenCount":5,"thoughtsTokenCount":3,"totalTokenCount":25}"#;
        assert_eq!(of_metadata(without_candidates), usage(15, 0, 7, 3));
        assert_eq!(of_metadata(r#"{"totalTokenCount":"25"}"#), usage(25, 0, 0, 0));
    }

    #[test]
    fn audio_is_taken_out_and_cached_audio_is_cached() {
        let metadata = r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":50},{"modality":"AUDIO","tokenCount":50}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":40}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":15}]}"#;
        let expected = Usage {
            input: Tokens(50),
            cache_read: Tokens(40),
            input_audio: Tokens(10),
            output: Tokens(5),
            output_audio: Tokens(15),
            ..Usage::default()
        };
        assert_eq!(of_metadata(metadata), Some(expected));
    }

    #[test]
    fn what_reports_nothing_has_no_usage() {
        for body in ["", "[]", "{", "{}", r#"{"usageMetadata":null}"#, r#"{"usageMetadata":{"x":1}}"#] {
            assert_eq!(in_answer(body.as_bytes()), None, "{body}");
        }
        assert_eq!(in_answer(br#"{"usageMetadata":{"totalTokenCount":1}} x"#), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts in prop::array::uniform6(0..1_000_u64)) {
            let [input, cache_read, input_audio, output, reasoning, output_audio] = parts.map(Tokens);
            let usage = Usage { input, cache_read, cache_write: Tokens::ZERO, input_audio, output, reasoning, output_audio };
            let mut out = Vec::new();
            object(&mut out, |object| write(object, &usage));
            prop_assert_eq!(of(&json::document(&out).unwrap()), Some(usage));
        }
    }
}
