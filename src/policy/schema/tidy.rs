//! What the derive says otherwise than a policy is read, and otherwise than editors show best.

use schemars::Schema;
use schemars::transform::transform_subschemas;
use serde_json::{Map, Value, json};

/// Puts it right, in a schema and all below it.
pub(super) fn tidy(schema: &mut Schema) {
    transform_subschemas(&mut tidy, schema);
    if let Some(schema) = schema.as_object_mut() {
        without_null(schema);
        whole_numbers(schema);
        descriptions(schema);
        choices(schema);
    }
}

/// A field may be left out, but `field:` with nothing behind it is refused.
fn without_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|of| of != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|of| of != "null"));
        if let [Value::Object(only)] = &choices[..] {
            let only = only.clone();
            schema.remove("anyOf");
            only.into_iter().for_each(|(name, value)| {
                schema.entry(name).or_insert(value);
            });
        }
    }
}

/// The bounds of a number in the words of JSON Schema: `format: uint32` is none of them.
fn whole_numbers(schema: &mut Map<String, Value>) {
    let most = match schema.get("format").and_then(Value::as_str) {
        Some("uint16") => Some(u64::from(u16::MAX)),
        Some("uint32") => Some(u64::from(u32::MAX)),
        Some("uint64" | "double") => None,
        Some(_) | None => return,
    };
    schema.remove("format");
    if let Some(most) = most {
        schema.insert("maximum".to_owned(), most.into());
    }
}

const ABOUT: &str = "description";

/// The same text under the name by which editors show it as Markdown.
const MARKDOWN: &str = "markdownDescription";

/// Doc comments by paragraphs.
fn descriptions(schema: &mut Map<String, Value>) {
    let Some(Value::String(written)) = schema.get(ABOUT) else { return };
    let paragraphs: Vec<String> = written.split("\n\n").map(|lines| lines.replace('\n', " ")).collect();
    let text = Value::from(paragraphs.join("\n\n"));
    schema.insert(ABOUT.to_owned(), text.clone());
    schema.insert(MARKDOWN.to_owned(), text);
}

/// Words become one `enum` that tells what each means, and a map of one key says it at its key. Where each choice had a
/// description of its own, editors would show that in the place of the field's.
fn choices(schema: &mut Map<String, Value>) {
    let is_choice = |of: &Value| of.get("const").is_some() || of.get("properties").is_some();
    let Some(Value::Array(all)) = schema.get("oneOf") else { return };
    if !all.iter().all(is_choice) {
        return;
    }
    let (words, maps): (Vec<Value>, Vec<Value>) =
        all.iter().cloned().partition(|of| of.get("const").is_some());
    let words = enumeration(&words);
    if maps.is_empty() {
        schema.remove("oneOf");
        schema.extend(words);
        return;
    }
    let words = Some(words).filter(|of| !of.is_empty()).map(Value::Object);
    let maps = maps.into_iter().map(at_its_key);
    schema.insert("oneOf".to_owned(), words.into_iter().chain(maps).collect());
}

fn enumeration(words: &[Value]) -> Map<String, Value> {
    if words.is_empty() {
        return Map::new();
    }
    let of = |what: &str| words.iter().map(|word| word.get(what).cloned().unwrap_or_default()).collect();
    let (names, about): (Value, Value) = (of("const"), of(ABOUT));
    [
        ("type", json!("string")),
        ("enum", names),
        ("enumDescriptions", about.clone()),
        ("markdownEnumDescriptions", about),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// A map of one key, with its description at the key and the key for a title.
fn at_its_key(mut choice: Value) -> Value {
    let Some(outer) = choice.as_object_mut() else { return choice };
    let about = [ABOUT, MARKDOWN].map(|of| (of, outer.remove(of)));
    let Some(Value::Object(keys)) = outer.get_mut("properties") else { return choice };
    let Some((key, Value::Object(inner))) = keys.iter_mut().next() else { return choice };
    let title = key.clone();
    for (of, text) in about {
        inner.extend(text.map(|text| (of.to_owned(), text)));
    }
    outer.insert("title".to_owned(), title.into());
    choice
}
