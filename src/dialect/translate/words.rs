//! What is lost, in the caller's own words: encoders say it in those of OpenAI's chat.

use super::Form;

/// A field of OpenAI's chat, and the same in the forms of responses, messages and Gemini's contents. Where a form has no
/// such field it cannot be lost.
const WORDS: [[&str; 4]; 28] = [
    ["temperature", "temperature", "temperature", "generationConfig.temperature"],
    ["top_p", "top_p", "top_p", "generationConfig.topP"],
    ["top_k", "top_k", "top_k", "generationConfig.topK"],
    ["frequency_penalty", "frequency_penalty", "frequency_penalty", "generationConfig.frequencyPenalty"],
    ["presence_penalty", "presence_penalty", "presence_penalty", "generationConfig.presencePenalty"],
    ["seed", "seed", "seed", "generationConfig.seed"],
    ["stop", "stop", "stop_sequences", "generationConfig.stopSequences"],
    ["response_format", "text.format", "output_config.format", "generationConfig.responseSchema"],
    [
        "response_format.description",
        "text.format.description",
        "output_config.format",
        "generationConfig.responseSchema",
    ],
    ["reasoning_effort", "reasoning.effort", "thinking", "generationConfig.thinkingConfig"],
    ["logprobs", "top_logprobs", "logprobs", "generationConfig.responseLogprobs"],
    ["n", "n", "n", "generationConfig.candidateCount"],
    ["user", "user", "metadata.user_id", "user"],
    ["metadata", "metadata", "metadata", "labels"],
    ["tools", "tools", "tools", "tools"],
    ["tool_choice", "tool_choice", "tool_choice", "toolConfig.functionCallingConfig"],
    [
        "parallel_tool_calls",
        "parallel_tool_calls",
        "tool_choice.disable_parallel_tool_use",
        "parallel_tool_calls",
    ],
    ["max_tokens", "max_output_tokens", "max_tokens", "generationConfig.maxOutputTokens"],
    ["messages", "input", "messages", "contents"],
    ["messages.name", "input.name", "messages.name", "contents.name"],
    ["messages.order", "input.order", "messages.order", "contents.order"],
    ["messages.image", "input.image", "messages.image", "contents.image"],
    ["messages.document", "input.file", "messages.document", "contents.document"],
    ["messages.document.name", "input.file.filename", "messages.document.title", "contents.displayName"],
    ["messages.audio", "input.audio", "messages.audio", "contents.audio"],
    ["messages.reasoning", "input.reasoning", "messages.thinking", "contents.thought"],
    ["messages.cache_hint", "input.cache_hint", "cache_control", "contents.cache_hint"],
    ["image.detail", "input.detail", "image.detail", "generationConfig.mediaResolution"],
];

/// The caller's word for a field.
pub(super) fn of(form: Form, word: &str) -> Option<&'static str> {
    let words = WORDS.iter().find(|[chat, ..]| *chat == word)?;
    let [chat, responses, messages, generate] = words;
    Some(match form {
        Form::Chat => chat,
        Form::Responses => responses,
        Form::Messages => messages,
        Form::Generate => generate,
    })
}
