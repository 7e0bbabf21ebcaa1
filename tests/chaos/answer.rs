//! What a caller's bytes come to: one provider's whole answer, the beginning of one, an error; else something is wrong.

use serde_json::Value;

use crate::ask::{Ask, Came, Kind};
use crate::policy::{BUSY, nanos_per_token};
use crate::provider::PROVIDERS;
use crate::weather::WORDS;

/// What a caller got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// All of one provider's answer.
    Whole {
        /// Whose.
        provider: usize,
        /// Input and output, where they were told.
        usage: Option<(u64, u64)>,
    },
    /// So many words of one, and then an error.
    Broken(u64),
    /// What the policy says for want of an answer.
    Busy,
    /// An error, by status and code.
    Error(u16, String),
    /// Nothing: the caller left.
    Left,
}

/// Words that fill an answer up, as the scripted providers say them.
const FILLER: &str = "The tide comes in and the tide goes out and the birds wait on the piles";

/// The answer of a provider to a prompt of so many words.
fn says(provider: usize, words: u64) -> Vec<String> {
    let opening = [format!("model-p{provider}"), "read".into(), words.to_string(), "words.".into()];
    let filler = FILLER.split(' ').cycle().map(str::to_owned);
    opening.into_iter().chain(filler).take(WORDS as usize).collect()
}

/// Judges an answer.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn judge(ask: &Ask, came: &Came) -> Result<Heard, String> {
    if came.broken {
        return Err("the body has no clean end".to_owned());
    }
    let text = std::str::from_utf8(&came.body).map_err(|_| "no UTF-8")?;
    let heard = match (came.status, ask.stream) {
        (200, true) => stream(ask, text)?,
        (200, false) => plain(ask, came, text)?,
        (status, _) => error(status, &parsed(text)?)?,
    };
    let named = came.headers.get("x-egret-provider").map(|name| name.to_str().unwrap_or_default());
    match (&heard, named) {
        (Heard::Whole { provider, .. }, Some(named)) if named != format!("p{provider}") => {
            Err(format!("the answer of p{provider} under the name of {named}"))
        }
        _ => Ok(heard),
    }
}

fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|_| format!("no JSON: {text}"))
}

fn error(status: u16, body: &Value) -> Result<Heard, String> {
    let error = &body["error"];
    if !error["message"].is_string() {
        return Err(format!("status {status} without an error: {body}"));
    }
    // A provider's word about egret's own key is none for its caller.
    if matches!(status, 200..=399 | 401 | 402 | 403) {
        return Err(format!("status {status}: {body}"));
    }
    Ok(Heard::Error(status, error["code"].as_str().unwrap_or("none").to_owned()))
}

fn plain(ask: &Ask, came: &Came, text: &str) -> Result<Heard, String> {
    let body = parsed(text)?;
    if body["error"].is_object() {
        return Err(format!("an error under a good status: {body}"));
    }
    let (said, end, usage) = match ask.kind {
        Kind::Chat => {
            let choice = &body["choices"][0];
            (choice["message"]["content"].as_str(), choice["finish_reason"].as_str(), tokens(&body["usage"]))
        }
        Kind::Responses => {
            let said = body["output"][0]["content"][0]["text"].as_str();
            (said, body["status"].as_str(), tokens(&body["usage"]))
        }
        Kind::Embeddings => return embeddings(ask, came, &body),
    };
    let said = said.ok_or_else(|| format!("no text: {body}"))?;
    let end = end.ok_or_else(|| format!("no end: {body}"))?;
    if said == BUSY {
        return Ok(Heard::Busy);
    }
    let usage = usage.ok_or_else(|| format!("no usage: {body}"))?;
    let provider = whole(ask, said, end, Some(usage))?;
    costs(came, provider, usage)?;
    Ok(Heard::Whole { provider, usage: Some(usage) })
}

fn embeddings(ask: &Ask, came: &Came, body: &Value) -> Result<Heard, String> {
    let vector = body["data"][0]["embedding"].as_array().map_or(0, Vec::len);
    let model = body["model"].as_str().and_then(|name| name.strip_prefix("model-p")?.parse().ok());
    let usage = (body["usage"]["prompt_tokens"].as_u64().unwrap_or(0), 0);
    match model {
        Some(provider) if vector == 8 && usage.0 == ask.words => {
            costs(came, provider, usage)?;
            Ok(Heard::Whole { provider, usage: Some(usage) })
        }
        _ => Err(format!("no answer to {ask:?}: {body}")),
    }
}

/// Input and output, by either name.
fn tokens(usage: &Value) -> Option<(u64, u64)> {
    let either = |a: &str, b: &str| usage[a].as_u64().or_else(|| usage[b].as_u64());
    Some((either("prompt_tokens", "input_tokens")?, either("completion_tokens", "output_tokens")?))
}

