//! How much the model is to think, in the form that it is told by.

use super::super::signature::is_foreign;
use super::{limits, tools};
use crate::dialect::neutral::{Content, Effort, Losses, Part, Reasoning, Request, Speaker};
use crate::dialect::translate::ReasoningForm;
use crate::dialect::write::Object;

/// A smaller budget is refused.
const LEAST: u64 = 1024;

/// What is written of it.
#[derive(Clone, Copy)]
pub(super) enum Thinking {
    Unsaid,
    Disabled,
    Adaptive,
    Budget(u64),
    Effort(&'static str),
}

impl Thinking {
    pub(super) fn of(request: &Request<'_>, form: ReasoningForm, bound: u64, lost: &mut Losses) -> Self {
        let Some(asked) = request.reasoning else { return Self::Unsaid };
        let thinking = match form {
            ReasoningForm::Effort => Some(by_word(asked)),
            ReasoningForm::Budget => by_number(asked, bound),
            // It does not think anyway.
            ReasoningForm::Nothing => (asked == Reasoning::Off).then_some(Self::Unsaid),
        };
        let thinking = thinking.filter(|thinking| !thinking.is_on() || fits(request));
        if thinking.is_none() {
            lost.hint("reasoning_effort");
        }
        thinking.unwrap_or(Self::Unsaid)
    }

    pub(super) fn write(self, body: &mut Object<'_>) {
        match self {
            // A budget stands beside the bound.
            Self::Unsaid | Self::Effort(_) | Self::Budget(_) => {}
            Self::Disabled => body.object("thinking", |thinking| thinking.word("type", "disabled")),
            Self::Adaptive => body.object("thinking", |thinking| thinking.word("type", "adaptive")),
        }
    }

    /// So many tokens, where it is told by them.
    pub(super) fn budget(self) -> Option<u64> {
        match self {
            Self::Budget(tokens) => Some(tokens),
            Self::Unsaid | Self::Disabled | Self::Adaptive | Self::Effort(_) => None,
        }
    }

    /// The word for `output_config`.
    pub(super) fn effort(self) -> Option<&'static str> {
        match self {
            Self::Effort(word) => Some(word),
            Self::Unsaid | Self::Disabled | Self::Adaptive | Self::Budget(_) => None,
        }
    }

    /// Whether it puts `thinking` on, with which not everything else goes together.
    fn is_on(self) -> bool {
        match self {
            Self::Adaptive | Self::Budget(_) => true,
            Self::Unsaid | Self::Disabled | Self::Effort(_) => false,
        }
    }
}

/// Writes the budget, as another member behind the bound that holds, which policy may have lowered since: fewer tokens
/// than that, and not at all where it leaves no room for the least.
pub(crate) fn write_thought(body: &mut Vec<u8>, tokens: u64, bound: u64) {
    if bound > LEAST {
        let tokens = tokens.min(bound - 1);
        body.extend_from_slice(
            format!(r#","thinking":{{"type":"enabled","budget_tokens":{tokens}}}"#).as_bytes(),
        );
    }
}

fn by_word(asked: Reasoning) -> Thinking {
    match asked {
        Reasoning::Off => Thinking::Disabled,
        Reasoning::Auto => Thinking::Adaptive,
        // Anthropic's words begin with `low`.
        Reasoning::Effort(effort) => Thinking::Effort(effort.max(Effort::Low).word()),
        Reasoning::Budget(tokens) => {
            let efforts = [Effort::Low, Effort::Medium, Effort::High, Effort::XHigh];
            let effort = efforts.into_iter().find(|effort| tokens <= budget(*effort));
            Thinking::Effort(effort.unwrap_or(Effort::Max).word())
        }
    }
}

/// None where the bound leaves no room for it.
fn by_number(asked: Reasoning, bound: u64) -> Option<Thinking> {
    let tokens = match asked {
        Reasoning::Off => return Some(Thinking::Disabled),
        Reasoning::Budget(tokens) => tokens.min(bound.saturating_sub(1)),
        // A budget of our choice leaves something for the answer.
        Reasoning::Auto => budget(Effort::Medium).min(bound / 4 * 3),
        Reasoning::Effort(effort) => budget(effort).min(bound / 4 * 3),
    };
    (bound > LEAST).then_some(Thinking::Budget(tokens.max(LEAST)))
}

/// So many tokens for a word.
fn budget(effort: Effort) -> u64 {
    match effort {
        Effort::Minimal => LEAST,
        Effort::Low => 2048,
        Effort::Medium => 8192,
        Effort::High => 16_384,
        Effort::XHigh => 32_768,
        Effort::Max => 65_536,
    }
}

/// Whether the rest of the request goes together with thinking, which is the less telling part: forced tools, sampling
/// and prefill do not, nor do results of calls that were made without it.
fn fits(request: &Request<'_>) -> bool {
    !tools::is_forced(request.tool_choice.as_ref())
        && !limits::differs(request.temperature.as_ref(), 1.0)
        && !limits::differs(request.top_p.as_ref(), 1.0)
        && request.top_k.is_none()
        && !goes_on_without_thinking(request)
}

/// Whether the model goes on with a turn of its own that did not begin with thinking.
fn goes_on_without_thinking(request: &Request<'_>) -> bool {
    let Some(last) = request.turns.iter().rposition(|turn| turn.speaker == Speaker::Model) else {
        return false;
    };
    let (own, after) = request.turns.split_at(last + 1);
    let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
    let goes_on = after.is_empty() || after.iter().flat_map(|turn| &turn.parts).any(is_result);
    // Turns of the model that follow each other become one.
    let begin = own.iter().rposition(|turn| turn.speaker != Speaker::Model).map_or(0, |before| before + 1);
    let first = own.get(begin..).unwrap_or_default().iter().flat_map(|turn| &turn.parts).next();
    goes_on && !first.is_some_and(|part| is_own_thinking(&part.content))
}

fn is_own_thinking(content: &Content<'_>) -> bool {
    match content {
        Content::Reasoning { signature: Some(signature), .. } | Content::Redacted(signature) => {
            !is_foreign(signature)
        }
        Content::Reasoning { signature: None, .. }
        | Content::Text(_)
        | Content::Refusal(_)
        | Content::Image { .. }
        | Content::Document { .. }
        | Content::Audio { .. }
        | Content::ToolCall(_)
        | Content::ToolResult(_) => false,
    }
}
