//! A model's turn: it may think first, where its API has a form for that, and call several tools.

use super::answer::{Answer, Saying, Tool};

/// What vouches for a thought, in base64.
pub(super) const SIGNATURE: &str = "dGhvdWdodCBvZiBieSBhIG1vY2s=";

/// What a turn is to be made of.
pub(super) struct Wanted<'a> {
    pub(super) model: &'a str,
    /// Words of the prompt.
    pub(super) prompt: u64,
    /// The tools to call; none: a text is said.
    pub(super) calls: Vec<Tool<'a>>,
    pub(super) thinks: bool,
    /// What ends a text when it would be said.
    pub(super) stops: Vec<&'a str>,
    /// Tokens of the whole turn, thoughts included.
    pub(super) bound: Option<usize>,
}

/// A turn: thoughts, then a text or calls.
pub(super) struct Turn {
    pub(super) parts: Vec<Part>,
    /// Whether the caller's bound cut it.
    pub(super) cut: bool,
    /// What ended its text, where that was one of the caller's stops.
    pub(super) stopped: Option<String>,
}

pub(super) struct Part {
    pub(super) thought: bool,
    pub(super) answer: Answer,
}

impl Turn {
    /// A large answer goes beyond any bound, and calls nothing.
    pub(super) fn of(saying: &Saying<'_>, wanted: &Wanted<'_>) -> Self {
        let large = saying.large.is_some();
        let mut turn = Self { parts: Vec::new(), cut: false, stopped: None };
        let mut left = wanted.bound.filter(|_| !large);
        if wanted.thinks {
            turn.push(true, Answer::thinks(left), &mut left);
        }
        if large || wanted.calls.is_empty() {
            let mut text = Answer::says(saying, wanted.model, wanted.prompt, left);
            turn.stopped = text.stop_at(&wanted.stops).map(str::to_owned);
            turn.push(false, text, &mut left);
        } else {
            for tool in &wanted.calls {
                turn.push(false, Answer::calls(tool, left), &mut left);
            }
        }
        turn
    }

    /// Nothing is said after a cut, and what has no token is left out.
    fn push(&mut self, thought: bool, answer: Answer, left: &mut Option<usize>) {
        if self.cut {
            return;
        }
        self.cut = answer.cut;
        *left = left.map(|left| left.saturating_sub(answer.pieces()));
        if !answer.text.is_empty() {
            self.parts.push(Part { thought, answer });
        }
    }

    /// Tokens of the thoughts, and of all else.
    pub(super) fn tokens(&self) -> (u64, u64) {
        let of = |thought| {
            let parts = self.parts.iter().filter(move |part| part.thought == thought);
            parts.map(|part| part.answer.tokens()).sum()
        };
        (of(true), of(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::script::Script;

    fn turn(bound: Option<usize>, stops: &[&str]) -> Turn {
        let script = Script { says: Some("one two three".into()), ..Script::default() };
        let saying = Saying { script: &script, large: None };
        let stops = stops.to_vec();
        Turn::of(&saying, &Wanted { model: "m", prompt: 1, calls: Vec::new(), thinks: true, stops, bound })
    }

    fn texts(turn: &Turn) -> Vec<&str> {
        turn.parts.iter().map(|part| part.answer.text.as_str()).collect()
    }

    #[test]
    fn one_bound_holds_for_thoughts_and_text() {
        let (thoughts, _) = turn(None, &[]).tokens();
        let thoughts = usize::try_from(thoughts).unwrap();
        assert_eq!(texts(&turn(None, &[]))[1], "one two three");
        assert_eq!(texts(&turn(Some(thoughts + 2), &[]))[1], "one two");
        let short = turn(Some(thoughts), &[]);
        assert_eq!((short.parts.len(), short.cut), (1, true));
        let none = turn(Some(0), &[]);
        assert_eq!((none.parts.len(), none.cut), (0, true));
    }

    #[test]
    fn a_stop_ends_the_text_before_it() {
        let stopped = turn(None, &["three", " two"]);
        assert_eq!((texts(&stopped)[1], stopped.stopped.as_deref()), ("one", Some(" two")));
        let before_the_cut = turn(Some(turn(None, &[]).tokens().0 as usize + 2), &["two"]);
        assert_eq!((texts(&before_the_cut)[1], before_the_cut.cut), ("one ", false));
        assert_eq!(turn(None, &["one"]).parts.len(), 1);
        assert_eq!(turn(None, &["four"]).stopped, None);
    }
}
