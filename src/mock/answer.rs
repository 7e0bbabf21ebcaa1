//! What is said: a text or a tool call, cut into tokens, the same for plain answers and streams.

use serde_json::{Map, Value};

use super::script::Script;

/// Words of an answer at most, whatever the script says.
const MOST_WORDS: usize = 1_000_000;
/// What fills an answer up to its number of words.
const FILLER: &str = "The tide comes in and the tide goes out and the birds wait on the piles";
/// What is thought where a model thinks.
const THOUGHT: &str = "They want to know about the tide.";
/// What stands in a large answer for its content, until it is sent.
pub(super) const GAP: &str = "(so many bytes)";
/// What large answers are made of; its length divides that of a piece.
const WORD: &str = "seagull ";
/// Bytes of content in one event of a large stream.
const LARGE_PIECE: usize = 1024;
/// Characters of one piece of a call's arguments.
const ARGUMENT_PIECE: usize = 8;

/// What answers are to say.
pub(super) struct Saying<'a> {
    pub(super) script: &'a Script,
    /// Bytes of content, where nothing else matters.
    pub(super) large: Option<u64>,
}

/// An answer, whole and in pieces. A piece is a token, of a large answer many.
pub(super) struct Answer {
    pub(super) kind: Kind,
    /// The text, or the arguments of the call. Of a large answer it is [`GAP`], where the content belongs.
    pub(super) text: String,
    pieces: Pieces,
    /// Whether the caller's bound cut it.
    pub(super) cut: bool,
}

enum Pieces {
    /// Where each ends.
    Of(Vec<usize>),
    /// So many bytes of [`content`] in pieces of this one.
    Large { bytes: u64, piece: String },
}

pub(super) enum Kind {
    Text,
    /// A call of the tool of this name.
    Call(String),
}

impl Answer {
    /// What the script says to a prompt of so many words, in at most `bound` tokens.
    ///
    /// A large answer goes beyond any bound: nothing of it is here but its size.
    pub(super) fn says(saying: &Saying<'_>, model: &str, prompt: u64, bound: Option<usize>) -> Self {
        if let Some(bytes) = saying.large {
            let pieces = Pieces::Large { bytes, piece: content(LARGE_PIECE) };
            return Self { kind: Kind::Text, text: GAP.to_owned(), pieces, cut: false };
        }
        let script = saying.script;
        let text = match &script.says {
            Some(text) => text.to_string(),
            None => filled(script, model, prompt),
        };
        let ends = word_ends(&text);
        Self::bounded(Kind::Text, text, ends, bound)
    }

    /// A call of a tool, with arguments that fit its schema.
    pub(super) fn calls(tool: &Tool, bound: Option<usize>) -> Self {
        let text = arguments(tool.parameters).to_string();
        let mut ends: Vec<usize> =
            text.char_indices().map(|(at, _)| at).step_by(ARGUMENT_PIECE).skip(1).collect();
        ends.push(text.len());
        Self::bounded(Kind::Call(tool.name.to_owned()), text, ends, bound)
    }

    /// What a model thinks before it answers.
    pub(super) fn thinks(bound: Option<usize>) -> Self {
        let text = THOUGHT.to_owned();
        let ends = word_ends(&text);
        Self::bounded(Kind::Text, text, ends, bound)
    }

    fn bounded(kind: Kind, mut text: String, mut ends: Vec<usize>, bound: Option<usize>) -> Self {
        let bound = bound.unwrap_or(usize::MAX);
        let cut = ends.len() > bound;
        ends.truncate(bound);
        // A text without a word has no token, so it has no text.
        text.truncate(ends.last().copied().unwrap_or(0));
        Self { kind, text, pieces: Pieces::Of(ends), cut }
    }

