//! A policy as one text, each value with the place that it came from.

use std::fmt::Write as _;

use super::Origins;
use crate::policy::compose::HEAD;
use crate::policy::diagnostic::{Span, is_secret_field, masked_line};
use crate::policy::node::{Key, Node, Value};

impl Origins {
    /// The policy with all its files and overlays in one YAML document; behind each value stands `# file:line`, and
    /// `over file:line` where an overlay replaced one. It says what the files say. What looks like a secret is masked.
    pub fn print(&self) -> String {
        let mut lines = Lines { origins: self, list: Vec::new() };
        for (field, value) in HEAD {
            lines.list.push((format!("{field}: {value}"), String::new()));
        }
        let fields = self.documents.iter().flat_map(|document| document.entries().unwrap_or_default());
        for (key, value) in fields.filter(|(key, _)| HEAD.iter().all(|(name, _)| key.text != *name)) {
            lines.entry("", key, value, None);
        }
        lines.joined()
    }
}

/// What is printed so far: texts, and what is said behind each.
struct Lines<'o> {
    origins: &'o Origins,
    list: Vec<(String, String)>,
}

/// Longer texts have their comment behind them, wherever that is.
const COLUMN: usize = 60;

impl Lines<'_> {
    fn entry(&mut self, before: &str, key: &Key, value: &Node, over: Option<Span>) {
        self.value(format!("{before}{}:", plain(&key.text)), value, over, is_secret_field(&key.text));
    }

    /// A value behind what leads to it: a key with its colon, or the dash of a list.
    fn value(&mut self, lead: String, node: &Node, over: Option<Span>, secret: bool) {
        let over = node.over.as_deref().copied().or(over);
        let inner = " ".repeat(lead.len() - lead.trim_start().len() + 2);
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                let mut entries = entries.iter();
                if lead.ends_with('-') {
                    // The first stands behind the dash.
                    if let Some((key, value)) = entries.next() {
                        self.entry(&format!("{lead} "), key, value, over);
                    }
                } else {
                    self.list.push((lead, String::new()));
                }
                entries.for_each(|(key, value)| self.entry(&inner, key, value, over));
            }
            Value::List(items) if !items.is_empty() => {
                self.list.push((lead, String::new()));
                items.iter().for_each(|item| self.value(format!("{inner}-"), item, over, secret));
            }
            Value::Map(_)
            | Value::List(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Whole(_)
            | Value::Fraction(_)
            | Value::Text(_) => {
                let over = over.map_or_else(String::new, |over| format!(" over {}", self.origins.spot(over)));
                let comment = format!("# {}{over}", self.origins.spot(node.span));
                self.list.push((format!("{lead} {}", scalar(&node.value, secret)), comment));
            }
        }
    }

    fn joined(self) -> String {
        let told = self.list.iter().filter(|(_, comment)| !comment.is_empty());
        let column =
            told.map(|(text, _)| text.chars().count()).filter(|width| *width <= COLUMN).max().unwrap_or(0);
        let mut joined = String::new();
        for (text, comment) in self.list {
            let line = if comment.is_empty() { text } else { format!("{text:column$}  {comment}") };
            // Writing to a string cannot fail.
            let _ = writeln!(joined, "{line}");
        }
        joined
    }
}

/// A value that holds no others; one of a field whose value would be a secret is not shown.
fn scalar(value: &Value, secret: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::List(_) => "[]".to_owned(),
        Value::Map(_) => "{}".to_owned(),
        Value::Bool(_) | Value::Whole(_) | Value::Fraction(_) | Value::Text(_) if secret => {
            "\"***\"".to_owned()
        }
        Value::Bool(value) => value.to_string(),
        Value::Whole(value) => value.to_string(),
        // With its point, so that it stays a fraction.
        Value::Fraction(value) => format!("{value:?}"),
        Value::Text(text) => plain(text),
    }
}

/// A text as YAML, masked: in quotes where it would be read as something else without them.
fn plain(text: &str) -> String {
    let masked = text.lines().map(masked_line);
    let masked = masked.collect::<Vec<_>>().join("\n");
    let text = if text.lines().eq(masked.lines()) { text } else { &*masked };
    let has_letter_first = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_simple = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b));
    if (has_letter_first && is_simple && !is_word_of_yaml(text)) || is_measure(text) {
        return text.to_owned();
    }
    // A JSON string is a YAML one.
    serde_json::Value::from(text).to_string()
}

/// What some reader of YAML takes for a boolean, for nothing or for a number.
fn is_word_of_yaml(text: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
    words.contains(&text.to_ascii_lowercase().as_str())
}

/// A number with its unit: `30s`, `10Mi`, `20%`.
fn is_measure(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && ["ms", "s", "m", "h", "d", "Ki", "Mi", "Gi", "%"].contains(&unit)
}
