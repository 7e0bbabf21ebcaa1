//! Reads what answers report of their use.

use crate::dialect::json::{Kind, Scanner, Value};
use crate::units::Tokens;
use crate::usage::Usage;

/// What a plain answer reports, if it does.
pub(crate) fn in_answer(body: &[u8]) -> Option<Usage> {
    let mut scanner = Scanner::at(body, 0);
    let mut reported = None;
    let read = scanner.members(|key, scanner| {
        let value = scanner.value()?;
        if key.is("usage") {
            reported = Some(value);
        }
        Ok(())
    });
    read.and_then(|()| scanner.end()).ok()?;
    of(&reported?, None)
}

/// The parts of a `usage` object. The events of a stream report all from its beginning on, but a later one only what has
/// changed: what it does not say holds as it was `before`. None where it holds no count that we know.
pub(crate) fn of(reported: &Value<'_>, before: Option<Usage>) -> Option<Usage> {
    let counts = Counts::of(reported);
    let before_output = before.map(|usage| usage.output + usage.reasoning);
    let before = before.unwrap_or_default();
    let output = counts.output.or(before_output);
    if counts.input.is_none() && output.is_none() {
        return None;
    }
    let output = output.unwrap_or_default();
    let reasoning = counts.thinking.unwrap_or(before.reasoning).min(output);
    Some(Usage {
        input: counts.input.unwrap_or(before.input),
        cache_read: counts.cache_read.unwrap_or(before.cache_read),
        cache_write: counts.cache_write.or(counts.cache_writes).unwrap_or(before.cache_write),
        output: output.saturating_sub(reasoning),
        reasoning,
        ..Usage::default()
    })
}

/// The counts as they are reported: the input's are disjoint, thinking is a part of the output.
#[derive(Default)]
struct Counts {
    input: Option<Tokens>,
    cache_read: Option<Tokens>,
    cache_write: Option<Tokens>,
    /// The sum of the cache's writes by how long they are kept.
    cache_writes: Option<Tokens>,
    output: Option<Tokens>,
    thinking: Option<Tokens>,
}

impl Counts {
    fn of(reported: &Value<'_>) -> Self {
        let mut counts = Self::default();
        for member in reported.members() {
            let place = if member.is("input_tokens") {
                &mut counts.input
            } else if member.is("cache_read_input_tokens") {
                &mut counts.cache_read
            } else if member.is("cache_creation_input_tokens") {
                &mut counts.cache_write
            } else if member.is("output_tokens") {
                &mut counts.output
            } else if member.is("output_tokens_details") {
                counts.thinking = member.value.member("thinking_tokens").and_then(|value| count(&value));
                continue;
            } else if member.is("cache_creation") {
                let writes = member.value.members().filter_map(|member| count(&member.value));
                counts.cache_writes = writes.reduce(|sum, tokens| sum + tokens);
                continue;
            } else {
                continue;
            };
            *place = count(&member.value);
        }
        counts
    }
}

/// A count; null is none, less than nothing is nothing, and servers of this shape may write floats.
fn count(value: &Value<'_>) -> Option<Tokens> {
    if value.kind != Kind::Number {
        return None;
    }
    let whole = value.number::<u64>();
    // The cast saturates at both ends.
    whole.or_else(|| value.number::<f64>().map(|float| float.ceil() as u64)).map(Tokens)
}

#[cfg(test)]
mod tests;
