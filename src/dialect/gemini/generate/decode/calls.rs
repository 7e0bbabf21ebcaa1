//! Which call a function's response answers.

use crate::dialect::neutral::Literal;

/// The calls of a conversation so far.
#[derive(Default)]
pub(super) struct Calls<'a> {
    all: Vec<Call<'a>>,
    /// Where those of the model's last turn begin.
    last_turn: usize,
}

struct Call<'a> {
    id: Literal<'a>,
    name: Literal<'a>,
    answered: bool,
}

impl<'a> Calls<'a> {
    /// The model has its turn: what it called before and nobody answered is not waited for any more.
    pub(super) fn turn(&mut self) {
        self.last_turn = self.all.len();
    }

    /// A call, which gets an id by its place where it has none.
    pub(super) fn called(&mut self, id: Option<Literal<'a>>, name: &Literal<'a>) -> Literal<'a> {
        let id = id.unwrap_or_else(|| Literal::from_text(&format!("call_{}", self.all.len())));
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
        let by_id = id.and_then(|id| self.all.iter().rposition(|call| !call.answered && call.id == *id));
        let place = by_id.or_else(|| {
            let waiting = self.all.iter().skip(self.last_turn);
            let place = waiting.clone().position(|call| !call.answered && Some(&call.name) == name)?;
            Some(self.last_turn + place)
        })?;
        let call = self.all.get_mut(place)?;
        call.answered = true;
        Some((call.id.clone(), call.name.clone()))
    }
}
