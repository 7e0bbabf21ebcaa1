//! Changes of an input: of its bytes, and of the JSON that it holds.

use egret::random::Random;
use serde_json::{Value, json};

use crate::corpus::{Corpus, below};

/// What means something somewhere.
const WORDS: [&str; 30] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    "data: ",
    "event: error\n",
    "data: [DONE]\n\n",
    "\u{feff}",
    "\\u0000",
    "\\ud83d\\ude00",
    "\\/",
    "null",
    "true",
    "-0.0",
    "1e400",
    "18446744073709551616",
    "\"error\":{",
    "\"usage\":{",
    "\"type\":",
    "\"role\":\"user\"",
    "é",
    "\u{2028}",
];

/// An input, changed a few times.
pub(crate) fn changed(corpus: &Corpus, random: &Random) -> Vec<u8> {
    let mut input = corpus.input(random).to_vec();
    for _ in 0..=below(random, 4) {
        input = match below(random, 2) {
            0 => with_another_value(&input, corpus, random).unwrap_or(input),
            _ => with_other_bytes(input, corpus, random),
        };
    }
    input
}

fn with_other_bytes(mut input: Vec<u8>, corpus: &Corpus, random: &Random) -> Vec<u8> {
    let at = below(random, input.len() + 1);
    let end = (at + below(random, 64)).min(input.len());
    match below(random, 7) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << below(random, 8);
            }
        }
        1 => drop(input.splice(at..end, WORDS[below(random, WORDS.len())].bytes())),
        2 => drop(input.splice(at..at, WORDS[below(random, WORDS.len())].bytes())),
        3 => drop(input.drain(at..end)),
        4 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        5 => input.truncate(at),
        _ => {
            let other = corpus.input(random);
            input.truncate(at);
            input.extend_from_slice(&other[below(random, other.len() + 1)..]);
        }
    }
    input
}

/// The JSON of the input, or of one of its lines, with one of its values changed. None where it has none.
fn with_another_value(input: &[u8], corpus: &Corpus, random: &Random) -> Option<Vec<u8>> {
    if let Ok(mut value) = serde_json::from_slice(input) {
        change(&mut value, corpus, random);
        return Some(value.to_string().into_bytes());
    }
    let mut lines: Vec<_> = input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let place = below(random, lines.len());
    let line = lines.get_mut(place)?;
    let json = line.strip_prefix(b"data: ")?;
    let mut value = serde_json::from_slice(json).ok()?;
    change(&mut value, corpus, random);
    *line = format!("data: {value}\n").into_bytes();
    Some(lines.concat())
}

/// Puts something else in the place of some value within.
fn change(value: &mut Value, corpus: &Corpus, random: &Random) {
    let chosen = below(random, count(value));
    let Some(place) = nth(value, &mut chosen.clone()) else { return };
    match (below(random, 6), place) {
        (0, Value::Object(members)) if !members.is_empty() => {
            let name = members.keys().nth(below(random, members.len())).cloned();
            if let Some(name) = name {
                members.remove(&name);
            }
        }
        (1, Value::Array(items)) if !items.is_empty() => {
            let item = items[below(random, items.len())].clone();
            items.insert(below(random, items.len() + 1), item);
        }
        (2, place) => *place = scalar(random),
        (_, place) => {
            let mut other = corpus.value(random).clone();
            let chosen = below(random, count(&other));
            if let Some(other) = nth(&mut other, &mut chosen.clone()) {
                *place = other.take();
            }
        }
    }
}

fn scalar(random: &Random) -> Value {
    match below(random, 9) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(u64::MAX),
        5 => json!(""),
        6 => json!("\"\\\u{0}é😀\r\n"),
        7 => json!({}),
        _ => json!([]),
    }
}

/// How many values there are, with those within.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The value of this number, counted from the outermost on.
fn nth<'v>(value: &'v mut Value, number: &mut usize) -> Option<&'v mut Value> {
    if *number == 0 {
        return Some(value);
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, number)),
        Value::Object(members) => members.values_mut().find_map(|member| nth(member, number)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
