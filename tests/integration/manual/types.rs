//! What authors can name, read from the JSON Schemas. They have no order of fields; that of the spec is what serde knows.

use std::collections::BTreeMap;

use egret::policy::schema;
use serde_json::{Map, Value};

use super::known::Known;
use super::page;

/// A type that an author can name.
pub(super) struct Type {
    pub(super) name: String,
    /// Its description, by paragraphs.
    pub(super) about: Vec<String>,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    Map(Vec<Field>),
    Choices(Vec<Choice>),
    /// Another shape under a name of its own.
    As(Kind),
    /// A value with a form of its own, which its description tells.
    Value,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) about: Vec<String>,
    pub(super) kind: Kind,
    pub(super) needed: bool,
}

pub(super) struct Choice {
    pub(super) name: String,
    pub(super) about: Vec<String>,
    pub(super) takes: Takes,
}

pub(super) enum Takes {
    Nothing,
    One(Kind),
    Map(Vec<Field>),
}

/// What stands at a field.
pub(super) enum Kind {
    Text,
    Flag,
    Whole,
    List(Box<Self>),
    Named(Box<Self>),
    Type(String),
}

/// Every type of both schemas, each once.
pub(super) fn types(known: &Known) -> Vec<Type> {
    let mut types: Vec<Type> = Vec::new();
    for schema in [schema::policy(), schema::policy_test()] {
        let root = object(&schema);
        let others = object(&root["$defs"]).iter().map(|(name, of)| (name.as_str(), of));
        for (name, of) in std::iter::once((text(&root["title"]), &schema)).chain(others) {
            if types.iter().all(|known| known.name != name) {
                types.push(read(name, object(of), known));
            }
        }
    }
    types
}

fn read(name: &str, schema: &Map<String, Value>, known: &Known) -> Type {
    let shape = if page::is_value(name) {
        Shape::Value
    } else if schema.contains_key("properties") {
        Shape::Map(fields(name, "", schema, known))
    } else if schema.contains_key("enum") {
        Shape::Choices(words(schema))
    } else if let Some(choices) = schema.get("oneOf") {
        Shape::Choices(read_choices(name, list(choices), known))
    } else {
        Shape::As(kind(schema))
    };
    Type { name: name.to_owned(), about: about(name, schema), shape }
}

/// Words, and maps of one key, in the order of the spec.
fn read_choices(of: &str, schemas: &[Value], known: &Known) -> Vec<Choice> {
    let mut choices = Vec::new();
    for schema in schemas.iter().map(object) {
        if schema.contains_key("enum") {
            choices.extend(words(schema));
        } else {
            choices.push(map_of_one_key(of, schema, known));
        }
    }
    choices.sort_by_key(|choice| known.types[of].iter().position(|name| *name == choice.name));
    choices
}

fn words(schema: &Map<String, Value>) -> Vec<Choice> {
    let words = list(&schema["enum"]).iter().zip(list(&schema["enumDescriptions"]));
    words
        .map(|(name, about)| Choice {
            name: text(name).to_owned(),
            about: paragraphs(about),
            takes: Takes::Nothing,
        })
        .collect()
}

fn map_of_one_key(of: &str, schema: &Map<String, Value>, known: &Known) -> Choice {
    let mut entries = object(&schema["properties"]).iter();
    let (Some((name, inner)), None) = (entries.next(), entries.next()) else {
        panic!("a choice of `{of}` has not one key: {schema:?}")
    };
    let inner = object(inner);
    let takes = if inner.contains_key("properties") {
        Takes::Map(fields(of, &format!("{name}."), inner, known))
    } else {
        Takes::One(kind(inner))
    };
    Choice { name: name.clone(), about: about(name, inner), takes }
}

/// Fields in the order of the spec; `before` is what stands before them where they are a choice's.
fn fields(of: &str, before: &str, schema: &Map<String, Value>, known: &Known) -> Vec<Field> {
    let order: BTreeMap<&str, usize> =
        known.types[of].iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let needed = |name: &str| schema.get("required").is_some_and(|all| list(all).iter().any(|of| of == name));
    let read = |(name, of): (&String, &Value)| Field {
        name: name.clone(),
        about: about(name, object(of)),
        kind: kind(object(of)),
        needed: needed(name),
    };
    let mut fields: Vec<Field> = object(&schema["properties"]).iter().map(read).collect();
    fields.sort_by_key(|field| order.get(format!("{before}{}", field.name).as_str()).copied());
    fields
}

fn kind(schema: &Map<String, Value>) -> Kind {
    if let Some(to) = schema.get("$ref") {
        let name = text(to).strip_prefix("#/$defs/").expect("a definition of the same schema");
        return Kind::Type(name.to_owned());
    }
    match text(&schema["type"]) {
        "string" => Kind::Text,
        "boolean" => Kind::Flag,
        "integer" => Kind::Whole,
        "array" => Kind::List(Box::new(kind(object(&schema["items"])))),
        "object" => Kind::Named(Box::new(kind(object(&schema["additionalProperties"])))),
        other => panic!("a field of type `{other}`"),
    }
}

fn about(what: &str, schema: &Map<String, Value>) -> Vec<String> {
    paragraphs(schema.get("description").unwrap_or_else(|| panic!("`{what}` has no description")))
}

fn paragraphs(about: &Value) -> Vec<String> {
    assert!(!text(about).contains("[`"), "a link into the source: {about}");
    text(about).split("\n\n").map(str::to_owned).collect()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
