//! `annotate: true`: what egret knows of a call, in the body of a plain answer.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;

use super::call::Call;
use crate::policy::snapshot::Model;
use crate::telemetry::record::CallRecord;
use crate::units::NanoUsd;

/// The answer with a last member `egret`; as it was where it is no JSON object.
///
/// The provider's own bytes stay as they are.
pub(super) fn annotated(body: Bytes, call: &mut Call, served_by: &Model, attempts: u32) -> Bytes {
    let mut member = String::new();
    call.note(|record| member = text(record, served_by, attempts));
    let Some(rest) = body.trim_ascii_end().strip_suffix(b"}") else { return body };
    let first = rest.trim_ascii_end().ends_with(b"{");
    let mut whole = BytesMut::with_capacity(rest.len() + member.len() + 16);
    whole.put_slice(rest.trim_ascii_end());
    whole.put_slice(if first { b"" } else { b"," });
    whole.put_slice(b"\"egret\":");
    whole.put_slice(member.as_bytes());
    whole.put_slice(b"}");
    whole.freeze()
}

fn text(record: &CallRecord, served_by: &Model, attempts: u32) -> String {
    let usage = record.usage.as_ref();
    let member = json!({
        "request_id": record.id.to_string(),
        "model": served_by.id.as_str(),
        "provider": served_by.provider.id.as_str(),
        "attempts": attempts,
        "input_tokens": usage.map(|usage| usage.total_input().0),
        "output_tokens": usage.map(|usage| usage.total_output().0),
        // In quotes, as policies write money: no digit is lost.
        "cost_usd": record.cost.as_ref().map(NanoUsd::to_string),
    });
    member.to_string()
}
