//! A call on its way into another dialect: what is sent there in place of its body, and what cannot be carried over.

use bytes::Bytes;

use super::candidate::Unfit;
use super::receive::{Asked, over_budget};
use super::refusal::Refusal;
use crate::dialect::Api;
use crate::dialect::edit::truncate::Truncation;
use crate::dialect::edit::{self, Cap, Edits};
use crate::dialect::error::Cause;
use crate::dialect::neutral::{Loss, Losses, Weight};
use crate::dialect::provider::StreamUsage;
use crate::dialect::translate::{self, Prepared, Recipient, Untranslatable, embeddings};
use crate::net::body::{BufferBudget, Held};
use crate::policy::snapshot::{Model, OnLoss};
use crate::units::Tokens;

/// What is sent in another dialect.
pub(super) struct Crossing {
    /// The provider's operation.
    pub(super) api: Api,
    carried: Carried,
    /// What is not carried over, in the caller's words.
    pub(super) lost: Losses,
    /// Its room among all that is buffered: what is written here, and once more what is sent of it.
    _held: Held,
}

enum Carried {
    /// All but the bound on its output.
    Conversation(Prepared),
    /// All of it.
    Whole(Bytes),
}

impl Crossing {
    /// The body, with the bound that policy writes.
    pub(super) fn body(&self, cap: Option<Cap>) -> Bytes {
        match &self.carried {
            Carried::Conversation(prepared) => prepared.body(cap.map(|cap| cap.tokens)),
            Carried::Whole(body) => body.clone(),
        }
    }
}

impl Carried {
    fn bytes(&self) -> usize {
        match self {
            Self::Conversation(prepared) => prepared.bytes(),
            Self::Whole(body) => body.len(),
        }
    }
}

/// What a call is by an operation of another dialect; why not, where its meaning would not survive that, or the policy
/// wants nothing to be lost. `cap` is the bound on its output as far as it is known yet: a limit may lower it further.
pub(super) fn cross(
    asked: &Asked,
    api: Api,
    to: &Model,
    on_loss: OnLoss,
    cap: Option<Cap>,
    (cut, budget): (Option<&Truncation>, &BufferBudget),
) -> Result<Crossing, Unfit> {
    let body = match cut {
        None => asked.body().clone(),
        Some(_) => edit::apply(asked.api, asked.body(), &asked.facts, &Edits { cut, ..Edits::default() }),
    };
    let (carried, lost) = carry(asked, &body, api, to, cap).map_err(|fault| malformed(&fault))?;
    let bearable = match on_loss {
        OnLoss::Warn => Weight::Meaning,
        OnLoss::Reject => Weight::Hint,
    };
    if let Some(loss) = lost.first(bearable) {
        return Err(unbearable(loss, to));
    }
    let _held = budget.hold(2 * carried.bytes()).map_err(|_| overloaded())?;
    Ok(Crossing { api, carried, lost, _held })
}

fn carry(
    asked: &Asked,
    body: &Bytes,
    api: Api,
    to: &Model,
    cap: Option<Cap>,
) -> Result<(Carried, Losses), Untranslatable> {
    if !api.has_output() {
        let (body, lost) = embeddings::request(asked.api, api, body, &to.name)?;
        return Ok((Carried::Whole(body), lost));
    }
    let longest = to.max_output_tokens.map(Tokens);
    let recipient = Recipient {
        model: &to.name,
        accepts: to.accepts,
        max_tokens_field: to.max_tokens_field,
        max_output: longest.into_iter().chain(cap.map(|cap| cap.tokens)).min(),
        ask_usage: to.provider.stream_usage == StreamUsage::Ask,
        wants_reasoning: to.provider.wants_reasoning,
    };
    let (prepared, lost) = translate::request(asked.api, api, body, asked.facts.stream, &recipient)?;
    Ok((Carried::Conversation(prepared), lost))
}

/// The caller's own mistake, as far as one is understood here; one who speaks its dialect may see no fault.
fn malformed(fault: &Untranslatable) -> Unfit {
    let refusal = Refusal::new(Cause::InvalidRequest, fault.message.clone());
    let refusal = match &fault.field {
        Some(field) => refusal.param(field.clone()),
        None => refusal,
    };
    Unfit { reason: "untranslatable", refusal, is_final: false }
}

/// Another one may need no second copy of the body.
fn overloaded() -> Unfit {
    Unfit { reason: "overloaded", refusal: over_budget(), is_final: false }
}

fn unbearable(loss: &Loss, to: &Model) -> Unfit {
    let message = format!(
        "`{}` cannot be carried over to the provider `{}` of the model `{}`.",
        loss.field, to.provider.id, to.id
    );
    let refusal = Refusal::new(Cause::UnsupportedParameter, message).param(loss.field.clone());
    Unfit { reason: "loss", refusal, is_final: false }
}
