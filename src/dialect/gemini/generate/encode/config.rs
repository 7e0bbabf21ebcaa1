//! `generationConfig`, but for the bound on the output.

use crate::dialect::neutral::{Effort, Format, Losses, Raw, Reasoning, Request};
use crate::dialect::translate::{ReasoningForm, Recipient};
use crate::dialect::write::Object;

/// So many stop sequences are taken.
const MOST_STOPS: usize = 5;

/// The largest budget of thoughts that every model with one takes.
const LARGEST_BUDGET: u64 = 24_576;

pub(super) fn write(config: &mut Object<'_>, request: &Request<'_>, to: &Recipient<'_>, lost: &mut Losses) {
    write_sampling(config, request, to.accepts.sampling, lost);
    write_choices(config, request, lost);
    if let Some(format) = &request.format {
        write_format(config, format, to.accepts.json_schema, lost);
    }
    if let Some(reasoning) = request.reasoning {
        write_reasoning(config, reasoning, to.accepts.reasoning, lost);
    }
}

fn write_sampling(config: &mut Object<'_>, request: &Request<'_>, accepted: bool, lost: &mut Losses) {
    let fields = [
        ("temperature", "temperature", &request.temperature),
        ("topP", "top_p", &request.top_p),
        ("topK", "top_k", &request.top_k),
    ];
    for (field, name, value) in fields {
        let Some(value) = value else { continue };
        if accepted {
            config.raw(field, value);
        } else if name == "top_k" || !is_one(value) {
            lost.meaning(name);
        }
    }
    if let Some(penalty) = &request.frequency_penalty {
        config.raw("frequencyPenalty", penalty);
    }
    if let Some(penalty) = &request.presence_penalty {
        config.raw("presencePenalty", penalty);
    }
    match request.seed.as_ref().map(|seed| (seed, seed.value().and_then(|seed| seed.number::<i32>()))) {
        Some((_, Some(seed))) => config.signed("seed", seed.into()),
        // Gemini's has 32 bits.
        Some((_, None)) => lost.hint("seed"),
        None => {}
    }
}

fn is_one(value: &Raw<'_>) -> bool {
    value.value().and_then(|value| value.number::<f64>()) == Some(1.0)
}

fn write_choices(config: &mut Object<'_>, request: &Request<'_>, lost: &mut Losses) {
    if let Some(choices) = request.choices.filter(|choices| *choices != 1) {
        config.number("candidateCount", choices);
        if request.stream {
            // A stream has one candidate.
            lost.meaning("n");
        }
    }
    let stops = request.stop.iter().filter(|stop| !stop.is_empty());
    if stops.clone().count() > MOST_STOPS {
        lost.meaning("stop");
    }
    if stops.clone().next().is_some() {
        config.array("stopSequences", |array| stops.take(MOST_STOPS).for_each(|stop| array.literal(stop)));
    }
    if let Some(logprobs) = request.logprobs {
        config.flag("responseLogprobs", true);
        if logprobs > 0 {
            config.number("logprobs", logprobs);
        }
        // A neutral answer has no place for them: the caller would wait for them in vain.
        lost.meaning("logprobs");
    }
}

fn write_format(config: &mut Object<'_>, format: &Format<'_>, schemas: bool, lost: &mut Losses) {
    config.word("responseMimeType", "application/json");
    match format {
        Format::Json => {}
        // A schema is always kept to, so nothing is lost with `strict`; the name is a mere label.
        Format::Schema { name: _, description, schema, strict: _ } => {
            config.raw("responseJsonSchema", schema);
            if !schemas {
                lost.meaning("response_format");
            } else if description.is_some() {
                lost.hint("response_format.description");
            }
        }
    }
}

fn write_reasoning(config: &mut Object<'_>, reasoning: Reasoning, form: ReasoningForm, lost: &mut Losses) {
    let tell = |thinking: &mut Object<'_>| thinking.flag("includeThoughts", true);
    match (form, reasoning) {
        (ReasoningForm::Nothing, Reasoning::Auto) => {}
        (ReasoningForm::Nothing, Reasoning::Off | Reasoning::Effort(_) | Reasoning::Budget(_)) => {
            lost.hint("reasoning_effort");
        }
        (ReasoningForm::Effort, Reasoning::Off) => {
            // These models always think.
            config.object("thinkingConfig", |thinking| thinking.word("thinkingLevel", "MINIMAL"));
            lost.hint("reasoning_effort");
        }
        (ReasoningForm::Effort, Reasoning::Auto) => config.object("thinkingConfig", tell),
        (ReasoningForm::Effort, Reasoning::Effort(_) | Reasoning::Budget(_)) => {
            config.object("thinkingConfig", |thinking| {
                tell(thinking);
                thinking.word("thinkingLevel", level(reasoning));
            });
        }
        (ReasoningForm::Budget, _) => config.object("thinkingConfig", |thinking| {
            if reasoning != Reasoning::Off {
                tell(thinking);
            }
            thinking.signed("thinkingBudget", budget(reasoning));
        }),
    }
}

/// The level that comes nearest.
fn level(reasoning: Reasoning) -> &'static str {
    match reasoning {
        Reasoning::Off | Reasoning::Effort(Effort::Minimal) | Reasoning::Budget(..=1023) => "MINIMAL",
        Reasoning::Effort(Effort::Low) | Reasoning::Budget(..=4095) => "LOW",
        Reasoning::Effort(Effort::Medium) | Reasoning::Budget(..=16_383) => "MEDIUM",
        Reasoning::Auto | Reasoning::Effort(Effort::High) | Reasoning::Budget(..=32_768) => "HIGH",
        Reasoning::Effort(Effort::XHigh | Effort::Max) | Reasoning::Budget(_) => "XHIGH",
    }
}

/// The budget that comes nearest: Google's own table for efforts.
fn budget(reasoning: Reasoning) -> i64 {
    let tokens = match reasoning {
        Reasoning::Auto => return -1,
        Reasoning::Off => 0,
        Reasoning::Effort(Effort::Minimal) => 512,
        Reasoning::Effort(Effort::Low) => 1024,
        Reasoning::Effort(Effort::Medium) => 8192,
        Reasoning::Effort(Effort::High | Effort::XHigh | Effort::Max) => LARGEST_BUDGET,
        Reasoning::Budget(tokens) => tokens.min(LARGEST_BUDGET),
    };
    // It is no more than the largest.
    i64::try_from(tokens).unwrap_or(-1)
}
