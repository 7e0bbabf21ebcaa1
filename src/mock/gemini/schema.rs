//! The schemas that Gemini takes under `parameters` and `responseSchema`: its own subset, not JSON Schema.

use crate::mock::error::ApiError;
use crate::mock::node::Node;

const FIELDS: [&str; 22] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

/// That a schema says nothing that Gemini does not know.
pub(super) fn check(schema: &Node<'_>) -> Result<(), ApiError> {
    schema.only(&FIELDS)?;
    if let Some(of) = schema.field("type") {
        let name = of.text()?.to_ascii_lowercase();
        if !TYPES.contains(&name.as_str()) {
            return Err(of.wrong(format!("\"{name}\"")));
        }
    }
    if let Some(items) = schema.field("items") {
        check(&items)?;
    }
    if let Some(any) = schema.field("anyOf") {
        any.items()?.try_for_each(|schema| check(&schema))?;
    }
    if let Some(properties) = schema.field("properties") {
        properties.entries()?.try_for_each(|schema| check(&schema))?;
    }
    Ok(())
}
