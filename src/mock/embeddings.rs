//! `POST embeddings`: a vector for each input, drawn from its text, in numbers or base64.

use serde_json::{Value, json};

use super::error::ApiError;
use super::reply::Reply;
use super::request::{Ask, Input, inputs, refused};
use crate::random::Random;

/// Length of a vector where the call names none, as of `text-embedding-3-small`.
const DIMENSIONS: usize = 1_536;
/// The longest vector on offer.
pub(super) const MOST_DIMENSIONS: usize = 3_072;
/// Inputs of one call; the provider's own bound.
const MOST_INPUTS: usize = 2_048;

pub(super) fn reply(ask: &Ask) -> Result<Reply, ApiError> {
    let all = inputs(ask.required("input")?)
        .filter(|all| all.len() <= MOST_INPUTS)
        .ok_or_else(|| refused("'input' must be a text, tokens, or up to 2048 of either.").about("input"))?;
    let dimensions = ask.bound(&["dimensions"]).unwrap_or(DIMENSIONS);
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        let message = "'dimensions' must be between 1 and 3072.";
        return Err(refused(message).about("dimensions"));
    }
    let base64 = ask.echo("encoding_format").and_then(Value::as_str) == Some("base64");
    let data = all.iter().enumerate().map(|(index, input)| {
        let vector = vector(input, dimensions);
        let embedding = if base64 { json!(encode(&vector)) } else { json!(vector) };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    let data: Vec<Value> = data.collect();
    let tokens: u64 = all.iter().map(Input::tokens).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    let whole = json!({ "object": "list", "data": data, "model": ask.model, "usage": usage });
    Ok(Reply::json(whole.to_string(), tokens))
}

/// A vector of length one; the same input gives the same vector.
pub(super) fn vector(input: &Input<'_>, dimensions: usize) -> Vec<f32> {
    let seed = match input {
        Input::Text(text) => fnv(text.bytes()),
        Input::Tokens(tokens) => fnv(tokens.iter().flat_map(|t| t.as_u64().unwrap_or(0).to_le_bytes())),
    };
    let random = Random::seeded(seed);
    let draws = (0..dimensions).map(|_| f32::from(i16::from_le_bytes(low_half(random.u64()))) + 0.5);
    let mut vector: Vec<f32> = draws.collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

fn low_half(bits: u64) -> [u8; 2] {
    let [a, b, ..] = bits.to_le_bytes();
    [a, b]
}

/// FNV-1a, 64 bits.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Base64 (RFC 4648, padded) of the numbers as little-endian `f32`.
fn encode(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| (group << 8) | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (group >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { base64_digit(digit) } else { '=' });
        }
    }
    text
}

fn base64_digit(value: u32) -> char {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char::from(DIGITS[(value & 63) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_little_endian_floats() {
        // From Python: base64.b64encode(struct.pack('<2f', 1.0, -2.5)), and of one float.
        assert_eq!(encode(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(encode(&[1.0]), "AACAPw==");
        assert_eq!(encode(&[0.5, 0.25, 3.0]), "AAAAPwAAgD4AAEBA");
    }

    #[test]
    fn a_vector_has_length_one_and_belongs_to_its_text() {
        let tide = vector(&Input::Text("tide"), 64);
        assert!((tide.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
        assert_eq!(tide, vector(&Input::Text("tide"), 64));
        assert_ne!(tide, vector(&Input::Text("ebb"), 64));
    }
}