    /// Ends the text before the first of these that it says, and tells which. A large answer does not stop.
    pub(super) fn stop_at<'s>(&mut self, stops: &[&'s str]) -> Option<&'s str> {
        let Pieces::Of(ends) = &mut self.pieces else {
            return None;
        };
        let said = stops.iter().filter_map(|stop| Some((self.text.find(stop)?, *stop)));
        let (at, stop) = said.min_by_key(|(at, _)| *at)?;
        self.text.truncate(at);
        ends.retain(|end| *end < at);
        if at > 0 {
            ends.push(at);
        }
        self.cut = false;
        Some(stop)
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens_of(self.pieces())
    }

    /// The tokens of so many pieces, from the first on.
    pub(super) fn tokens_of(&self, pieces: usize) -> u64 {
        match &self.pieces {
            Pieces::Of(ends) => ends.len().min(pieces) as u64,
            Pieces::Large { bytes, .. } => {
                let said = (pieces as u64).saturating_mul(LARGE_PIECE as u64);
                said.min(*bytes).div_ceil(WORD.len() as u64)
            }
        }
    }

    pub(super) fn pieces(&self) -> usize {
        match &self.pieces {
            Pieces::Of(ends) => ends.len(),
            Pieces::Large { bytes, .. } => {
                usize::try_from(bytes.div_ceil(LARGE_PIECE as u64)).unwrap_or(usize::MAX)
            }
        }
    }

    /// The piece of this number; empty past the end.
    pub(super) fn piece(&self, at: usize) -> &str {
        match &self.pieces {
            Pieces::Of(ends) => {
                let start = at.checked_sub(1).and_then(|before| ends.get(before)).copied();
                let end = ends.get(at).copied().unwrap_or(self.text.len());
                self.text.get(start.unwrap_or(0)..end).unwrap_or_default()
            }
            Pieces::Large { bytes, piece } => {
                let left = bytes.saturating_sub(at as u64 * LARGE_PIECE as u64);
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(LARGE_PIECE);
                piece.get(..length).unwrap_or_default()
            }
        }
    }
}

/// The content of a large answer, so many bytes of it.
pub(super) fn content(bytes: usize) -> String {
    let mut text = WORD.repeat(bytes.div_ceil(WORD.len()));
    text.truncate(bytes);
    text
}

/// A function that the caller offers.
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    /// The schema of its arguments.
    pub(super) parameters: &'a Value,
}

/// Which tools the caller lets the model call.
pub(super) enum Choice<'a> {
    None,
    Auto,
    /// One at least.
    Any,
    Named(&'a str),
}

impl<'a> Choice<'a> {
    /// OpenAI's `tool_choice`, in both forms: the name under `function` (chat) and flat (responses).
    pub(super) fn openai(choice: Option<&'a Value>) -> Self {
        let named = choice.and_then(|choice| choice.get("function").unwrap_or(choice).get("name")?.as_str());
        match (named, choice.and_then(Value::as_str)) {
            (Some(name), _) => Self::Named(name),
            (None, Some("none")) => Self::None,
            (None, Some("required")) => Self::Any,
            (None, _) => Self::Auto,
        }
    }
}

impl<'a> Tool<'a> {
    /// The functions of OpenAI's `tools`, in both forms: under `function` (chat) and flat (responses).
    pub(super) fn openai(tools: Option<&'a Value>) -> Vec<Self> {
        let tools = tools.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let functions =
            tools.iter().filter(|tool| tool.get("type").and_then(Value::as_str) == Some("function"));
        functions
            .filter_map(|tool| {
                let function = tool.get("function").unwrap_or(tool);
                Some(Self {
                    name: function.get("name")?.as_str()?,
                    parameters: function.get("parameters").unwrap_or(&Value::Null),
                })
            })
            .collect()
    }

    /// The tools that are to be called: the one that is chosen by name, else those that the prompt names; where one
    /// has to be called and none is named, the first.
    pub(super) fn chosen(mut offered: Vec<Self>, choice: &Choice<'_>, prompt: &[&str]) -> Vec<Self> {
        let by_name = |tool: &Self| prompt.iter().any(|text| text.contains(tool.name));
        match choice {
            Choice::None => offered.clear(),
            Choice::Named(name) => offered.retain(|tool| tool.name == *name),
            Choice::Auto => offered.retain(by_name),
            Choice::Any if offered.iter().any(by_name) => offered.retain(by_name),
            Choice::Any => offered.truncate(1),
        }
        offered
    }
}

/// Arguments that a schema of an object admits, as far as it says how.
fn arguments(schema: &Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let values = properties.into_iter().flatten();
    Value::Object(values.map(|(name, schema)| (name.clone(), example(name, schema))).collect())
}

fn example(name: &str, schema: &Value) -> Value {
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    // Gemini's own schemas have their types in capitals.
    let kind = schema.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase);
    match kind.as_deref() {
        Some("integer" | "number") => Value::from(1),
        Some("boolean") => Value::Bool(true),
        Some("array") => Value::Array(Vec::new()),
        Some("object") => Value::Object(Map::new()),
        _ => Value::from(format!("some {name}")),
    }
}

