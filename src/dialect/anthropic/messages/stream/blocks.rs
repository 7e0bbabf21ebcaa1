//! The events of which a stream is made, as they are written.

use super::super::words;
use crate::dialect::neutral::{Finish, Literal};
use crate::dialect::write::{self, Object};
use crate::usage::Usage;

/// An event, under its name.
fn event(out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write::object(out, |event| {
        event.word("type", name);
        members(event);
    });
    out.extend_from_slice(b"\n\n");
}

pub(super) fn message_start(out: &mut Vec<u8>, id: &Literal<'_>, model: &Literal<'_>, usage: &Usage) {
    event(out, "message_start", |event| {
        event.object("message", |message| {
            message.literal("id", id);
            message.word("type", "message");
            message.word("role", "assistant");
            message.literal("model", model);
            message.array("content", |_| {});
            message.null("stop_reason");
            message.null("stop_sequence");
            message.object("usage", |object| words::usage(object, usage));
        });
    });
}

/// A block begins, with what its type says.
pub(super) fn start(out: &mut Vec<u8>, index: u64, kind: &str, members: impl FnOnce(&mut Object<'_>)) {
    event(out, "content_block_start", |event| {
        event.number("index", index);
        event.object("content_block", |block| {
            block.word("type", kind);
            members(block);
        });
    });
}

/// The open block goes on by a text.
pub(super) fn delta(out: &mut Vec<u8>, index: u64, kind: &str, name: &str, text: &Literal<'_>) {
    event(out, "content_block_delta", |event| {
        event.number("index", index);
        event.object("delta", |delta| {
            delta.word("type", kind);
            delta.literal(name, text);
        });
    });
}

pub(super) fn stop(out: &mut Vec<u8>, index: u64) {
    event(out, "content_block_stop", |event| event.number("index", index));
}

/// The end of the message, with all that it has used.
pub(super) fn message_end(
    out: &mut Vec<u8>,
    (finish, calls): (Finish, bool),
    stop: Option<&Literal<'_>>,
    usage: &Usage,
) {
    event(out, "message_delta", |event| {
        event.object("delta", |delta| words::ending(delta, words::stop_reason(finish, calls), stop));
        event.object("usage", |object| words::usage(object, usage));
    });
    event(out, "message_stop", |_| {});
}