/// Whether the answer says what it cost, and that is right.
fn costs(came: &Came, provider: usize, usage: (u64, u64)) -> Result<(), String> {
    let Some(told) = came.headers.get("x-egret-cost-usd") else { return Ok(()) };
    let told = told.to_str().ok().and_then(nanos);
    let price = nanos_per_token(provider);
    let cost = usage.0 * price.0 + usage.1 * price.1;
    if told == Some(cost) {
        Ok(())
    } else {
        Err(format!("{usage:?} of p{provider} cost {cost}, not {told:?}"))
    }
}

/// Billionths of a dollar of a decimal.
fn nanos(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = format!("{part:0<9}");
    Some(whole.parse::<u64>().ok()? * 1_000_000_000 + part.get(..9)?.parse::<u64>().ok()?)
}

/// Whose whole answer this is, which ended so.
fn whole(ask: &Ask, said: &str, end: &str, usage: Option<(u64, u64)>) -> Result<usize, String> {
    let (provider, count) = beginning(ask, said)?.ok_or("an empty answer")?;
    let is_right = match end {
        "stop" | "completed" => count == u64::from(WORDS),
        "length" | "incomplete" => count <= ask.bound.unwrap_or(64) && count < u64::from(WORDS),
        _ => false,
    };
    if !is_right {
        return Err(format!("{count} words, ended by {end}, of {ask:?}"));
    }
    match usage {
        Some(usage) if usage != (ask.words, count) => Err(format!("{usage:?} of {count} words of {ask:?}")),
        Some(_) | None => Ok(provider),
    }
}

/// Whose answer begins so, and with how many words; none where nothing is said.
fn beginning(ask: &Ask, said: &str) -> Result<Option<(usize, u64)>, String> {
    if said.is_empty() {
        return Ok(None);
    }
    let words: Vec<&str> = said.split(' ').collect();
    let found = (1..=PROVIDERS).find(|provider| {
        let all = says(*provider, ask.words);
        words.len() <= all.len() && words.iter().zip(&all).all(|(word, own)| word == own)
    });
    match found {
        Some(provider) => Ok(Some((provider, words.len() as u64))),
        None => Err(format!("nobody says {said:?} to {ask:?}")),
    }
}

/// What a stream has said so far.
#[derive(Default)]
struct Said {
    text: String,
    end: Option<String>,
    usage: Option<(u64, u64)>,
    over: bool,
    failed: bool,
}

fn stream(ask: &Ask, text: &str) -> Result<Heard, String> {
    let mut said = Said::default();
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if said.over {
            // Nobody reads on.
            break;
        }
        if said.failed {
            return Err(format!("more after an error: {data}"));
        }
        if data == "[DONE]" {
            said.over = true;
        } else {
            said.hears(ask, &parsed(data)?)?;
        }
    }
    let Said { text, end, usage, over, failed } = said;
    if text == BUSY && over {
        return Ok(Heard::Busy);
    }
    match (end, over, failed) {
        (_, _, true) => Ok(Heard::Broken(beginning(ask, &text)?.map_or(0, |(_, count)| count))),
        // A chat may end with its finish reason.
        (Some(end), over, false) => {
            let provider = whole(ask, &text, &end, usage)?;
            if over && ask.kind == Kind::Chat && ask.usage != usage.is_some() {
                return Err(format!("usage {usage:?} to {ask:?}"));
            }
            Ok(Heard::Whole { provider, usage })
        }
        (None, _, false) => Err(format!("a stream ends with neither end nor error: {text}")),
    }
}

impl Said {
    fn hears(&mut self, ask: &Ask, event: &Value) -> Result<(), String> {
        if event["error"].is_object() || event["type"] == "error" {
            self.failed = true;
            return Ok(());
        }
        match ask.kind {
            Kind::Chat => {
                let choice = &event["choices"][0];
                self.text += choice["delta"]["content"].as_str().unwrap_or_default();
                if let Some(end) = choice["finish_reason"].as_str() {
                    self.end = Some(end.to_owned());
                }
                if let Some(usage) = tokens(&event["usage"]) {
                    self.usage = Some(usage);
                }
            }
            Kind::Responses => match event["type"].as_str().unwrap_or_default() {
                "response.output_text.delta" => self.text += event["delta"].as_str().unwrap_or_default(),
                "response.failed" => self.failed = true,
                end @ ("response.completed" | "response.incomplete") => {
                    self.end = end.strip_prefix("response.").map(str::to_owned);
                    self.usage = tokens(&event["response"]["usage"]);
                    self.over = true;
                    if self.text == BUSY {
                        return Ok(());
                    }
                    let all = event["response"]["output"][0]["content"][0]["text"].as_str();
                    if all != Some(&self.text) {
                        return Err(format!("{all:?} in the end, {:?} before", self.text));
                    }
                }
                _ => {}
            },
            Kind::Embeddings => return Err("embeddings do not stream".to_owned()),
        }
        Ok(())
    }
}