fn filled(script: &Script, model: &str, prompt: u64) -> String {
    let tokens = usize::try_from(script.tokens.get()).map_or(MOST_WORDS, |tokens| tokens.min(MOST_WORDS));
    let count = prompt.to_string();
    let opening = [model, "read", count.as_str(), "words."];
    let words = opening.into_iter().chain(FILLER.split(' ').cycle()).take(tokens);
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// A piece is a word with the space before it, as tokenizers cut; space at the end belongs to the last.
fn word_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut in_word = false;
    for (at, c) in text.char_indices() {
        let space = c.is_whitespace();
        if in_word && space {
            ends.push(at);
        }
        in_word = !space;
    }
    if in_word {
        ends.push(text.len());
    } else if let Some(last) = ends.last_mut() {
        *last = text.len();
    }
    ends.truncate(MOST_WORDS);
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn says(text: &str, bound: Option<usize>) -> Answer {
        let script = Script { says: Some(text.into()), ..Script::default() };
        Answer::says(&Saying { script: &script, large: None }, "m", 3, bound)
    }

    proptest! {
        #[test]
        fn the_pieces_of_an_answer_are_its_text(text in "[a-zé \n]{0,40}", bound in proptest::option::of(0usize..8)) {
            let answer = says(&text, bound);
            let joined: String = (0..answer.pieces()).map(|at| answer.piece(at)).collect();
            prop_assert_eq!(&joined, &answer.text);
            let words = text.split_whitespace().count();
            prop_assert_eq!(answer.pieces(), words.min(bound.unwrap_or(usize::MAX)));
            prop_assert_eq!(answer.cut, words > bound.unwrap_or(usize::MAX));
        }
    }

    #[test]
    fn an_answer_has_as_many_words_as_the_script_says_and_names_the_model() {
        let script = Script { tokens: 7.try_into().unwrap(), ..Script::default() };
        let answer = Answer::says(&Saying { script: &script, large: None }, "gpt-4.1", 3, None);
        assert_eq!(answer.text, "gpt-4.1 read 3 words. The tide comes");
        assert_eq!((answer.tokens(), answer.cut), (7, false));
    }

    #[test]
    fn the_pieces_of_a_large_answer_are_its_content_and_its_words_are_counted() {
        for bytes in [0, 1, 8, 1_023, 1_024, 1_025, 10_000] {
            let script = Script::default();
            let saying = Saying { script: &script, large: Some(bytes) };
            let answer = Answer::says(&saying, "m", 3, Some(1));
            let joined: String = (0..answer.pieces()).map(|at| answer.piece(at)).collect();
            assert_eq!(joined, content(usize::try_from(bytes).unwrap()));
            assert_eq!(joined.len() as u64, bytes);
            assert_eq!(joined.split_whitespace().count() as u64, answer.tokens());
            assert_eq!((answer.piece(answer.pieces()), answer.cut), ("", false));
        }
    }

    #[test]
    fn tools_are_chosen_by_name_by_the_prompt_or_because_one_has_to_be() {
        let schema = Value::Null;
        let chosen = |choice, prompt| {
            let offered = ["tide", "wind"].map(|name| Tool { name, parameters: &schema });
            let tools = Tool::chosen(offered.into(), &choice, &[prompt]);
            tools.iter().map(|tool| tool.name).collect::<Vec<_>>()
        };
        assert_eq!(chosen(Choice::Auto, "wind and tide"), ["tide", "wind"]);
        assert_eq!(chosen(Choice::Any, "the wind"), ["wind"]);
        assert_eq!(chosen(Choice::Any, "hello"), ["tide"]);
        assert_eq!(chosen(Choice::Named("wind"), "the tide"), ["wind"]);
        assert!(chosen(Choice::Auto, "hello").is_empty() && chosen(Choice::None, "the tide").is_empty());
    }

    #[test]
    fn arguments_fit_the_schema() {
        let schema = serde_json::json!({"type": "object", "properties": {
            "harbour": {"type": "string"}, "hours": {"type": "integer"}, "unit": {"enum": ["m", "ft"]},
            "days": {"type": "INTEGER"},
        }});
        let expected = serde_json::json!({"harbour": "some harbour", "hours": 1, "unit": "m", "days": 1});
        assert_eq!(arguments(&schema), expected);
    }
}
