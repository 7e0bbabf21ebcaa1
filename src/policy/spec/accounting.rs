//! How calls are accounted under limits of tokens and money, as written: by tenants, routes, models and `defaults`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Expected, Price};

/// How much output is held for a call before it is sent. With several answers (`n`) so many times as much.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReserveOutput {
    /// As much as it may write: the bound that the call names, else the model's `maxOutputTokens`.
    Bound,
    /// The bound that the call names; else this one, which is written into the request: `{ cap: 4096 }`. At most the
    /// model's `maxOutputTokens`.
    Cap(At<u64>),
    /// This much, as far as the call may write so much: `{ expect: 1000 }`; or `{ expect: learned }`, as much as nine
    /// of ten earlier answers of the model had at most, and all that it may write as long as fewer than ten were seen
    /// since the start. What it writes beyond is charged all the same: it may take a limit below zero by up to
    /// `maxOutputTokens` for each answer under way; of a model without `maxOutputTokens` nothing bounds that.
    Expect(At<Expected>),
}

/// How much input is held for a call before it is sent.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Estimate {
    /// By the size of its body and what earlier calls of the model used.
    Calibrated,
    /// A token for each byte of its body, at most the model's `contextTokens`: never too little for text.
    UpperBound,
}

/// What a call costs whose provider does not say what it used.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnMissingUsage {
    /// All that was held for it.
    ChargeReservation,
    /// The input as estimated, and the output as counted.
    Estimate,
}

/// What a try costs that was written to a provider and then given up.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnAbandoned {
    /// Its input.
    Input,
    /// Nothing.
    Nothing,
    /// All that was held for it.
    Reservation,
}

/// What becomes of a call under a limit of money where the model has no price.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnUnpriced {
    /// The model does not serve it.
    Reject,
    /// It costs what this price says: `{ assume: { inputPerMTok: "5.00", outputPerMTok: "20.00" } }`.
    Assume(Box<At<Price>>),
}
