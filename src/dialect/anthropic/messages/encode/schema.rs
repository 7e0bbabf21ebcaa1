//! The schema of an answer, as Anthropic takes it: its objects hold nothing that they do not name.

use crate::dialect::json::{Kind, Value};
use crate::dialect::neutral::Raw;
use crate::dialect::write::string;

/// The schema with all its objects closed, and whether one of them has to stay open, which is refused. Whatever keeps to
/// the closed one keeps to the other.
pub(super) fn closed(schema: &Raw<'_>) -> (Raw<'static>, bool) {
    let mut writer = Writer { out: Vec::with_capacity(schema.raw().len() + 32), is_open: false };
    match schema.value() {
        Some(schema) => writer.schema(&schema),
        None => writer.out.extend_from_slice(schema.raw()),
    }
    (Raw::written(writer.out), writer.is_open)
}

struct Writer {
    out: Vec<u8>,
    is_open: bool,
}

impl Writer {
    fn schema(&mut self, schema: &Value<'_>) {
        if schema.kind != Kind::Object {
            return self.raw(schema);
        }
        let more = schema.member("additionalProperties");
        self.is_open |= more.as_ref().is_some_and(|more| more.kind != Kind::False);
        let closes = more.is_none() && is_of_objects(schema);
        self.out.push(b'{');
        for member in schema.members() {
            let name = member.name();
            self.key(&name);
            match &*name {
                "properties" | "$defs" | "definitions" => self.schemas(&member.value),
                "items" => self.schema(&member.value),
                "anyOf" | "oneOf" | "prefixItems" => self.list(&member.value),
                // All of several closed ones together would let nothing through.
                _ => self.raw(&member.value),
            }
        }
        if closes {
            self.key("additionalProperties");
            self.out.extend_from_slice(b"false");
        }
        self.out.push(b'}');
    }

    /// Schemas under names that are the caller's own.
    fn schemas(&mut self, schemas: &Value<'_>) {
        if schemas.kind != Kind::Object {
            return self.raw(schemas);
        }
        self.out.push(b'{');
        for member in schemas.members() {
            self.key(&member.name());
            self.schema(&member.value);
        }
        self.out.push(b'}');
    }

    fn list(&mut self, list: &Value<'_>) {
        if list.kind != Kind::Array {
            return self.raw(list);
        }
        self.out.push(b'[');
        for schema in list.elements() {
            self.separate();
            self.schema(&schema);
        }
        self.out.push(b']');
    }

    fn key(&mut self, name: &str) {
        self.separate();
        string(&mut self.out, name);
        self.out.push(b':');
    }

    /// A comma, but at the beginning.
    fn separate(&mut self) {
        if !matches!(self.out.last(), Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    fn raw(&mut self, value: &Value<'_>) {
        self.out.extend_from_slice(value.raw());
    }
}

/// Whether an object may keep to the schema, as far as it says so itself.
fn is_of_objects(schema: &Value<'_>) -> bool {
    let is_object = |kind: &Value<'_>| kind.one_of(&["object"]).is_some();
    match schema.member("type") {
        Some(kind) => is_object(&kind) || kind.elements().any(|kind| is_object(&kind)),
        None => schema.member("properties").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::samples;

    fn closing(schema: &serde_json::Value) -> (serde_json::Value, bool) {
        let (closed, is_open) = closed(&Raw::written(schema.to_string().into_bytes()));
        (serde_json::from_slice(closed.raw()).unwrap(), is_open)
    }

    #[test]
    fn objects_are_closed_at_every_depth() {
        let (schema, is_open) = closing(&json!({
            "type": "object", "properties": {
                "properties": { "type": ["object", "null"], "properties": { "a": { "type": "string" } } },
                "list": { "type": "array", "items": { "properties": {} } },
                "any": { "anyOf": [{ "type": "object" }, { "type": "number" }, true] },
                "closed": { "type": "object", "additionalProperties": false }, "ref": { "$ref": "#/$defs/x" },
            },
            "allOf": [{ "type": "object" }], "$defs": { "x": { "type": "object" } },
        }));
        assert_eq!(
            schema,
            json!({
                "type": "object", "additionalProperties": false, "properties": {
                    "properties": {
                        "type": ["object", "null"], "properties": { "a": { "type": "string" } },
                        "additionalProperties": false,
                    },
                    "list": { "type": "array", "items": { "properties": {}, "additionalProperties": false } },
                    "any": { "anyOf": [
                        { "type": "object", "additionalProperties": false }, { "type": "number" }, true,
                    ] },
                    "closed": { "type": "object", "additionalProperties": false }, "ref": { "$ref": "#/$defs/x" },
                },
                "allOf": [{ "type": "object" }],
                "$defs": { "x": { "type": "object", "additionalProperties": false } },
            })
        );
        assert!(!is_open);
    }

    #[test]
    fn an_object_that_has_to_be_open_is_told() {
        let map = json!({ "type": "object", "properties": { "a": {
            "type": "object", "additionalProperties": { "type": "number" },
        } } });
        assert!(closing(&map).1);
    }

    proptest::proptest! {
        #[test]
        fn anything_stays_json(schema in samples::any_json()) {
            closing(&schema);
            closing(&json!({ "type": schema, "properties": schema, "anyOf": schema, "items": schema }));
        }
    }
}
