//! Counting the tokens of a call where no provider behind its model counts them: egret's own estimate.

use bytes::Bytes;
use serde_json::json;

use super::receive::Asked;
use super::route::may_dispatch;
use crate::dialect::Api;
use crate::dialect::translate::operation_at;
use crate::policy::Snapshot;
use crate::policy::snapshot::{Principal, Provider};
use crate::pricing::Calibration;
use crate::pricing::estimate::Estimate;

/// The estimate, in the form of the operation's answer. None where the call does not ask for a count, some provider makes
/// one, or its caller may not use the name: then it goes its usual way. Like the providers' own it is free and takes
/// nothing of any limit.
pub(super) fn estimated(
    snapshot: &Snapshot,
    principal: &Principal,
    calibration: &Calibration,
    asked: &Asked,
) -> Option<Bytes> {
    let member = match asked.api {
        Api::CountTokens => "input_tokens",
        Api::CountContentTokens => "totalTokens",
        Api::Chat
        | Api::Completions
        | Api::Embeddings
        | Api::Responses
        | Api::Messages
        | Api::Generate
        | Api::EmbedContent
        | Api::BatchEmbedContents => return None,
    };
    let access = &principal.tenant.access;
    let route = snapshot.routes.get(&*asked.model()).filter(|route| access.allowed.contains(&route.id))?;
    let mut models =
        route.targets.iter().map(|target| &target.model).filter(|model| may_dispatch(access, model));
    let first = models.next()?;
    let counts = |provider: &Provider| operation_at(asked.api, provider.dialect, provider.apis).is_some();
    if counts(&first.provider) || models.any(|model| counts(&model.provider)) {
        return None;
    }
    let bytes = asked.body().len() as u64;
    let tokens = calibration.input(&first.id, Estimate::Calibrated, bytes, None);
    Some(json!({ member: tokens.0 }).to_string().into())
}
