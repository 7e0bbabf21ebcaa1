//! Reads what OpenAI-shaped answers report of their use.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dialect::Api;
use crate::dialect::json::{self, Fault, Key, Kind, Scanner, Value};
use crate::units::Tokens;
use crate::usage::Usage;

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));

/// So many bytes at the end of an answer are looked at first: usage mostly stands there.
const TAIL: usize = 2048;

/// What a plain answer reports, if it does. Looks at the end first, where it mostly stands.
pub(crate) fn in_answer(api: Api, body: &[u8]) -> Option<Usage> {
    let tail = body.len().saturating_sub(TAIL);
    let key = last_usage(body, tail).or_else(|| last_usage(body, 0))?;
    if let Ok(Some(usage)) = top_level_at(api, body, key) {
        return usage;
    }
    of(api, &top_level(body)?)
}

/// Where the word stands last, from a byte on. Forwards: that search is wide, the one backwards is not.
fn last_usage(body: &[u8], from: usize) -> Option<usize> {
    USAGE.find_iter(body.get(from..)?).last().map(|at| from + at)
}

/// What the value of the key found at this byte reports, if that is a key of the outermost object; read in one pass.
///
/// Text cannot fake it: inside of a string every quote has a backslash before it, so a quote behind `{` or `,` begins
/// a string, and if the rest closes exactly one object, that object is the outermost.
fn top_level_at(api: Api, body: &[u8], key: usize) -> Result<Option<Option<Usage>>, Fault> {
    let before = body.get(..key).and_then(|before| before.trim_ascii_end().last());
    if !matches!(before, Some(b'{' | b',')) {
        return Ok(None);
    }
    let mut scanner = Scanner::at_member(body, key);
    if scanner.next_key()?.is_none() {
        return Ok(None);
    }
    let usage = read(api, &mut scanner)?;
    while scanner.next_member()?.is_some() {}
    scanner.end()?;
    Ok(Some(usage))
}

/// By a scan from the beginning; of several the last, as JSON readers do.
fn top_level(body: &[u8]) -> Option<Value<'_>> {
    json::document(body).ok()?.member("usage")
}

/// The parts of a `usage` object; none where it is null, or holds no count that we know.
pub(crate) fn of(api: Api, usage: &Value<'_>) -> Option<Usage> {
    read(api, &mut usage.scanner()).ok().flatten()
}

/// Reads the value at which the scanner stands, and steps over it.
fn read(api: Api, scanner: &mut Scanner<'_>) -> Result<Option<Usage>, Fault> {
    let (own, other) = if api == Api::Responses { (&RESPONSES, &CHAT) } else { (&CHAT, &RESPONSES) };
    // Some servers answer one operation in the words of the other.
    let mut again = scanner.clone();
    let reported = Reported::read(scanner, own)?;
    if reported.input.is_some() || reported.output.is_some() {
        return Ok(reported.disjoint());
    }
    Ok(Reported::read(&mut again, other)?.disjoint())
}

/// What the operations call the same counts.
struct Names {
    input: &'static str,
    input_details: &'static str,
    output: &'static str,
    output_details: &'static str,
}

const CHAT: Names = Names {
    input: "prompt_tokens",
    input_details: "prompt_tokens_details",
    output: "completion_tokens",
    output_details: "completion_tokens_details",
};

const RESPONSES: Names = Names {
    input: "input_tokens",
    input_details: "input_tokens_details",
    output: "output_tokens",
    output_details: "output_tokens_details",
};

/// The counts as they are reported: sums, and parts of them.
#[derive(Default)]
struct Reported {
    input: Option<Tokens>,
    output: Option<Tokens>,
    total: Option<Tokens>,
    cached: Option<Tokens>,
    /// DeepSeek's own name for `cached`.
    cache_hit: Option<Tokens>,
    cache_write: Option<Tokens>,
    input_audio: Option<Tokens>,
    reasoning: Option<Tokens>,
    output_audio: Option<Tokens>,
}

impl Reported {
    fn read(scanner: &mut Scanner<'_>, names: &Names) -> Result<Self, Fault> {
        let mut reported = Self::default();
        scanner.members(|key, scanner| {
            if key.is(names.input_details) {
                return scanner.members(|key, scanner| reported.read_input_detail(key, scanner));
            }
            if key.is(names.output_details) {
                return scanner.members(|key, scanner| reported.read_output_detail(key, scanner));
            }
            let value = scanner.value()?;
            if key.is(names.input) {
                reported.input = count(&value);
            } else if key.is(names.output) {
                reported.output = count(&value);
            } else if key.is("total_tokens") {
                reported.total = count(&value);
            } else if key.is("prompt_cache_hit_tokens") {
                reported.cache_hit = count(&value);
            }
            Ok(())
        })?;
        Ok(reported)
    }

    fn read_input_detail(&mut self, key: &Key<'_>, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let value = scanner.value()?;
        if key.is("cached_tokens") {
            self.cached = count(&value);
        } else if key.is("cache_write_tokens") {
            self.cache_write = count(&value);
        } else if key.is("audio_tokens") {
            self.input_audio = count(&value);
        }
        Ok(())
    }

    fn read_output_detail(&mut self, key: &Key<'_>, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let value = scanner.value()?;
        if key.is("reasoning_tokens") {
            self.reasoning = count(&value);
        } else if key.is("audio_tokens") {
            self.output_audio = count(&value);
        }
        Ok(())
    }

    /// Takes the parts out of the sums. Parts larger than their sum stay, and nothing is left of the sum.
    fn disjoint(self) -> Option<Usage> {
        let (all_input, all_output) = self.sums()?;
        let mut usage = Usage {
            cache_read: self.cached.or(self.cache_hit).unwrap_or_default(),
            cache_write: self.cache_write.unwrap_or_default(),
            input_audio: self.input_audio.unwrap_or_default(),
            reasoning: self.reasoning.unwrap_or_default(),
            output_audio: self.output_audio.unwrap_or_default(),
            ..Usage::default()
        };
        usage.input = all_input.saturating_sub(usage.total_input());
        usage.output = all_output.saturating_sub(usage.total_output());
        Some(usage)
    }

    /// All input and all output; what is not reported follows from the total.
    fn sums(&self) -> Option<(Tokens, Tokens)> {
        match (self.input, self.output, self.total) {
            (Some(input), Some(output), _) => Some((input, output)),
            (Some(input), None, total) => Some((input, total.unwrap_or_default().saturating_sub(input))),
            (None, Some(output), total) => Some((total.unwrap_or_default().saturating_sub(output), output)),
            (None, None, Some(total)) => Some((total, Tokens::ZERO)),
            (None, None, None) => None,
        }
    }
}

/// A count; a few servers write them as floats. Less than nothing is nothing.
fn count(value: &Value<'_>) -> Option<Tokens> {
    if value.kind != Kind::Number {
        return None;
    }
    if let Some(count) = short_count(value.raw()) {
        return Some(Tokens(count));
    }
    let text = std::str::from_utf8(value.raw()).ok()?;
    if let Ok(count) = text.parse() {
        return Some(Tokens(count));
    }
    let float: f64 = text.parse().ok()?;
    // The cast saturates at both ends.
    Some(Tokens(float.ceil() as u64))
}

/// A count of digits only, as all are that anyone has seen: so few that no overflow need be looked for.
fn short_count(text: &[u8]) -> Option<u64> {
    if text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0, |count, byte| byte.is_ascii_digit().then(|| count * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests;
