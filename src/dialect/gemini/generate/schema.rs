//! From Gemini's schemas, a part of OpenAPI's, to JSON Schema.

use std::borrow::Cow;
use std::collections::HashSet;

use super::read::camel;
use crate::dialect::json::{Fault, Kind, Scanner, Value};
use crate::dialect::neutral::{Losses, Raw};
use crate::dialect::write::string;

/// A schema in JSON Schema's words. The order that it wants of properties is lost, under the name of this field.
pub(super) fn json_schema(schema: &Value<'_>, field: &str, lost: &mut Losses) -> Raw<'static> {
    let out = Vec::with_capacity(schema.range.len());
    let mut writer = Writer { out, nullable: HashSet::new(), ordered: false };
    // It was scanned as a part of its request, so neither fails.
    let read = find_nullable(&mut schema.scanner(), &mut writer.nullable);
    if read.and_then(|()| writer.schema(&mut schema.scanner())).is_err() {
        return Raw::word("{}");
    }
    if writer.ordered {
        lost.hint(format!("{field}.propertyOrdering"));
    }
    Raw::written(writer.out)
}

/// Notes where the objects begin that say so, in one pass: schemas may be nested deeply.
fn find_nullable(scanner: &mut Scanner<'_>, found: &mut HashSet<usize>) -> Result<(), Fault> {
    match scanner.peek() {
        Some(b'{') => {
            let (start, mut nullable) = (scanner.position(), false);
            scanner.members(|key, scanner| {
                if !key.is("nullable") {
                    return find_nullable(scanner, found);
                }
                nullable = scanner.value()?.kind == Kind::True;
                Ok(())
            })?;
            if nullable {
                found.insert(start);
            }
            Ok(())
        }
        Some(b'[') => scanner.elements(|scanner| find_nullable(scanner, found)),
        Some(_) | None => scanner.value().map(drop),
    }
}

struct Writer {
    out: Vec<u8>,
    /// Where schemas begin that allow null.
    nullable: HashSet<usize>,
    /// A schema within has an order of its properties.
    ordered: bool,
}

impl Writer {
    fn schema(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.peek() != Some(b'{') {
            // True and false are schemas; what is none is for the provider to refuse.
            self.raw(&scanner.value()?);
            return Ok(());
        }
        let nullable = self.nullable.contains(&scanner.position());
        self.out.push(b'{');
        scanner.members(|key, scanner| {
            if scanner.peek() == Some(b'n') {
                return scanner.value().map(drop);
            }
            let written = key.name();
            self.member(&camel(&written), &written, scanner, nullable)
        })?;
        self.close(b'}');
        Ok(())
    }

    fn member(
        &mut self,
        name: &str,
        written: &str,
        scanner: &mut Scanner<'_>,
        nullable: bool,
    ) -> Result<(), Fault> {
        match name {
            "properties" => return self.schemas(name, scanner),
            "defs" | "$defs" => return self.schemas("$defs", scanner),
            "items" | "additionalProperties" => {
                self.key(name);
                return self.schema(scanner);
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => return self.list(name, scanner),
            _ => {}
        }
        self.word(name, written, &scanner.value()?, nullable);
        Ok(())
    }

    /// A member that holds no schema.
    fn word(&mut self, name: &str, written: &str, value: &Value<'_>, nullable: bool) {
        match name {
            "type" => self.kind(value, nullable),
            "enum" => self.enumeration(value, nullable),
            "ref" | "$ref" => {
                self.key("$ref");
                self.raw(value);
            }
            "example" => {
                self.key("examples");
                self.out.push(b'[');
                self.raw(value);
                self.out.push(b']');
            }
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                self.key(name);
                self.out.extend_from_slice(&number(value));
            }
            // Gemini's own mark of a text that is one of an enum, and no format anywhere else.
            "format" if value.one_of(&["enum"]).is_some() => {}
            "nullable" => {}
            "propertyOrdering" => self.ordered = true,
            _ => {
                self.key(written);
                self.raw(value);
            }
        }
    }

    /// OpenAPI's types in upper case, and null beside them where it is allowed.
    fn kind(&mut self, value: &Value<'_>, nullable: bool) {
        let Some(word) = value.short_text(32) else {
            self.key("type");
            return self.raw(value);
        };
        let word = word.to_ascii_lowercase();
        if word == "type_unspecified" {
            return;
        }
        self.key("type");
        if nullable {
            self.out.push(b'[');
        }
        string(&mut self.out, &word);
        if nullable {
            self.out.extend_from_slice(b",\"null\"]");
        }
    }

    fn enumeration(&mut self, value: &Value<'_>, nullable: bool) {
        self.key("enum");
        self.raw(value);
        if nullable && value.kind == Kind::Array && value.elements().all(|one| one.kind != Kind::Null) {
            self.out.pop();
            self.separate();
            self.out.extend_from_slice(b"null]");
        }
    }

    /// Schemas under names that are the caller's own.
    fn schemas(&mut self, name: &str, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        self.key(name);
        if scanner.peek() != Some(b'{') {
            self.raw(&scanner.value()?);
            return Ok(());
        }
        self.out.push(b'{');
        scanner.members(|key, scanner| {
            self.key(&key.name());
            self.schema(scanner)
        })?;
        self.close(b'}');
        Ok(())
    }

    fn list(&mut self, name: &str, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        self.key(name);
        if scanner.peek() != Some(b'[') {
            self.raw(&scanner.value()?);
            return Ok(());
        }
        self.out.push(b'[');
        scanner.elements(|scanner| {
            self.separate();
            self.schema(scanner)
        })?;
        self.close(b']');
        Ok(())
    }

    fn key(&mut self, name: &str) {
        self.separate();
        string(&mut self.out, name);
        self.out.push(b':');
    }

    /// A comma, but at the beginning.
    fn separate(&mut self) {
        if !matches!(self.out.trim_ascii_end().last(), Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    fn close(&mut self, end: u8) {
        self.out.push(end);
    }

    fn raw(&mut self, value: &Value<'_>) {
        self.out.extend_from_slice(value.raw());
    }
}

/// A number, which Google writes as a text where it has 64 bits.
fn number<'a>(value: &Value<'a>) -> Cow<'a, [u8]> {
    match value.short_text(20) {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Cow::Owned(digits.into_owned().into_bytes())
        }
        Some(_) | None => Cow::Borrowed(value.raw()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::json::document;
    use crate::dialect::samples;

    fn converted(schema: &serde_json::Value) -> (serde_json::Value, Losses) {
        let text = schema.to_string();
        let mut lost = Losses::default();
        let written = json_schema(&document(text.as_bytes()).unwrap(), "s", &mut lost);
        (serde_json::from_slice(written.raw()).unwrap(), lost)
    }

    #[test]
    fn types_lose_their_upper_case_at_every_depth() {
        let (schema, lost) = converted(&json!({
            "type": "OBJECT", "required": ["type"], "propertyOrdering": ["type", "list"],
            "properties": {
                "type": { "type": "STRING", "enum": ["A", "B"], "format": "enum", "nullable": true },
                "list": { "type": "ARRAY", "minItems": "1", "max_items": 3, "items": { "type": "INTEGER", "format": "int32" } },
                "any": { "any_of": [{ "type": "NUMBER" }, { "type": "TYPE_UNSPECIFIED" }], "example": 7, "title": "t" },
                "ref": { "ref": "#/$defs/x" }, "nothing": { "type": null },
            },
            "defs": { "x": { "type": "BOOLEAN" } },
        }));
        let expected = json!({
            "type": "object", "required": ["type"],
            "properties": {
                "type": { "type": ["string", "null"], "enum": ["A", "B", null] },
                "list": { "type": "array", "minItems": 1, "maxItems": 3, "items": { "type": "integer", "format": "int32" } },
                "any": { "anyOf": [{ "type": "number" }, {}], "examples": [7], "title": "t" },
                "ref": { "$ref": "#/$defs/x" }, "nothing": {},
            },
            "$defs": { "x": { "type": "boolean" } },
        });
        assert_eq!(schema, expected);
        assert_eq!(lost.iter().map(|loss| &*loss.field).collect::<Vec<_>>(), ["s.propertyOrdering"]);
    }

    proptest::proptest! {
        #[test]
        fn anything_becomes_json(schema in samples::any_json()) {
            // What is read back is JSON, whatever stood there.
            converted(&schema);
            converted(&json!({ "type": schema, "properties": schema, "enum": schema, "anyOf": schema, "items": schema, "nullable": true }));
        }
    }
}
