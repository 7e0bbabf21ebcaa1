//! Which call a function's response answers.

use std::collections::{HashMap, VecDeque};

use crate::dialect::neutral::Literal;

/// The calls of a conversation so far.
#[derive(Default)]
pub(super) struct Calls<'a> {
    all: Vec<Call<'a>>,
    /// The calls of an id, the last at the end.
    by_id: HashMap<String, Vec<usize>>,
    /// The calls of a name in the model's last turn, the first at the front.
    by_name: HashMap<String, VecDeque<usize>>,
}

struct Call<'a> {
    id: Literal<'a>,
    name: Literal<'a>,
    answered: bool,
}

impl<'a> Calls<'a> {
    /// The model has its turn: what it called before and nobody answered is not waited for any more.
    pub(super) fn turn(&mut self) {
        self.by_name.clear();
    }

    /// A call, which gets an id by its place where it has none.
    pub(super) fn called(&mut self, id: Option<Literal<'a>>, name: &Literal<'a>) -> Literal<'a> {
        let place = self.all.len();
        let id = id.unwrap_or_else(|| Literal::from_text(&format!("call_{place}")));
        self.by_id.entry(id.text().into_owned()).or_default().push(place);
        self.by_name.entry(name.text().into_owned()).or_default().push_back(place);
        self.all.push(Call { id: id.clone(), name: name.clone(), answered: false });
        id
    }

    /// The id and name of the call that a response answers: by its id, or else the first one of its name in the
    /// model's last turn that has no answer yet.
    pub(super) fn answered(
        &mut self,
        id: Option<&Literal<'a>>,
        name: Option<&Literal<'a>>,
    ) -> Option<(Literal<'a>, Literal<'a>)> {
        let place = id.and_then(|id| self.of_id(id)).or_else(|| self.of_name(name?))?;
        let call = self.all.get_mut(place)?;
        call.answered = true;
        Some((call.id.clone(), call.name.clone()))
    }

    /// The last one of this id that has no answer; those that have one are looked at once.
    fn of_id(&mut self, id: &Literal<'_>) -> Option<usize> {
        let places = self.by_id.get_mut(&*id.text())?;
        let waits = |place: &usize| self.all.get(*place).is_some_and(|call| !call.answered);
        std::iter::from_fn(|| places.pop()).find(waits)
    }

    /// The first one of this name that has none.
    fn of_name(&mut self, name: &Literal<'_>) -> Option<usize> {
        let places = self.by_name.get_mut(&*name.text())?;
        let waits = |place: &usize| self.all.get(*place).is_some_and(|call| !call.answered);
        std::iter::from_fn(|| places.pop_front()).find(waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Literal<'static> {
        Literal::from_text(text)
    }

    #[test]
    fn a_response_answers_the_call_of_its_id_or_the_next_one_of_its_name() {
        let mut calls = Calls::default();
        for id in [Some("a"), None, Some("a"), Some("b")] {
            calls.called(id.map(text), &text("f"));
        }
        let mut answers = |id: Option<&str>, name: &str| {
            let answered = calls.answered(id.map(text).as_ref(), Some(&text(name)));
            answered.map(|(id, _)| id.text().into_owned())
        };
        assert_eq!(answers(Some("a"), "f").as_deref(), Some("a"));
        assert_eq!(answers(None, "f").as_deref(), Some("a"), "the first of the two");
        assert_eq!(answers(Some("a"), "f").as_deref(), Some("call_1"), "none of its id is left");
        assert_eq!(answers(None, "g"), None);
        assert_eq!(answers(Some("x"), "f").as_deref(), Some("b"));
        assert_eq!(answers(None, "f"), None);
    }

    #[test]
    fn what_was_called_before_the_last_turn_is_known_by_its_id_alone() {
        let mut calls = Calls::default();
        calls.called(Some(text("a")), &text("f"));
        calls.turn();
        assert!(calls.answered(None, Some(&text("f"))).is_none());
        assert!(calls.answered(Some(&text("a")), None).is_some());
    }

    #[test]
    fn a_hundred_thousand_calls_are_answered_in_no_time() {
        let mut calls = Calls::default();
        let id = |n: usize| n.is_multiple_of(2).then(|| text(&n.to_string()));
        for n in 0..100_000 {
            calls.called(id(n), &text("f"));
        }
        // Each looked for among all of them, this would take minutes.
        assert!((0..100_000).all(|n| calls.answered(id(n).as_ref(), Some(&text("f"))).is_some()));
    }
}
