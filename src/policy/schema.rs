//! The JSON Schema of what can be written, made from the spec types and their doc comments, so that editors complete and
//! explain. What spans several places (names that lead nowhere, budgets that cannot be kept) is left to [`compile`].
//!
//! [`compile`]: super::compile

mod placed;
#[cfg(test)]
pub(super) mod tests;
mod tidy;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::spec;

/// The schema of a document of `kind: Policy`.
pub fn policy() -> Value {
    of::<spec::Policy>()
}

/// The schema of a document of `kind: PolicyTest`.
pub fn policy_test() -> Value {
    of::<spec::test::PolicyTest>()
}

/// The schema of a document of that type. Draft 2020-12: before 2019-09 nothing beside a `$ref` counts, and editors would
/// show what is said of a type in the place of what is said of a field.
fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(tidy::tidy);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(Value::Object(types)) = schema.get_mut("$defs") {
        for (name, of) in types {
            // Else editors say the document's title at each of its fields.
            of.as_object_mut().map(|of| of.insert("title".to_owned(), name.as_str().into()));
        }
    }
    schema
}
